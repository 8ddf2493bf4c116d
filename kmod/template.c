// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keyblob sockets that are not connected yet, and those that listen: connect(2) is to
 * include the handshake, accept(2) to return sockets whose handshake is under way. Who
 * set the option asks for it, whoever finds the socket connected.
 *
 * kTLS can be installed on a connected socket only. Until then a socket has a proto of
 * ours that stands on TCP's and keeps everybody off a stream that would be plain. Who
 * first finds the socket connected, in connect(), poll(), a read or a write, makes a
 * keyblob socket of it (kb_template_promote()); all of these may sleep. A connection that
 * a listening socket spawns is TCP's alone until it is accepted.
 *
 * Protos, one per address family, are made under plans_lock and live until the module
 * goes. kb_sock.import keeps promotions apart; kb_sock.template is under the socket lock.
 */
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/tcp.h>

#include "compat.h"
#include "handshake.h"
#include "sockopt.h"
#include "template.h"
#include "ulp.h"

static struct kb_protos plans[2];	/* above TCP's */
static DEFINE_MUTEX(plans_lock);

static struct kb_protos *plan_of(const struct sock *sk)
{
	return &plans[sk->sk_family == AF_INET6];
}

static void template_free(struct kb_template *t)
{
	if (!t)
		return;
	kb_asker_put(&t->who);
	kfree(t);
}

static bool is_connected(const struct sock *sk)
{
	return !((TCPF_CLOSE | TCPF_LISTEN | TCPF_SYN_SENT | TCPF_SYN_RECV) &
		 (1 << READ_ONCE(sk->sk_state)));
}

/* Why a handshake that was set does not begin. */
static const char *why(int err)
{
	switch (err) {
	case -ESRCH:
		return "no agent runs in this network namespace";
	case -EBUSY:
		return "too many handshakes wait for an agent";
	default:
		return "the handshake cannot begin";
	}
}

/* Begins the handshake that was set; if it cannot be, the socket carries nothing. */
static int begin(struct sock *sk, const struct kb_template *t)
{
	int err = kb_handshake_begin(sk, &t->what, &t->who);

	if (err)
		kb_handshake_fail(sk, -err, why(err));
	return err;
}

/*
 * kb_template_promote() - make a keyblob socket of one that is connected now, and begin
 * the handshake that was set
 *
 * Without the socket lock. 0: it is one. A negative errno: it cannot be, and carries
 * nothing.
 */
int kb_template_promote(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);
	struct kb_template *t = NULL;
	int err = 0;

	mutex_lock(&kb->import);
	if (kb->tls)
		goto out;
	lock_sock(sk);
	if (kb->handshake == KEYBLOB_HANDSHAKE_FAILED)
		err = -ENOTCONN;
	else
		err = kb_ulp_promote(sk);
	swap(t, kb->template);
	release_sock(sk);
	if (err)
		kb_handshake_fail(sk, -err, "the connected socket cannot be attached");
	else if (t)
		err = begin(sk, t);
	template_free(t);
out:
	mutex_unlock(&kb->import);
	return err;
}

/*
 * Waits until the socket is connected, and promotes it. What came before a reset is as
 * plain as what would go out: TCP's own ways for data are not for templates.
 */
static int await(struct sock *sk, int flags, long timeo, int failed)
{
	const struct kb_sock *kb = kb_sock(sk);
	int err;

	if (READ_ONCE(kb->handshake) == KEYBLOB_HANDSHAKE_FAILED)
		return kb_handshake_pass(sk, flags, timeo, failed);
	if ((TCPF_CLOSE | TCPF_LISTEN) & (1 << READ_ONCE(sk->sk_state)))
		return sock_error(sk) ?: failed;
	if (!is_connected(sk)) {
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		lock_sock(sk);
		err = sk_stream_wait_connect(sk, &timeo);
		release_sock(sk);
		if (err)
			return err;
	}
	return kb_template_promote(sk);
}

static int send(struct socket *sock, struct msghdr *msg, size_t size)
{
	int flags = msg->msg_flags, ret;
	struct sock *sk = sock->sk;

	if (flags & MSG_FASTOPEN)
		return -EOPNOTSUPP;
	ret = await(sk, flags, sock_sndtimeo(sk, false), -EPIPE);
	if (ret < 0)
		return sk_stream_error(sk, flags, ret);
	return kb_stream_sendmsg(sock, msg, size);
}

static int receive(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	int ret;

	if (flags & MSG_ERRQUEUE)
		return kb_base_recvmsg(kb_ulp_base(sk), sk, msg, len, flags);
	ret = await(sk, flags, sock_rcvtimeo(sk, false), -ENOTCONN);
	return ret ?: kb_stream_recvmsg_early(sock, msg, len, flags);
}

