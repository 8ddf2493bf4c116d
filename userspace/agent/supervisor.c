// SPDX-License-Identifier: GPL-2.0-only
/*
 * The supervisor: listens, starts a generation of processes, replaces it by another one
 * on a reload, does for workers what they have no power for, and stops. Called by main. It
 * loads no key and parses no certificate: signers and workers do, each for itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "account.h"
#include "cgroup.h"
#include "clock.h"
#include "confine.h"
#include "counters.h"
#include "descriptor.h"
#include "generation.h"
#include "kernel_agent.h"
#include "listener.h"
#include "log.h"
#include "memory.h"
#include "seal.h"
#include "service.h"
#include "supervisor.h"
#include "worker.h"

/* What a worker may take to exit, beyond the handshakes in flight. */
#define STOP_SLACK_MS		3000

/* Generations that still finish handshakes; a reload waits until there are fewer. */
#define ENDING_MAX		2

/* Reloads asked for by applications and not answered yet. */
#define ASKERS_MAX		64

/* How often workers are asked whether they are alive. */
static const struct timeval pulse_period = { 3, 0 };

#define FAULT_MAX		4096	/* bytes of text that say why a reload failed */

struct asker {
	pid_t worker;
	uint64_t id;
};

struct supervisor {
	struct options *options;
	struct event_base *base;
	struct generation_env env;
	struct listener listener;
	struct event *signalled, *rotation, *watchdog, *deadline, *pulse;
	int signal_fd;

	struct ticket_keyring rings[GENERATION_RINGS];	/* the current one's, and a reload's */
	unsigned int ring;		/* which is the current one */

	struct generation *current, *next;
	struct generation *ending[ENDING_MAX + 2];
	bool serving;			/* the first generation has come up */
	bool stopping;
	bool reload_wanted;
	struct asker askers[ASKERS_MAX];	/* of the reload under way, then of the next one */
	size_t n_asking, n_waiting;
	int status;
};

/*
 * Generations that end.
 */

static size_t count_ending(const struct supervisor *s)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(s->ending) / sizeof(*s->ending); i++)
		n += s->ending[i] != NULL;
	return n;
}

static void let_end(struct supervisor *s, struct generation *g)
{
	for (size_t i = 0; i < sizeof(s->ending) / sizeof(*s->ending); i++) {
		if (s->ending[i])
			continue;
		s->ending[i] = g;
		return;
	}
}

static void start_reload(struct supervisor *s);

static void sweep(struct supervisor *s)
{
	for (size_t i = 0; i < sizeof(s->ending) / sizeof(*s->ending); i++) {
		if (!s->ending[i] || !generation_ended(s->ending[i]))
			continue;
		generation_free(s->ending[i]);
		s->ending[i] = NULL;
	}
	if (s->stopping && !count_ending(s))
		event_base_loopbreak(s->base);
	start_reload(s);
}

/*
 * Reload.
 */

static void answer_askers(struct supervisor *s, const char *fault)
{
	struct channel_message answer = { .type = CONTROL_RELOAD };

	if (fault)
		channel_set_text(&answer, fault);
	for (size_t i = 0; i < s->n_asking; i++) {
		struct child *worker = generation_find(s->current, s->askers[i].worker);

		answer.id = s->askers[i].id;
		for (size_t j = 0; !worker && j < sizeof(s->ending) / sizeof(*s->ending); j++)
			if (s->ending[j])
				worker = generation_find(s->ending[j], s->askers[i].worker);
		if (worker)
			child_send(worker, &answer, -1);
	}
	memmove(s->askers, s->askers + s->n_asking, s->n_waiting * sizeof(*s->askers));
	s->n_asking = 0;
}

static void reload_failed(struct supervisor *s, const char *fault)
{
	explicit_bzero(&s->rings[!s->ring], sizeof(s->rings[!s->ring]));
	log_error("reload failed, the old configuration stays in use");
	count_up(COUNT_RELOADS_FAILED);
	service_status("the last reload failed");
	service_ready();
	answer_askers(s, fault);
}

/* The ring for the next generation; -1 after a message. */
static int prepare_ring(struct supervisor *s, const struct config *config)
{
	struct ticket_keyring *next = &s->rings[!s->ring];

	if (config->ticket_keys.count || !s->current ||
	    generation_config(s->current)->ticket_keys.count)
		return tickets_load(next, config);
	*next = s->rings[s->ring];
	return 0;
}

/* Read the configuration anew and start its processes; NULL after messages. */
static struct generation *make_next(struct supervisor *s)
{
	struct config config;

	if (options_parse(s->options, &config) >= 0) {
		config_free(&config);
		return NULL;
	}
	if (prepare_ring(s, &config)) {
		config_free(&config);
		return NULL;
	}
	s->env.tickets = &s->rings[!s->ring];
	return generation_start(&s->env, &config);
}

