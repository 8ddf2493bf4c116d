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

/*
 * Pass all applications on to other workers, by worker->handover; their requests under way
 * are still answered. -1: not all of them could be passed now, try again.
 */
int client_hand_over_all(struct worker *worker);

/* The supervisor's answer to a worker_ask(). */
void client_answer(struct worker *worker, const struct channel_message *answer);

/* Drop all applications, with what they have in flight. */
void client_free_all(struct worker *worker);

#endif
