// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event loop of a worker: accepts applications, and stops when told to.
 * Called by the supervisor in the forked process; owns everything in it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "memory.h"
#include "worker.h"

/* Out of descriptors: until some are free, do not look at the listening socket. */
static const struct timeval accept_pause = { 0, 100000 };

/* For what is already on its way to or from applications when all else is done. */
static const struct timeval stop_grace = { 0, 100000 };

/* While stopping, connections taken from the backlog, to be told so. */
#define STOP_ACCEPT_MAX 1000

struct server {
	struct worker worker;
	struct identities identities;
	int listen_fd;
	int signal_fd;
	bool full;		/* accept() failed last time for lack of something */
	struct event *acceptable;
	struct event *resume;
	struct event *signalled;
};

/* Returns false if there is no (further) connection to take now. */
static bool accept_one(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		s->full = false;
		if (client_new(&s->worker, fd))
			log_notice("an application was turned away: out of memory");
		return true;
	}
	/* EAGAIN: another worker was faster. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		if (!s->full)
			log_notice("cannot accept applications for the moment: %m");
		s->full = true;
		event_del(s->acceptable);
		event_add(s->resume, &accept_pause);
	}
	return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_one(arg);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd;
	(void)what;
	event_add(s->acceptable, NULL);
}

void worker_handshake_ended(struct worker *worker)
{
	if (worker->stopping && !worker->in_flight)
		event_base_loopexit(worker->env.base, &stop_grace);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;
	struct server *s = arg;

	(void)what;
	if (read(fd, &info, sizeof(info)) != sizeof(info) || s->worker.stopping)
		return;

	/* Who waits in the backlog is told, rather than reset. */
	s->worker.stopping = true;
	for (int i = 0; i < STOP_ACCEPT_MAX && accept_one(s); i++)
		;
	event_del(s->acceptable);
	event_del(s->resume);
	close(s->listen_fd);
	s->listen_fd = -1;
	worker_handshake_ended(&s->worker);
}

static int open_signals(void)
{
	sigset_t set;

	/* SIGINT from a terminal reaches all of the group: the supervisor decides. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int set_up(struct server *s, const struct options *options, struct ticket_keys *tickets)
{
	struct event_base *base;

	if (identities_load(&s->identities, options))
		return -1;
	s->worker.env.ctx = context_new(options, &s->identities, tickets);
	explicit_bzero(tickets, sizeof(*tickets));
	if (!s->worker.env.ctx)
		return -1;
	handshake_install(s->worker.env.ctx);

	base = event_base_new();
	if (!base)
		goto err;
	s->worker.env.base = base;
	s->signal_fd = open_signals();
	if (s->signal_fd < 0)
		goto err;
	s->acceptable = event_new(base, s->listen_fd, EV_READ | EV_PERSIST, on_acceptable, s);
	s->resume = evtimer_new(base, on_resume, s);
	s->signalled = event_new(base, s->signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	if (!s->acceptable || !s->resume || !s->signalled || event_add(s->acceptable, NULL) ||
	    event_add(s->signalled, NULL))
		goto err;
	return 0;
err:
	log_error("a worker cannot start: %m");
	return -1;
}

static void event_free_any(struct event *event)
{
	if (event)
		event_free(event);
}

static void tear_down(struct server *s)
{
	client_free_all(&s->worker);
	event_free_any(s->acceptable);
	event_free_any(s->resume);
	event_free_any(s->signalled);
	if (s->worker.env.base)
		event_base_free(s->worker.env.base);
	libevent_global_shutdown();
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	SSL_CTX_free(s->worker.env.ctx);
	identities_free(&s->identities);
}

int worker_run(const struct options *options, int listen_fd, struct ticket_keys *tickets)
{
	struct server s = {
		.worker.env.timeout_ms = options->timeout_ms,
		.worker.max_in_flight = options->max_handshakes,
		.listen_fd = listen_fd,
		.signal_fd = -1,
	};
	int status = 1;

	LIST_INIT(&s.worker.clients);
	memory_lock();
	if (!set_up(&s, options, tickets)) {
		event_base_dispatch(s.worker.env.base);
		status = s.worker.stopping ? 0 : 1;
	}
	tear_down(&s);
	memory_scrub_stack();
	return status;
}