static void start_reload(struct supervisor *s)
{
	char fault[FAULT_MAX] = "";

	if (!s->reload_wanted || s->next || s->stopping || !s->serving ||
	    count_ending(s) >= ENDING_MAX)
		return;
	s->reload_wanted = false;
	s->n_asking = s->n_waiting;
	s->n_waiting = 0;
	service_reloading();

	log_capture(fault, sizeof(fault));
	s->next = make_next(s);
	log_capture(NULL, 0);
	if (!s->next)
		reload_failed(s, fault);
}

static void schedule_rotation(struct supervisor *s)
{
	const struct timeval delay = { tickets_rotation(generation_config(s->current)), 0 };

	event_del(s->rotation);
	if (delay.tv_sec)
		event_add(s->rotation, &delay);
}

static void swap(struct supervisor *s)
{
	struct generation *old = s->current;

	s->current = s->next;
	s->next = NULL;
	explicit_bzero(&s->rings[s->ring], sizeof(s->rings[s->ring]));
	s->ring = !s->ring;
	schedule_rotation(s);
	kernel_agent_serve(s->env.kernel, generation_config(s->current)->kernel_requests);
	if (!old)
		return;
	let_end(s, old);
	count_up(COUNT_RELOADS);
	log_notice("the configuration was reloaded");
	answer_askers(s, NULL);
	generation_retire(old);
}

static void on_settled(void *arg, struct generation *g, const char *fault, bool final)
{
	struct supervisor *s = arg;

	s->next = g;
	if (fault || s->options->check) {
		s->next = NULL;
		let_end(s, g);
		generation_kill(g);
		if (s->serving)
			reload_failed(s, fault);
		s->stopping = s->stopping || !s->serving;
		s->status = s->serving || !fault ? 0 : final ? EX_NOPERM : 1;
		return;
	}
	swap(s);
	if (!s->serving) {
		log_ready(s->listener.path, generation_config(s->current)->workers);
		s->serving = true;
		s->status = 0;
	}
	service_status("%u workers", generation_config(s->current)->workers);
	service_ready();
	start_reload(s);		/* who asked meanwhile may have no child to wait for */
}

/*
 * What workers ask for.
 */

static void tell_cgroup(struct child *worker, const struct channel_message *question, int fd)
{
	struct channel_message answer = { .type = CONTROL_CGROUP, .id = question->id };

	/* Without a path no rule about cgroups allows anything. No descriptor: no room for one. */
	if (fd >= 0 && !cgroup_of_peer(fd, (char *)answer.data, sizeof(answer.data)))
		answer.len = strlen((char *)answer.data);
	child_send(worker, &answer, -1);
}

static void refuse_asker(struct child *worker, uint64_t id)
{
	struct channel_message answer = { .type = CONTROL_RELOAD, .id = id };

	channel_set_text(&answer, "too many have asked for a reload; try again later");
	child_send(worker, &answer, -1);
}

static void note_asker(struct supervisor *s, struct child *worker, uint64_t id)
{
	if (s->n_asking + s->n_waiting == ASKERS_MAX) {
		refuse_asker(worker, id);
		return;
	}
	s->askers[s->n_asking + s->n_waiting++] = (struct asker){ worker->pid, id };
	s->reload_wanted = true;
	start_reload(s);
}

static void on_asked(void *arg, struct child *worker, const struct channel_message *question,
		     int fd)
{
	struct supervisor *s = arg;

	if (question->type == CONTROL_CGROUP)
		tell_cgroup(worker, question, fd);
	else if (question->type == CONTROL_RELOAD)
		note_asker(s, worker, question->id);
	if (fd >= 0)
		descriptor_close(fd);
}

/*
 * Events.
 */

static void on_rotation(evutil_socket_t fd, short what, void *arg)
{
	struct channel_message message = { .type = CONTROL_TICKET_KEYS };
	struct supervisor *s = arg;
	struct ticket_keyring *ring = &s->rings[s->ring];

	(void)fd;
	(void)what;
	_Static_assert(sizeof(*ring) <= sizeof(message.data), "a keyring fits a message");
	/* A generation in the making has a copy of the ring: not under its feet. */
	if (!s->next && !tickets_rotate(ring)) {
		message.len = sizeof(*ring);
		memcpy(message.data, ring, sizeof(*ring));
		generation_tell(s->current, &message);
		explicit_bzero(&message, sizeof(message));
	}
	schedule_rotation(s);
}

/* The module was loaded after this process was started, or anew. */
static void on_module(void *arg)
{
	struct supervisor *s = arg;

	if (s->current)
		generation_connect_kernel(s->current);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	service_alive();
}

