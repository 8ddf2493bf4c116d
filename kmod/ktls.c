// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only file that knows kTLS from the inside (include/net/tls.h): installs it
 * under a socket, puts a key in place of the decoy, reads its counters.
 *
 * A key enters in two steps. kTLS sets a direction up by its own setsockopt, with
 * a decoy key out of the blob; then, with everybody shut out, the AEAD transform
 * that holds the real key takes the place of the decoy's, which serves the next decoy
 * (give()). kTLS's own record of the key, which its getsockopt hands out, is the decoy's
 * for ever.
 *
 * Locks, in this order: kb_sock.import, kTLS's tx_lock (keeps out senders), kTLS's
 * reader mark (keeps out readers), the socket lock. kTLS's setsockopt takes and
 * drops the socket lock; until it is ours again, options that other threads set or get
 * reach kTLS directly, and some may act only later. Hence a direction that has its key is
 * locked against kTLS's own options (lock_direction()), and where that cannot be, for the
 * time that kTLS compares the two directions, its IV is moved out of the way. Data goes
 * by ops that kTLS does not get to change (struct kb_stand_in).
 */
#include <crypto/aead.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <net/dst.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "compat.h"
#include "ktls.h"
#include "record.h"
#include "ulp.h"

#define END_OF(member)	offsetofend(struct inode, member)
#define LOOKED_AT	(offsetof(struct socket_alloc, vfs_inode) +	\
			 (END_OF(i_ino) > END_OF(i_uid) ? END_OF(i_ino) : END_OF(i_uid)))

/*
 * kTLS sets a direction up without the lock that it takes itself, and gives the socket
 * protos of its own, by which for a moment other threads would get past us: to a stream
 * that is plain, or decrypted with a decoy. What they call goes by the ops of struct socket.
 * So kTLS changes those of a stand-in; what else may be looked for in sk_socket meanwhile,
 * flags, file, the inode's number and owner, it has. setsockopt() and getsockopt() remember
 * sk_socket while they wait for the lock: a stand-in stays as long as the kb_sock, which
 * stands behind the part of it that is looked at.
 */
struct kb_stand_in {
	union {
		struct socket_alloc alloc;	/* as much of it as is looked at */
		struct {
			u8 looked_at[LOOKED_AT] __aligned(8);
			struct socket *sock;	/* for whom */
			struct aside *aside;	/* NULL: nothing is */
			struct kb_sock kb;
		};
	};
};

/* A direction that has its key, and its IV, put aside. */
struct aside {
	u16 direction;
	u8 nonce[KB_NONCE_SIZE];
};

static struct kb_stand_in *stand_in_of(const struct sock *sk)
{
	return container_of(kb_sock(sk), struct kb_stand_in, kb);
}

/* kb_ktls_new() - memory for what a socket is to us, zeroed; NULL: there is none */
struct kb_sock *kb_ktls_new(void)
{
	struct kb_stand_in *s = kzalloc(offsetofend(struct kb_stand_in, kb), GFP_KERNEL_ACCOUNT);

	return s ? &s->kb : NULL;
}

/* kb_ktls_free() - by RCU; may be in softirq */
void kb_ktls_free(struct kb_sock *kb)
{
	struct kb_stand_in *s = container_of(kb, struct kb_stand_in, kb);

	kfree_rcu(s, kb.rcu);
}

/* Under the socket lock. */
static void stand_in(struct sock *sk)
{
	struct kb_stand_in *s = stand_in_of(sk);
	struct socket *own = &s->alloc.socket;
	struct socket *sock = sk->sk_socket;

	own->state = sock->state;
	own->type = sock->type;
	own->flags = sock->flags;
	own->file = sock->file;
	own->sk = sk;
	/* kTLS makes its own out of what it finds, for all sockets: never of ours. */
	own->ops = kb_ulp_base_ops(sk);
	s->alloc.vfs_inode.i_ino = SOCK_INODE(sock)->i_ino;
	s->alloc.vfs_inode.i_uid = SOCK_INODE(sock)->i_uid;
	s->sock = sock;
	write_lock_bh(&sk->sk_callback_lock);
	sk_set_socket(sk, own);
	write_unlock_bh(&sk->sk_callback_lock);
}

