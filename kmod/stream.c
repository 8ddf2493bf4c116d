// SPDX-License-Identifier: GPL-2.0-only
/*
 * A keyblob socket as an ordinary socket: what stands between read(), write() and
 * poll() and kTLS's idea of them, so that no program needs to know of TLS.
 *
 * Receiving. kTLS stops at a record that is not data and keeps it until it is taken
 * away. It is looked at, acted on and taken away under the socket lock in one go
 * (control()), by whichever reader meets it first; then reading goes on.
 *
 * Sending. Senders share kb_sock.sending. Who sends a control record holds it alone:
 * between a KeyUpdate and the change of keys no data may go out. So does who must not
 * wait: kTLS's senders sleep under its tx_lock until there is room. A reader never waits
 * for senders: it leaves the answer to a KeyUpdate to the last of them (update_due).
 */
#include <linux/net.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <net/tls.h>

#include <linux/keyblob_netlink.h>

#include "compat.h"
#include "genl.h"
#include "handshake.h"
#include "ktls.h"
#include "main.h"
#include "record.h"
#include "schedule.h"
#include "stream.h"
#include "ulp.h"

/* With fewer records left than this, senders go one by one. */
#define NEAR_LIMIT	4096

/* What a sender may send before it asks again, in records: many of them, far from it. */
#define PART_RECORDS	64

/* ---- sending ---- */

/*
 * stop_senders() turns away senders that wait for room by the shutdown mark, without
 * which nothing can be sent either. Who has them out takes the mark back, and the
 * error that kTLS made of it. Under the socket lock.
 */
static void take_mark_back(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (!kb->marked || sk->sk_state == TCP_CLOSE)
		return;
	kb->marked = false;
	sk->sk_shutdown &= ~SEND_SHUTDOWN;
	if (sk->sk_err == EPIPE)
		WRITE_ONCE(sk->sk_err, 0);
}

/* After a fatal alert nobody sends any more, RFC 8446 section 6.2. */
static void end_tx(struct sock *sk)
{
	WRITE_ONCE(kb_sock(sk)->closing, true);
	lock_sock(sk);
	sk->sk_shutdown |= SEND_SHUTDOWN;
	kb_ulp_base(sk)->shutdown(sk, SEND_SHUTDOWN);
	sk->sk_state_change(sk);
	release_sock(sk);
}

/*
 * A record that kTLS could not encrypt, for want of memory, is gone, and with it what
 * earlier calls put there: nothing may follow. Under kb_sock.sending.
 */
static void look_for_a_gap(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (likely(READ_ONCE(sk->sk_err) != EBADMSG) || !kb_ktls_has_gap(sk))
		return;
	lock_sock(sk);
	kb->tx.end = kb->tx.end ?: KEYBLOB_END_TRUNCATED;
	/* It is nothing that receiving has to do with. */
	sock_error(sk);
	release_sock(sk);
	end_tx(sk);
}

/*
 * What TCP has not taken goes when an acknowledgment makes room. With nothing on its way,
 * it was memory that TCP lacked, and nobody would come back to it. Under kb_sock.sending.
 */
static void look_for_leftovers(struct sock *sk)
{
	if (likely(!kb_ktls_has_unsent(sk)))
		return;
	lock_sock(sk);
	if (kb_ktls_has_unsent(sk) && tcp_rtx_and_write_queues_empty(sk))
		sk->sk_write_space(sk);
	release_sock(sk);
}

/* Under kb_sock.sending. */
static void after_sending(struct sock *sk)
{
	if (!kb_sock(sk)->tx.ready)
		return;
	look_for_a_gap(sk);
	look_for_leftovers(sk);
}

/*
 * Sends one control record. Under kb_sock.sending alone. Never waits: room in the send
 * buffer is made by lifting its bounds for the few bytes it takes.
 */
static int send_control(struct sock *sk, u8 type, const void *data, size_t len)
{
	char control[CMSG_SPACE(sizeof(u8))] __aligned(__alignof__(struct cmsghdr)) = {};
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct kvec vec = { .iov_base = (void *)data, .iov_len = len };
	struct kb_sock *kb = kb_sock(sk);
	u32 notsent_lowat;
	int sndbuf, ret;

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(sizeof(u8));
	*(u8 *)CMSG_DATA(cmsg) = type;
	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, len);

	lock_sock(sk);
	take_mark_back(sk);
	kb->controlling = true;
	sndbuf = sk->sk_sndbuf;
	notsent_lowat = tcp_sk(sk)->notsent_lowat;
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX);
	WRITE_ONCE(tcp_sk(sk)->notsent_lowat, UINT_MAX);
	release_sock(sk);

	ret = kb_ulp_base(sk)->sendmsg(sk, &msg, len);

	lock_sock(sk);
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	WRITE_ONCE(tcp_sk(sk)->notsent_lowat, notsent_lowat);
	kb->controlling = false;
	release_sock(sk);
	after_sending(sk);
	return ret < 0 ? ret : 0;
}

