/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that serves applications: one event loop, many handshakes.
 */
#ifndef KEYBLOBD_WORKER_H
#define KEYBLOBD_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "channel.h"
#include "config.h"
#include "handshake.h"
#include "flights.h"
#include "policy.h"
#include "tickets.h"

struct client;
struct kernel_requests;

/*
 * What a worker is born with. A worker that retires sends the connections of its
 * applications, as they are, into handover[0]; those that serve take them out of
 * handover[1].
 */
struct worker_fds {
	int listen;
	int control;
	int handover[2];
};

struct worker {
	struct handshake_env env;
	const struct config *config;
	struct policy *policy;
	int control;
	int handover;			/* where to send applications to */
	LIST_HEAD(client_list, client) clients;
	struct kernel_requests *kernel;	/* NULL: the kernel has none for this worker */
	struct flights flights;
	uint64_t served;		/* handshakes begun */
	unsigned int questions;		/* CONTROL_CGROUP, not answered yet */
	bool stopping;			/* applications are told */
	bool retiring;			/* applications are handed over */
};

/*
 * Serve until told to end, in a process forked for it. Returns the exit status of the
 * process.
 */
int worker_run(const struct config *config, const struct worker_fds *fds,
	       struct ticket_keyring *tickets);

/* To be called after a handshake has begun. */
void worker_handshake_begun(struct worker *worker);

/* To be called when a request or an application is gone: a worker that ends waits for 0. */
void worker_check_done(struct worker *worker);

/*
 * Ask the supervisor (CONTROL_CGROUP, CONTROL_RELOAD), which answers with the same @id;
 * client_answer() gets it. 0 or a negative errno.
 */
int worker_ask(struct worker *worker, uint32_t type, uint64_t id, int fd);

#endif
