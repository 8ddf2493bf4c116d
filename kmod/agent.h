/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Agents of a network namespace, and the requests that wait for one or that one has taken.
 */
#ifndef KB_AGENT_H
#define KB_AGENT_H

#include <linux/types.h>

struct file;
struct kb_outcome;
struct kb_request;
struct net;
struct sock;

/* ---- for handshake.c; without the socket lock ---- */

/*
 * kb_agents_offer() - put @r into the queue of its socket's namespace @net and tell an agent
 *
 * Takes a reference. 0; -ESRCH: there is no agent; -EBUSY: too many wait, in all or of this user.
 */
int kb_agents_offer(struct net *net, struct kb_request *r);

/*
 * kb_agents_withdraw() - @r is over: forget it, wherever it is. Harmless if it is nowhere.
 *
 * To be called when kb_request_take() and kb_request_return() refuse @r already.
 */
void kb_agents_withdraw(struct net *net, struct kb_request *r);

/*
 * ---- for genl.c ----
 *
 * The agent is its netlink socket @sk, found by @portid. A socket that is being closed has
 * given its portid away before this file hears of it, hence both.
 */

/* -EALREADY; -EBUSY: too many; -ENOMEM */
int kb_agent_register(struct net *net, const struct sock *sk, u32 portid, bool standby);
void kb_agent_unregister(struct net *net, u32 portid);	/* it was closed */

/* kb_agent_retire() - it takes no further request, and nobody waits for it; -EPERM */
int kb_agent_retire(struct net *net, const struct sock *sk, u32 portid);

/*
 * kb_agent_accept() - the oldest request, taken by the current process, with a reference
 *
 * @file is its socket's, with a reference. -EPERM: no agent's socket, or a standby's; -EAGAIN:
 * none waits, or it has retired.
 */
struct kb_request *kb_agent_accept(struct net *net, const struct sock *sk, u32 portid,
				   struct file **file);

/* kb_agent_give_back() - @r could not be handed over: another may take it */
void kb_agent_give_back(struct net *net, struct kb_request *r);

/* kb_agent_done() - kb_request_done() of request @id; -EPERM, -ENOENT */
int kb_agent_done(struct net *net, const struct sock *sk, u32 portid, u64 id,
		  struct kb_outcome *outcome);

struct kb_agent_counts {
	u32 agents, waiting, taken;
};

void kb_agent_count(struct net *net, struct kb_agent_counts *counts);

int kb_agent_init(void);	/* pernet operations */
void kb_agent_exit(void);

#endif