static void send_alert(struct sock *sk, u8 level, u8 description)
{
	const u8 alert[] = { level, description };
	struct kb_sock *kb = kb_sock(sk);

	if (!kb->tx.ready || kb->tx.end)
		return;
	/* What TCP has no memory for now does not go before its FIN. */
	if (send_control(sk, KB_TYPE_ALERT, alert, sizeof(alert)) || kb_ktls_has_unsent(sk))
		return;
	lock_sock(sk);
	kb->tx.end = description == KB_CLOSE_NOTIFY ? KEYBLOB_END_CLOSE_NOTIFY :
						      KEYBLOB_END_ALERT;
	kb->tx.alert = description;
	release_sock(sk);
}

/* The key that follows the one of @dir; the secret it stands for goes to @secret. */
static int next_key(const struct kb_sock *kb, const struct kb_dir *dir, u8 *secret,
		    struct kb_ktls_key *key)
{
	struct kb_keys keys;
	int err;

	err = kb_schedule_update(kb->suite, dir->secret, secret);
	if (err)
		return err;
	err = kb_schedule_keys(kb->suite, secret, &keys);
	if (!err) {
		key->suite = kb->suite;
		key->tls_version = kb->tls_version;
		key->aead = kb_ktls_cipher_new(kb->suite, keys.key);
		memcpy(key->nonce, keys.nonce, sizeof(key->nonce));
		key->rec_seq = 0;
		err = PTR_ERR_OR_ZERO(key->aead);
	}
	memzero_explicit(&keys, sizeof(keys));
	if (err) {
		memzero_explicit(secret, KEYBLOB_SECRET_MAX);
		memzero_explicit(key, sizeof(*key));
	}
	return err;
}

/* Puts in place what next_key() made. Under the socket lock. */
static void turn(struct sock *sk, u16 direction, struct kb_dir *dir, u8 *secret,
		 struct kb_ktls_key *key)
{
	const struct kb_audit rekeyed = {
		.type = KEYBLOB_EVENT_REKEYED,
		.direction = direction,
	};

	kb_ktls_rekey(sk, direction, key);
	memcpy(dir->secret, secret, sizeof(dir->secret));
	dir->generation++;
	memzero_explicit(secret, KEYBLOB_SECRET_MAX);
	kb_genl_event(sk, &rekeyed);
}

static void answer_update(struct sock *sk);

/* KeyUpdate (RFC 8446 section 4.6.3), then the next key. Under kb_sock.sending alone. */
static int send_update(struct sock *sk, bool request)
{
	const u8 update[] = { KB_HS_KEY_UPDATE, 0, 0, 1, request };
	struct kb_sock *kb = kb_sock(sk);
	u8 secret[KEYBLOB_SECRET_MAX] = {};
	struct kb_ktls_key key;
	int err;

	/* The last words may be said, and wait for TCP to have memory. */
	if (kb->tx.end || READ_ONCE(kb->closing))
		return -EPIPE;
	lock_sock(sk);
	err = next_key(kb, &kb->tx, secret, &key);
	if (!err && request)
		kb_limit_asked(&kb->limit);
	release_sock(sk);
	if (err)
		return err;

	err = send_control(sk, KB_TYPE_HANDSHAKE, update, sizeof(update));
	if (!err) {
		lock_sock(sk);
		turn(sk, KEYBLOB_DIR_TX, &kb->tx, secret, &key);
		WRITE_ONCE(kb->update_due, false);
		release_sock(sk);
	}
	memzero_explicit(secret, sizeof(secret));
	kb_ktls_key_free(&key);
	return err;
}

/* Now if there is room, else when there is: TCP wakes where SOCK_NOSPACE says so. */
static void wake_turned_away(struct sock *sk)
{
	WRITE_ONCE(kb_sock(sk)->turned_away, false);
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	/* Pairs with the barrier of tcp_check_space(). */
	smp_mb__after_atomic();
	if (sk_stream_is_writeable(sk))
		sk->sk_write_space(sk);
}

/*
 * Somebody who held kb_sock.sending has let go: those who were turned away because of
 * it have to know, and an answer to a KeyUpdate that a reader could not give is due.
 */
