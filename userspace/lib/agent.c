// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handle that an application holds: its life, its error text, the
 * descriptor for event loops, and what becomes of it after fork(2).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent.h"

#define OPEN_TIMEOUT_MS	5000

/* For keyblob_agent_error(NULL): a failed open leaves no handle to ask. */
static __thread char open_error[KB_ERROR_MAX];

/* Note what went wrong, in words; %m says @err. Returns @err, a negative errno. */
int kb_fail(struct keyblob_agent *agent, int err, const char *format, ...)
{
	va_list args;

	agent->failure.alert = KB_NO_ALERT;
	va_start(args, format);
	errno = -err;
	vsnprintf(agent->failure.text, sizeof(agent->failure.text), format, args);
	va_end(args);
	return err;
}

static int set_address(struct keyblob_agent *agent, const char *path)
{
	size_t len;

	if (!path)
		path = secure_getenv("KEYBLOB_AGENT");
	if (!path || !*path)
		path = KEYBLOB_AGENT_PATH;

	len = strlen(path);
	if (len >= sizeof(agent->address.sun_path))
		return kb_fail(agent, -ENAMETOOLONG, "keyblob agent at %.200s: %m", path);
	agent->address.sun_family = AF_UNIX;
	memcpy(agent->address.sun_path, path, len + 1);
	return 0;
}

int keyblob_agent_open(const char *path, struct keyblob_agent **result)
{
	struct keyblob_agent *agent;
	int err;

	*result = NULL;
	agent = calloc(1, sizeof(*agent));
	if (!agent) {
		snprintf(open_error, sizeof(open_error), "keyblob agent: %m");
		return -ENOMEM;
	}
	agent->pid = getpid();
	agent->socket = -1;
	agent->epoll = -1;
	agent->timer = -1;
	agent->done_tail = &agent->done_head;
	agent->failure.alert = KB_NO_ALERT;

	err = set_address(agent, path);
	if (!err)
		err = kb_connect(agent, kb_deadline(OPEN_TIMEOUT_MS));
	if (err) {
		memcpy(open_error, agent->failure.text, sizeof(open_error));
		free(agent);
		return err;
	}
	*result = agent;
	return 0;
}

static void close_descriptor(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void let_go(struct keyblob_agent *agent)
{
	/* The epoll instance may be shared with the parent: close, change nothing. */
	close_descriptor(&agent->epoll);
	close_descriptor(&agent->timer);
	close_descriptor(&agent->socket);
	agent->wake = 0;
	agent->retry = 0;
	kb_requests_forget(agent);
}

/*
 * Each call begins with this. In a forked child, connection and requests are the
 * parent's: replies read here would be missing there. So the child starts anew.
 */
void kb_agent_own(struct keyblob_agent *agent)
{
	pid_t pid = getpid();

	if (agent->pid == pid)
		return;
	let_go(agent);
	agent->pid = pid;
}

void keyblob_agent_close(struct keyblob_agent *agent)
{
	if (!agent)
		return;
	/* The agent cancels the requests of a connection that ends. */
	let_go(agent);
	free(agent);
}

const char *keyblob_agent_error(const struct keyblob_agent *agent)
{
	const char *text = agent ? agent->failure.text : open_error;

	return *text ? text : "no error";
}

int keyblob_agent_alert(const struct keyblob_agent *agent, int *sent)
{
	if (agent->failure.alert == KB_NO_ALERT)
		return -ENOENT;
	if (sent)
		*sent = agent->failure.alert_sent;
	return agent->failure.alert;
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/*
 * An epoll instance is readable when one of its descriptors is. It holds the
 * connection, whichever that is at the moment, and a timer that expires when there is
 * something to do that the connection does not show.
 */
int keyblob_agent_fd(struct keyblob_agent *agent)
{
	int err;

	kb_agent_own(agent);
	if (agent->epoll >= 0)
		return agent->epoll;

	agent->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (agent->epoll < 0)
		goto err_fail;
	agent->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (agent->timer < 0)
		goto err_fail;
	if (watch(agent->epoll, agent->timer) < 0)
		goto err_fail;
	if (agent->socket >= 0 && watch(agent->epoll, agent->socket) < 0)
		goto err_fail;
	kb_agent_set_wake(agent);
	return agent->epoll;

err_fail:
	err = kb_fail(agent, -errno, "cannot make a descriptor for the event loop: %m");
	close_descriptor(&agent->timer);
	close_descriptor(&agent->epoll);
	return err;
}

/*
 * Each call that changes the requests under way or the queue of the done, or may have to
 * be tried again, ends with this.
 */
void kb_agent_set_wake(struct keyblob_agent *agent)
{
	kb_deadline_t wake = agent->expiry;
	struct itimerspec when = { 0 };

	if (agent->epoll < 0)
		return;

	if (agent->retry && (!wake || agent->retry < wake))
		wake = agent->retry;
	if (agent->done_head)
		wake = 1;	/* long ago */
	if (wake == agent->wake)
		return;
	agent->wake = wake;
	when.it_value.tv_sec = wake / 1000;
	when.it_value.tv_nsec = wake % 1000 * 1000000;
	timerfd_settime(agent->timer, TFD_TIMER_ABSTIME, &when, NULL);
}
