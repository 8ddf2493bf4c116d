/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The processes that were made from one configuration: signers and workers. A reload makes
 * a new generation beside the old one, which ends when the new one serves.
 */
#ifndef KEYBLOBD_GENERATION_H
#define KEYBLOBD_GENERATION_H

#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "child.h"
#include "config.h"
#include "kernel_agent.h"
#include "tickets.h"

struct generation;

/* The ticket keys of the generation that serves, and of one that is to take over. */
#define GENERATION_RINGS 2

/* What the supervisor has, and wants to hear. */
struct generation_env {
	struct event_base *base;
	int listen_fd;			/* -1: nobody can come, for a check */
	int handover[2];		/* see worker.h */
	struct ticket_keyring *rings;	/* GENERATION_RINGS of the supervisor; wiped in signers */
	struct ticket_keyring *tickets;	/* one of them, for workers */
	struct kernel_agent *kernel;	/* NULL: the kernel's requests are not served */
	/*
	 * Once: all serve (@fault is NULL), or why they cannot; then generation_kill() it. With
	 * @final, another try would harm: a token counts wrong PINs.
	 */
	void (*settled)(void *arg, struct generation *generation, const char *fault, bool final);
	/* A worker asks for what the supervisor alone can do; @fd is the callee's. */
	void (*asked)(void *arg, struct child *worker, const struct channel_message *question,
		      int fd);
	void *arg;
};

/* Start all processes. @config is the generation's from here on, failure included. NULL after
 * a message.
 */
struct generation *generation_start(const struct generation_env *env, struct config *config);

const struct config *generation_config(const struct generation *generation);

/* Workers hand their applications over, finish what is in flight, and end; then the signers. */
void generation_retire(struct generation *generation);

/* The same, but there is nobody to hand over to: applications are told. */
void generation_stop(struct generation *generation);

void generation_kill(struct generation *generation);

/* The process @pid of @generation (NULL: none), or NULL. */
struct child *generation_find(const struct generation *generation, pid_t pid);

/* Send to all workers. */
void generation_tell(struct generation *generation, const struct channel_message *message);

/* The module is there, again: its requests are for all workers that serve. */
void generation_connect_kernel(struct generation *generation);

/*
 * To be called every few seconds: asks workers whether they are alive. One that has not
 * answered several times, for whatever reason, is killed; another takes its place.
 */
void generation_watch(struct generation *generation);

/* A process has died. False: it was none of these. */
bool generation_reap(struct generation *generation, pid_t pid, int status);

/* No process is left. */
bool generation_ended(const struct generation *generation);
void generation_free(struct generation *generation);

#endif