static void after_hold(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	/* Pairs with share(), seize() and answer_update(): one of the two sees the other. */
	smp_mb();
	if (unlikely(READ_ONCE(kb->turned_away)))
		wake_turned_away(sk);
	if (unlikely(READ_ONCE(kb->update_due)))
		answer_update(sk);
}

static void unseize(struct sock *sk)
{
	up_write(&kb_sock(sk)->sending);
	after_hold(sk);
}

/*
 * Answers a KeyUpdate if nobody is sending; the last sender does it otherwise, or the
 * next if the peer lets the send buffer fill: answers must not pile up in there.
 */
static void answer_update(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	/* Pairs with after_hold(). */
	smp_mb();
	while (READ_ONCE(kb->update_due) && kb->tx.ready && !kb->tx.end &&
	       sk_stream_memory_free(sk) && down_write_trylock(&kb->sending)) {
		int err = 0;

		if (kb->update_due)
			err = send_update(sk, false);
		up_write(&kb->sending);
		if (err)
			break;
		/* As above: another answer may have become due. */
		smp_mb();
	}
}

/*
 * Take kb_sock.sending, shared or alone. Who must not wait and gets EAGAIN is woken by
 * after_hold(); hence the second try, for a holder that has just gone.
 */
static int share(struct kb_sock *kb, int flags)
{
	if (!(flags & MSG_DONTWAIT))
		return down_read_killable(&kb->sending);
	if (likely(down_read_trylock(&kb->sending)))
		return 0;
	WRITE_ONCE(kb->turned_away, true);
	/* Pairs with after_hold(). */
	smp_mb();
	return down_read_trylock(&kb->sending) ? 0 : -EAGAIN;
}

static int seize(struct kb_sock *kb, int flags)
{
	if (down_write_trylock(&kb->sending))
		return 0;
	if (!(flags & MSG_DONTWAIT))
		return down_write_killable(&kb->sending);
	WRITE_ONCE(kb->turned_away, true);
	/* Pairs with after_hold(). */
	smp_mb();
	return down_write_trylock(&kb->sending) ? 0 : -EAGAIN;
}

/* Records of data that the key to send with may still encrypt, but for a last one: a
 * KeyUpdate or an alert.
 */
static u64 records_left(const struct sock *sk, const struct kb_sock *kb)
{
	const u64 max = min_not_zero(kb->suite->records_max, kb_records_max());
	const u64 sent = kb_ktls_rec_seq(sk, KEYBLOB_DIR_TX);
	const u64 spoken_for = 1 + kb_ktls_has_open_record(sk);

	return sent < max && max - sent > spoken_for ? max - sent - spoken_for : 0;
}

/* A sender has come upon a KeyUpdate that must go before its data. */
static int send_due_update(struct sock *sk, int flags)
{
	struct kb_sock *kb = kb_sock(sk);
	int err;

	/* Answers go past the bounds of the send buffer: not over and over. */
	if (flags & MSG_DONTWAIT && !sk_stream_memory_free(sk)) {
		set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		return -EAGAIN;
	}
	err = seize(kb, flags);
	if (err)
		return err;
	if (READ_ONCE(kb->update_due) || !records_left(sk, kb))
		err = send_update(sk, false);
	unseize(sk);
	return err;
}

/* The state in which a stream lets its users send, as tcp_sendmsg() begins. */
static bool may_send(const struct sock *sk, const struct kb_sock *kb)
{
	return !kb->tx.end && !READ_ONCE(kb->closing) && !READ_ONCE(sk->sk_err) &&
	       !(READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN);
}

/*
 * kb_stream_send_begin() - admit a sender, who leaves by kb_stream_send_end()
 *
 * @flags are those of sendmsg(). Far from the limit of the key senders work side by
 * side, near it one by one, so that it is never passed; and who must not wait, only where
 * nobody else is. Returns 0, -EPIPE (the stream has ended), -EKEYEXPIRED (TLS 1.2, at the
 * limit), -EAGAIN, -EINTR, or why the KeyUpdate that was due could not be sent.
 */
