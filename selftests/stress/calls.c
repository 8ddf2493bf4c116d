// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls that race.c makes on a socket, and what the contract lets each of them say.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))
#define ERRNOS(...)	((const int[]){ __VA_ARGS__, 0 })
#define NONE		((const int[]){ 0 })

/* In place of an errno: the call did what it must not do, which race_fail() has told. */
#define WRONG		4000

uint32_t choose(uint32_t *random, uint32_t n)
{
	*random ^= *random << 13;
	*random ^= *random >> 17;
	*random ^= *random << 5;
	return *random % n;
}

static uint32_t pick(struct worker *w, uint32_t n)
{
	return choose(&w->random, n);
}

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* Mostly small. */
static size_t some_bytes(struct worker *w)
{
	return 1 + pick(w, pick(w, 3) ? 300 : CHUNK);
}

/* ---- sending ---- */

static long send_in_parts(struct worker *w, size_t len)
{
	struct iovec parts[3] = {
		{ w->data, len / 3 },
		{ w->data + len / 3, len / 3 },
		{ w->data + 2 * (len / 3), len - 2 * (len / 3) },
	};
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 3 };

	return result(sendmsg(w->fd, &msg, pick(w, 2) ? MSG_MORE : 0));
}

/* The file's bytes from @offset on are those that are due. */
static long send_file(struct worker *w, size_t len, uint64_t offset)
{
	off_t from = offset % FILE_SIZE;

	return result(sendfile(w->fd, w->r->file, &from, len));
}

/* All of the pipe, or as much as goes: the rest is thrown away. */
static long splice_out(struct worker *w, size_t len)
{
	const int flags = pick(w, 2) ? SPLICE_F_MORE : 0;
	long ret, done = 0;

	ret = write(w->pipe[1], w->data, len);
	if (ret < 0)
		return -errno;
	len = ret;
	while (done < len) {
		ret = result(splice(w->pipe[0], NULL, w->fd, NULL, len - done, flags));
		if (ret <= 0)
			break;
		done += ret;
	}
	if (done < len && read(w->pipe[0], w->data, len - done) != len - done)
		race_fail(w->r, "splice lost bytes of the pipe");
	return done ? done : ret;
}

static long send_somehow(struct worker *w, size_t len, uint64_t offset)
{
	pattern(w->data, offset, len);
	switch (pick(w, 7)) {
	case 0:
		return result(send(w->fd, w->data, len, 0));
	case 1:
		return result(send(w->fd, w->data, len, MSG_MORE));
	case 2:
		return result(send(w->fd, w->data, len, MSG_DONTWAIT));
	case 3:
		return result(write(w->fd, w->data, len));
	case 4:
		return send_in_parts(w, len);
	case 5:
		return send_file(w, len, offset);
	default:
		return splice_out(w, len);
	}
}

/* In order, where it is compared; elsewhere all at once. */
static long call_send(struct worker *w)
{
	struct race *r = w->r;
	long ret;

	if (r->mode == WILD)
		return send_somehow(w, some_bytes(w), pick(w, CHUNK));
	if ((r->mode == CALM && !r->imported[0]) || pthread_mutex_trylock(&r->sending))
		return 0;
	ret = send_somehow(w, some_bytes(w), r->sent);
	if (ret > 0)
		r->sent += ret;
	pthread_mutex_unlock(&r->sending);
	return ret;
}

/* Control records are not the application's to send. */
static long call_send_alert(struct worker *w)
{
	const uint8_t alert[2] = { ALERT_FATAL, ALERT_HANDSHAKE_FAILURE };
	char control[CMSG_SPACE(1)] = {};
	struct iovec part = { (void *)alert, sizeof(alert) };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (!w->r->imported[0])
		return 0;
	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = TLS_TYPE_ALERT;
	if (sendmsg(w->fd, &msg, 0) < 0)
		return -errno;
	race_fail(w->r, "sent an alert of its own");
	return -WRONG;
}

/* ---- receiving ---- */

static long receive_with_control(struct worker *w, size_t len)
{
	char control[256];
	struct iovec part = { w->data, len };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *cmsg;
	long ret = result(recvmsg(w->fd, &msg, 0));

	if (ret <= 0)
		return ret;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, (struct cmsghdr *)cmsg))
		if (cmsg->cmsg_level == SOL_TLS && *CMSG_DATA(cmsg) != TLS_TYPE_DATA)
			race_fail(w->r, "received a record of type %d", *CMSG_DATA(cmsg));
	return ret;
}

