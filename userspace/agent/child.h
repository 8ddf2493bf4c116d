/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process of the agent's own, as the supervisor sees it: forked, with a control channel.
 */
#ifndef KEYBLOBD_CHILD_H
#define KEYBLOBD_CHILD_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>

#include "channel.h"

struct child;

/* What the child is to do; returns its exit status. @fds are those of struct start. */
typedef int (*child_main)(void *arg, int control, const int *fds);

/* A message from @child; @fd is the callee's, -1: none. */
typedef void (*child_told)(struct child *child, const struct channel_message *message, int fd);

struct child {
	LIST_ENTRY(child) link;
	pid_t pid;
	int control;
	struct event *readable;
	child_told told;
	void *owner;			/* of whoever forked it */
	unsigned int number;		/* among its like */
	bool is_signer;
	bool ready;			/* has told CONTROL_READY */
	bool retiring;			/* was told to, or is not wanted any more */
	long long started;		/* ms, CLOCK_MONOTONIC */
	unsigned int unanswered;	/* CONTROL_ALIVE, how many times */
	size_t counters;		/* its page */
};

#define CHILD_FDS_MAX 3

/* What to fork. */
struct start {
	const char *name;		/* for ps(1), at most 15 bytes */
	child_main main;
	void *arg;
	int fds[CHILD_FDS_MAX];		/* that it keeps; -1: none */
};

/*
 * Fork a child that does not outlive this process. It has no descriptors but the standard
 * ones, its control channel, those of @start and those that the log needs, and exits with
 * what @start->main returns. NULL after a message.
 */
struct child *child_fork(struct event_base *base, const struct start *start, child_told told);

/*
 * Send @message, and a copy of @fd unless that is -1. A child that does not take what it is
 * sent is killed: it is broken, and will be replaced.
 */
void child_send(struct child *child, const struct channel_message *message, int fd);

/* After it was reaped, and before child_free(): take what it sent before it ended. */
void child_hear_last_words(struct child *child);

/* After it was reaped, or to let go of one that ends by itself when its channel does. */
void child_free(struct child *child);

#endif