int kb_stream_send_begin(struct sock *sk, int flags, struct kb_send *send)
{
	const bool may_wait = !(flags & MSG_DONTWAIT);
	struct kb_sock *kb = kb_sock(sk);
	u64 left;
	int err;

	send->alone = !may_wait && READ_ONCE(kb->tx.ready);
	for (;;) {
		err = send->alone ? seize(kb, flags) : share(kb, flags);
		if (unlikely(err))
			return err;
		if (unlikely(!kb->tx.ready)) {
			send->max = SIZE_MAX;	/* plain TCP, for the handshake */
			if (likely(!kb_handshake_bars(kb)))
				return 0;
			kb_stream_send_end(sk, send);
			err = kb_handshake_pass(sk, flags, sock_sndtimeo(sk, false), -EPIPE);
			if (err)
				return err;
			continue;
		}
		err = -EPIPE;
		if (unlikely(!may_send(sk, kb)))
			break;
		left = records_left(sk, kb);
		if (likely(left && !READ_ONCE(kb->update_due))) {
			send->max = min_t(u64, left, PART_RECORDS) * kb_ktls_payload_max(sk);
			if (likely(send->alone || (left > NEAR_LIMIT && may_wait)))
				return 0;
			send->alone = true;
			up_read(&kb->sending);
			continue;
		}
		err = -EKEYEXPIRED;
		if (kb->tls_version == TLS_1_2_VERSION)
			break;
		kb_stream_send_end(sk, send);
		err = send_due_update(sk, flags);
		if (err)
			return err;
	}
	kb_stream_send_end(sk, send);
	return err;
}

void kb_stream_send_end(struct sock *sk, const struct kb_send *send)
{
	after_sending(sk);
	if (send->alone)
		up_write(&kb_sock(sk)->sending);
	else
		up_read(&kb_sock(sk)->sending);
	after_hold(sk);
}

/*
 * kb_stream_hold() - keep senders out, while they begin to do otherwise
 *
 * Returns 0, and kb_stream_release() is due, or -EBUSY: somebody is sending. Where nobody
 * can for long, because of a handshake that is due, waits instead.
 */
int kb_stream_hold(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (down_write_trylock(&kb->sending))
		return 0;
	if (READ_ONCE(kb->handshake) != KEYBLOB_HANDSHAKE_SET)
		return -EBUSY;
	down_write(&kb->sending);
	return 0;
}

void kb_stream_release(struct sock *sk)
{
	unseize(sk);
}

/*
 * kb_stream_splice_eof_begin() - sendfile() has met the end of its file: may the record
 * that is open go out?
 *
 * Then the caller is a sender, who leaves by kb_stream_send_end(). The record was counted
 * when it was begun; if it cannot go now, it goes with the next data.
 */
bool kb_stream_splice_eof_begin(struct sock *sk, struct kb_send *send)
{
	struct kb_sock *kb = kb_sock(sk);

	send->alone = kb_is_nonblock(sk);
	if (send->alone ? seize(kb, MSG_DONTWAIT) : share(kb, 0))
		return false;
	if (kb->tx.ready && may_send(sk, kb))
		return true;
	kb_stream_send_end(sk, send);
	return false;
}

/* Control records are the module's to send. */
static int check_cmsg(struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, msg) {
		if (!CMSG_OK(msg, cmsg))
			return -EINVAL;
		if (cmsg->cmsg_level == SOL_TLS && cmsg->cmsg_type == TLS_SET_RECORD_TYPE &&
		    (cmsg->cmsg_len < CMSG_LEN(sizeof(u8)) ||
		     *(u8 *)CMSG_DATA(cmsg) != KB_TYPE_DATA))
			return -EACCES;
	}
	return 0;
}

int kb_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)
{
	struct sock *sk = sock->sk;
	struct kb_send send;
	int done = 0, ret;
	size_t rest;

	sock_rps_record_flow(sk);
	if (unlikely(msg->msg_controllen && kb_sock(sk)->tx.ready)) {
		ret = check_cmsg(msg);
		if (ret)
			return ret;
		/* kTLS refuses control messages that it does not know; TCP does not. */
		msg->msg_controllen = 0;
	}
	for (;;) {
		ret = kb_stream_send_begin(sk, msg->msg_flags, &send);
		if (unlikely(ret))
			return done ?: sk_stream_error(sk, msg->msg_flags, ret);
		if (likely(size <= send.max)) {
			ret = kb_ulp_base(sk)->sendmsg(sk, msg, size);
			kb_stream_send_end(sk, &send);
			break;
		}
		/* A part now, as much as this key may still encrypt. */
		rest = size - send.max;
		iov_iter_truncate(&msg->msg_iter, send.max);
		ret = kb_ulp_base(sk)->sendmsg(sk, msg, send.max);
		kb_stream_send_end(sk, &send);
		iov_iter_reexpand(&msg->msg_iter, msg_data_left(msg) + rest);
		if (ret <= 0)
			break;
		done += ret;
		size -= ret;
	}
	if (!done)
		return ret;
	return done + max(ret, 0);
}

/*
 * kb_stream_rekey() - KEYBLOB_REKEY: send a KeyUpdate now
 *
 * @request asks the peer to do the same.
 */
