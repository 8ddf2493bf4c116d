// SPDX-License-Identifier: GPL-2.0-only
/*
 * The upper layer protocol "keyblob": attaches to a socket, stands above kTLS, and
 * takes its leave.
 *
 * kTLS gives a socket one of a handful of static struct protos and proto_ops; ours are
 * copies of these with a few functions of our own, one copy per proto of kTLS's for the
 * whole module, never per socket. Data goes by the proto_ops alone, which stay ours while
 * kTLS sets a direction up (ktls.c). Options and close() go by the proto: for the moment
 * in which kTLS has put its own in place, we stand under kTLS as well, and what it does
 * not know, it passes down.
 * Copies are made under protos_lock and live until the module goes, which no socket
 * that uses one outlives: it holds the module.
 *
 * struct kb_sock hangs on sk_user_data (which also keeps sockmap and kcm away) from
 * attach to release. It is freed by RCU for the sake of sock_diag.
 */
#include <linux/module.h>
#include <linux/skmsg.h>
#include <net/tcp.h>

#include <linux/keyblob_netlink.h>

#include "compat.h"
#include "genl.h"
#include "handshake.h"
#include "ktls.h"
#include "sockopt.h"
#include "stream.h"
#include "template.h"
#include "ulp.h"

/* kTLS has one proto per address family and state of each direction: none, in software,
 * in a device.
 */
#define KB_PROTOS	(2 * 3 * 3)

/* What stands under kTLS: TCP's proto, one per address family. */
struct floored {
	struct proto *base;		/* TCP's */
	struct proto prot;		/* ours in its place */
};

static struct kb_protos protos[KB_PROTOS];
static struct floored floors[2];
static struct module *ktls;	/* whose functions our copies have; stays for them */
static DEFINE_MUTEX(protos_lock);

void kb_ulp_close(struct sock *sk, long timeout)
{
	const struct kb_audit ended = { .type = KEYBLOB_EVENT_ENDED };
	struct proto *base = kb_ulp_base(sk);

	kb_handshake_cancel(sk);
	kb_sockopt_close(sk);
	if (kb_sock(sk)->tls)
		kb_stream_finish(sk);
	else	/* children of a socket that listens are TCP's alone */
		WRITE_ONCE(sk->sk_prot, base);
	kb_genl_event(sk, &ended);
	/* The socket's reference to us may go before this function returns. */
	__module_get(THIS_MODULE);
	base->close(sk, timeout);
	module_put(THIS_MODULE);
}

/* TCP would let it be used anew, and listen. */
static int disconnect(struct sock *sk, int flags)
{
	return -EOPNOTSUPP;
}

static void override(struct kb_protos *p, const struct sock *sk)
{
	p->prot.setsockopt = kb_setsockopt;
	p->prot.getsockopt = kb_getsockopt;
	p->prot.close = kb_ulp_close;
	p->prot.disconnect = disconnect;
	p->ops.sendmsg = kb_stream_sendmsg;
	kb_override_sendpage(&p->ops);
	kb_override_splice_eof(&p->ops);
	p->ops.shutdown = kb_stream_shutdown;
	p->ops.connect = kb_template_connect;
	p->ops.poll = kb_stream_poll;
	if (kb_ktls_is_sw(sk, KEYBLOB_DIR_RX)) {
		p->ops.recvmsg = kb_stream_recvmsg;
		p->ops.splice_read = kb_stream_splice_read;
	} else {
		p->ops.recvmsg = kb_stream_recvmsg_early;
		p->ops.splice_read = kb_stream_splice_read_early;
	}
}

/*
 * kb_ulp_raise() - put our proto above the one that kTLS has just given @sk, and our
 * proto_ops above @base_ops, which it meant to give it
 *
 * Under the socket lock. Cannot fail: there is a place for each proto of kTLS's.
 */
void kb_ulp_raise(struct sock *sk, const struct proto_ops *base_ops)
{
	struct proto *base = READ_ONCE(sk->sk_prot);
	struct kb_sock *kb = kb_sock(sk);
	struct kb_protos *p;

	mutex_lock(&protos_lock);
	for (p = protos; p < protos + KB_PROTOS - 1 && p->base && p->base != base; p++)
		;
	if (!p->base) {
		p->base_ops = base_ops;
		p->prot = *base;
		p->ops = *p->base_ops;
		override(p, sk);
		p->base = base;
	}
	mutex_unlock(&protos_lock);
	WRITE_ONCE(kb->protos, p);
	/* Whoever meets our proto finds it whole. */
	smp_wmb();
	WRITE_ONCE(sk->sk_prot, &p->prot);
	WRITE_ONCE(sk->sk_socket->ops, &p->ops);
}

