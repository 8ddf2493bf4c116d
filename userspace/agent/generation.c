// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting, connecting, replacing and ending the processes of one configuration. Called by
 * supervisor.c. Each place (a signer's number, a worker's number) has one process that
 * serves, and for a while may have another: one that retires, or one that gets ready to
 * take over.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "descriptor.h"
#include "generation.h"
#include "log.h"
#include "signer.h"
#include "worker.h"

/*
 * A process that dies is replaced at once if it had served for STEADY_MS, else after a
 * delay that doubles from the first to the second of these.
 */
#define STEADY_MS	5000
#define DELAY_MIN_MS	100
#define DELAY_MAX_MS	10000

/* What all processes together may take to get ready: a token may be slow. */
static const struct timeval start_timeout = { 60, 0 };

/*
 * A worker is not waited for that has not answered so many times. Times, not seconds: the
 * supervisor may have been kept from listening.
 */
#define UNANSWERED_MAX	4

/* What a generation that retires may take, beyond what handshakes in flight may: ms. */
#define RETIRE_MS	10000

enum phase { STARTING, SERVING, ENDING };

struct place {
	struct generation *generation;
	unsigned int number;
	bool is_signer;
	struct child *child;	/* NULL: it died */
	struct child *next;	/* gets ready to take over; workers alone */
	unsigned int delay;	/* ms, before the next one is started */
	struct event *restart;
};

struct generation {
	struct generation_env env;
	struct config config;
	enum phase phase;
	bool stopping;		/* nobody to hand over to */
	bool all_started;	/* not only the first of each kind */
	char fault[4096];	/* why it cannot serve, lines of text; "": no reason yet */
	bool final;
	struct event *timeout;	/* of the start, then of the end */
	struct place *places;	/* the signers, then the workers */
	unsigned int n_signers, n_places;
	LIST_HEAD(, child) children;
};

static void note_fault(struct generation *g, const char *fault)
{
	size_t len = strlen(g->fault);

	if (g->phase == STARTING && !strstr(g->fault, fault))
		snprintf(g->fault + len, sizeof(g->fault) - len, "%s%s", len ? "\n" : "", fault);
}

/* Give @worker, which serves, a netlink socket of its own. */
static void connect_kernel(struct generation *g, struct child *worker)
{
	struct channel_message message = { .type = CONTROL_KERNEL };
	uint16_t family;
	int fd;

	if (!g->config.kernel_requests)
		return;
	fd = kernel_agent_socket(g->env.kernel, &family);
	if (fd < 0)
		return;
	message.id = family;
	child_send(worker, &message, fd);
	close(fd);
}

static void tell_to_serve(struct generation *g, struct child *child)
{
	const struct channel_message serve = { .type = CONTROL_SERVE };

	if (child->is_signer || child->retiring)
		return;
	child_send(child, &serve, -1);
	connect_kernel(g, child);
}

void generation_connect_kernel(struct generation *g)
{
	struct child *child;

	LIST_FOREACH(child, &g->children, link)
		if (!child->is_signer && !child->retiring && child->ready)
			connect_kernel(g, child);
}

/* Workers begin when all are ready: what they have begun is not to be broken off. */
static void settle(struct generation *g)
{
	struct child *child;

	g->phase = *g->fault ? ENDING : SERVING;
	event_del(g->timeout);
	g->env.settled(g->env.arg, g, *g->fault ? g->fault : NULL, g->final);
	if (g->phase == SERVING)
		LIST_FOREACH(child, &g->children, link)
			tell_to_serve(g, child);
}

/*
 * Starting.
 */

/* PINs are for the signer @but alone; NO_SIGNER: for nobody here. */
#define NO_SIGNER (~0U)

static void forget_pins(struct config *config, unsigned int but)
{
	for (size_t i = 0; i < config->n_identities; i++)
		if (signer_of_identity(config, i) != but)
			config_forget_pin(&config->identities[i].key);
}