/* What was peeked at must be what comes. */
static long receive_twice(struct worker *w, size_t len)
{
	long peeked = result(recv(w->fd, w->want, len, MSG_PEEK)), ret;

	if (peeked <= 0 || w->r->mode != CALM)
		return peeked;
	ret = result(recv(w->fd, w->data, peeked, MSG_WAITALL));
	if (ret > 0 && memcmp(w->data, w->want, ret < peeked ? ret : peeked))
		race_fail(w->r, "MSG_PEEK showed other bytes than came");
	return ret;
}

static long splice_in(struct worker *w, size_t len)
{
	long ret = result(splice(w->fd, NULL, w->pipe[1], NULL, len,
				 pick(w, 2) ? SPLICE_F_NONBLOCK : 0));

	if (ret > 0 && read(w->pipe[0], w->data, ret) != ret)
		race_fail(w->r, "splice said more bytes than came");
	return ret;
}

static long receive_somehow(struct worker *w, size_t len)
{
	struct iovec parts[2] = { { w->data, len / 2 }, { w->data + len / 2, len - len / 2 } };

	switch (pick(w, 7)) {
	case 0:
		return result(recv(w->fd, w->data, len, MSG_DONTWAIT));
	case 1:
		return result(recv(w->fd, w->data, len, MSG_WAITALL));
	case 2:
		return receive_twice(w, len);
	case 3:
		return receive_with_control(w, len);
	case 4:
		return splice_in(w, len);
	case 5:
		return result(readv(w->fd, parts, 2));
	default:
		return result(read(w->fd, w->data, len));
	}
}

long receive_on(struct worker *w)
{
	struct race *r = w->r;
	long ret = receive_somehow(w, some_bytes(w));

	if (ret <= 0)
		return ret;
	pattern(w->want, r->received, ret);
	if (memcmp(w->data, w->want, ret)) {
		race_fail(r, "received other bytes than were sent, at %llu of %ld",
			  (unsigned long long)r->received, ret);
		return -WRONG;
	}
	r->received += ret;
	return ret;
}

static long call_receive(struct worker *w)
{
	struct race *r = w->r;
	long ret;

	if (r->mode != CALM)
		return receive_somehow(w, some_bytes(w));
	if (!r->imported[1] || pthread_mutex_trylock(&r->receiving))
		return 0;
	ret = receive_on(w);
	if (!ret) {
		race_fail(r, "the stream ended by itself");
		ret = -WRONG;
	}
	pthread_mutex_unlock(&r->receiving);
	return ret;
}

static long call_poll(struct worker *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	return result(poll(&p, 1, pick(w, 4)));
}

static long call_epoll(struct worker *w)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->fd, &event) && errno != EEXIST)
		return -errno;
	return result(epoll_wait(w->epoll, &event, 1, pick(w, 4)));
}

/* ---- keys ---- */

static void count_import(struct race *r, int direction)
{
	if (atomic_fetch_add(&r->imported[direction - 1], 1))
		race_fail(r, "direction %d was imported twice", direction);
}

static long call_import(struct worker *w)
{
	const int direction = 1 + pick(w, 2);
	long ret = keyblob_import(w->fd, direction, w->r->blobs[direction - 1], KEYBLOB_BLOB_SIZE);

	if (!ret)
		count_import(w->r, direction);
	return ret;
}

/* Blobs that nobody may import, and why not. */
static long call_import_wrong(struct worker *w)
{
	static const int want[] = { -EBADMSG, -EINVAL, -EINVAL, -ESTALE, -EPROTONOSUPPORT };
	const uint32_t how = pick(w, ARRAY_SIZE(want));
	int direction = KEYBLOB_DIR_TX, len = KEYBLOB_BLOB_SIZE;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	long ret;

	memcpy(blob, w->r->blobs[how == 3 ? 2 : 0], sizeof(blob));
	switch (how) {
	case 0:
		blob[sizeof(struct keyblob_head) + pick(w, 248)] ^= 1 << pick(w, 8);
		break;
	case 1:
		direction = KEYBLOB_DIR_RX;
		break;
	case 2:
		len -= 1 + pick(w, 200);
		break;
	case 4:
		blob[4]++;
		break;
	}
	ret = keyblob_import(w->fd, direction, blob, len);
	if (ret == want[how] || (ret == -ENOTCONN && w->r->mode == ASKED))
		return 0;
	race_fail(w->r, "import of wrong blob %u says %ld", how, ret);
	return -WRONG;
}