static struct floored *floor_of(const struct sock *sk)
{
	return &floors[sk->sk_family == AF_INET6];
}

static int floor_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
			    unsigned int optlen)
{
	if (level == SOL_KEYBLOB)
		return kb_setsockopt(sk, level, optname, optval, optlen);
	return floor_of(sk)->base->setsockopt(sk, level, optname, optval, optlen);
}

static int floor_getsockopt(struct sock *sk, int level, int optname, char __user *optval,
			    int __user *optlen)
{
	if (level == SOL_KEYBLOB || kb_is_past_us(level, optname))
		return kb_getsockopt(sk, level, optname, optval, optlen);
	return floor_of(sk)->base->getsockopt(sk, level, optname, optval, optlen);
}

/* kTLS has left the socket to what was under it: TCP. */
static void floor_close(struct sock *sk, long timeout)
{
	struct proto *base = floor_of(sk)->base;

	kb_handshake_cancel(sk);
	/* As in kb_ulp_close(). */
	__module_get(THIS_MODULE);
	WRITE_ONCE(sk->sk_prot, base);
	base->close(sk, timeout);
	module_put(THIS_MODULE);
}

/* Under the socket lock, when no sk_prot but kTLS's can be seen. */
static void lay_floor(struct sock *sk)
{
	struct proto *below = kb_ktls_below(sk);
	struct floored *f = floor_of(sk);

	mutex_lock(&protos_lock);
	if (!ktls) {
		ktls = inet_csk(sk)->icsk_ulp_ops->owner;
		__module_get(ktls);
	}
	if (!f->base) {
		f->base = below;
		f->prot = *below;
		f->prot.setsockopt = floor_setsockopt;
		f->prot.getsockopt = floor_getsockopt;
		f->prot.close = floor_close;
	}
	mutex_unlock(&protos_lock);
	if (f->base == below)
		kb_ktls_set_below(sk, &f->prot);
}

static void hook(struct sock *sk, struct kb_sock *kb)
{
	write_lock_bh(&sk->sk_callback_lock);
	rcu_assign_sk_user_data(sk, kb);
	write_unlock_bh(&sk->sk_callback_lock);
}

static bool has_ktls(const struct sock *sk)
{
	const struct tcp_ulp_ops *ops = inet_csk(sk)->icsk_ulp_ops;

	return ops && !strcmp(ops->name, "tls");
}

/*
 * kTLS, and our protos above and below it. Under the socket lock, which is dropped
 * meanwhile. -EBUSY: another thread uses it as a plain kTLS socket; with @adopt, it is
 * a keyblob socket nevertheless.
 */
static int install(struct sock *sk, bool adopt)
{
	const struct kb_audit attached = { .type = KEYBLOB_EVENT_ATTACHED };
	struct kb_sock *kb = kb_sock(sk);
	const struct proto_ops *ops;
	bool busy;
	int err;

	/* It drops the lock. TCP admits one ULP: of two threads that come here at once,
	 * or one that installs another ULP, one gets EEXIST.
	 */
	err = kb_ktls_attach(sk, &ops);
	if (err && !(adopt && has_ktls(sk)))
		return err;
	busy = err || kb_ktls_in_use(sk);
	if (busy && !adopt)
		return -EBUSY;
	if (!busy)
		kb_ktls_lock(sk);
	WRITE_ONCE(kb->tls, inet_csk(sk)->icsk_ulp_ops);
	lay_floor(sk);
	kb_ulp_raise(sk, ops);
	kb_genl_event(sk, &attached);
	return busy ? -EBUSY : 0;
}

/* Not connected, and nobody waits for it to be. */
static bool may_prepare(const struct sock *sk)
{
	return sk->sk_state == TCP_LISTEN ||
	       (sk->sk_state == TCP_CLOSE && sk->sk_socket->state == SS_UNCONNECTED);
}