static int run_signer(void *arg, int control, const int *fds)
{
	struct place *place = arg;
	struct generation *g = place->generation;

	(void)fds;
	explicit_bzero(g->env.rings, GENERATION_RINGS * sizeof(*g->env.rings));
	forget_pins(&g->config, place->number);
	return signer_run(&g->config, place->number, control, g->phase != STARTING);
}

static int run_worker(void *arg, int control, const int *fds)
{
	struct place *place = arg;
	struct generation *g = place->generation;
	const struct worker_fds worker_fds = { fds[0], control, { fds[1], fds[2] } };

	forget_pins(&g->config, NO_SIGNER);
	return worker_run(&g->config, &worker_fds, g->env.tickets);
}

static void on_told(struct child *child, const struct channel_message *message, int fd);

/* Give @worker a channel to @signer. */
static void connect_to(struct child *worker, struct child *signer)
{
	struct channel_message message = { .type = CONTROL_CHANNEL, .id = signer->number };
	int channel[2];

	if (channel_pair(channel)) {
		log_error("no channel between worker and signer: %m");
		kill(worker->pid, SIGKILL);	/* the next one may have more luck */
		return;
	}
	child_send(signer, &message, channel[0]);
	child_send(worker, &message, channel[1]);
	close(channel[0]);
	close(channel[1]);
}

static struct child *start(struct place *place)
{
	struct generation *g = place->generation;
	const struct generation_env *env = &g->env;
	const struct start signer = { "keyblobd-signer", run_signer, place, { -1, -1, -1 } };
	const struct start worker = {
		"keyblobd-worker", run_worker, place,
		{ env->listen_fd, env->handover[0], env->handover[1] },
	};
	struct child *child, *other;

	child = child_fork(env->base, place->is_signer ? &signer : &worker, on_told);
	if (!child)
		return NULL;
	child->owner = place;
	child->number = place->number;
	child->is_signer = place->is_signer;
	LIST_FOREACH(other, &g->children, link) {
		if (other->is_signer == child->is_signer)
			continue;
		connect_to(child->is_signer ? other : child, child->is_signer ? child : other);
	}
	LIST_INSERT_HEAD(&g->children, child, link);
	return child;
}

static int start_places(struct generation *g, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		g->places[i].child = start(&g->places[i]);
		if (!g->places[i].child)
			return -1;
	}
	return 0;
}

/*
 * The signers and the first worker find all faults that there are; then come the others.
 * Who is there is ready, or has said why not.
 */
static void check_settled(struct generation *g)
{
	unsigned int n = g->all_started ? g->n_places : g->n_signers + 1;

	if (g->phase != STARTING)
		return;
	for (unsigned int i = 0; i < n; i++)
		if (g->places[i].child && !g->places[i].child->ready)
			return;
	if (!*g->fault && !g->all_started) {
		g->all_started = true;
		if (!start_places(g, n, g->n_places) && n < g->n_places)
			return;
		if (n < g->n_places)
			note_fault(g, "a process cannot be started");
	}
	settle(g);
}

static void restart_later(struct place *place, unsigned int ms)
{
	const struct timeval delay = ms_to_timeval(ms);

	event_add(place->restart, &delay);
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct place *place = arg;

	(void)fd;
	(void)what;
	place->child = start(place);
	if (!place->child)
		restart_later(place, DELAY_MAX_MS);
}

/* A worker has served enough: another one gets ready, then takes its place. */
static void replace(struct place *place, struct child *child)
{
	if (place->generation->phase == SERVING && place->child == child && !place->next)
		place->next = start(place);
}

static void retire_child(struct child *child)
{
	const struct channel_message retire = { .type = CONTROL_RETIRE };

	child->retiring = true;
	child_send(child, &retire, -1);
}

static void take_over(struct place *place)
{
	struct child *old = place->child;

	place->child = place->next;
	place->next = NULL;
	if (old)
		retire_child(old);
}

