// SPDX-License-Identifier: GPL-2.0-only
/* A program's process, its threads and its end; see execute.h. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cover.h"
#include "execute.h"

#define SIGNAL_AFTER_MS	100	/* calls that wait longer are interrupted, */
#define SIGNAL_EACH_MS	20	/* again and again; */
#define CALL_MS		1000	/* and if that does not help, the program is killed */
#define DEATH_MS	60000	/* so long may the kernel take to let go of it */

unsigned int n_killed;

static struct report *report;

struct slice {
	struct world *w;
	const struct program *p;
	unsigned int thread;
	unsigned int from, to;
	pthread_barrier_t *start;	/* NULL: runs alone */
};

bool execute_init(void)
{
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	/* Orphans of a program are ours to wait for. */
	return report != MAP_FAILED && !prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void ignore(int signal)
{
}

/* A timer for this thread alone. */
static timer_t new_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;

	event._sigev_un._tid = syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		_exit(1);
	return timer;
}

static void run_call(struct world *w, const struct call *call, int32_t *ret, timer_t timer)
{
	static const struct itimerspec times = {
		.it_value.tv_nsec = SIGNAL_AFTER_MS * 1000000,
		.it_interval.tv_nsec = SIGNAL_EACH_MS * 1000000,
	};

	atomic_fetch_add(&report->made, 1);
	timer_settime(timer, 0, &times, NULL);
	*ret = call_type(call->type)->run(w, call->args);
}

static void *run_slice(void *arg)
{
	const struct slice *s = arg;
	const pid_t began_as = getpid();
	unsigned int trace = s->thread;
	timer_t timer = new_timer();
	pid_t pid = began_as;
	unsigned int i;

	if (s->start)
		pthread_barrier_wait(s->start);
	cover_begin(trace);
	for (i = s->from; i < s->to; i++) {
		const struct call *call = &s->p->calls[i];

		if (call->thread != s->thread)
			continue;
		run_call(s->w, call, &report->results[i], timer);
		if (getpid() != pid) {
			pid = getpid();
			trace = THREADS_MAX - 1 + atomic_load(&report->forks);
			timer = new_timer();	/* they are not inherited */
			cover_begin(trace);
		}
	}
	cover_end(trace);
	timer_delete(timer);
	/* Of a process that a thread has forked, that thread is all there is. */
	if (pid != began_as && s->start)
		_exit(0);
	return NULL;
}

/* Where the calls begin that run side by side. */
static unsigned int alone(const struct program *p)
{
	unsigned int i = 0;

	while (i < p->n && !p->calls[i].thread)
		i++;
	return i;
}

static void run_threads(struct world *w, const struct program *p, unsigned int from)
{
	struct slice slices[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	pthread_barrier_t start;
	unsigned int i;

	pthread_barrier_init(&start, NULL, THREADS_MAX);
	for (i = 0; i < THREADS_MAX; i++) {
		slices[i] = (struct slice) { w, p, i, from, p->n, &start };
		if (pthread_create(&threads[i], NULL, run_slice, &slices[i]))
			_exit(1);
	}
	for (i = 0; i < THREADS_MAX; i++)
		pthread_join(threads[i], NULL);
}

static void run(const struct program *p)
{
	const struct rlimit files = { 256, 256 }, no_core = {};
	const struct sigaction action = { .sa_handler = ignore };
	const unsigned int begin = alone(p);
	struct slice first;
	static struct world w;

	setpgid(0, 0);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(SIGUSR1, &action, NULL);
	if (!world_init(&w, report))
		_exit(1);
	first = (struct slice) { &w, p, 0, 0, begin, NULL };
	run_slice(&first);
	if (begin < p->n)
		run_threads(&w, p, begin);
	_exit(0);
}

/* All that @pid has left behind. */
static bool bury(pid_t pid)
{
	const long until = now_ms() + DEATH_MS;

	do {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return true;
		usleep(500);
	} while (now_ms() < until);
	return false;
}

/* The kernel is to say where tasks are blocked. */
static void show_blocked(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "w", 1) != 1)
		return;
	close(fd);
}

/* Until it ends, or does nothing any more. */
static void wait_for(pid_t pid)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	unsigned int made, before = 0;

	while (!poll(&end, 1, CALL_MS)) {
		made = atomic_load(&report->made);
		if (made == before) {
			n_killed++;
			break;
		}
		before = made;
	}
	close(end.fd);
}

bool execute(const struct program *p, const struct report **got)
{
	unsigned int i;
	pid_t pid;
	bool died;

	memset(report, 0, sizeof(*report));
	for (i = 0; i < CALLS_MAX; i++)
		report->results[i] = INT32_MIN;
	cover_clear();
	pid = fork();
	if (!pid)
		run(p);
	if (pid < 0)
		abort();
	wait_for(pid);
	died = bury(pid);
	if (!died)
		show_blocked();
	*got = report;
	return died;
}