int kb_stream_rekey(struct sock *sk, bool request)
{
	const int flags = kb_is_nonblock(sk) ? MSG_DONTWAIT : 0;
	struct kb_sock *kb = kb_sock(sk);
	int err;

	if (!kb->tx.ready)
		return -EINVAL;
	if (kb->tls_version != TLS_1_3_VERSION)
		return -EOPNOTSUPP;
	err = seize(kb, flags);
	if (err)
		return err;
	err = send_update(sk, request);
	unseize(sk);
	return err;
}

/*
 * Turns senders away, those that wait for room included, and takes kb_sock.sending
 * alone: what is sent after that are last words. Returns 0 or -EINTR.
 */
static int stop_senders(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);
	int err;

	WRITE_ONCE(kb->closing, true);
	if (down_write_trylock(&kb->sending))
		return 0;
	lock_sock(sk);
	/* A control record waits for nothing and must not be hit. */
	if (!kb->controlling && !(sk->sk_shutdown & SEND_SHUTDOWN)) {
		kb->marked = true;
		sk->sk_shutdown |= SEND_SHUTDOWN;
		sk->sk_state_change(sk);
	}
	release_sock(sk);
	err = down_write_killable(&kb->sending);
	lock_sock(sk);
	take_mark_back(sk);
	release_sock(sk);
	return err;
}

/* The last words of this side: close_notify or a fatal alert. */
static void send_last_alert(struct sock *sk, u8 level, u8 description)
{
	struct kb_sock *kb = kb_sock(sk);

	if (!kb->tx.ready || kb->tx.end || stop_senders(sk))
		return;
	send_alert(sk, level, description);
	unseize(sk);
}

/* ---- receiving ---- */

/* Nothing more will be read: everybody who waits for it has to know. */
static void end_rx_locked(struct sock *sk, u8 end, u8 alert, int result)
{
	struct kb_sock *kb = kb_sock(sk);

	if (kb->rx.end)
		return;
	kb->rx.alert = alert;
	kb->rx_result = result;
	/* Pairs with ended(): the result goes first. */
	smp_store_release(&kb->rx.end, end);
	sk->sk_shutdown |= RCV_SHUTDOWN;
	sk->sk_state_change(sk);
}

static void end_rx(struct sock *sk, u8 end, u8 alert, int result)
{
	lock_sock(sk);
	end_rx_locked(sk, end, alert, result);
	release_sock(sk);
}

static bool ended(const struct kb_sock *kb)
{
	/* Pairs with end_rx(): the result is there. */
	return smp_load_acquire(&kb->rx.end);
}

/* The peer broke the rules: tell it, and have done. */
static int abort_stream(struct sock *sk, u8 alert, int result)
{
	/* What kTLS leaves on the socket when it cannot decrypt keeps it from sending. */
	sock_error(sk);
	end_rx(sk, KEYBLOB_END_ABORTED, 0, result);
	send_last_alert(sk, KB_LEVEL_FATAL, alert);
	end_tx(sk);
	return result;
}

/* Reads a control record. Under the socket lock. */
static void parse(struct sock *sk, struct kb_parse *p, const struct sk_buff *skb, u8 type,
		  int offset, int len)
{
	const struct kb_sock *kb = kb_sock(sk);
	u8 part[64];
	int n;

	kb_record_begin(p, &kb->record, kb->tls_version, kb->role, type);
	for (; len > 0; offset += n, len -= n) {
		n = min_t(int, len, sizeof(part));
		if (skb_copy_bits(skb, offset, part, n))
			break;
		kb_record_feed(p, part, n);
	}
	kb_record_end(p);
}

/* May the peer go on like this? Under the socket lock. */
static bool is_too_much(struct kb_sock *kb, const struct kb_parse *p)
{
	if (p->event.kind == KB_EVENT_KEY_UPDATE)
		return kb_limit_update(&kb->limit, p->event.requested, kb_updates_in_row(),
				       kb_updates_per_second());
	if (p->event.kind == KB_EVENT_NONE)
		return kb_limit_control(&kb->limit);
	return false;
}

/*
 * Acts on the control record that kTLS has stopped at. Returns 1, or 0 if there is
 * none (another reader was faster), or a negative errno with the record still there.
 */