static void take_fault(struct generation *g, const struct channel_message *message)
{
	char text[CHANNEL_DATA_MAX + 1];
	size_t len = message->len;

	memcpy(text, message->data, len);
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = 0;
	note_fault(g, len ? text : "a process cannot be set up");
	g->final = g->final || message->id == EKEYREJECTED;
}

static void on_told(struct child *child, const struct channel_message *message, int fd)
{
	struct place *place = child->owner;
	struct generation *g = place->generation;

	switch (message->type) {
	case CONTROL_READY:
		child->ready = true;
		if (g->phase == SERVING)
			tell_to_serve(g, child);
		if (child == place->next)
			take_over(place);
		check_settled(g);
		break;
	case CONTROL_FAULT:
		take_fault(g, message);
		child->ready = true;
		check_settled(g);
		break;
	case CONTROL_RETIRE:
		replace(place, child);
		break;
	case CONTROL_ALIVE:
		child->unanswered = 0;
		break;
	default:
		if (!child->is_signer) {
			g->env.asked(g->env.arg, child, message, fd);
			return;
		}
	}
	if (fd >= 0)
		descriptor_close(fd);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct generation *g = arg;

	(void)fd;
	(void)what;
	if (g->phase == ENDING) {
		log_error("processes of the former configuration do not end, killing them");
		generation_kill(g);
		return;
	}
	note_fault(g, "its processes do not get ready");
	settle(g);
}

struct generation *generation_start(const struct generation_env *env, struct config *config)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g) {
		log_error("out of memory");
		config_free(config);
		return NULL;
	}
	g->env = *env;
	g->config = *config;
	*config = (struct config){ 0 };
	LIST_INIT(&g->children);
	g->n_signers = signer_count(&g->config);
	g->n_places = g->n_signers + g->config.workers;
	g->places = calloc(g->n_places, sizeof(*g->places));
	g->timeout = evtimer_new(env->base, on_timeout, g);
	if (!g->places || !g->timeout || event_add(g->timeout, &start_timeout))
		goto err;

	for (unsigned int i = 0; i < g->n_places; i++) {
		struct place *place = &g->places[i];

		place->generation = g;
		place->is_signer = i < g->n_signers;
		place->number = place->is_signer ? i : i - g->n_signers;
		place->restart = evtimer_new(env->base, on_restart, place);
		if (!place->restart)
			goto err;
	}
	if (!start_places(g, 0, g->n_signers + 1))
		return g;
err:
	generation_kill(g);
	while (!LIST_EMPTY(&g->children)) {
		struct child *child = LIST_FIRST(&g->children);

		waitpid(child->pid, NULL, 0);
		LIST_REMOVE(child, link);
		child_free(child);
	}
	generation_free(g);
	return NULL;
}

const struct config *generation_config(const struct generation *generation)
{
	return &generation->config;
}

/*
 * Ending.
 */

/* Without workers there is nothing to sign; a signer ends with its channel. */
static void end_signers_if_idle(struct generation *g)
{
	struct child *child;

	if (g->phase != ENDING)
		return;
	LIST_FOREACH(child, &g->children, link)
		if (!child->is_signer)
			return;
	LIST_FOREACH(child, &g->children, link) {
		child->retiring = true;
		shutdown(child->control, SHUT_RDWR);
	}
}

static void end(struct generation *g)
{
	g->phase = ENDING;
	if (g->timeout)
		event_del(g->timeout);
	for (unsigned int i = 0; g->places && i < g->n_places; i++)
		if (g->places[i].restart)
			event_del(g->places[i].restart);
}

void generation_retire(struct generation *g)
{
	const struct timeval limit = ms_to_timeval(g->config.timeout_ms + RETIRE_MS);
	struct child *child;

	end(g);
	event_add(g->timeout, &limit);
	LIST_FOREACH(child, &g->children, link)
		if (!child->is_signer && !child->retiring)
			retire_child(child);
	end_signers_if_idle(g);
}

