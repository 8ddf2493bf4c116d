// SPDX-License-Identifier: GPL-2.0-only
/*
 * percall: what a read or a write of 1 byte and of 16 KB costs on a keyblob socket and
 * on plain kTLS, TLS 1.3 with AES-128-GCM. Run under scripts/vm --icount, where a
 * nanosecond of the guest's clock is an instruction. Both in turn, several rounds; the
 * medians count.
 */
#include <err.h>
#include <stdio.h>
#include <unistd.h>

#include "cpu.h"
#include "sockets.h"
#include "stats.h"

#define ROUNDS	15
#define CALLS	200

static long long now(void)
{
	return cpu_clock_ns(CLOCK_MONOTONIC);
}

/* From the first to the second. */
static void use_ktls(const int fds[2])
{
	sockets_check(ulp_attach(fds[0], "tls") || ulp_attach(fds[1], "tls"), "tls");
	sockets_set_ktls(fds[0], TLS_TX);
	sockets_set_ktls(fds[1], TLS_RX);
}

static void use_keyblob(const int fds[2])
{
	struct conn from = { .fd = fds[0] }, to = { .fd = fds[1] };

	sockets_key(&from.tx, KEYBLOB_DIR_TX);
	to.rx = from.tx;
	to.rx.direction = KEYBLOB_DIR_RX;
	sockets_check(keyblob_attach(fds[0]) || keyblob_attach(fds[1]), KEYBLOB_ULP_NAME);
	sockets_check(conn_import_one(&from, KEYBLOB_DIR_TX) || conn_import_one(&to, KEYBLOB_DIR_RX),
		      "KEYBLOB_EXPORT, KEYBLOB_TX, KEYBLOB_RX");
}

struct cost {
	long long write[ROUNDS], read[ROUNDS];
};

static void measure(const int fds[2], size_t size, struct cost *cost, int round)
{
	static char buf[16384];
	long long writing = 0, reading = 0, begin;

	for (int i = 0; i < CALLS; i++) {
		begin = now();
		sockets_check(write(fds[0], buf, size) != (ssize_t)size, "write");
		writing += now() - begin;
		begin = now();
		sockets_check(recv(fds[1], buf, size, MSG_WAITALL) != (ssize_t)size, "recv");
		reading += now() - begin;
	}
	cost->write[round] = writing / CALLS;
	cost->read[round] = reading / CALLS;
}

static long long median(long long *values)
{
	stats_sort(values, ROUNDS);
	return values[ROUNDS / 2];
}

static void print(const char *what, size_t size, long long *ktls, long long *kb)
{
	const long long k = median(ktls), b = median(kb);

	printf("%-5s %6zu bytes: kTLS %8lld, keyblob %8lld, %+6lld, ratio %.4f\n", what, size, k,
	       b, b - k, (double)b / k);
}

int main(void)
{
	static const size_t sizes[] = { 1, 16384 };
	int ktls[2], kb[2];

	sockets_pair(ktls);
	sockets_pair(kb);
	use_ktls(ktls);
	use_keyblob(kb);
	printf("nanoseconds a call, which --icount makes instructions; medians of %d rounds of %d calls\n",
	       ROUNDS, CALLS);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct cost a, b;

		measure(ktls, sizes[i], &a, 0);	/* warm up */
		measure(kb, sizes[i], &b, 0);
		for (int round = 0; round < ROUNDS; round++) {
			measure(ktls, sizes[i], &a, round);
			measure(kb, sizes[i], &b, round);
		}
		print("write", sizes[i], a.write, b.write);
		print("read", sizes[i], a.read, b.read);
	}
	return 0;
}
