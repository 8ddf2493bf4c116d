/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_ULP_H
#define KB_ULP_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/rwsem.h>
#include <linux/sockptr.h>
#include <net/sock.h>

#include "blob.h"
#include "limit.h"
#include "record.h"

struct crypto_aead;
struct kb_outcome;
struct kb_request;
struct kb_template;
struct pid;
struct tcp_ulp_ops;

/* Protos of ours above those of another; they stay until the module goes. */
struct kb_protos {
	struct proto *base;
	const struct proto_ops *base_ops;
	struct proto prot;
	struct proto_ops ops;
};

/* One direction of a socket. Written under the socket lock. */
struct kb_dir {
	union {
		u8 secret[KEYBLOB_SECRET_MAX];	/* TLS 1.3: traffic secret of generation */
		struct {		/* until it is ready; under kb_sock.import */
			struct crypto_aead *aead; /* has the key of a blob; owned, or NULL */
			u8 tag[KB_BLOB_TAG_SIZE]; /* that blob's */
		} prepared;
	};
	u32 generation;
	bool ready;			/* it has its key */
	u8 end;				/* KEYBLOB_END_*: how the stream ended */
	u8 alert;			/* the alert that ended it */
};

/*
 * A keyblob socket; sk_user_data points to it from attach to release. In memory of ktls.c's,
 * of which there are 512 bytes: it counts, for each idle connection.
 *
 * Locks, outermost first: @import (one import at a time), @sending (senders share
 * it; control records, and senders who must not wait, go out under it alone), kTLS's
 * tx_lock, the socket lock.
 */
struct kb_sock {
	struct rcu_head rcu;

	/* kTLS underneath. sk_prot is no guide to it: for a moment of each import that
	 * is kTLS's own.
	 */
	const struct tcp_ulp_ops *tls;	/* whose module we hold; NULL: template.c's */
	const struct kb_protos *protos;	/* NULL until ours are in place */

	const struct kb_suite *suite;	/* NULL until the first import */
	u16 tls_version;
	u8 role;
	bool truncation_ok;

	/* receiving, under the socket lock */
	int rx_result;			/* of reading, once rx.end is set */
	struct kb_dir rx;
	struct kb_record record;	/* the handshake message under way */
	u32 tickets;
	struct kb_limit limit;		/* on what the peer may ask for */

	/* sending */
	struct kb_dir tx;
	bool update_due;		/* the peer waits for our KeyUpdate */
	bool closing;			/* no more data: close_notify is on its way */
	bool turned_away;		/* a sender got EAGAIN because of @sending */
	bool controlling;		/* a control record goes out at this moment */
	bool marked;			/* SEND_SHUTDOWN is stop_senders()'s */

	/* KEYBLOB_HANDSHAKE; written under the socket lock */
	u8 handshake;			/* KEYBLOB_HANDSHAKE_* */
	bool told;			/* somebody was told how it ended */
	struct kb_template *template;	/* to begin with when it is connected; owned */
	struct kb_request *request;	/* while it is under way; a reference */
	struct kb_outcome *outcome;	/* how it ended; owned */
	struct pid *taker;		/* whose the connection is meanwhile; request's */

	struct mutex import;		/* one import at a time */
	struct rw_semaphore sending;
};

static inline struct kb_sock *kb_sock(const struct sock *sk)
{
	return (__force struct kb_sock *)sk->sk_user_data;
}

/* The protos under those of @sk: kTLS's, or TCP's. */
static inline struct proto *kb_ulp_base(const struct sock *sk)
{
	return READ_ONCE(kb_sock(sk)->protos)->base;
}

static inline const struct proto_ops *kb_ulp_base_ops(const struct sock *sk)
{
	return READ_ONCE(kb_sock(sk)->protos)->base_ops;
}

/* kb_is_nonblock() - was the socket told not to block? */
static inline bool kb_is_nonblock(const struct sock *sk)
{
	const struct file *file = sk->sk_socket->file;

	return file && file->f_flags & O_NONBLOCK;
}

int kb_ulp_init(void);
void kb_ulp_exit(void);

void kb_ulp_raise(struct sock *sk, const struct proto_ops *base_ops);
int kb_ulp_promote(struct sock *sk);
void kb_ulp_settle(struct sock *sk);
void kb_ulp_close(struct sock *sk, long timeout);

#endif
