/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KEYBLOB_HANDSHAKE: the life of a request, from the application's call to the agent's
 * answer. handshake.c has requests and sockets; agent.c has agents and the queue; genl.c
 * has the messages between the kernel and agents.
 */
#ifndef KB_HANDSHAKE_H
#define KB_HANDSHAKE_H

#include <linux/list.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sockptr.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <linux/keyblob.h>

#include "ulp.h"

struct cgroup;
struct cred;
struct file;
struct kb_agent;
struct pid;

/* What an agent tells of a handshake that has ended; its strings. */
enum kb_text { KB_REASON, KB_ALPN, KB_SERVER_NAME, KB_PEER_NAME, KB_GROUP, KB_TEXTS };

struct kb_outcome {
	int error;			/* 0, or a positive errno */
	u16 cipher_suite;
	u8 has_alert;			/* as in struct keyblob_status */
	u8 alert;
	bool resumed;
	u16 text[KB_TEXTS];		/* offsets of strings in @texts */
	char texts[];			/* each with its NUL, cut to fit keyblob_status */
};

/* Who asks for a handshake: whoever set the option; with references. */
struct kb_asker {
	const struct cred *cred;
	struct pid *pid;
	struct cgroup *cgroup;		/* v2; NULL without cgroups */
};

void kb_asker_current(struct kb_asker *who);
void kb_asker_copy(struct kb_asker *to, const struct kb_asker *from);
void kb_asker_put(struct kb_asker *who);

/*
 * A request. References: the socket's (kb_sock.request), the queue's or the agent's list's
 * (agent.c), the pending work's, and of whoever uses it.
 */
struct kb_request {
	refcount_t refs;
	u64 id;				/* agent.c gives it */

	/* what, and for whom; constant */
	struct keyblob_handshake what;
	struct sock *sk;		/* a reference */
	struct kb_asker who;
	unsigned long expires;		/* jiffies */

	/* what handshake.c is to do about it; set without the socket lock */
	struct delayed_work work;
	struct kb_outcome *verdict;	/* how it ends; the first one holds; owned */
	bool orphaned;			/* nobody has it, and it is in no queue */

	/* handshake.c: under the socket lock */
	bool over;			/* nobody waits; the socket may be gone */
	bool lonely;			/* the agent seemed to be the only user of the file */
	struct pid *taker;		/* the agent's process; NULL: waits; a reference */
	u64 position[2];		/* of the stream when it was taken, TX and RX */

	/* agent.c: under its lock */
	struct list_head link;		/* a queue or an agent's list; empty: neither */
	struct kb_agent *agent;		/* NULL: waits */
};

void kb_request_put(struct kb_request *r);

/* ---- for agent.c and genl.c, without its lock; none waits for a socket ---- */

struct file *kb_request_take(struct kb_request *r);
int kb_request_done(struct kb_request *r, struct kb_outcome *outcome);
void kb_request_end(struct kb_request *r, int error, const char *reason);
void kb_request_release(struct kb_request *r);

/* ---- for the socket: sockopt.c, stream.c, ulp.c, template.c ---- */

int kb_handshake_read(struct keyblob_handshake *what, sockptr_t optval,
		      unsigned int optlen);
int kb_handshake_set(struct sock *sk, const struct keyblob_handshake *what);
int kb_handshake_begin(struct sock *sk, const struct keyblob_handshake *what,
		       const struct kb_asker *who);
int kb_handshake_wait(struct sock *sk, long timeo);
int kb_handshake_pass(struct sock *sk, int flags, long timeo, int failed);
__poll_t kb_handshake_poll(struct file *file, struct socket *sock, poll_table *wait);
void kb_handshake_fail(struct sock *sk, int error, const char *reason);
void kb_handshake_cancel(struct sock *sk);
void kb_handshake_status(const struct kb_sock *kb, struct keyblob_status *status);

int kb_handshake_init(void);
void kb_handshake_exit(void);

/* kb_is_taker() - does the handshake that is under way belong to this process? */
static inline bool kb_is_taker(const struct kb_sock *kb)
{
	return READ_ONCE(kb->taker) == task_tgid(current);
}

/*
 * kb_handshake_bars() - must this process keep off the stream, because of a handshake?
 *
 * Then kb_handshake_pass() waits, or says why not.
 */
static inline bool kb_handshake_bars(const struct kb_sock *kb)
{
	const u8 at = READ_ONCE(kb->handshake);

	if (likely(at == KEYBLOB_HANDSHAKE_NONE || at == KEYBLOB_HANDSHAKE_DONE))
		return false;
	return at != KEYBLOB_HANDSHAKE_UNDER_WAY || !kb_is_taker(kb);
}

#endif