static void on_pulse(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)fd;
	(void)what;
	if (s->current)
		generation_watch(s->current);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		bool found = s->current && generation_reap(s->current, pid, status);

		if (WIFSIGNALED(status))
			count_up(COUNT_WORKERS_DIED);
		found = found || (s->next && generation_reap(s->next, pid, status));
		for (size_t i = 0; !found && i < sizeof(s->ending) / sizeof(*s->ending); i++)
			found = s->ending[i] && generation_reap(s->ending[i], pid, status);
	}
	sweep(s);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)fd;
	(void)what;
	log_error("workers do not stop, killing them");
	for (size_t i = 0; i < sizeof(s->ending) / sizeof(*s->ending); i++)
		if (s->ending[i])
			generation_kill(s->ending[i]);
}

/* Workers finish the handshakes that are in flight; each of these has a timeout. */
static void stop(struct supervisor *s)
{
	struct timeval limit;
	long long ms = STOP_SLACK_MS;

	if (s->stopping)
		return;
	log_notice("stopping");
	service_stopping();
	s->stopping = true;
	event_del(s->rotation);
	listener_close(&s->listener);
	kernel_agent_serve(s->env.kernel, false);
	if (s->next) {
		let_end(s, s->next);
		generation_kill(s->next);
		s->next = NULL;
	}
	if (s->current) {
		ms += generation_config(s->current)->timeout_ms;
		let_end(s, s->current);
		s->current = NULL;
	}
	for (size_t i = 0; i < sizeof(s->ending) / sizeof(*s->ending); i++)
		if (s->ending[i])
			generation_stop(s->ending[i]);
	limit = ms_to_timeval(ms);
	event_add(s->deadline, &limit);
	sweep(s);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;
	struct supervisor *s = arg;

	(void)what;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap(s);
		break;
	case SIGHUP:
		s->reload_wanted = true;
		start_reload(s);
		break;
	default:
		stop(s);
	}
}

/*
 * Start and stop.
 */

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Descriptors for many applications; and memory that stays locked when root is given up. */
static void raise_limits(void)
{
	const struct rlimit infinity = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	setrlimit(RLIMIT_MEMLOCK, &infinity);
}

static int set_up(struct supervisor *s)
{
	const struct timeval alive = ms_to_timeval(service_watchdog_ms());

	raise_limits();
	if (!s->options->check) {
		confine_survey();
		seal_load();
	}
	s->signal_fd = block_signals();
	s->base = event_base_new();
	if (s->signal_fd < 0 || !s->base || channel_pair(s->env.handover) ||
	    counters_init() || descriptor_init())
		goto err;
	if (!s->options->check)
		s->env.kernel = kernel_agent_new(s->base, on_module, s);
	s->signalled = event_new(s->base, s->signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	s->rotation = evtimer_new(s->base, on_rotation, s);
	s->deadline = evtimer_new(s->base, on_deadline, s);
	s->watchdog = event_new(s->base, -1, EV_PERSIST, on_watchdog, s);
	s->pulse = event_new(s->base, -1, EV_PERSIST, on_pulse, s);
	if (!s->signalled || !s->rotation || !s->deadline || !s->watchdog || !s->pulse ||
	    event_add(s->signalled, NULL) || event_add(s->pulse, &pulse_period))
		goto err;
	if (evutil_timerisset(&alive) && event_add(s->watchdog, &alive))
		goto err;
	return 0;
err:
	log_error("cannot start: %m");
	return -1;
}

static int open_listener(struct supervisor *s, const struct config *config)
{
	int fd = service_listen_fd();
	gid_t group = -1;

	if (s->options->check)
		return 0;
	if (config->group.value && account_group(&config->group, &group))
		return -1;
	if (fd == -ENOENT)
		return listener_open(&s->listener, config->listen, config->mode, group);
	return fd < 0 ? -1 : listener_adopt(&s->listener, fd);
}

static void event_free_any(struct event *event)
{
	if (event)
		event_free(event);
}

static void tear_down(struct supervisor *s)
{
	explicit_bzero(s->rings, sizeof(s->rings));
	listener_close(&s->listener);
	kernel_agent_free(s->env.kernel);
	event_free_any(s->signalled);
	event_free_any(s->rotation);
	event_free_any(s->deadline);
	event_free_any(s->watchdog);
	event_free_any(s->pulse);
	if (s->base)
		event_base_free(s->base);
	libevent_global_shutdown();
}

int supervisor_run(struct options *options, struct config *config)
{
	struct supervisor s = {
		.options = options,
		.listener.fd = -1,
		.env.settled = on_settled,
		.env.asked = on_asked,
		.status = 1,
	};

	/* PINs and keys of tickets. */
	memory_lock();
	s.env.arg = &s;
	if (set_up(&s) || prepare_ring(&s, config) || open_listener(&s, config))
		goto out;
	s.env.base = s.base;
	s.env.listen_fd = s.listener.fd;
	s.env.rings = s.rings;
	s.env.tickets = &s.rings[!s.ring];
	s.next = generation_start(&s.env, config);
	if (s.next)
		event_base_dispatch(s.base);
out:
	tear_down(&s);
	return s.status;
}