/* The ops that kTLS meant for the socket. Under the socket lock. */
static const struct proto_ops *stand_out(struct sock *sk)
{
	struct kb_stand_in *s = stand_in_of(sk);

	write_lock_bh(&sk->sk_callback_lock);
	sk_set_socket(sk, s->sock);
	write_unlock_bh(&sk->sk_callback_lock);
	/* Who waits for room may have said so to the stand-in, or is about to. */
	set_bit(SOCK_NOSPACE, &s->sock->flags);
	/* Pairs with tcp_poll(): the mark goes before the look at the room. */
	smp_mb__after_atomic();
	sk->sk_write_space(sk);
	return s->alloc.socket.ops;
}

/*
 * kb_ktls_attach() - install kTLS on @sk, which has no ULP and a plain TCP prot
 *
 * Under the socket lock, which is dropped meanwhile. icsk_ulp_ops is kTLS's then, with a
 * reference to its module that tcp_cleanup_ulp() would drop; *@ops are kTLS's ops. Where ours
 * are in place, they stay there. -EOPNOTSUPP: kTLS is not loaded.
 */
int kb_ktls_attach(struct sock *sk, const struct proto_ops **ops)
{
	const bool ours = kb_sock(sk)->protos;
	char name[] = "tls";
	int err;

	if (ours)
		stand_in(sk);
	release_sock(sk);
	err = READ_ONCE(sk->sk_prot)->setsockopt(sk, SOL_TCP, TCP_ULP,
						 KERNEL_SOCKPTR(name), strlen(name));
	lock_sock(sk);
	*ops = ours ? stand_out(sk) : READ_ONCE(sk->sk_socket->ops);
	return err == -ENOENT ? -EOPNOTSUPP : err;
}

/* kb_ktls_in_use() - does kTLS carry a direction of @sk, or stand back altogether? */
bool kb_ktls_in_use(const struct sock *sk)
{
	const struct tls_context *ctx = tls_get_ctx(sk);

	return !ctx || ctx->tx_conf != TLS_BASE || ctx->rx_conf != TLS_BASE;
}

/*
 * kb_ktls_below() - the proto that kTLS passes what it does not know to, and returns
 * the socket to when it leaves; kb_ktls_set_below() - give it another
 */
struct proto *kb_ktls_below(const struct sock *sk)
{
	return tls_get_ctx(sk)->sk_proto;
}

void kb_ktls_set_below(struct sock *sk, struct proto *below)
{
	WRITE_ONCE(tls_get_ctx(sk)->sk_proto, below);
}

/*
 * kb_ktls_cipher_new() - a transform with a key of suite->key_size bytes
 *
 * Everything about a key that can fail is done here. Returns a negative errno as a pointer
 * on failure; kb_ktls_cipher_free() is due on success.
 */
struct crypto_aead *kb_ktls_cipher_new(const struct kb_suite *suite, const u8 *key)
{
	struct crypto_aead *aead = crypto_alloc_aead(suite->aead, 0, 0);
	u8 aligned[KB_KEY_MAX] __aligned(16);	/* or the crypto API makes a copy */
	int err;

	if (IS_ERR(aead))
		return PTR_ERR(aead) == -ENOENT ? ERR_PTR(-EOPNOTSUPP) : aead;
	memcpy(aligned, key, suite->key_size);
	err = crypto_aead_setkey(aead, aligned, suite->key_size);
	memzero_explicit(aligned, sizeof(aligned));
	if (!err)
		err = crypto_aead_setauthsize(aead, TLS_TAG_SIZE);
	if (!err)
		return aead;
	crypto_free_aead(aead);
	return ERR_PTR(err);
}