static ssize_t splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
			   size_t len, unsigned int flags)
{
	struct sock *sk = sock->sk;
	bool nonblock = flags & SPLICE_F_NONBLOCK || kb_is_nonblock(sk);
	int ret;

	ret = await(sk, nonblock ? MSG_DONTWAIT : 0, sock_rcvtimeo(sk, false), -ENOTCONN);
	return ret ?: kb_stream_splice_read_early(sock, ppos, pipe, len, flags);
}

static __poll_t poll(struct file *file, struct socket *sock, poll_table *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask;

	if (READ_ONCE(kb_sock(sk)->handshake) == KEYBLOB_HANDSHAKE_FAILED)
		return kb_handshake_poll(file, sock, wait);
	mask = kb_ulp_base_ops(sk)->poll(file, sock, wait);
	if (!is_connected(sk))
		return mask;
	/* @wait is served: whom it is about was not promoted then. */
	if (kb_template_promote(sk))
		return kb_handshake_poll(file, sock, NULL);
	return kb_stream_poll(file, sock, NULL);
}

/* Was it promoted, or was that tried in vain? Under kb_sock.import. */
static bool is_past_template(const struct kb_sock *kb)
{
	return kb->tls || kb->handshake == KEYBLOB_HANDSHAKE_FAILED;
}

/*
 * TCP would let a socket with keys be used anew, and listen. Refused before it hears of it:
 * who waits on a socket is turned away even by a disconnect that fails.
 */
static int disconnect(struct socket *sock, struct kb_sockaddr *addr, int len, int flags)
{
	struct kb_sock *kb = kb_sock(sock->sk);
	int err = -EOPNOTSUPP;

	mutex_lock(&kb->import);	/* no promotion is under way */
	if (!is_past_template(kb))
		err = kb_ulp_base_ops(sock->sk)->connect(sock, addr, len, flags);
	mutex_unlock(&kb->import);
	return err;
}

/*
 * kb_template_connect() - connect(2), for sockets that are promoted as well: one whose
 * handshake is under way is still connecting
 */
int kb_template_connect(struct socket *sock, struct kb_sockaddr *addr, int len, int flags)
{
	struct sock *sk = sock->sk;
	struct kb_sock *kb = kb_sock(sk);
	const struct proto_ops *ops = kb_ulp_base_ops(sk);
	long timeo = sock_sndtimeo(sk, flags & O_NONBLOCK);
	int err;

	/* To connect to no address is to disconnect. */
	if (len >= sizeof(addr->sa_family) && addr->sa_family == AF_UNSPEC)
		return disconnect(sock, addr, len, flags);
	if (READ_ONCE(kb->handshake) >= KEYBLOB_HANDSHAKE_UNDER_WAY) {
		err = kb_handshake_wait(sk, timeo);
		if (err == -EINPROGRESS)
			return -EALREADY;
		return err ?: ops->connect(sock, addr, len, flags);
	}
	err = ops->connect(sock, addr, len, flags);
	if (err)
		return err;
	err = kb_template_promote(sk);
	if (READ_ONCE(kb->handshake) == KEYBLOB_HANDSHAKE_NONE)
		return err;
	return kb_handshake_wait(sk, timeo);
}

/* A socket whose promotion has failed is no good for it. */
static int begin_listening(struct socket *sock, int backlog)
{
	struct kb_sock *kb = kb_sock(sock->sk);
	int err = -EINVAL;

	mutex_lock(&kb->import);	/* no promotion is under way */
	if (!is_past_template(kb))
		err = kb_ulp_base_ops(sock->sk)->listen(sock, backlog);
	mutex_unlock(&kb->import);
	return err;
}

static struct kb_template *template_new(const struct keyblob_handshake *what)
{
	struct kb_template *t = kmalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (t)
		t->what = *what;
	return t;
}

/* A copy of what is set on a listening socket. *@copy is NULL if nothing is. */
static int copy_template(struct sock *sk, struct kb_template **copy)
{
	const struct kb_sock *kb = kb_sock(sk);
	int err = 0;

	*copy = NULL;
	lock_sock(sk);
	if (kb->template) {
		*copy = template_new(&kb->template->what);
		if (*copy)
			kb_asker_copy(&(*copy)->who, &kb->template->who);
		else
			err = -ENOMEM;
	}
	release_sock(sk);
	return err;
}

/* Attaches a socket that nobody has seen yet, and begins its handshake. */
static int begin_accepted(struct sock *sk, const struct kb_template *t)
{
	char name[] = KEYBLOB_ULP_NAME;
	int err;

	err = READ_ONCE(sk->sk_prot)->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR(name),
						 strlen(name));
	/* How it fails, the socket tells. */
	if (!err && t)
		begin(sk, t);
	return err;
}