static int control(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);
	u8 secret[KEYBLOB_SECRET_MAX] = {};
	struct kb_ktls_key key;
	struct sk_buff *skb;
	struct kb_parse p;
	int offset, len, err;
	u8 type;

	lock_sock(sk);
	/* kTLS has the direction from another thread, and the connection is being reset. */
	if (unlikely(!kb->rx.ready)) {
		release_sock(sk);
		return -ECONNABORTED;
	}
	skb = kb_ktls_control(sk, &type, &offset, &len);
	if (!skb) {
		release_sock(sk);
		return 0;
	}
	parse(sk, &p, skb, type, offset, len);
	if (is_too_much(kb, &p)) {
		p.event.kind = KB_EVENT_ABORT;
		p.event.alert = KB_UNEXPECTED_MESSAGE;
		kb_count_updates_refused();
	}
	if (p.event.kind == KB_EVENT_KEY_UPDATE) {
		err = next_key(kb, &kb->rx, secret, &key);
		if (err) {
			release_sock(sk);
			return err;
		}
		turn(sk, KEYBLOB_DIR_RX, &kb->rx, secret, &key);
		kb_ktls_key_free(&key);
		if (p.event.requested)
			WRITE_ONCE(kb->update_due, true);
	}
	kb->record = p.at;
	kb->tickets += p.event.tickets;
	kb_ktls_control_done(sk, skb);
	release_sock(sk);

	switch (p.event.kind) {
	case KB_EVENT_NONE:
		break;
	case KB_EVENT_KEY_UPDATE:
		if (p.event.requested)
			answer_update(sk);
		break;
	case KB_EVENT_CLOSED:
		end_rx(sk, KEYBLOB_END_CLOSE_NOTIFY, 0, 0);
		break;
	case KB_EVENT_ALERT:
		end_rx(sk, KEYBLOB_END_ALERT, p.event.alert, -ECONNABORTED);
		end_tx(sk);
		break;
	case KB_EVENT_ABORT:
		abort_stream(sk, p.event.alert, -EPROTO);
		break;
	}
	return 1;
}

/*
 * kTLS has no more: because the peer's TCP has ended, or this side's user wants no
 * more, or because a record was empty. Returns 1 to go on reading, or the result.
 */
static int end_of_tcp(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (!sock_flag(sk, SOCK_DONE) && sk->sk_state != TCP_CLOSE)
		return !(READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN);
	if (kb_ktls_has_record(sk))
		return 1;
	end_rx(sk, KEYBLOB_END_TRUNCATED, 0, READ_ONCE(kb->truncation_ok) ? 0 : -ECONNRESET);
	return kb->rx_result;
}

/* kTLS met bytes that are no record, or none that it can decrypt. */
static int broken(struct sock *sk, int ret)
{
	bool too_long;

	if (ret == -EBADMSG)
		return abort_stream(sk, KB_BAD_RECORD_MAC, ret);
	lock_sock(sk);
	too_long = kb_ktls_is_too_long(sk);
	release_sock(sk);
	return abort_stream(sk, too_long ? KB_RECORD_OVERFLOW : KB_DECODE_ERROR, -EPROTO);
}

/*
 * What to make of kTLS's @ret, which is no data. Returns 1 to go on reading, or the
 * result.
 */
static int resume(struct sock *sk, int ret)
{
	/* EIO: a control record. EKEYEXPIRED: one with a KeyUpdate is still there. */
	const bool stopped = ret == 0 || ret == -EIO || ret == -EKEYEXPIRED;
	int taken = stopped ? control(sk) : 0;

	if (taken < 0)
		return taken;
	if (!taken) {
		if (ret == -EBADMSG || kb_ktls_is_broken(sk))
			return broken(sk, ret);
		if (!ret)
			ret = end_of_tcp(sk);
		else if (stopped)
			ret = 1;
		else if (ret == -ECONNRESET || ret == -ETIMEDOUT)
			end_rx(sk, KEYBLOB_END_TRUNCATED, 0, ret);
		if (ret <= 0)
			return ret;
	}
	if (task_sigpending(current))
		return sock_intr_errno(sock_rcvtimeo(sk, false));
	cond_resched();
	return 1;
}

static void data_came(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (unlikely(kb->limit.controls))
		kb_limit_data(&kb->limit);
}

/*
 * kTLS takes it for a forgery, for which it puts EBADMSG on the socket, if it cannot
 * decrypt for want of memory or for the reader's bad address as well. Then the record is
 * still there, for who comes next.
 */
static void pardon(struct sock *sk, int before, int ret)
{
	if (likely(READ_ONCE(sk->sk_err) != EBADMSG) || before || ret == -EBADMSG ||
	    kb_ktls_is_broken(sk))
		return;
	lock_sock(sk);
	if (sk->sk_err == EBADMSG && !(kb_sock(sk)->tx.ready && kb_ktls_has_gap(sk)))
		sock_error(sk);
	release_sock(sk);
}

