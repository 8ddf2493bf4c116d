/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One application's connection to the agent.
 */
#ifndef KEYBLOBD_CLIENT_H
#define KEYBLOBD_CLIENT_H

#include "worker.h"

/*
 * Serve the application at @fd, which belongs to the client from here on, until
 * it closes its end or breaks the protocol. -1: out of memory, @fd is closed.
 */
int client_new(struct worker *worker, int fd);

/* Drop all applications, with what they have in flight. */
void client_free_all(struct worker *worker);

#endif