/* Of where the stream stands now; it may have gone on when it is imported. */
static long call_export(struct worker *w)
{
	const int direction = 1 + pick(w, 2);
	const struct keyblob_key *key = direction == KEYBLOB_DIR_TX ? &w->r->s.c.tx : &w->r->s.c.rx;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	long ret;

	/* The peer has made other keys of them. */
	if (key->generation)
		return 0;
	ret = keyblob_export(w->fd, key, blob);
	if (ret || w->r->mode != WILD)
		return ret;
	ret = keyblob_import(w->fd, direction, blob, sizeof(blob));
	if (!ret)
		count_import(w->r, direction);
	return ret;
}

static long call_rekey(struct worker *w)
{
	int request = pick(w, 2);

	return result(setsockopt(w->fd, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)));
}

/* Does (generation, record) go back, in a direction that has had its key before? */
static bool goes_back(bool ready, uint32_t generation, uint64_t seq, bool ready_now,
		      uint32_t generation_now, uint64_t seq_now)
{
	if (!ready)
		return false;
	return !ready_now || generation_now < generation ||
	       (generation_now == generation && seq_now < seq);
}

static void compare_status(struct worker *w, const struct keyblob_status *now)
{
	const struct keyblob_status *seen = &w->seen;
	const uint32_t verdict = now->handshake << 16 | now->error;
	uint32_t none = 0;

	if (goes_back(seen->tx_ready, seen->tx_generation, seen->tx_rec_seq,
		      now->tx_ready, now->tx_generation, now->tx_rec_seq))
		race_fail(w->r, "sending went back to generation %u, record %llu",
			  now->tx_generation, (unsigned long long)now->tx_rec_seq);
	if (goes_back(seen->rx_ready, seen->rx_generation, seen->rx_rec_seq,
		      now->rx_ready, now->rx_generation, now->rx_rec_seq))
		race_fail(w->r, "receiving went back to generation %u, record %llu",
			  now->rx_generation, (unsigned long long)now->rx_rec_seq);
	if (now->handshake < KEYBLOB_HANDSHAKE_DONE)
		return;
	if (!atomic_compare_exchange_strong(&w->r->verdict, &none, verdict) && none != verdict)
		race_fail(w->r, "the handshake ended as %x and as %x", none, verdict);
}

static long call_info(struct worker *w)
{
	struct keyblob_status now = {};
	long ret = keyblob_info(w->fd, &now);

	if (ret)
		return ret;
	compare_status(w, &now);
	w->seen = now;
	return 0;
}

static size_t crypto_info_size(uint16_t cipher)
{
	switch (cipher) {
	case TLS_CIPHER_AES_GCM_128:
		return sizeof(struct tls12_crypto_info_aes_gcm_128);
	case TLS_CIPHER_AES_GCM_256:
		return sizeof(struct tls12_crypto_info_aes_gcm_256);
	default:
		return sizeof(struct tls12_crypto_info_chacha20_poly1305);
	}
}

/* kTLS's own option, which may answer for a moment, shows no key. */
static long call_read_key(struct worker *w)
{
	const struct race *r = w->r;
	const int option = pick(w, 2) ? TLS_TX : TLS_RX;
	socklen_t len = crypto_info_size(r->s.c.tx.cipher);
	int i;

	if (getsockopt(w->fd, SOL_TLS, option, w->data, &len))
		return -errno;
	for (i = 0; i < 2; i++)
		if (memmem(w->data, len, r->raw_key[i], 16) ||
		    memmem(w->data, len, r->raw_iv[i] + 4, 8))
			race_fail(w->r, "kTLS told a key");
	return 0;
}

