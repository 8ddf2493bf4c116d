// SPDX-License-Identifier: GPL-2.0-only
/*
 * The supervisor: checks what it was given, listens, starts workers, restarts
 * those that die, stops them. Called by main. It waits for nothing but signals,
 * and uses no OpenSSL: each worker sets up its own after the fork.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "context.h"
#include "identity.h"
#include "listener.h"
#include "log.h"
#include "supervisor.h"
#include "worker.h"

/*
 * A worker that dies is replaced at once if it had served for STEADY_MS, else
 * after a delay that doubles from the first to the second of these.
 */
#define STEADY_MS	5000
#define DELAY_MIN_MS	100
#define DELAY_MAX_MS	10000

/* What a worker may take to exit, beyond the handshakes in flight. */
#define STOP_SLACK_MS	3000

struct slot {
	pid_t pid;		/* 0: no process */
	long long started;	/* ms */
	long long due;		/* ms; when to start the next one */
	unsigned int delay;	/* ms; before the next one */
};

struct supervisor {
	const struct options *options;
	struct listener listener;
	struct ticket_keys tickets;
	struct slot *slots;
	sigset_t signals;
};

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* A child that does not outlive its parent; as fork(2). */
static pid_t fork_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	return 0;
}

/*
 * Load every certificate and key once, in a process that ends with the answer,
 * so that neither keys nor OpenSSL's state stay in the supervisor.
 */
static int check_identities(const struct options *options)
{
	struct identities identities;
	int status;
	pid_t pid;

	pid = fork_child();
	if (pid < 0) {
		log_error("cannot fork: %m");
		return -1;
	}
	if (!pid) {
		status = identities_load(&identities, options) ? 1 : 0;
		identities_free(&identities);
		exit(status);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

static void start_worker(struct supervisor *s, struct slot *slot)
{
	int status;
	pid_t pid;

	slot->started = now_ms();
	pid = fork_child();
	if (pid < 0) {
		log_error("cannot fork a worker: %m; trying again");
		slot->due = slot->started + DELAY_MAX_MS;
		return;
	}
	if (!pid) {
		free(s->slots);
		status = worker_run(s->options, s->listener.fd, &s->tickets);
		explicit_bzero(&s->tickets, sizeof(s->tickets));
		exit(status);
	}
	slot->pid = pid;
}

/* Start the workers that are due; returns ms until the next one is, or -1. */
static long long start_due_workers(struct supervisor *s)
{
	long long now = now_ms(), wait = -1;

	for (unsigned int i = 0; i < s->options->workers; i++) {
		struct slot *slot = &s->slots[i];

		if (!slot->pid && slot->due <= now)
			start_worker(s, slot);
		if (!slot->pid && (wait < 0 || slot->due - now < wait))
			wait = slot->due - now;
	}
	return wait;
}

static void schedule_restart(struct slot *slot)
{
	long long now = now_ms();

	if (now - slot->started >= STEADY_MS)
		slot->delay = 0;
	else if (!slot->delay)
		slot->delay = DELAY_MIN_MS;
	else if (slot->delay < DELAY_MAX_MS / 2)
		slot->delay *= 2;
	else
		slot->delay = DELAY_MAX_MS;
	slot->due = now + slot->delay;
}

static void reap_workers(struct supervisor *s, bool stopping)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned int i = 0; i < s->options->workers; i++) {
			struct slot *slot = &s->slots[i];

			if (slot->pid != pid)
				continue;
			slot->pid = 0;
			if (stopping)
				break;
			schedule_restart(slot);
			if (WIFSIGNALED(status))
				log_notice("worker %d died of signal %d, restarting in %u ms",
					   (int)pid, WTERMSIG(status), slot->delay);
			else
				log_notice("worker %d exited with status %d, restarting in %u ms",
					   (int)pid, WEXITSTATUS(status), slot->delay);
			break;
		}
	}
}

/* Wait at most @ms (-1: forever) for a signal; 0 if none came. */
static int wait_signal(struct supervisor *s, long long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	int signal = ms < 0 ? sigwaitinfo(&s->signals, NULL) :
			      sigtimedwait(&s->signals, NULL, &ts);

	return signal < 0 ? 0 : signal;
}

static unsigned int signal_workers(struct supervisor *s, int signal)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->options->workers; i++) {
		if (!s->slots[i].pid)
			continue;
		n++;
		if (signal)
			kill(s->slots[i].pid, signal);
	}
	return n;
}

static void serve(struct supervisor *s)
{
	int signal;

	do {
		signal = wait_signal(s, start_due_workers(s));
		if (signal == SIGCHLD)
			reap_workers(s, false);
	} while (signal != SIGTERM && signal != SIGINT);
}

/* Workers finish the handshakes that are in flight; each of these has a timeout. */
static void stop(struct supervisor *s)
{
	long long deadline = now_ms() + s->options->timeout_ms + STOP_SLACK_MS, left;

	log_notice("stopping");
	listener_close(&s->listener);
	signal_workers(s, SIGTERM);
	while (signal_workers(s, 0)) {
		left = deadline - now_ms();
		if (left <= 0) {
			log_error("workers do not stop, killing them");
			signal_workers(s, SIGKILL);
			left = -1;
		}
		if (wait_signal(s, left) == SIGCHLD)
			reap_workers(s, true);
	}
}

static int block_signals(struct supervisor *s)
{
	/* SIGHUP is kept for a reload of the configuration. */
	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGHUP);
	sigaddset(&s->signals, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	return sigprocmask(SIG_BLOCK, &s->signals, NULL);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int supervisor_run(const struct options *options)
{
	struct supervisor s = { .options = options };
	int status = 1;

	raise_descriptor_limit();
	if (block_signals(&s)) {
		log_error("cannot block signals: %m");
		return 1;
	}
	if (check_identities(options))
		return 1;

	s.slots = calloc(options->workers, sizeof(*s.slots));
	if (!s.slots || getrandom(&s.tickets, sizeof(s.tickets), 0) != sizeof(s.tickets)) {
		log_error("cannot start: %m");
		goto out;
	}
	if (listener_open(&s.listener, options->listen, options->mode))
		goto out;

	start_due_workers(&s);
	log_ready(options->listen, options->workers);
	serve(&s);
	stop(&s);
	status = 0;
out:
	explicit_bzero(&s.tickets, sizeof(s.tickets));
	free(s.slots);
	return status;
}