/* kb_template_accepted() - @sock, which listens, has given @newsock to accept(2) */
int kb_template_accepted(struct socket *sock, struct socket *newsock)
{
	struct kb_template *t;
	int err;

	/* They are ours, those of the socket that listens. */
	WRITE_ONCE(newsock->ops, kb_ulp_base_ops(sock->sk));
	err = copy_template(sock->sk, &t);
	if (err)
		return err;
	err = begin_accepted(newsock->sk, t);
	template_free(t);
	/* To be closed, as if the peer had been gone before it was accepted. */
	return err ? -ECONNABORTED : 0;
}

/* The child of a socket that listens, in softirq: nothing of ours. */
void kb_template_clone(const struct request_sock *req, struct sock *newsk,
		       const gfp_t priority)
{
	struct proto *base = plan_of(newsk)->base;

	WRITE_ONCE(newsk->sk_prot, base);
	newsk->sk_prot_creator = base;
	inet_csk(newsk)->icsk_ulp_ops = NULL;
	rcu_assign_sk_user_data(newsk, NULL);
}

/*
 * kb_template_set() - the option on a socket that is not connected
 *
 * Without the socket lock. -EISCONN: it is connected (now).
 */
int kb_template_set(struct sock *sk, const struct keyblob_handshake *what)
{
	struct kb_template *t = template_new(what);
	struct kb_sock *kb = kb_sock(sk);
	int err = 0;

	if (!t)
		return -ENOMEM;
	kb_asker_current(&t->who);
	lock_sock(sk);
	if (kb->handshake == KEYBLOB_HANDSHAKE_FAILED) {
		err = -ENOTCONN;
	} else if (kb->tls || is_connected(sk)) {
		err = -EISCONN;
	} else {
		swap(t, kb->template);
		WRITE_ONCE(kb->handshake, KEYBLOB_HANDSHAKE_SET);
	}
	release_sock(sk);
	template_free(t);
	return err;
}

/* kb_template_drop() - the socket is dead; may be in softirq */
void kb_template_drop(struct kb_sock *kb)
{
	template_free(kb->template);
}

/* Data in a SYN would be plain. */
static bool is_fastopen(int level, int optname)
{
	return level == SOL_TCP &&
	       (optname == TCP_FASTOPEN || optname == TCP_FASTOPEN_CONNECT);
}

/*
 * Options, by the ops: sk_prot is TCP's for a moment while another thread promotes the
 * socket.
 */
static int set(struct socket *sock, int level, int optname, sockptr_t optval,
	       unsigned int optlen)
{
	if (is_fastopen(level, optname) || (level == SOL_IPV6 && optname == IPV6_ADDRFORM))
		return -EOPNOTSUPP;
	return kb_setsockopt(sock->sk, level, optname, optval, optlen);
}

static int get(struct socket *sock, int level, int optname, char __user *optval,
	       int __user *optlen)
{
	return kb_getsockopt(sock->sk, level, optname, optval, optlen);
}

static void fill(struct kb_protos *plan, const struct sock *sk)
{
	plan->base = READ_ONCE(sk->sk_prot);
	plan->base_ops = READ_ONCE(sk->sk_socket->ops);
	plan->prot = *plan->base;
	plan->prot.close = kb_ulp_close;
	plan->ops = *plan->base_ops;
	plan->ops.setsockopt = set;
	plan->ops.getsockopt = get;
	plan->ops.sendmsg = send;
	plan->ops.recvmsg = receive;
	kb_drop_sendpage(&plan->ops);
	plan->ops.connect = kb_template_connect;
	plan->ops.listen = begin_listening;
	plan->ops.accept = kb_template_accept;
	plan->ops.poll = poll;
	plan->ops.splice_read = splice_read;
}

/*
 * kb_template_attach() - put our proto above TCP's, on a socket that is not connected
 *
 * Under the socket lock, with kb_sock in its place. 0 or -EOPNOTSUPP.
 */
int kb_template_attach(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);
	struct kb_protos *plan = plan_of(sk);

	if (sk->sk_prot != sk->sk_prot_creator || tcp_sk(sk)->fastopen_connect ||
	    inet_csk(sk)->icsk_accept_queue.fastopenq.max_qlen)
		return -EOPNOTSUPP;
	mutex_lock(&plans_lock);
	if (!plan->base)
		fill(plan, sk);
	mutex_unlock(&plans_lock);
	if (plan->base != sk->sk_prot || plan->base_ops != sk->sk_socket->ops)
		return -EOPNOTSUPP;
	WRITE_ONCE(kb->protos, plan);
	if (sk->sk_state == TCP_LISTEN) {
		/* Copies of a socket that listens are made without its lock. Those that
		 * may have our proto have to come by kb_template_clone().
		 */
		kb_ulp_settle(sk);
		synchronize_rcu();
	}
	/* As in kb_ulp_raise(). */
	smp_wmb();
	WRITE_ONCE(sk->sk_prot, &plan->prot);
	WRITE_ONCE(sk->sk_socket->ops, &plan->ops);
	return 0;
}