/* kb_ktls_cipher_free() - @aead may be NULL */
void kb_ktls_cipher_free(struct crypto_aead *aead)
{
	crypto_free_aead(aead);
}

void kb_ktls_key_free(struct kb_ktls_key *key)
{
	crypto_free_aead(key->aead);
	memzero_explicit(key, sizeof(*key));
}

/*
 * kb_ktls_position() - bytes that the stream carried so far, in 64 bits, which TCP's
 * sequence numbers alone would not tell from 4 GiB later. Under the socket lock.
 */
u64 kb_ktls_position(const struct sock *sk, u16 direction)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (direction == KEYBLOB_DIR_TX)
		return tp->bytes_acked + (u32)(tp->write_seq - tp->snd_una);
	return tp->bytes_received - (u32)(tp->rcv_nxt - tp->copied_seq);
}

/*
 * kb_ktls_offloads() - would kTLS give the key to the network device?
 *
 * The device is found as net/tls/tls_device.c:get_netdev_for_sock() does.
 */
bool kb_ktls_offloads(struct sock *sk)
{
	struct dst_entry *dst;
	bool ret = false;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	if (dst && dst->dev)
		ret = netdev_sk_get_lowest_dev(dst->dev, sk)->features &
		      (NETIF_F_HW_TLS_TX | NETIF_F_HW_TLS_RX);
	rcu_read_unlock();
	return ret;
}

static struct cipher_context *cipher_context(struct tls_context *ctx, u16 direction)
{
	return direction == KEYBLOB_DIR_TX ? &ctx->tx : &ctx->rx;
}

static int conf(const struct tls_context *ctx, u16 direction)
{
	return direction == KEYBLOB_DIR_TX ? ctx->tx_conf : ctx->rx_conf;
}

static bool is_sw(const struct tls_context *ctx, u16 direction)
{
	return conf(ctx, direction) == TLS_SW;
}

/* Readers, as tls_rx_reader_acquire() and tls_rx_reader_release() know them. */
static int readers_stop(struct tls_sw_context_rx *rx)
{
	if (rx->reader_present)
		return -EBUSY;
	WRITE_ONCE(rx->reader_present, 1);
	return 0;
}

static void readers_resume(struct sock *sk, struct tls_sw_context_rx *rx)
{
	if (rx->reader_contended) {
		if (wq_has_sleeper(&rx->wq))
			wake_up(&rx->wq);
		else
			rx->reader_contended = 0;
	}
	WRITE_ONCE(rx->reader_present, 0);
	/* One that did not wait may have been turned away. */
	rx->saved_data_ready(sk);
}

/*
 * Bytes that kTLS took off TCP's queue for a record that is not complete (copy mode of
 * net/tls/tls_strp.c): moved, but not read by anybody.
 */
static u32 copied_in(const struct sock *sk, u16 direction)
{
	const struct tls_context *ctx = tls_get_ctx(sk);
	const struct tls_strparser *strp;

	if (direction == KEYBLOB_DIR_TX || !is_sw(ctx, direction))
		return 0;
	strp = &tls_sw_ctx_rx(ctx)->strp;
	return strp->copy_mode ? strp->anchor->len : 0;
}

/*
 * A transform that has had decoys for its keys, for kTLS to give the next: to make one costs
 * more than all else that it does for a key. Taken and kept by xchg().
 */
static struct crypto_aead *spare;

static void keep_spare(struct crypto_aead *aead)
{
	crypto_free_aead(xchg(&spare, aead));
}

static struct crypto_aead *take_spare(const struct kb_suite *suite)
{
	struct crypto_aead *aead = xchg(&spare, NULL);

	if (!aead || !strcmp(crypto_tfm_alg_name(crypto_aead_tfm(aead)), suite->aead))
		return aead;
	crypto_free_aead(aead);
	return NULL;
}

void kb_ktls_exit(void)
{
	keep_spare(NULL);
}

