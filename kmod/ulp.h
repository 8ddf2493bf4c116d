/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_ULP_H
#define KB_ULP_H

#include <linux/mutex.h>
#include <linux/sockptr.h>
#include <net/sock.h>

#include "blob.h"

struct tcp_ulp_ops;

/* One direction of a socket. Under the socket lock, once kb_sock.import allows. */
struct kb_dir {
	bool ready;			/* it has its key */
	u32 generation;
	u8 secret[KEYBLOB_SECRET_MAX];	/* TLS 1.3: traffic secret of generation */
};

/*
 * A keyblob socket; sk_user_data points to it from attach to release. @import
 * serialises imports and is taken before kTLS's tx_lock and the socket lock.
 */
struct kb_sock {
	const struct tcp_ulp_ops *tls;	/* kTLS, whose module we hold */
	const struct kb_suite *suite;	/* NULL until the first import */
	u16 tls_version;
	struct kb_dir tx;
	struct kb_dir rx;
	struct mutex import;		/* one import at a time */
	struct rcu_head rcu;
};

static inline struct kb_sock *kb_sock(const struct sock *sk)
{
	return (__force struct kb_sock *)sk->sk_user_data;
}

int kb_ulp_init(void);
void kb_ulp_exit(void);

void kb_ulp_raise(struct sock *sk);
const struct proto *kb_ulp_base(const struct sock *sk);

#endif
