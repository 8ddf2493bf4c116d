// SPDX-License-Identifier: GPL-2.0-only
/*
 * client OPTION... WORK...: the load of the benchmark, the same for all contenders. Prints
 * one line, a JSON object of what was measured, or fails.
 *
 *	bulk send|take CONNECTIONS BYTES	in all, over connections that are there
 *	connections TOTAL AT_ONCE		each with one request of 1 KB
 *	hold CONNECTIONS			open, after a request; until stdin ends
 *	storm RATE SECONDS			as connections; RATE a second, at random
 *	probe CONNECTIONS RATE SECONDS		requests of 1 KB on connections that are
 *						there; RATE a second, for their latencies
 *
 *	-p PORT  -f FILE  -k CERTIFICATE  -C CIPHER  -r	  see struct load_settings
 *	-A PIDS  -S PIDS  -G PIDS	the application, the sidecar, the agent
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "load.h"
#include "stats.h"

#define REQUEST		1024
#define WARM_UP		3	/* connections, where connections are what is measured */
#define HOLD_AT_ONCE	64

static struct load_settings settings = { .cipher = "TLS_AES_128_GCM_SHA256" };

/*
 * Costs.
 */

static struct cpu_group application, sidecar, agent;

struct costs {
	long long elapsed, client, application, sidecar, agent, machine;
};

static struct costs read_costs(void)
{
	/* First: it sleeps. */
	const long long machine = cpu_machine_ns();

	return (struct costs){
		.elapsed = load_now_ns(),
		.client = cpu_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.application = cpu_group_ns(&application),
		.sidecar = cpu_group_ns(&sidecar),
		.agent = cpu_group_ns(&agent),
		.machine = machine,
	};
}

/* What is nobody's is the kernel's: its threads, and whatever else there is. */
static void print_costs(const char *what, long long n, struct costs from)
{
	const struct costs to = read_costs();
	const long long client = to.client - from.client;
	const long long app = to.application - from.application;
	const long long side = to.sidecar - from.sidecar, ag = to.agent - from.agent;
	const long long kernel = to.machine - from.machine - client - app - side - ag;

	printf("{\"%s\":%lld,\"elapsed_ns\":%lld,\"client_ns\":%lld,\"application_ns\":%lld,"
	       "\"sidecar_ns\":%lld,\"agent_ns\":%lld,\"kernel_ns\":%lld}\n",
	       what, n, to.elapsed - from.elapsed, client, app, side, ag, kernel > 0 ? kernel : 0);
}

/*
 * The works. Numbers that are no numbers are 0, which no work takes.
 */

static struct load_connection **open_all(long long n)
{
	struct load_connection **all = calloc(n, sizeof(*all));

	if (!all)
		err(3, "connections");
	for (long long i = 0; i < n; i++)
		all[i] = load_open(NULL);
	load_until(&load_counts.ready, n);
	for (long long i = 0; i < n; i++)
		load_request(all[i], "send", REQUEST);
	load_until(&load_counts.answered, n);
	return all;
}

static void close_all(struct load_connection **all, long long n)
{
	const long long target = load_counts.closed + n;

	for (long long i = 0; i < n; i++)
		load_close(all[i]);
	load_until(&load_counts.closed, target);
	free(all);
}

static void bulk(char **args)
{
	const long long n = atoll(args[1]), bytes = atoll(args[2]);
	struct load_connection **all;
	struct costs from;

	load_init(&settings, &(struct load_events){ 0 });
	all = open_all(n);
	from = read_costs();
	for (long long i = 0; i < n; i++)
		load_request(all[i], args[0], bytes / n);
	load_until(&load_counts.answered, 2 * n);
	print_costs("bytes", bytes / n * n, from);
	close_all(all, n);
}

static void ask(struct load_connection *c)
{
	load_request(c, "send", REQUEST);
}

static long long to_open;

static void open_next(struct load_connection *c)
{
	if (load_counts.opened < to_open)
		load_open(NULL);
}

static void run_connections(long long n, long long at_once)
{
	to_open = load_counts.opened + n;
	for (long long i = 0; i < at_once && i < n; i++)
		load_open(NULL);
	load_until(&load_counts.closed, to_open);
}

static const struct load_events come_and_go = {
	.ready = ask, .answered = load_close, .closed = open_next,
};

static void connections(char **args)
{
	const long long n = atoll(args[0]), at_once = atoll(args[1]);
	struct costs from;

	load_init(&settings, &come_and_go);
	run_connections(WARM_UP, 1);
	from = read_costs();
	run_connections(n, at_once);
	print_costs("connections", n, from);
	if (settings.resume && load_counts.resumed < n)
		errx(3, "of %lld sessions %lld were resumed", n, load_counts.resumed);
}

