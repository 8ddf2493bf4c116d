// SPDX-License-Identifier: GPL-2.0-only
/*
 * signer [HANDSHAKES]: what it costs that the private key is in another process. Full TLS
 * 1.3 handshakes in memory, of a server whose key is in its own process, then at a signer,
 * one at a time and many interleaved. Run under scripts/vm --icount, where a nanosecond is
 * an instruction, of whatever process or of the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "../../userspace/agent/fiber.h"
#include "../../userspace/agent/remote_key.h"
#include "../../userspace/agent/signer_client.h"
#include "../lib/signer.h"

#define ROUNDS	7
#define INTERLEAVED 16

struct handshake {
	SSL *server, *client;
	struct fiber *fiber;	/* NULL: the key is in this process */
	int paused;
};

static SSL_CTX *server_ctx, *client_ctx;
static struct event_base *base;
static long long server_ns;

static void check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s failed\n", what);
		exit(1);
	}
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void accept_more(void *arg)
{
	struct handshake *h = arg;

	SSL_do_handshake(h->server);
}

static void run_server(void *arg)
{
	struct handshake *h = arg;
	long long start = now_ns();

	if (h->fiber)
		h->paused = fiber_run(h->fiber, accept_more, h) == FIBER_PAUSED;
	else
		accept_more(h);
	server_ns += now_ns() - start;
}

static void begin(struct handshake *h, int remote)
{
	long long start = now_ns();
	BIO *bios[2];

	BIO_new_bio_pair(&bios[0], 0, &bios[1], 0);
	h->server = SSL_new(server_ctx);
	h->fiber = remote ? fiber_new(run_server, h) : NULL;
	SSL_set_bio(h->server, bios[0], bios[0]);
	SSL_set_accept_state(h->server);
	server_ns += now_ns() - start;
	h->client = SSL_new(client_ctx);
	SSL_set_bio(h->client, bios[1], bios[1]);
	SSL_set_connect_state(h->client);
	h->paused = 0;
	SSL_do_handshake(h->client);
	run_server(h);
}

static void end(struct handshake *h)
{
	long long start;

	while (h->paused)
		check(!event_base_loop(base, EVLOOP_ONCE), "the event loop");
	check(SSL_do_handshake(h->client) == 1, "a client");
	run_server(h);
	check(SSL_is_init_finished(h->server), "a server");
	start = now_ns();
	SSL_free(h->server);
	fiber_free(h->fiber);
	server_ns += now_ns() - start;
	SSL_free(h->client);
}

/* Returns ns per handshake in all; *@server: of which the server's own. */
static double run(int n, int width, int remote, double *server)
{
	struct handshake h[INTERLEAVED];
	long long start = now_ns();

	server_ns = 0;
	for (int i = 0; i < n; i += width) {
		for (int j = 0; j < width; j++)
			begin(&h[j], remote);
		for (int j = 0; j < width; j++)
			end(&h[j]);
	}
	*server = (double)server_ns / n;
	return (double)(now_ns() - start) / n;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

/* In turn, several rounds; the medians count. */
static void measure(const char *name, enum key_type type, int n, int width)
{
	EVP_PKEY *remote = remote_key_new(X509_get0_pubkey(lib_certs[type]), type);
	EVP_PKEY *keys[] = { lib_keys[type], remote };
	double all[2][ROUNDS], server[ROUNDS], ignored;

	check(remote != NULL, "a remote key");
	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < 2; j++) {
			/* A new one: each would keep one key of each kind. */
			SSL_CTX_free(server_ctx);
			server_ctx = SSL_CTX_new(TLS_server_method());
			SSL_CTX_set_session_cache_mode(server_ctx, SSL_SESS_CACHE_OFF);
			check(SSL_CTX_use_cert_and_key(server_ctx, lib_certs[type], keys[j], NULL,
						       1), "a key");
			run(width, width, j, &ignored);
			all[j][i] = run(n, width, j, j ? &ignored : &server[i]);
		}
	}
	EVP_PKEY_free(remote);
	qsort(all[0], ROUNDS, sizeof(double), compare);
	qsort(all[1], ROUNDS, sizeof(double), compare);
	qsort(server, ROUNDS, sizeof(double), compare);
	ignored = all[1][ROUNDS / 2] - all[0][ROUNDS / 2];
	printf("%-9s %2d at a time: server %9.0f, signer's extra %7.0f, +%.1f %%\n", name, width,
	       server[ROUNDS / 2], ignored, 100 * ignored / server[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 160;
	struct signer_client *client;
	struct lib_signer signer;

	check(lib_make_keys() && lib_setup(false), "keys");
	check(lib_signer_start(&signer, 0, false, NULL, 0), "the signer");
	base = event_base_new();
	client = signer_client_new(base, &lib_config);
	check(!remote_key_init(signer_client_sign, client), "the provider");
	check(!signer_client_connect(client, 0, lib_signer_channel(&signer)), "the channel");
	client_ctx = SSL_CTX_new(TLS_client_method());

	for (int width = 1; width <= INTERLEAVED; width *= INTERLEAVED) {
		measure("P-256", KEY_P256, n, width);
		measure("RSA-2048", KEY_RSA, n, width);
		measure("Ed25519", KEY_ED25519, n, width);
	}
	signer_client_free(client);
	lib_signer_stop(&signer);
	lib_cleanup();
	return 0;
}