/* kTLS's state of a direction, in software, and the transform in it. */
static void **sw_context(struct tls_context *ctx, u16 direction)
{
	return direction == KEYBLOB_DIR_TX ? &ctx->priv_ctx_tx : &ctx->priv_ctx_rx;
}

static struct crypto_aead **sw_aead(void *sw, u16 direction)
{
	if (direction == KEYBLOB_DIR_TX)
		return &((struct tls_sw_context_tx *)sw)->aead_send;
	return &((struct tls_sw_context_rx *)sw)->aead_recv;
}

/* What kTLS is given, to find it there; @sw is NULL if it has to make its own. */
struct preset {
	void *sw;
	struct crypto_aead *aead;
	int (*push_pending_record)(struct sock *sk, int flags);
};

/*
 * Gives kTLS the state that it would make for a direction, with a transform in it: it uses
 * what is there, and frees it as its own. Not what a device might receive with (TLS 1.2), whose
 * state would take the place of ours. Under tx_lock, without which nobody pushes a pending
 * record, and the socket lock.
 */
static void give(struct tls_context *ctx, u16 direction, const struct kb_ktls_key *key,
		 struct preset *p)
{
	const bool tx = direction == KEYBLOB_DIR_TX;

	p->sw = NULL;
	if (*sw_context(ctx, direction) || (!tx && key->tls_version == TLS_1_2_VERSION))
		return;
	p->aead = take_spare(key->suite);
	if (!p->aead)
		return;
	p->sw = kzalloc(tx ? sizeof(struct tls_sw_context_tx) : sizeof(struct tls_sw_context_rx),
			GFP_KERNEL);
	if (!p->sw) {
		keep_spare(p->aead);
		return;
	}
	*sw_aead(p->sw, direction) = p->aead;
	*sw_context(ctx, direction) = p->sw;
	p->push_pending_record = ctx->push_pending_record;
	ctx->push_pending_record = NULL;
}

/*
 * Takes back what kTLS made no use of. It sets push_pending_record when it has a transform;
 * where it fails before, it may free its state alone (6.1).
 */
static void take_back(struct tls_context *ctx, u16 direction, const struct preset *p)
{
	const bool unused = *sw_context(ctx, direction) == p->sw && !is_sw(ctx, direction);

	if (!p->sw)
		return;
	if (unused) {
		*sw_context(ctx, direction) = NULL;
		kfree(p->sw);
	}
	if (unused || !ctx->push_pending_record)
		keep_spare(p->aead);
	if (!ctx->push_pending_record)
		ctx->push_pending_record = p->push_pending_record;
}

/* The checks that hold when the direction is set up and again when it is done. */
static int may_install(struct sock *sk, u16 direction, u64 position)
{
	if (sk->sk_state == TCP_CLOSE)
		return -ENOTCONN;
	if (kb_ktls_position(sk, direction) - copied_in(sk, direction) != position)
		return -ESTALE;
	return 0;
}

/* Has kTLS made of the direction what @key wants? */
static bool is_set_up(struct sock *sk, u16 direction, const struct kb_ktls_key *key,
		      u64 position)
{
	const struct tls_context *ctx = tls_get_ctx(sk);

	return is_sw(ctx, direction) && ctx->prot_info.version == key->tls_version &&
	       ctx->prot_info.cipher_type == key->suite->cipher &&
	       !may_install(sk, direction, position);
}

static struct tls_crypto_info *crypto_info(struct tls_context *ctx, u16 direction)
{
	return direction == KEYBLOB_DIR_TX ? &ctx->crypto_send.info : &ctx->crypto_recv.info;
}

/*
 * kTLS's getsockopt reports the live IV beside the decoy, and its setsockopt may set
 * another key: for no cipher that it does not know. What encrypts and decrypts goes by
 * prot_info.
 */
static void lock_direction(struct tls_context *ctx, u16 direction)
{
	crypto_info(ctx, direction)->cipher_type = U16_MAX;
}

