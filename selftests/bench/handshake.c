// SPDX-License-Identifier: GPL-2.0-only
/*
 * handshake AGENT-SOCKET CERTIFICATE KEY VERSION PID...: what a full handshake costs with
 * the agent, whose processes are PID..., and in a server that is one process with OpenSSL.
 * The client, a child, is the same for both. Called by handshake.sh, under scripts/vm
 * --icount, where a nanosecond of the guest's clock is an instruction, of whatever process
 * or of the kernel. All in turn, several rounds; the medians count.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keyblob.h>
#include <openssl/ssl.h>

#include "../e2e/tcp.h"

#define ROUNDS		9
#define HANDSHAKES	20
#define PROCESSES_MAX	8

enum contender { OPENSSL, KTLS, AGENT, CONTENDERS };

static const char *const names[] = { "OpenSSL", "OpenSSL, kTLS", "keyblob" };

/* Per handshake. The kernel's share is in that of the process that it works for. */
struct cost {
	double all, client, server, agent[PROCESSES_MAX];
};

static SSL_CTX *contexts[AGENT];
static struct keyblob_agent *agent;
static clockid_t client_clock, agent_clocks[PROCESSES_MAX];
static int n_agent_clocks, version, listener;

static void check(bool ok, const char *what)
{
	if (!ok)
		errx(1, "%s failed", what);
}

static void set_version(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
}

/*
 * The client.
 */

/* One connection, from the first byte to the server's last. */
static void run_client(SSL_CTX *ctx, int port)
{
	SSL *ssl = SSL_new(ctx);
	int fd = tcp_connect(port);
	char byte;

	SSL_set_fd(ssl, fd);
	check(SSL_connect(ssl) == 1, "a client's handshake");
	check(SSL_read(ssl, &byte, 1) == 0 &&
	      SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN, "the end of a connection");
	SSL_free(ssl);
	close(fd);
}

static pid_t start_client(const char *cert, int port)
{
	pid_t pid = fork();
	SSL_CTX *ctx;

	if (pid)
		return pid;
	ctx = SSL_CTX_new(TLS_client_method());
	set_version(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	check(SSL_CTX_load_verify_file(ctx, cert) == 1, "the certificate");
	for (;;)
		run_client(ctx, port);
}

/*
 * The servers.
 */

/* As the agent has it: tickets, no session cache. Nothing is wiped that OpenSSL does not wipe. */
static SSL_CTX *make_context(const char *cert, const char *key, enum contender contender)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	set_version(ctx);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
	if (contender == KTLS)
		SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
	check(SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM) == 1 &&
	      SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1, "the key");
	return ctx;
}

static void serve(enum contender contender)
{
	int fd = tcp_accept(listener), on = 1;
	SSL *ssl;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (contender == AGENT) {
		if (keyblob_accept(agent, fd, NULL, NULL))
			errx(1, "%s", keyblob_agent_error(agent));
	} else {
		ssl = SSL_new(contexts[contender]);
		SSL_set_fd(ssl, fd);
		check(SSL_accept(ssl) == 1, "a server's handshake");
		check((contender == KTLS) == !!BIO_get_ktls_send(SSL_get_wbio(ssl)), "kTLS");
		SSL_shutdown(ssl);
		SSL_free(ssl);
	}
	close(fd);
}

/*
 * The measurement.
 */

static double read_clock(clockid_t clock)
{
	struct timespec t;

	check(!clock_gettime(clock, &t), "a clock");
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static struct cost read_costs(void)
{
	struct cost cost = {
		.all = read_clock(CLOCK_MONOTONIC),
		.client = read_clock(client_clock),
		.server = read_clock(CLOCK_PROCESS_CPUTIME_ID),
	};

	for (int i = 0; i < n_agent_clocks; i++)
		cost.agent[i] = read_clock(agent_clocks[i]);
	return cost;
}

/* The client is in its next handshake's first wait at the begin, and at the end. */
static struct cost measure(enum contender contender)
{
	struct cost before, after;

	serve(contender);	/* warm up */
	before = read_costs();
	for (int i = 0; i < HANDSHAKES; i++)
		serve(contender);
	after = read_costs();
	after.all = (after.all - before.all) / HANDSHAKES;
	after.client = (after.client - before.client) / HANDSHAKES;
	after.server = (after.server - before.server) / HANDSHAKES;
	for (int i = 0; i < n_agent_clocks; i++)
		after.agent[i] = (after.agent[i] - before.agent[i]) / HANDSHAKES;
	return after;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the values at @offset in the costs of one contender. */
static double median(const struct cost costs[ROUNDS], size_t offset)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		/* cppcheck-suppress invalidPointerCast ; offset is a double's */
		values[i] = *(const double *)((const char *)&costs[i] + offset);
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static struct cost medians(const struct cost costs[ROUNDS])
{
	struct cost m = {
		.all = median(costs, offsetof(struct cost, all)),
		.client = median(costs, offsetof(struct cost, client)),
		.server = median(costs, offsetof(struct cost, server)),
	};

	for (int i = 0; i < n_agent_clocks; i++)
		m.agent[i] = median(costs, offsetof(struct cost, agent[i]));
	return m;
}

static void print(enum contender contender, const struct cost *cost, const struct cost *base)
{
	const double extra = cost->all - base->all;

	printf("%-14s all %8.0f: client %8.0f, server %8.0f", names[contender], cost->all,
	       cost->client, cost->server);
	for (int i = 0; contender == AGENT && i < n_agent_clocks; i++)
		printf(" + %7.0f", cost->agent[i]);
	if (contender != OPENSSL)
		printf("; %+8.0f: %+.1f %% of all, %+.1f %% of the server's side", extra,
		       100 * extra / base->all, 100 * extra / (base->all - base->client));
	printf("\n");
}

int main(int argc, char **argv)
{
	static struct cost costs[CONTENDERS][ROUNDS];
	struct cost m[CONTENDERS];
	int port = 0;
	pid_t client;

	if (argc < 6 || argc > 5 + PROCESSES_MAX)
		errx(2, "usage: handshake AGENT-SOCKET CERTIFICATE KEY 1.2|1.3 PID...");
	version = !strcmp(argv[4], "1.2") ? TLS1_2_VERSION : TLS1_3_VERSION;
	for (int i = 5; i < argc; i++)
		check(!clock_getcpuclockid(atoi(argv[i]), &agent_clocks[n_agent_clocks++]),
		      "a process's clock");
	listener = tcp_listen(&port);
	client = start_client(argv[2], port);
	check(client > 0 && !clock_getcpuclockid(client, &client_clock), "the client's clock");
	for (int i = 0; i < AGENT; i++)
		contexts[i] = make_context(argv[2], argv[3], i);
	if (keyblob_agent_open(argv[1], &agent))
		errx(1, "%s", keyblob_agent_error(NULL));

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < CONTENDERS; i++)
			costs[i][round] = measure(i);
	kill(client, SIGKILL);
	waitpid(client, NULL, 0);
	for (int i = 0; i < CONTENDERS; i++) {
		m[i] = medians(costs[i]);
		print(i, &m[i], &m[OPENSSL]);
	}
	return 0;
}
