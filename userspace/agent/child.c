// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forking, and the supervisor's end of a child's control channel. Called by
 * generation.c, which owns the children.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "counters.h"
#include "keylog.h"
#include "log.h"

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Close all descriptors but the standard ones and @keep, which has -1 for those that are not. */
static int close_others(int *keep, size_t n)
{
	unsigned int from = STDERR_FILENO + 1;

	qsort(keep, n, sizeof(*keep), compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from && close_range(from, keep[i] - 1, 0))
			return -1;
		from = keep[i] + 1;
	}
	return close_range(from, ~0U, 0);
}

static __attribute__((noreturn)) void run(const struct start *start, pid_t parent, int control,
					  size_t page)
{
	int keep[CHILD_FDS_MAX + 3] = { control, log_descriptor(), keylog_descriptor() };

	memcpy(keep + 3, start->fds, sizeof(start->fds));
	prctl(PR_SET_NAME, start->name);
	log_capture(NULL, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    close_others(keep, sizeof(keep) / sizeof(*keep))) {
		log_error("a process of the agent cannot start: %m");
		_exit(1);
	}
	counters_use(page);
	exit(start->main(start->arg, control, start->fds));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel_message message;
	struct child *child = arg;
	int ret, passed;

	(void)what;
	ret = channel_receive(fd, &message, &passed);
	if (ret == -EAGAIN)
		return;
	if (ret <= 0) {			/* its death is told by a signal */
		event_del(child->readable);
		return;
	}
	child->told(child, &message, passed);
}

void child_hear_last_words(struct child *child)
{
	struct channel_message message;
	int passed;

	while (channel_receive(child->control, &message, &passed) == 1)
		child->told(child, &message, passed);
}

struct child *child_fork(struct event_base *base, const struct start *start, child_told told)
{
	struct child *child = calloc(1, sizeof(*child));
	int channel[2] = { -1, -1 };
	pid_t parent = getpid();
	int err;

	if (!child)
		goto err_tell;
	err = channel_pair(channel);
	if (err) {
		errno = -err;
		goto err_tell;
	}
	child->control = channel[0];
	child->told = told;
	child->started = now_ms();
	child->readable = event_new(base, channel[0], EV_READ | EV_PERSIST, on_readable, child);
	if (!child->readable || event_add(child->readable, NULL))
		goto err_tell;

	child->counters = counters_reserve();
	child->pid = fork();
	if (!child->pid)
		run(start, parent, channel[1], child->counters);
	close(channel[1]);
	if (child->pid > 0)
		return child;
	log_error("cannot fork: %m");
	child_free(child);
	return NULL;

err_tell:
	log_error("cannot start a process: %m");
	if (child && child->readable)
		event_free(child->readable);
	if (channel[0] >= 0) {
		close(channel[0]);
		close(channel[1]);
	}
	free(child);
	return NULL;
}

void child_send(struct child *child, const struct channel_message *message, int fd)
{
	int err = channel_send(child->control, message, fd);

	/* EPIPE: dead or dying. */
	if (!err || err == -EPIPE || err == -ECONNRESET)
		return;
	log_error("process %d takes no messages (%s), killing it", (int)child->pid, strerror(-err));
	kill(child->pid, SIGKILL);
}

void child_free(struct child *child)
{
	event_free(child->readable);
	close(child->control);
	counters_release(child->counters);
	free(child);
}
