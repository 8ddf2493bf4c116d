// SPDX-License-Identifier: GPL-2.0-only
/*
 * percall: what a read or a write of 1 byte and of 16 KB costs on a keyblob socket and
 * on plain kTLS, TLS 1.3 with AES-128-GCM. Run under scripts/vm --icount, where a
 * nanosecond of the guest's clock is an instruction. Both in turn, several rounds; the
 * medians count.
 */
#include <arpa/inet.h>
#include <linux/keyblob.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#define ROUNDS	15
#define CALLS	200

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void connect_pair(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	check(!bind(listener, (void *)&address, len), "bind");
	check(!listen(listener, 1), "listen");
	check(!getsockname(listener, (void *)&address, &len), "getsockname");
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(fds[0], (void *)&address, len), "connect");
	fds[1] = accept(listener, NULL, NULL);
	check(fds[1] >= 0, "accept");
	setsockopt(fds[0], SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

static void plain(int fd, int option)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
		.key = "0123456789abcdef",
	};

	check(!setsockopt(fd, SOL_TLS, option, &info, sizeof(info)), "TLS_TX, TLS_RX");
}

static void keyblob(int fd, int option)
{
	struct keyblob_key key = {
		.direction = option == KEYBLOB_TX ? KEYBLOB_DIR_TX : KEYBLOB_DIR_RX,
		.tls_version = TLS_1_3_VERSION,
		.cipher = TLS_CIPHER_AES_GCM_128,
		.secret_len = 32,
		.secret = "0123456789abcdef0123456789abcdef",
	};
	union {
		struct keyblob_key key;
		unsigned char blob[KEYBLOB_BLOB_SIZE];
	} seal = { .key = key };
	socklen_t len = sizeof(seal);

	check(!getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, &seal, &len), "KEYBLOB_EXPORT");
	check(!setsockopt(fd, SOL_KEYBLOB, option, &seal, len), "KEYBLOB_TX, KEYBLOB_RX");
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
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
		check(write(fds[0], buf, size) == (ssize_t)size, "write");
		writing += now() - begin;
		begin = now();
		check(recv(fds[1], buf, size, MSG_WAITALL) == (ssize_t)size, "recv");
		reading += now() - begin;
	}
	cost->write[round] = writing / CALLS;
	cost->read[round] = reading / CALLS;
}

static int compare(const void *a, const void *b)
{
	const long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static long long median(long long *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
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

	connect_pair(ktls);
	connect_pair(kb);
	for (int i = 0; i < 2; i++) {
		check(!setsockopt(ktls[i], SOL_TCP, TCP_ULP, "tls", 3), "TCP_ULP tls");
		check(!setsockopt(kb[i], SOL_TCP, TCP_ULP, "keyblob", 7), "TCP_ULP keyblob");
	}
	plain(ktls[0], TLS_TX);
	plain(ktls[1], TLS_RX);
	keyblob(kb[0], KEYBLOB_TX);
	keyblob(kb[1], KEYBLOB_RX);

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