static void hold(char **args)
{
	const long long n = atoll(args[0]);
	struct costs from;
	char byte;

	load_init(&settings, &(struct load_events){ .ready = ask });
	from = read_costs();
	for (long long i = 0; i < n; i++) {
		load_open(NULL);
		load_until(&load_counts.answered, i - HOLD_AT_ONCE);
	}
	load_until(&load_counts.answered, n);
	print_costs("connections", n, from);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

/* Nanoseconds between arrivals that do not know of each other; the same in each run. */
static long long next_arrival(double rate)
{
	return -log1p(-drand48()) / rate * 1e9;
}

static void storm(char **args)
{
	const double rate = atof(args[0]);
	const long long length = atof(args[1]) * 1e9, begin = load_now_ns();
	struct costs from;

	load_init(&settings, &(struct load_events){ .ready = ask, .answered = load_close });
	from = read_costs();
	for (long long due = begin + next_arrival(rate); due < begin + length;
	     due += next_arrival(rate)) {
		while (load_now_ns() < due)
			load_turn(due);
		load_open(NULL);
	}
	load_until(&load_counts.closed, load_counts.opened);
	print_costs("connections", load_counts.closed, from);
}

/* A request of which the latency is measured. */
static long long *latencies, n_latencies, *asked_at;

static struct load_connection **idle;
static long long n_idle;

static void note_latency(struct load_connection *c)
{
	const long long *since = load_data(c);

	if (*since)
		latencies[n_latencies++] = load_now_ns() - *since;
	idle[n_idle++] = c;
}

static void probe_one(long long due)
{
	struct load_connection *c;

	while (load_now_ns() < due)
		load_turn(due);
	if (!n_idle)
		errx(3, "the server does not keep up with requests");
	/* The one that has been idle for longest is not needed: they are alike. */
	c = idle[--n_idle];
	*(long long *)load_data(c) = due;
	load_request(c, "send", REQUEST);
}

static void probe(char **args)
{
	const long long n = atoll(args[0]);
	const double rate = atof(args[1]);
	const long long total = rate * atof(args[2]);
	long long begin;

	latencies = calloc(total, sizeof(*latencies));
	asked_at = calloc(n, sizeof(*asked_at));
	idle = calloc(n, sizeof(struct load_connection *));
	if (!latencies || !asked_at || !idle || total < 1)
		errx(2, "no requests");
	load_init(&settings, &(struct load_events){ .ready = ask, .answered = note_latency });
	for (long long i = 0; i < n; i++)
		load_open(&asked_at[i]);
	load_until(&load_counts.answered, n);
	begin = load_now_ns();
	for (long long i = 0; i < total; i++)
		probe_one(begin + i * 1e9 / rate);
	load_until(&load_counts.answered, n + total);
	stats_sort(latencies, total);
	printf("{\"requests\":%lld,\"p50_ns\":%lld,\"p99_ns\":%lld,\"max_ns\":%lld}\n", total,
	       latencies[total / 2], latencies[total * 99 / 100], latencies[total - 1]);
}

static const struct work {
	const char *name;
	int args;
	void (*run)(char **args);
} works[] = {
	{ "bulk", 3, bulk },
	{ "connections", 2, connections },
	{ "hold", 1, hold },
	{ "storm", 2, storm },
	{ "probe", 3, probe },
};

static void usage(void)
{
	errx(2, "usage: client -p PORT -f FILE -k CERTIFICATE [OPTION]... WORK ARGUMENT...");
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+p:f:k:C:rA:S:G:")) != -1) {
		switch (option) {
		case 'p': settings.port = atoi(optarg); break;
		case 'f': settings.file = optarg; break;
		case 'k': settings.cert = optarg; break;
		case 'C': settings.cipher = optarg; break;
		case 'r': settings.resume = true; break;
		case 'A': cpu_group_parse(&application, optarg); break;
		case 'S': cpu_group_parse(&sidecar, optarg); break;
		case 'G': cpu_group_parse(&agent, optarg); break;
		default: usage();
		}
	}
	if (optind == argc || !settings.port || !settings.file || !settings.cert)
		usage();
	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		if (strcmp(works[i].name, argv[optind]) || argc - optind - 1 != works[i].args)
			continue;
		works[i].run(argv + optind + 1);
		return fflush(stdout) || ferror(stdout);
	}
	usage();
}
