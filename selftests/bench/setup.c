// SPDX-License-Identifier: GPL-2.0-only
/*
 * setup 1.2|1.3 CIPHER ktls|keyblob: what it costs to give a connected socket its keys: kTLS's
 * three setsockopts; or attach, export and import of both directions, of which the export is
 * the agent's part; and, of the import, to open the blobs. Called by works/setup.sh under
 * scripts/vm --icount, where a nanosecond is an instruction. Prints a JSON object, medians of
 * many connections.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cpu.h"
#include "sockets.h"
#include "stats.h"

#define CONNECTIONS	101

enum step { ATTACH, EXPORT, OPEN, IMPORT_TX, IMPORT_RX, IMPORT, TOTAL, STEPS };

static const char *const names[] = {
	[ATTACH] = "attach_ns", [EXPORT] = "export_ns", [OPEN] = "open_ns",
	[IMPORT_TX] = "import_tx_ns", [IMPORT_RX] = "import_rx_ns", [IMPORT] = "import_ns",
	[TOTAL] = "total_ns",
};

static long long now(void)
{
	return cpu_clock_ns(CLOCK_MONOTONIC);
}

static void use_ktls(int fd, long long cost[STEPS])
{
	long long t[4];

	t[0] = now();
	sockets_check(ulp_attach(fd, "tls"), "tls");
	t[1] = now();
	sockets_set_ktls(fd, TLS_TX);
	t[2] = now();
	sockets_set_ktls(fd, TLS_RX);
	t[3] = now();
	cost[ATTACH] = t[1] - t[0];
	cost[IMPORT_TX] = t[2] - t[1];
	cost[IMPORT_RX] = t[3] - t[2];
}

/* What it takes to refuse @blob as one for the other direction, beyond refusing its head. */
static long long open_cost(int fd, int other_direction, const uint8_t *blob)
{
	long long t[3];

	t[0] = now();
	if (keyblob_import(fd, other_direction, blob, sizeof(struct keyblob_head)) != -EINVAL)
		errx(1, "a head alone is not refused");
	t[1] = now();
	if (keyblob_import(fd, other_direction, blob, KEYBLOB_BLOB_SIZE) != -EINVAL)
		errx(1, "the wrong direction is not refused");
	t[2] = now();
	return t[2] - t[1] - (t[1] - t[0]);
}

static void use_keyblob(int fd, long long cost[STEPS])
{
	uint8_t tx[KEYBLOB_BLOB_SIZE], rx[KEYBLOB_BLOB_SIZE];
	struct keyblob_key tx_key, rx_key;
	long long t[5];

	sockets_key(&tx_key, KEYBLOB_DIR_TX);
	sockets_key(&rx_key, KEYBLOB_DIR_RX);
	t[0] = now();
	sockets_check(keyblob_attach(fd), KEYBLOB_ULP_NAME);
	t[1] = now();
	sockets_check(keyblob_export(fd, &tx_key, tx), "KEYBLOB_EXPORT");
	sockets_check(keyblob_export(fd, &rx_key, rx), "KEYBLOB_EXPORT");
	cost[EXPORT] = now() - t[1];
	cost[OPEN] = open_cost(fd, KEYBLOB_DIR_RX, tx) + open_cost(fd, KEYBLOB_DIR_TX, rx);
	t[2] = now();
	sockets_check(keyblob_import(fd, KEYBLOB_DIR_TX, tx, sizeof(tx)), "KEYBLOB_TX");
	t[3] = now();
	sockets_check(keyblob_import(fd, KEYBLOB_DIR_RX, rx, sizeof(rx)), "KEYBLOB_RX");
	t[4] = now();
	cost[ATTACH] = t[1] - t[0];
	cost[IMPORT_TX] = t[3] - t[2];
	cost[IMPORT_RX] = t[4] - t[3];
}

static void measure(void (*use)(int fd, long long *cost), long long cost[STEPS])
{
	int fds[2];

	sockets_pair(fds);
	use(fds[1], cost);
	cost[IMPORT] = cost[IMPORT_TX] + cost[IMPORT_RX];
	cost[TOTAL] = cost[ATTACH] + cost[EXPORT] + cost[IMPORT];
	close(fds[0]);
	close(fds[1]);
}

static long long median(long long costs[CONNECTIONS][STEPS], int step)
{
	long long values[CONNECTIONS];

	for (int i = 0; i < CONNECTIONS; i++)
		values[i] = costs[i][step];
	stats_sort(values, CONNECTIONS);
	return values[CONNECTIONS / 2];
}

int main(int argc, char **argv)
{
	static long long costs[CONNECTIONS][STEPS];
	void (*use)(int fd, long long *cost);

	if (argc != 4 ||
	    !sockets_set_suite(strcmp(argv[1], "1.2") ? TLS_1_3_VERSION : TLS_1_2_VERSION, argv[2]))
		errx(2, "usage: setup 1.2|1.3 CIPHER ktls|keyblob");
	use = strcmp(argv[3], "ktls") ? use_keyblob : use_ktls;
	/* The first one warms up. */
	for (int i = -1; i < CONNECTIONS; i++)
		measure(use, costs[i < 0 ? 0 : i]);
	for (int step = 0; step < STEPS; step++)
		printf("%s\"%s\":%lld", step ? "," : "{", names[step], median(costs, step));
	printf("}\n");
	return 0;
}