/* Called with the socket lock held, as the init of every ULP. */
static int attach(struct sock *sk)
{
	struct kb_sock *kb;
	int err;

	if (sk->sk_state != TCP_ESTABLISHED && !may_prepare(sk))
		return -ENOTCONN;
	if (sk->sk_user_data || kb_ktls_offloads(sk))
		return -EOPNOTSUPP;

	kb = kb_ktls_new();
	if (!kb)
		return -ENOMEM;
	mutex_init(&kb->import);
	init_rwsem(&kb->sending);
	hook(sk, kb);
	err = sk->sk_state == TCP_ESTABLISHED ? install(sk, false) : kb_template_attach(sk);
	if (!err)
		return 0;
	hook(sk, NULL);
	kb_ktls_free(kb);
	return err;
}

/* The socket is dead; the last that TCP does about a ULP. May be in softirq. */
static void release(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (kb->tls && kb->tls->release)
		kb->tls->release(sk);
	if (kb->tls)
		module_put(kb->tls->owner);
	rcu_assign_sk_user_data(sk, NULL);
	kb_template_drop(kb);
	kfree(kb->outcome);
	memzero_explicit(&kb->tx, sizeof(kb->tx));
	memzero_explicit(&kb->rx, sizeof(kb->rx));
	kb_ktls_free(kb);
}

static void update(struct sock *sk, struct proto *p,
		   void (*write_space)(struct sock *sk))
{
	const struct kb_sock *kb = kb_sock(sk);

	if (kb->tls)
		kb->tls->update(sk, p, write_space);
}

int kb_ulp_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	const struct kb_sock *kb;
	int err = 0;

	rcu_read_lock();
	kb = rcu_dereference_sk_user_data(sk);
	if (kb && kb->tls)
		err = kb_tls_get_info(kb->tls, sk, skb, net_admin);
	rcu_read_unlock();
	return err;
}

size_t kb_ulp_get_info_size(const struct sock *sk, bool net_admin)
{
	const struct kb_sock *kb;
	size_t size = 0;

	rcu_read_lock();
	kb = rcu_dereference_sk_user_data(sk);
	if (kb && kb->tls)
		size = kb_tls_get_info_size(kb->tls, sk, net_admin);
	rcu_read_unlock();
	return size;
}

static struct tcp_ulp_ops ulp __read_mostly = {
	.name		= KEYBLOB_ULP_NAME,
	.owner		= THIS_MODULE,
	.init		= attach,
	.update		= update,
	.release	= release,
	.clone		= kb_template_clone,
	.get_info	= kb_get_info,
	.get_info_size	= kb_get_info_size,
};

/* Another thread has made use of the moment without a ULP: what it put there goes. */
static void evict(struct sock *sk)
{
	const struct tcp_ulp_ops *ops = inet_csk(sk)->icsk_ulp_ops;

	if (!ops)
		return;
	if (ops->release)
		ops->release(sk);
	module_put(ops->owner);
}

/*
 * kb_ulp_promote() - install kTLS on a socket of template.c's that is connected now
 *
 * TCP's own proto has to be there for it. Under the socket lock, which is dropped
 * meanwhile, and kb_sock.import. On an error the socket must not be used any more.
 */
int kb_ulp_promote(struct sock *sk)
{
	struct proto *prot = READ_ONCE(sk->sk_prot);
	const unsigned short family = sk->sk_family;
	int err;

	if (sk->sk_state != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (kb_ktls_offloads(sk))
		return -EOPNOTSUPP;
	inet_csk(sk)->icsk_ulp_ops = NULL;
	WRITE_ONCE(sk->sk_prot, kb_ulp_base(sk));
	err = install(sk, true);
	if (err && !kb_sock(sk)->tls) {
		evict(sk);
		/* IPV6_ADDRFORM, on its way since before. */
		if (sk->sk_family == family)
			WRITE_ONCE(sk->sk_prot, prot);
	}
	kb_ulp_settle(sk);
	return err;
}

/* kb_ulp_settle() - what TCP does after an attach. Under the socket lock. */
void kb_ulp_settle(struct sock *sk)
{
	inet_csk(sk)->icsk_ulp_ops = &ulp;
}

int __init kb_ulp_init(void)
{
	return tcp_register_ulp(&ulp);
}

void kb_ulp_exit(void)
{
	tcp_unregister_ulp(&ulp);
	module_put(ktls);
}