/*
 * kb_ktls_lock() - both directions, from the attach on: options that other threads had
 * on their way when kTLS's proto was in place come too late. Under the socket lock.
 */
void kb_ktls_lock(struct sock *sk)
{
	struct tls_context *ctx = tls_get_ctx(sk);

	lock_direction(ctx, KEYBLOB_DIR_TX);
	lock_direction(ctx, KEYBLOB_DIR_RX);
}

/* For kTLS to set up. Under the socket lock. */
static void unlock_direction(struct tls_context *ctx, u16 direction)
{
	crypto_info(ctx, direction)->cipher_type = 0;
}

/* A direction that has its key, while kTLS sets up the other. Under the socket lock. */
static void put_aside(struct sock *sk, u16 direction, struct aside *aside)
{
	struct tls_context *ctx = tls_get_ctx(sk);
	struct cipher_context *cc = cipher_context(ctx, direction);

	aside->direction = direction;
	memcpy(aside->nonce, cc->iv, KB_NONCE_SIZE);
	memset(cc->iv, 0, KB_NONCE_SIZE);
	crypto_info(ctx, direction)->cipher_type = ctx->prot_info.cipher_type;
	stand_in_of(sk)->aside = aside;
}

static void put_back(struct sock *sk, struct aside *aside)
{
	struct tls_context *ctx = tls_get_ctx(sk);

	memcpy(cipher_context(ctx, aside->direction)->iv, aside->nonce, KB_NONCE_SIZE);
	lock_direction(ctx, aside->direction);
	stand_in_of(sk)->aside = NULL;
	memzero_explicit(aside, sizeof(*aside));
}

/* Puts the key in place. Under tx_lock and the socket lock; cannot fail. */
static void commit(struct tls_context *ctx, u16 direction, struct kb_ktls_key *key)
{
	struct cipher_context *cc = cipher_context(ctx, direction);

	swap(*sw_aead(*sw_context(ctx, direction), direction), key->aead);
	memcpy(cc->iv, key->nonce, sizeof(key->nonce));
	put_unaligned_be64(key->rec_seq, cc->rec_seq);
	lock_direction(ctx, direction);
}

/*
 * kb_ktls_install() - set up one direction of @sk with @key
 *
 * @decoy is a crypto_info of key->suite in memory of the caller's, who may change
 * it under our hands; @position is where the stream must stand; *@ready becomes true together
 * with the key. Called under kb_sock.import alone. Returns 0, or a negative errno with the
 * socket as it was;
 * but -ECONNABORTED, with the connection reset, when the caller or the route played
 * foul between the two steps.
 */