/* A key that the peer does not have, past the module. */
static long call_write_key(struct worker *w)
{
	const size_t size = crypto_info_size(w->r->s.c.tx.cipher);
	struct tls_crypto_info *info = (struct tls_crypto_info *)w->data;

	memset(w->data, 0x55, size);
	info->version = w->r->s.c.tx.tls_version;
	info->cipher_type = w->r->s.c.tx.cipher;
	return result(setsockopt(w->fd, SOL_TLS, pick(w, 2) ? TLS_TX : TLS_RX, info, size));
}

static long call_handshake(struct worker *w)
{
	struct keyblob_handshake what = {
		.role = KEYBLOB_ROLE_CLIENT,
		.timeout_ms = 20 + pick(w, 400),
		.peer_name = "server.example",
	};

	return result(setsockopt(w->fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &what, sizeof(what)));
}

/* ---- the socket as such ---- */

static long call_ulp(struct worker *w)
{
	return ulp_attach(w->fd, pick(w, 2) ? KEYBLOB_ULP_NAME : "tls");
}

static long call_connect(struct worker *w)
{
	const struct race *r = w->r;

	return result(connect(w->fd, (const struct sockaddr *)&r->addr, r->addr_len));
}

static long call_disconnect(struct worker *w)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	return result(connect(w->fd, &none, sizeof(none)));
}

static long call_listen(struct worker *w)
{
	return result(listen(w->fd, 1));
}

static long call_ioctl(struct worker *w)
{
	int n;

	return result(ioctl(w->fd, pick(w, 2) ? SIOCINQ : SIOCOUTQ, &n));
}

static long call_zerocopy(struct worker *w)
{
	struct tcp_zerocopy_receive zc = {};
	socklen_t len = sizeof(zc);

	return result(getsockopt(w->fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len));
}

static long call_tune(struct worker *w)
{
	static const struct {
		int level, name, min, max;
	} options[] = {
		{ SOL_SOCKET, SO_SNDBUF, 0, 200000 },
		/* With less, TCP probes a closed window most of the time. */
		{ SOL_SOCKET, SO_RCVBUF, 60000, 200000 },
		{ SOL_TCP, TCP_NODELAY, 0, 1 },
		{ SOL_TCP, TCP_CORK, 0, 1 },
		{ SOL_TCP, TCP_NOTSENT_LOWAT, 1, 100000 },
		{ SOL_KEYBLOB, KEYBLOB_TRUNCATION, 0, 1 },
	};
	const uint32_t n = pick(w, ARRAY_SIZE(options));
	const int value = options[n].min + pick(w, options[n].max - options[n].min + 1);

	return result(setsockopt(w->fd, options[n].level, options[n].name, &value, sizeof(value)));
}

static long call_shutdown(struct worker *w)
{
	/* Not too soon. */
	if (pick(w, 4))
		return 0;
	return result(shutdown(w->fd, pick(w, 3)));
}

