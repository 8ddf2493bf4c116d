/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The applications that ask the kernel for a handshake (KEYBLOB_HANDSHAKE), as a worker
 * sees them.
 */
#ifndef KEYBLOBD_KERNEL_REQUESTS_H
#define KEYBLOBD_KERNEL_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"

/*
 * Take requests from @fd, from kernel_agent_socket(), which belongs to the callee from
 * here on, and is the only one for requests; @family is the number of the module's generic
 * netlink family.
 */
void kernel_requests_begin(struct worker *worker, int fd, uint16_t family);

/* Take no further requests, and do those that were taken. */
void kernel_requests_retire(struct worker *worker);

/* Whether nothing is left to do. */
bool kernel_requests_idle(const struct worker *worker);

/* Drop all that is under way. */
void kernel_requests_end(struct worker *worker);

#endif
