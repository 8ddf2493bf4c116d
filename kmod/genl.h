/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The generic netlink family "keyblob", see uapi/linux/keyblob_netlink.h.
 */
#ifndef KB_GENL_H
#define KB_GENL_H

#include <linux/types.h>

struct net;
struct sock;

/* What an event is about; zero where it does not apply. */
struct kb_audit {
	u16 type;		/* KEYBLOB_EVENT_* */
	u16 direction;
	int error;		/* positive errno */
};

/*
 * kb_genl_event() - tell who listens to the multicast group about @sk, which is attached
 *
 * Takes version, cipher and generation from the socket, pid and uid from current where it
 * is a process's call. May sleep; costs nothing if nobody listens.
 */
void kb_genl_event(struct sock *sk, const struct kb_audit *event);

/* kb_genl_ready() - tell the agent at @portid that requests wait; 0, or it was not told */
int kb_genl_ready(struct net *net, u32 portid);

int kb_genl_init(void);	/* after kb_agent_init() */
void kb_genl_exit(void);

#endif
