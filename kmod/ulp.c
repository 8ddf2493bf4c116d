// SPDX-License-Identifier: GPL-2.0-only
/*
 * The upper layer protocol "keyblob": attaches to a socket, stands above kTLS, and
 * takes its leave.
 *
 * kTLS gives a socket one of a handful of static struct protos; ours are copies of
 * these with a few functions of our own, one copy per proto of kTLS's for the whole
 * module, never per socket. For the moment in an import in which kTLS has put its own
 * proto in place, we stand under kTLS as well: what it does not know, it passes down.
 * Copies are made under protos_lock and live until the module goes, which no socket
 * that uses one outlives: it holds the module.
 *
 * struct kb_sock hangs on sk_user_data (which also keeps sockmap and kcm away) from
 * attach to release. It is freed by RCU for the sake of sock_diag.
 */
#include <linux/module.h>
#include <linux/skmsg.h>
#include <net/tcp.h>

#include "compat.h"
#include "ktls.h"
#include "sockopt.h"
#include "stream.h"
#include "ulp.h"

/* kTLS has one proto per address family and state of each direction. */
#define KB_PROTOS	(2 * 2 * 2)

struct raised {
	const struct proto *base;	/* kTLS's */
	const struct proto_ops *base_ops;
	struct proto prot;		/* ours above it */
	struct proto_ops ops;
};

/* What stands under kTLS: TCP's proto, one per address family. */
struct floored {
	struct proto *base;		/* TCP's */
	struct proto prot;		/* ours in its place */
};

static struct raised protos[KB_PROTOS];
static struct floored floors[2];
static DEFINE_MUTEX(protos_lock);

static void close(struct sock *sk, long timeout)
{
	kb_stream_finish(sk);
	/* The socket's reference to us may go before this function returns. */
	__module_get(THIS_MODULE);
	kb_ulp_base(sk)->close(sk, timeout);
	module_put(THIS_MODULE);
}

static void override(struct raised *r, const struct sock *sk)
{
	r->prot.setsockopt = kb_setsockopt;
	r->prot.getsockopt = kb_getsockopt;
	r->prot.close = close;
	r->prot.sendmsg = kb_stream_sendmsg;
	kb_override_sendpage(&r->prot);
	r->ops.shutdown = kb_stream_shutdown;
	if (kb_ktls_is_sw(sk, KEYBLOB_DIR_RX)) {
		r->prot.recvmsg = kb_recvmsg;
		r->ops.splice_read = kb_stream_splice_read;
		r->ops.poll = kb_stream_poll;
	}
}

/*
 * kb_ulp_raise() - put our proto above the one that kTLS has just given @sk
 *
 * Under the socket lock. Cannot fail: there is a place for each proto of kTLS's.
 */
void kb_ulp_raise(struct sock *sk)
{
	const struct proto *base = READ_ONCE(sk->sk_prot);
	struct kb_sock *kb = kb_sock(sk);
	struct raised *r;

	mutex_lock(&protos_lock);
	for (r = protos; r < protos + KB_PROTOS - 1 && r->base && r->base != base; r++)
		;
	if (!r->base) {
		r->base_ops = READ_ONCE(sk->sk_socket->ops);
		r->prot = *base;
		r->ops = *r->base_ops;
		override(r, sk);
		r->base = base;
	}
	mutex_unlock(&protos_lock);
	WRITE_ONCE(kb->base, r->base);
	WRITE_ONCE(kb->base_ops, r->base_ops);
	/* Whoever meets our proto finds it whole. */
	smp_wmb();
	WRITE_ONCE(sk->sk_prot, &r->prot);
	WRITE_ONCE(sk->sk_socket->ops, &r->ops);
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
	if (level == SOL_KEYBLOB)
		return kb_getsockopt(sk, level, optname, optval, optlen);
	return floor_of(sk)->base->getsockopt(sk, level, optname, optval, optlen);
}

/* kTLS has left the socket to what was under it: TCP. */
static void floor_close(struct sock *sk, long timeout)
{
	struct proto *base = floor_of(sk)->base;

	/* As in close(). */
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

/* Called with the socket lock held, as the init of every ULP. */
static int attach(struct sock *sk)
{
	struct kb_sock *kb;
	bool foreign;
	int err;

	if (sk->sk_state != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (sk->sk_user_data || kb_ktls_offloads(sk))
		return -EOPNOTSUPP;

	kb = kzalloc(sizeof(*kb), GFP_KERNEL);
	if (!kb)
		return -ENOMEM;
	mutex_init(&kb->import);
	init_rwsem(&kb->sending);

	/* kTLS's own attach takes the lock. TCP admits one ULP: of two threads that
	 * come here at once, or one that installs another ULP, one gets EEXIST.
	 */
	release_sock(sk);
	err = kb_ktls_attach(sk, &kb->tls);
	lock_sock(sk);
	if (err)
		goto err_free;

	write_lock_bh(&sk->sk_callback_lock);
	foreign = sk->sk_user_data;
	if (!foreign)
		rcu_assign_sk_user_data(sk, kb);
	write_unlock_bh(&sk->sk_callback_lock);
	/* Used as a plain kTLS socket meanwhile: may it stay one. */
	if (foreign || kb_ktls_in_use(sk)) {
		err = -EBUSY;
		goto err_unhook;
	}
	lay_floor(sk);
	kb_ulp_raise(sk);
	return 0;

err_unhook:
	if (!foreign) {
		write_lock_bh(&sk->sk_callback_lock);
		rcu_assign_sk_user_data(sk, NULL);
		write_unlock_bh(&sk->sk_callback_lock);
	}
err_free:
	kfree_rcu(kb, rcu);
	return err;
}

/* The socket is dead; the last that TCP does about a ULP. May be in softirq. */
static void release(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (kb->tls->release)
		kb->tls->release(sk);
	module_put(kb->tls->owner);
	rcu_assign_sk_user_data(sk, NULL);
	memzero_explicit(&kb->tx, sizeof(kb->tx));
	memzero_explicit(&kb->rx, sizeof(kb->rx));
	kfree_rcu(kb, rcu);
}

static void update(struct sock *sk, struct proto *p,
		   void (*write_space)(struct sock *sk))
{
	kb_sock(sk)->tls->update(sk, p, write_space);
}

int kb_ulp_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	const struct kb_sock *kb;
	int err = 0;

	rcu_read_lock();
	kb = rcu_dereference_sk_user_data(sk);
	if (kb)
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
	if (kb)
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
	.get_info	= kb_get_info,
	.get_info_size	= kb_get_info_size,
};

int __init kb_ulp_init(void)
{
	return tcp_register_ulp(&ulp);
}

void kb_ulp_exit(void)
{
	tcp_unregister_ulp(&ulp);
}