static long call_linger(struct worker *w)
{
	const struct linger linger = { .l_onoff = pick(w, 2) };

	return result(setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

/* A descriptor goes away while others are used. */
static long call_close(struct worker *w)
{
	int fd = dup(w->fd);

	if (fd < 0)
		return -errno;
	close(w->fd);
	w->fd = fd;
	return 0;
}

/* A child that has all descriptors, and dies of itself. */
static long call_fork(struct worker *w)
{
	struct keyblob_status status;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child)
		_exit(keyblob_info(w->fd, &status) ? 1 : 0);
	return result(waitpid(child, NULL, 0)) < 0 ? -errno : 0;
}

/* To whoever of the others takes it, or to nobody. */
static long call_pass(struct worker *w)
{
	return result(fd_send(w->r->mail[0], w->fd));
}

/* Goes on with the descriptor that somebody passed. */
static long call_take(struct worker *w)
{
	int fd = fd_recv(w->r->mail[1]);

	if (fd < 0)
		return -errno;
	close(w->fd);
	w->fd = fd;
	return 0;
}

/* ---- the contract ---- */

/*
 * How a stream ends, for senders and for readers; or a handshake that failed. A sender may
 * be the one who meets the socket's error when kTLS could make nothing of the peer's bytes.
 */
#define SEND_END	EPIPE, ECONNRESET, ECONNABORTED, ENOTCONN, ETIMEDOUT, EBADMSG, EMSGSIZE, EINVAL
#define READ_END	ECONNRESET, ECONNABORTED, EPROTO, EBADMSG, ENOTCONN, EPIPE, ETIMEDOUT
#define AGENTS_WORD	ETIMEDOUT, ECONNABORTED, ECANCELED, EKEYREJECTED, ENOENT, EACCES

const struct call calls[] = {
	{ "send", CALM | WILD | ASKED, call_send, ERRNOS(EAGAIN),
	  ERRNOS(SEND_END, AGENTS_WORD) },
	{ "send an alert", CALM | WILD, call_send_alert, ERRNOS(EACCES), ERRNOS(SEND_END) },
	{ "receive", CALM | WILD | ASKED, call_receive, ERRNOS(EAGAIN),
	  ERRNOS(READ_END, AGENTS_WORD) },
	{ "poll", CALM | WILD | ASKED, call_poll, NONE, NONE },
	{ "epoll", CALM | WILD | ASKED, call_epoll, NONE, NONE },
	{ "import", CALM | WILD | ASKED, call_import, ERRNOS(EALREADY, EBUSY),
	  ERRNOS(ESTALE, ENOTCONN, EINVAL, ECONNABORTED) },
	{ "import wrong", CALM | WILD | ASKED, call_import_wrong, NONE, NONE },
	{ "export", CALM | WILD | ASKED, call_export, ERRNOS(EALREADY),
	  ERRNOS(EBUSY, ESTALE, ENOTCONN, ECONNABORTED) },
	{ "rekey", CALM | WILD | ASKED, call_rekey, ERRNOS(EAGAIN, EINVAL, EOPNOTSUPP),
	  ERRNOS(SEND_END) },
	{ "info", CALM | WILD | ASKED, call_info, NONE, NONE },
	{ "info", CALM | WILD | ASKED, call_info, NONE, NONE },
	{ "read a key", CALM | WILD | ASKED, call_read_key, ERRNOS(EACCES, EBUSY, EINVAL), NONE },
	{ "write a key", WILD, call_write_key, NONE,
	  ERRNOS(EACCES, EBUSY, EINVAL, ENOTCONN) },
	{ "handshake", WILD | ASKED, call_handshake, NONE,
	  ERRNOS(EISCONN, EBUSY, ENOTCONN, ESRCH, EINPROGRESS, EALREADY, ECONNRESET, AGENTS_WORD) },
	{ "TCP_ULP", CALM | WILD | ASKED, call_ulp, ERRNOS(EEXIST), ERRNOS(EOPNOTSUPP) },
	{ "connect", CALM | WILD | ASKED, call_connect, ERRNOS(EISCONN),
	  ERRNOS(EALREADY, EINPROGRESS, ECONNRESET, ENOTCONN, ESRCH, EBUSY, AGENTS_WORD) },
	{ "disconnect", CALM | WILD, call_disconnect, ERRNOS(EOPNOTSUPP), NONE },
	{ "listen", CALM | WILD, call_listen, ERRNOS(EINVAL), NONE },
	{ "SIOCINQ", CALM | WILD | ASKED, call_ioctl, NONE, NONE },
	{ "TCP_ZEROCOPY_RECEIVE", CALM | WILD | ASKED, call_zerocopy, ERRNOS(EOPNOTSUPP), NONE },
	{ "tune", CALM | WILD | ASKED, call_tune, NONE, ERRNOS(ENOTCONN) },
	{ "shutdown", WILD, call_shutdown, NONE, ERRNOS(ENOTCONN) },
	{ "linger", WILD, call_linger, NONE, NONE },
	{ "close", CALM | WILD | ASKED, call_close, NONE, NONE },
	{ "fork", CALM | WILD | ASKED, call_fork, NONE, NONE },
	{ "pass", CALM | WILD | ASKED, call_pass, ERRNOS(EAGAIN), NONE },
	{ "take", CALM | WILD | ASKED, call_take, ERRNOS(EAGAIN), NONE },
};

const unsigned int n_calls = ARRAY_SIZE(calls);

bool errno_among(const int *errnos, int error)
{
	while (*errnos && *errnos != error)
		errnos++;
	return *errnos;
}

bool call_may_say(const struct call *call, int mode, long ret)
{
	return ret >= 0 || errno_among(call->calm, -ret) ||
	       (mode != CALM && errno_among(call->wild, -ret));
}