static int base_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	const int before = READ_ONCE(sk->sk_err);
	int ret = kb_base_recvmsg(kb_ulp_base(sk), sk, msg, len, flags);

	pardon(sk, before, ret);
	return ret;
}

static ssize_t base_splice_read(struct socket *sock, loff_t *ppos,
				struct pipe_inode_info *pipe, size_t len, unsigned int flags)
{
	struct sock *sk = sock->sk;
	const int before = READ_ONCE(sk->sk_err);
	ssize_t ret = kb_ulp_base_ops(sk)->splice_read(sock, ppos, pipe, len, flags);

	pardon(sk, before, ret);
	return ret;
}

/* Makes kTLS decrypt the next record, without taking anything away. */
static int peek(struct sock *sk, int flags)
{
	u8 byte;
	struct kvec vec = { .iov_base = &byte, .iov_len = sizeof(byte) };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, sizeof(byte));
	return base_recvmsg(sk, &msg, sizeof(byte), flags | MSG_PEEK);
}

/*
 * What stands between a reader and data. Returns 1: nothing; 0: the stream has ended,
 * with kb_sock.rx_result; or what kTLS says in place of data.
 */
static int before_data(struct sock *sk, int flags)
{
	const struct kb_sock *kb = kb_sock(sk);
	bool between;
	int ret;

	if (unlikely(ended(kb)))
		return 0;
	if (unlikely(kb_ktls_is_broken(sk) && !kb_ktls_has_record(sk))) {
		broken(sk, 0);
		return 0;
	}
	if (likely(!kb_record_is_partial(&kb->record)))
		return 1;

	/* RFC 8446 section 5.1: no data between the parts of a handshake message. */
	ret = peek(sk, flags);
	if (ret <= 0)
		return ret ?: -EIO;
	lock_sock(sk);
	between = kb_record_is_partial(&kb->record) && kb_ktls_is_stopped(sk);
	release_sock(sk);
	if (!between)
		return 1;
	abort_stream(sk, KB_UNEXPECTED_MESSAGE, -EPROTO);
	return 0;
}

/*
 * kb_stream_recvmsg() - recvmsg() of application data
 *
 * kTLS is given no room for control messages and so stops at control records. A read
 * that one of them cuts short goes on behind it: short must mean that no more is
 * there (epoll(7), edge-triggered).
 */
int kb_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	const size_t control_len = msg->msg_controllen;
	const struct kb_sock *kb = kb_sock(sk);
	int copied = 0, ret;

	sock_rps_record_flow(sk);
	if (unlikely(!len || flags & MSG_ERRQUEUE))
		return kb_base_recvmsg(kb_ulp_base(sk), sk, msg, len, flags);

	msg->msg_controllen = 0;
	do {
		ret = before_data(sk, flags & MSG_DONTWAIT);
		if (unlikely(!ret)) {
			ret = kb->rx_result;
			break;
		}
		if (likely(ret > 0))
			ret = base_recvmsg(sk, msg, len, flags);
		if (likely(ret > 0)) {
			data_came(sk);
			copied += ret;
			len -= ret;
			if (likely(!len) || flags & MSG_PEEK || !kb_ktls_is_stopped(sk))
				break;
			if (!(flags & MSG_WAITALL))
				flags |= MSG_DONTWAIT;
			ret = -EIO;
		}
		ret = resume(sk, ret);
	} while (ret > 0);
	msg->msg_flags &= ~MSG_CTRUNC;
	msg->msg_controllen = control_len;
	if (!copied)
		return ret;
	if (unlikely(control_len)) {
		const u8 type = KB_TYPE_DATA;

		put_cmsg(msg, SOL_TLS, TLS_GET_RECORD_TYPE, sizeof(type), (void *)&type);
	}
	return copied;
}

ssize_t kb_stream_splice_read(struct socket *sock, loff_t *ppos,
			      struct pipe_inode_info *pipe, size_t len, unsigned int flags)
{
	struct sock *sk = sock->sk;
	const struct kb_sock *kb = kb_sock(sk);
	ssize_t ret;

	if (kb_is_nonblock(sk))
		flags |= SPLICE_F_NONBLOCK;
	do {
		ret = before_data(sk, flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0);
		if (!ret)
			return kb->rx_result;
		if (ret > 0)
			ret = base_splice_read(sock, ppos, pipe, len, flags);
		if (ret > 0) {
			data_came(sk);
			return ret;
		}
		if (!len)
			return ret;
		/* EINVAL: so kTLS says here that it has met a control record. */
		ret = resume(sk, ret == -EINVAL ? -EIO : ret);
	} while (ret > 0);
	return ret;
}

