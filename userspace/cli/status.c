// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob status: the agent's counters, for people, as JSON, or for Prometheus.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "cli.h"

#define TIMEOUT_MS	5000

/*
 * In the order in which they are shown. Metrics of one name stand together: the format
 * wants that. Counters that are not here are of a newer agent.
 */
static const struct metric {
	const char *counter;	/* the agent's name for it; in JSON, too */
	const char *label;	/* for people */
	const char *name;	/* for Prometheus: "keyblob_" and this */
	const char *labels;
	const char *type;
	const char *help;
} metrics[] = {
	{ "handshakes_accepted", "handshakes done, as server",
	  "handshakes_total", "role=\"server\"", "counter", "Handshakes that succeeded." },
	{ "handshakes_connected", "handshakes done, as client",
	  "handshakes_total", "role=\"client\"", "counter", NULL },
	{ "handshakes_resumed", "of these, resumed",
	  "handshakes_resumed_total", NULL, "counter",
	  "Handshakes that succeeded by resuming a session." },
	{ "handshakes_tls13", "of these, TLS 1.3",
	  "handshakes_tls13_total", NULL, "counter", "Handshakes that succeeded with TLS 1.3." },
	{ "handshakes_failed", "handshakes failed",
	  "handshakes_failed_total", NULL, "counter",
	  "Handshakes that ended without keys, for whatever reason." },
	{ "handshakes_timed_out", "of these, timed out",
	  "handshakes_timed_out_total", NULL, "counter",
	  "Failed handshakes whose peer did not finish in time." },
	{ "handshakes_refused", "of these, refused by the policy",
	  "handshakes_refused_total", NULL, "counter",
	  "Failed handshakes that the access policy did not allow." },
	{ "handshakes_busy", "of these, turned away at a limit",
	  "handshakes_busy_total", NULL, "counter",
	  "Failed handshakes that were over a limit." },
	{ "handshakes_in_flight", "handshakes in flight",
	  "handshakes_in_flight", NULL, "gauge", "Handshakes under way." },
	{ "signatures", "signatures made",
	  "signatures_total", "result=\"ok\"", "counter", "Private-key operations." },
	{ "signatures_failed", "signatures failed",
	  "signatures_total", "result=\"failed\"", "counter", NULL },
	{ "applications", "applications connected so far",
	  "application_connections_total", NULL, "counter",
	  "Connections of applications to the agent." },
	{ "applications_connected", "applications connected",
	  "applications_connected", NULL, "gauge", "Applications connected to the agent." },
	{ "workers_died", "workers died",
	  "worker_deaths_total", NULL, "counter", "Workers that ended without being told to." },
	{ "reloads", "reloads done",
	  "reloads_total", "result=\"ok\"", "counter", "Reloads of the configuration." },
	{ "reloads_failed", "reloads failed",
	  "reloads_total", "result=\"failed\"", "counter", NULL },
};

#define METRICS	(sizeof(metrics) / sizeof(metrics[0]))

static bool find_counter(const union kb_reply_packet *packet, const char *name,
			 struct kb_counter *counter)
{
	size_t at = 0;

	while (kb_reply_next_counter(packet, &at, counter)) {
		if (!strcmp(counter->name, name))
			return true;
	}
	return false;
}

static bool is_known(const char *name)
{
	size_t i;

	for (i = 0; i < METRICS; i++) {
		if (!strcmp(metrics[i].counter, name))
			return true;
	}
	return false;
}

static void print_table(const union kb_reply_packet *packet)
{
	struct kb_counter counter;
	size_t i, at = 0;

	for (i = 0; i < METRICS; i++) {
		if (find_counter(packet, metrics[i].counter, &counter))
			printf("%-34s %10" PRIu64 "\n", metrics[i].label, counter.value);
	}
	while (kb_reply_next_counter(packet, &at, &counter)) {
		if (!is_known(counter.name))
			printf("%-34s %10" PRIu64 "\n", counter.name, counter.value);
	}
}

static void print_json(const union kb_reply_packet *packet)
{
	struct kb_counter counter;
	const char *separator = "";
	size_t at = 0;

	fputs("{", stdout);
	while (kb_reply_next_counter(packet, &at, &counter)) {
		printf("%s\n  \"%s\": %" PRIu64, separator, counter.name, counter.value);
		separator = ",";
	}
	puts("\n}");
}

/* Text exposition format, version 0.0.4. */
static void print_prometheus(const union kb_reply_packet *packet)
{
	struct kb_counter counter;
	size_t i;

	for (i = 0; i < METRICS; i++) {
		const struct metric *m = &metrics[i];

		if (!find_counter(packet, m->counter, &counter))
			continue;
		if (m->help)
			printf("# HELP keyblob_%s %s\n# TYPE keyblob_%s %s\n", m->name, m->help,
			       m->name, m->type);
		if (m->labels)
			printf("keyblob_%s{%s} %" PRIu64 "\n", m->name, m->labels, counter.value);
		else
			printf("keyblob_%s %" PRIu64 "\n", m->name, counter.value);
	}
}

int status_main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "prometheus", no_argument, NULL, 'p' },
		{ 0 }
	};
	void (*print)(const union kb_reply_packet *packet) = print_table;
	const char *path = NULL;
	union kb_reply_packet packet;
	int option;

	while ((option = getopt_long(argc, argv, "a:", known, NULL)) != -1) {
		switch (option) {
		case 'a':
			path = optarg;
			break;
		case 'j':
			print = print_json;
			break;
		case 'p':
			print = print_prometheus;
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return EXIT_USAGE;
	if (ask_agent(path, KEYBLOB_CMD_STATUS, TIMEOUT_MS, &packet))
		return EXIT_FAILED;
	print(&packet);
	return 0;
}