int kb_ktls_install(struct sock *sk, u16 direction, struct kb_ktls_key *key,
		    sockptr_t decoy, u64 position, bool *ready)
{
	const u16 other = direction == KEYBLOB_DIR_TX ? KEYBLOB_DIR_RX : KEYBLOB_DIR_TX;
	const struct proto *ktls = kb_ulp_base(sk);
	struct tls_context *ctx = tls_get_ctx(sk);
	const struct proto *before = READ_ONCE(sk->sk_prot);
	struct tls_sw_context_rx *rx = NULL;
	bool both = false, spoiled = false;
	const struct proto_ops *ops;
	struct aside aside;
	struct preset preset;
	int err;

	err = mutex_lock_interruptible(&ctx->tx_lock);
	if (err)
		return err;

	lock_sock(sk);
	err = may_install(sk, direction, position);
	if (!err && kb_ktls_offloads(sk))
		err = -EOPNOTSUPP;
	/* Another thread's option may have set it up, in a device that has left since. */
	if (!err && conf(ctx, direction) != TLS_BASE)
		err = -EBUSY;
	if (!err && is_sw(ctx, other)) {
		if (other == KEYBLOB_DIR_RX) {
			rx = tls_sw_ctx_rx(ctx);
			err = readers_stop(rx);
		}
		both = !err;
		if (both)
			put_aside(sk, other, &aside);
	}
	if (!err) {
		unlock_direction(ctx, direction);
		if (!both)
			unlock_direction(ctx, other);
		give(ctx, direction, key, &preset);
		stand_in(sk);
	}
	release_sock(sk);
	if (err)
		goto out_tx;

	err = ktls->setsockopt(sk, SOL_TLS, direction == KEYBLOB_DIR_TX ? TLS_TX : TLS_RX,
			       decoy, key->suite->info_size);

	lock_sock(sk);
	ops = stand_out(sk);
	take_back(ctx, direction, &preset);
	/* Another thread's option may have been faster than ours, or have set up the
	 * other direction. A device that has the key is left alone.
	 */
	if (!err || READ_ONCE(sk->sk_prot) != before)
		kb_ulp_raise(sk, ops);
	if (is_sw(ctx, other) != both ||
	    (err ? is_sw(ctx, direction) : !is_set_up(sk, direction, key, position))) {
		spoiled = true;
	} else if (!err) {
		commit(ctx, direction, key);
		WRITE_ONCE(*ready, true);
		keep_spare(key->aead);
		key->aead = NULL;
	}
	lock_direction(ctx, direction);
	if (!both)
		lock_direction(ctx, other);
	if (both)
		put_back(sk, &aside);
	if (rx)
		readers_resume(sk, rx);
	release_sock(sk);
out_tx:
	mutex_unlock(&ctx->tx_lock);
	if (spoiled) {
		tcp_abort(sk, ECONNABORTED);
		err = -ECONNABORTED;
	}
	return err;
}

/*
 * kb_ktls_rec_seq() - sequence number of the next record; 0 without a key. Under the
 * socket lock.
 */
u64 kb_ktls_rec_seq(const struct sock *sk, u16 direction)
{
	struct tls_context *ctx = tls_get_ctx(sk);

	if (!is_sw(ctx, direction))
		return 0;
	return get_unaligned_be64(cipher_context(ctx, direction)->rec_seq);
}

/* kb_ktls_is_sw() - does kTLS carry this direction, in software? */
bool kb_ktls_is_sw(const struct sock *sk, u16 direction)
{
	return is_sw(tls_get_ctx(sk), direction);
}

/*
 * kb_ktls_rekey() - replace the key of a direction that has one
 *
 * Under the socket lock; for TX also with all senders shut out. What the crypto API
 * still encrypts under the old transform is waited for, as kTLS's
 * tls_encrypt_async_wait() does. Where the direction is put aside, because the other is being
 * set up, so is the new IV. Cannot fail.
 */
void kb_ktls_rekey(struct sock *sk, u16 direction, struct kb_ktls_key *key)
{
	struct tls_context *ctx = tls_get_ctx(sk);
	struct aside *aside = stand_in_of(sk)->aside;

	if (direction == KEYBLOB_DIR_TX) {
		struct tls_sw_context_tx *tx = tls_sw_ctx_tx(ctx);

		if (!atomic_dec_and_test(&tx->encrypt_pending))
			crypto_wait_req(-EINPROGRESS, &tx->async_wait);
		atomic_inc(&tx->encrypt_pending);
	}
	commit(ctx, direction, key);
	if (unlikely(aside && aside->direction == direction))
		put_aside(sk, direction, aside);
}

/* kb_ktls_payload_max() - plaintext bytes that kTLS puts into one record */
size_t kb_ktls_payload_max(const struct sock *sk)
{
	return kb_tls_payload_max(tls_get_ctx(sk));
}

/* kb_ktls_has_open_record() - did MSG_MORE leave a record that has no number yet? */
bool kb_ktls_has_open_record(const struct sock *sk)
{
	return READ_ONCE(tls_sw_ctx_tx(tls_get_ctx(sk))->open_rec);
}

/* kb_ktls_has_unsent() - are there records that TCP has not taken? Lockless. */
bool kb_ktls_has_unsent(const struct sock *sk)
{
	return !list_empty(&tls_sw_ctx_tx(tls_get_ctx(sk))->tx_list);
}

