/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An agent of the tests' own: it speaks generic netlink with the kernel as the real one
 * does, and makes keys up where that would do a handshake.
 */
#ifndef SELFTESTS_HANDSHAKE_AGENT_H
#define SELFTESTS_HANDSHAKE_AGENT_H

#include <linux/keyblob.h>
#include <linux/keyblob_netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdint.h>

struct agent {
	struct nl_sock *sk;
	int family;
	int group;		/* number of "events" */
	unsigned int told;	/* READYs that came */
};

/* What came back for a request, or by itself. */
struct answer {
	int error;		/* 0 or a negative errno */
	char text[128];		/* why, as the kernel says */
	uint8_t cmd;		/* of the reply; 0: none */
	uint8_t data[1 << 16];
	size_t len;
	struct nlattr *attrs[KEYBLOB_A_GENL_MAX + 1];
};

/* A request as ACCEPT tells of it. */
struct accepted {
	struct answer answer;
	uint64_t id;
	int fd;
};

/* agent_open() - a netlink socket that is no agent's yet; 0 or a negative errno */
int agent_open(struct agent *a);
void agent_close(struct agent *a);

/* agent_msg() - a message to be filled in */
struct nl_msg *agent_msg(const struct agent *a, int cmd);

/*
 * agent_send() - send @msg, which is freed; 0 or a negative errno: it was not
 * agent_answer() - wait for the answer; its error
 * agent_call() - both
 */
int agent_send(struct agent *a, struct nl_msg *msg);
int agent_answer(struct agent *a, struct answer *answer);
int agent_call(struct agent *a, struct nl_msg *msg, struct answer *answer);

int agent_register(struct agent *a, bool standby, struct answer *answer);

/* agent_new() - open and register */
int agent_new(struct agent *a);
int agent_accept(struct agent *a, struct accepted *r);

/* agent_accepted() - read what an answer to ACCEPT says; 0 or -EPROTO */
int agent_accepted(struct accepted *r);

/* agent_take() - wait to be told, and accept; 0 or a negative errno, -ETIME: not told */
int agent_take(struct agent *a, struct accepted *r);
struct nl_msg *agent_done_msg(const struct agent *a, uint64_t id, int error);
int agent_done(struct agent *a, uint64_t id, int error, struct answer *answer);

/* agent_is_told() - does a READY come within @ms? Forgets those before. */
bool agent_is_told(struct agent *a, int ms);

/* agent_join() - listen to events; 0 or a negative errno */
int agent_join(struct agent *a);

/* agent_event() - the next event; 0, or -ETIME */
int agent_event(struct agent *a, struct answer *event, int ms);

/* agent_status() - STATUS: agents, waiting, taken */
int agent_status(struct agent *a, uint32_t counts[3]);

#endif
