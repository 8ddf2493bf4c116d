// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of an echo server, by OpenSSL alone, that changes its keys again and again
 * while data is under way in both directions, and checks what comes back.
 *
 *	updater [-k] [-c CIPHERSUITE] PORT COUNT BYTES
 *
 * COUNT KeyUpdates, with BYTES of data before each and at the end. Each asks the server
 * for one; with -k none does. At the end it tells
 *	sent=N updates=N longest=N ms=N
 * where updates is how many KeyUpdates came, and longest the most records that came
 * under one key, the KeyUpdate that ended it included.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcp.h"

/* So much is never in the way: a socket's buffers take more, and no side waits for room. */
#define UNDER_WAY_MAX	(1 << 16)

static long long sent, received;
static unsigned int updates, records, longest;

/* A record's header comes before what is in it, and one record after another. */
static void on_message(int is_sent, int version, int type, const void *data, size_t len,
		       SSL *ssl, void *arg)
{
	(void)version;
	(void)ssl;
	(void)arg;
	if (is_sent)
		return;
	if (type == SSL3_RT_HEADER && ++records > longest)
		longest = records;
	if (type == SSL3_RT_HANDSHAKE && len && *(uint8_t *)data == SSL3_MT_KEY_UPDATE) {
		updates++;
		records = 0;
	}
}

/* Bytes of a sequence that is far longer than what can be under way. */
static void pattern(uint8_t *data, long long offset, size_t len)
{
	for (; len; len--, offset++)
		*data++ = offset ^ offset >> 8 ^ offset >> 16;
}

static void fail(const char *what)
{
	errx(3, "%s after %lld bytes there, %lld back, %u KeyUpdates: %s", what, sent, received,
	     updates, ERR_reason_error_string(ERR_peek_error()) ?: "");
}

static void receive(SSL *ssl)
{
	uint8_t data[16384], wanted[sizeof(data)];
	int n = SSL_read(ssl, data, sizeof(data));

	if (n <= 0)
		fail("SSL_read");
	pattern(wanted, received, n);
	if (memcmp(data, wanted, n))
		fail("other data");
	received += n;
}

static void transmit(SSL *ssl, size_t len)
{
	uint8_t data[16384];
	int n;

	for (; len; len -= n, sent += n) {
		n = len < sizeof(data) ? len : sizeof(data);
		while (sent + n - received > UNDER_WAY_MAX)
			receive(ssl);
		pattern(data, sent, n);
		if (SSL_write(ssl, data, n) != n)
			fail("SSL_write");
	}
}

int main(int argc, char **argv)
{
	int option, i, count, request = SSL_KEY_UPDATE_REQUESTED;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct timeval patience = { .tv_sec = 20 };
	long long began;
	size_t bytes;
	SSL *ssl;
	int fd;

	while ((option = getopt(argc, argv, "c:k")) != -1) {
		if (option == 'k')
			request = SSL_KEY_UPDATE_NOT_REQUESTED;
		else if (option != 'c' || !SSL_CTX_set_ciphersuites(ctx, optarg))
			errx(2, "usage: see updater.c");
	}
	if (optind != argc - 3)
		errx(2, "usage: see updater.c");
	fd = tcp_connect(atoi(argv[optind]));
	count = atoi(argv[optind + 1]);
	bytes = atoll(argv[optind + 2]);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		fail("SSL_connect");
	SSL_set_msg_callback(ssl, on_message);

	began = tcp_now_ms();
	for (i = 0; i < count; i++) {
		transmit(ssl, bytes);
		/* Goes out ahead of what is written next. */
		if (SSL_key_update(ssl, request) != 1)
			fail("SSL_key_update");
	}
	transmit(ssl, bytes);
	while (received < sent)
		receive(ssl);
	printf("sent=%lld updates=%u longest=%u ms=%lld\n", sent, updates, longest,
	       tcp_now_ms() - began);
	fflush(stdout);

	/* Until its input ends, for those who want to look at the server's side. */
	while (read(STDIN_FILENO, &option, 1) > 0)
		;
	SSL_shutdown(ssl);
	if (SSL_read(ssl, &option, 1) > 0 || SSL_get_error(ssl, 0) != SSL_ERROR_ZERO_RETURN)
		fail("no close_notify");
	return 0;
}