/*
 * kb_ktls_has_gap() - where kTLS has put EBADMSG on the socket: because it could not
 * encrypt a record, and dropped it?
 *
 * Then it no longer counts on records to be encrypted at once. Otherwise it was one that
 * came. Lockless.
 */
bool kb_ktls_has_gap(const struct sock *sk)
{
	return tls_sw_ctx_tx(tls_get_ctx(sk))->async_capable;
}

/* kb_ktls_has_record() - is a whole record there, decrypted or not? Lockless. */
bool kb_ktls_has_record(const struct sock *sk)
{
	const struct tls_sw_context_rx *rx = tls_sw_ctx_rx(tls_get_ctx(sk));

	return !skb_queue_empty_lockless(&rx->rx_list) || READ_ONCE(rx->strp.msg_ready);
}

/* kb_ktls_is_stopped() - is something decrypted and not taken? Lockless. */
bool kb_ktls_is_stopped(const struct sock *sk)
{
	return !skb_queue_empty_lockless(&tls_sw_ctx_rx(tls_get_ctx(sk))->rx_list);
}

/* kb_ktls_is_broken() - has kTLS given up on the stream? Lockless. */
bool kb_ktls_is_broken(const struct sock *sk)
{
	return tls_sw_ctx_rx(tls_get_ctx(sk))->strp.stopped;
}

/*
 * kb_ktls_is_too_long() - did kTLS give up because of a record's length?
 *
 * The header that it did not like is where it was: kTLS's own word for it, sk_err, may
 * have been taken by anybody. Under the socket lock.
 */
bool kb_ktls_is_too_long(const struct sock *sk)
{
	const struct tls_context *ctx = tls_get_ctx(sk);
	const struct tls_strparser *strp = &tls_sw_ctx_rx(ctx)->strp;
	const struct sk_buff *skb;
	u8 head[TLS_HEADER_SIZE];
	int offset;

	if (strp->copy_mode) {
		skb = strp->anchor;
		offset = strp->stm.offset;
	} else {
		skb = skb_peek(&sk->sk_receive_queue);
		offset = skb ? tcp_sk(sk)->copied_seq - TCP_SKB_CB(skb)->seq : 0;
	}
	return skb && !skb_copy_bits(skb, offset, head, sizeof(head)) &&
	       get_unaligned_be16(head + 3) >
	       TLS_MAX_PAYLOAD_SIZE + ctx->prot_info.overhead_size - TLS_HEADER_SIZE;
}

/*
 * kb_ktls_control() - the control record at which kTLS has stopped, or NULL
 *
 * kTLS decrypts nothing beyond a record that is not data until that is taken away.
 * The content is @len bytes of the skb from @offset. Empty records of data before it,
 * which MSG_PEEK leaves there, are dropped. Under the socket lock, as is
 * kb_ktls_control_done(), which takes the record away.
 */
struct sk_buff *kb_ktls_control(struct sock *sk, u8 *type, int *offset, int *len)
{
	struct tls_sw_context_rx *rx = tls_sw_ctx_rx(tls_get_ctx(sk));
	struct sk_buff *skb;

	while ((skb = skb_peek(&rx->rx_list))) {
		*type = ((struct sk_skb_cb *)skb->cb)->tls.control;
		*offset = strp_msg(skb)->offset;
		*len = strp_msg(skb)->full_len;
		if (*type != KB_TYPE_DATA)
			return skb;
		if (*len)
			return NULL;
		__skb_unlink(skb, &rx->rx_list);
		consume_skb(skb);
	}
	return NULL;
}

void kb_ktls_control_done(struct sock *sk, struct sk_buff *skb)
{
	struct tls_sw_context_rx *rx = tls_sw_ctx_rx(tls_get_ctx(sk));

	__skb_unlink(skb, &rx->rx_list);
	consume_skb(skb);
	kb_tls_control_done(sk, rx);
}
