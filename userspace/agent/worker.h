/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that serves applications: one event loop, many handshakes.
 */
#ifndef KEYBLOBD_WORKER_H
#define KEYBLOBD_WORKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "context.h"
#include "handshake.h"
#include "options.h"

struct client;

struct worker {
	struct handshake_env env;
	LIST_HEAD(client_list, client) clients;
	unsigned int in_flight;		/* handshakes */
	unsigned int max_in_flight;
	bool stopping;
};

/*
 * Serve until SIGTERM, in a process forked for it; @listen_fd is shared with other
 * workers. Returns the exit status of the process.
 */
int worker_run(const struct options *options, int listen_fd, struct ticket_keys *tickets);

/* To be called after worker->in_flight has shrunk: a worker that stops waits for 0. */
void worker_handshake_ended(struct worker *worker);

#endif