/* Who reads before there is a key waits for the handshake, or does it. */
static int read_early(struct sock *sk, int flags)
{
	int err = 0;

	while (!err && kb_handshake_bars(kb_sock(sk)))
		err = kb_handshake_pass(sk, flags, sock_rcvtimeo(sk, false), -ENOTCONN);
	return err;
}

/* kb_stream_recvmsg_early() - recvmsg() as long as there is no key to receive with */
int kb_stream_recvmsg_early(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	int err;

	sock_rps_record_flow(sk);
	err = flags & MSG_ERRQUEUE ? 0 : read_early(sk, flags);
	if (err)
		return err;
	if (kb_ktls_is_sw(sk, KEYBLOB_DIR_RX))
		return kb_stream_recvmsg(sock, msg, len, flags);
	return kb_base_recvmsg(kb_ulp_base(sk), sk, msg, len, flags);
}

ssize_t kb_stream_splice_read_early(struct socket *sock, loff_t *ppos,
				    struct pipe_inode_info *pipe, size_t len,
				    unsigned int flags)
{
	struct sock *sk = sock->sk;
	bool nonblock = flags & SPLICE_F_NONBLOCK || kb_is_nonblock(sk);
	int err;

	err = read_early(sk, nonblock ? MSG_DONTWAIT : 0);
	if (err)
		return err;
	if (kb_ktls_is_sw(sk, KEYBLOB_DIR_RX))
		return kb_stream_splice_read(sock, ppos, pipe, len, flags);
	return kb_ulp_base_ops(sk)->splice_read(sock, ppos, pipe, len, flags);
}

/*
 * kb_stream_poll() - readable is a socket with a whole record, not with a part of one
 *
 * TCP's poll knows only of bytes, and kTLS's hides a KeyUpdate that nobody has read.
 */
__poll_t kb_stream_poll(struct file *file, struct socket *sock,
			struct poll_table_struct *wait)
{
	const __poll_t in = EPOLLIN | EPOLLRDNORM;
	struct sock *sk = sock->sk;
	__poll_t mask;

	if (unlikely(kb_handshake_bars(kb_sock(sk))))
		return kb_handshake_poll(file, sock, wait);
	mask = kb_ulp_base_ops(sk)->poll(file, sock, wait);
	if (!READ_ONCE(kb_sock(sk)->rx.ready) || READ_ONCE(sk->sk_err) ||
	    READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN)
		return mask;
	return kb_ktls_has_record(sk) || kb_ktls_is_broken(sk) ? mask | in : mask & ~in;
}

/* ---- the end ---- */

/* kb_stream_fail() - nothing is carried (any more). Under the socket lock. */
void kb_stream_fail(struct sock *sk, int result)
{
	WRITE_ONCE(kb_sock(sk)->closing, true);
	end_rx_locked(sk, KEYBLOB_END_ABORTED, 0, result);
}

/* kb_stream_kill() - the connection was reset under a half-made direction */
void kb_stream_kill(struct sock *sk, int result)
{
	lock_sock(sk);
	kb_stream_fail(sk, result);
	release_sock(sk);
}

int kb_stream_shutdown(struct socket *sock, int how)
{
	if (how == SHUT_WR || how == SHUT_RDWR)
		send_last_alert(sock->sk, KB_LEVEL_WARNING, KB_CLOSE_NOTIFY);
	return kb_ulp_base_ops(sock->sk)->shutdown(sock, how);
}

/*
 * kb_stream_finish() - what is due before close()
 *
 * Control records that nobody has read are looked at: left in the queue they would
 * make TCP reset the connection, as unread data does (RFC 1122 section 4.2.2.13). Then
 * close_notify, unless it is to be a reset. Waits for nothing.
 */
void kb_stream_finish(struct sock *sk)
{
	const struct kb_sock *kb = kb_sock(sk);
	int rounds = 64;

	while (kb->rx.ready && !ended(kb) && rounds--) {
		int ret = peek(sk, MSG_DONTWAIT);

		if (ret > 0) {
			/* Data that nobody has read: TCP resets, by its own count. */
			sock_set_flag(sk, SOCK_LINGER);
			sk->sk_lingertime = 0;
		}
		if (ret != -EIO || control(sk) < 0)
			break;
	}
	if (kb->closing || !((TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) & (1 << sk->sk_state)) ||
	    (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime))
		return;
	send_last_alert(sk, KB_LEVEL_WARNING, KB_CLOSE_NOTIFY);
}
