/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel module's generic netlink family, as the supervisor sees it: it registers the
 * sockets by which workers take handshakes that applications ask the kernel for.
 */
#ifndef KEYBLOBD_KERNEL_AGENT_H
#define KEYBLOBD_KERNEL_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

struct kernel_agent;

/*
 * Look for the module, and be told when it comes, or comes again: then @came(@arg) is
 * called, and sockets of before are of no use any more. NULL after a message: out of
 * memory, or no generic netlink here.
 */
struct kernel_agent *kernel_agent_new(struct event_base *base, void (*came)(void *arg),
				      void *arg);
void kernel_agent_free(struct kernel_agent *agent);

/*
 * Whether applications may wait for an agent though no worker is there at the moment:
 * while this process serves them.
 */
void kernel_agent_serve(struct kernel_agent *agent, bool serve);

/*
 * A socket that may take requests, for one worker, and *@family, for messages on it. -1:
 * the module is not there, or lets this process register none; a message was logged when
 * that began. @agent may be NULL.
 */
int kernel_agent_socket(struct kernel_agent *agent, uint16_t *family);

#endif