void generation_stop(struct generation *g)
{
	struct child *child;

	end(g);
	LIST_FOREACH(child, &g->children, link) {
		if (child->is_signer)
			continue;
		child->retiring = true;
		kill(child->pid, SIGTERM);
	}
	end_signers_if_idle(g);
}

void generation_kill(struct generation *g)
{
	struct child *child;

	end(g);
	LIST_FOREACH(child, &g->children, link) {
		child->retiring = true;
		kill(child->pid, SIGKILL);
	}
}

void generation_tell(struct generation *g, const struct channel_message *message)
{
	struct child *child;

	LIST_FOREACH(child, &g->children, link)
		if (!child->is_signer)
			child_send(child, message, -1);
}

/* In the kernel it may be out of reach of a signal: another one takes its place at once. */
static void kill_hung(struct generation *g, struct child *child)
{
	struct place *place = child->owner;

	log_error("worker %d does not answer, killing it", (int)child->pid);
	kill(child->pid, SIGKILL);
	child->retiring = true;
	if (place->child != child)
		return;
	place->child = NULL;
	if (place->next && place->next->ready)
		take_over(place);
	else if (!place->next && g->phase == SERVING)
		restart_later(place, 0);
}

void generation_watch(struct generation *g)
{
	const struct channel_message question = { .type = CONTROL_ALIVE };
	struct child *child;

	LIST_FOREACH(child, &g->children, link) {
		if (child->is_signer || !child->ready || child->unanswered > UNANSWERED_MAX)
			continue;
		if (child->unanswered++ < UNANSWERED_MAX)
			child_send(child, &question, -1);
		else
			kill_hung(g, child);
	}
}

static void schedule_restart(struct place *place, const struct child *died, int status)
{
	const char *what = place->is_signer ? "signer" : "worker";

	if (now_ms() - died->started >= STEADY_MS)
		place->delay = 0;
	else if (!place->delay)
		place->delay = DELAY_MIN_MS;
	else if (place->delay < DELAY_MAX_MS / 2)
		place->delay *= 2;
	else
		place->delay = DELAY_MAX_MS;
	restart_later(place, place->delay);

	if (WIFSIGNALED(status))
		log_notice("%s %d died of signal %d, restarting in %u ms", what, (int)died->pid,
			   WTERMSIG(status), place->delay);
	else
		log_notice("%s %d exited with status %d, restarting in %u ms", what,
			   (int)died->pid, WEXITSTATUS(status), place->delay);
}

static void bury(struct generation *g, struct child *child, int status)
{
	struct place *place = child->owner;
	bool wanted = g->phase == SERVING && !child->retiring;

	if (place->next == child) {
		place->next = NULL;
		/* Whoever was to be replaced may be gone as well. */
		wanted = wanted && !place->child;
	} else if (place->child == child) {
		place->child = NULL;
		wanted = wanted && !place->next;
		if (place->next && place->next->ready)
			take_over(place);
	}
	if (wanted)
		schedule_restart(place, child, status);
}

struct child *generation_find(const struct generation *g, pid_t pid)
{
	struct child *child;

	if (!g)
		return NULL;
	LIST_FOREACH(child, &g->children, link)
		if (child->pid == pid)
			return child;
	return NULL;
}

bool generation_reap(struct generation *g, pid_t pid, int status)
{
	struct child *child = generation_find(g, pid);

	if (!child)
		return false;

	child_hear_last_words(child);
	LIST_REMOVE(child, link);
	bury(g, child, status);
	/* Who has said why not has ended for that. */
	if (!child->ready || !*g->fault)
		note_fault(g, "a process ended while it was being started");
	child_free(child);
	end_signers_if_idle(g);
	check_settled(g);
	return true;
}

bool generation_ended(const struct generation *g)
{
	return LIST_EMPTY(&g->children);
}

void generation_free(struct generation *g)
{
	for (unsigned int i = 0; g->places && i < g->n_places; i++)
		if (g->places[i].restart)
			event_free(g->places[i].restart);
	if (g->timeout)
		event_free(g->timeout);
	config_free(&g->config);
	free(g->places);
	free(g);
}
