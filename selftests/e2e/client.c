// SPDX-License-Identifier: GPL-2.0-only
/*
 * An application that connects, has the agent make TLS of it, and from then on is a cat(1)
 * with two ends.
 *
 *	client [OPTION...] PORT
 *
 *	-a AGENT	path of its socket
 *	-b		ask for the channel binding
 *	-n NAME		whom to connect to, as the certificate has it: localhost
 *	-I IDENTITY	to be, if the server asks
 *	-l ALPN		a protocol that is offered; may be repeated
 *	-t MS		for the handshake
 *	-d PREFIX	write the server's chain to PREFIX0.der and so on
 *	-s		in the two steps for event loops
 *	-i		input is lines of text; K or k is a KeyUpdate instead, as in openssl
 *			s_client: K asks the peer for one
 *	-u BYTES	a KeyUpdate after so many bytes each, by turns without and with a request
 *
 * On stderr it tells result=… (see tell.h) after the handshake. At the end of the input it
 * ends its side; when the peer has done so too, it tells
 *	sent=N received=N end=OK tx_generation=N rx_generation=N tickets=N alert=N
 * where alert is the peer's. The exit status is 4 without a handshake, 1 without a good end.
 */
#include <linux/keyblob.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "tcp.h"
#include "tell.h"

#define ALPN_MAX 16

static const char *agent_path, *name = "localhost", *prefix;
static struct keyblob_options options = KEYBLOB_OPTIONS_INIT;
static size_t update_after;
static bool in_lines, in_steps;
static int sock;

/* What came from the peer, and how it ended: the reader's. */
static long long received;
static int end;

static void write_chain(const struct keyblob_info *info)
{
	const uint8_t *der;
	char path[256];
	size_t len;
	FILE *file;

	for (unsigned int i = 0; !keyblob_info_peer_cert(info, i, &der, &len); i++) {
		snprintf(path, sizeof(path), "%s%u.der", prefix, i);
		file = fopen(path, "w");
		if (!file || fwrite(der, len, 1, file) != 1 || fclose(file))
			err(3, "%s", path);
	}
}

static int connect_in_steps(struct keyblob_agent *agent, struct keyblob_info **info)
{
	struct pollfd ready = { .fd = keyblob_agent_fd(agent), .events = POLLIN };
	struct keyblob_done done;
	int result = keyblob_connect_start(agent, sock, name, &options, &ready);

	if (result)
		return result;
	while (!keyblob_complete(agent, &done))
		poll(&ready, 1, -1);
	if (done.data != &ready || done.fd != sock)
		errx(3, "another request completed");
	*info = done.info;
	return done.result;
}

static void handshake(void)
{
	struct keyblob_info *info = NULL;
	struct keyblob_agent *agent;
	int result;

	if (keyblob_agent_open(agent_path, &agent))
		errx(3, "%s", keyblob_agent_error(NULL));
	result = in_steps ? connect_in_steps(agent, &info) :
			    keyblob_connect(agent, sock, name, &options, &info);
	fprintf(stderr, "result=%s ", tell_name_of(result));
	if (result) {
		tell_failure(stderr, agent);
		exit(4);
	}
	tell_success(stderr, info);
	if (prefix)
		write_chain(info);
	keyblob_info_free(info);
	keyblob_agent_close(agent);
}

static void rekey(int request)
{
	if (setsockopt(sock, SOL_KEYBLOB, KEYBLOB_REKEY, &request, sizeof(request)))
		err(3, "KEYBLOB_REKEY");
}

static void send_all(const char *data, size_t len)
{
	if (write(sock, data, len) != (ssize_t)len)
		err(3, "write");
}

static long long send_lines(void)
{
	long long sent = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		if (!strcmp(line, "K\n") || !strcmp(line, "k\n")) {
			rekey(*line == 'K');
			continue;
		}
		send_all(line, len);
		sent += len;
	}
	free(line);
	return sent;
}

/* Whole blocks, also where they come through a pipe: each is four full records. */
static long long send_blocks(void)
{
	char data[1 << 16];
	size_t left = update_after, max, n;
	long long sent = 0;
	int updates = 0;

	for (;;) {
		max = update_after && left < sizeof(data) ? left : sizeof(data);
		n = fread(data, 1, max, stdin);
		if (!n)
			return sent;
		send_all(data, n);
		sent += n;
		left -= n;
		if (update_after && !left) {
			rekey(updates++ % 2);
			left = update_after;
		}
	}
}

static void *receive(void *unused)
{
	char data[1 << 16];
	ssize_t n;

	while ((n = read(sock, data, sizeof(data))) > 0) {
		received += n;
		if (write(STDOUT_FILENO, data, n) != n)
			err(3, "stdout");
	}
	end = n ? errno : 0;
	return unused;
}

static void read_options(int argc, char **argv)
{
	static const char *alpn[ALPN_MAX + 1];
	int option, n_alpn = 0;

	while ((option = getopt(argc, argv, "a:bd:I:il:n:st:u:")) != -1) {
		switch (option) {
		case 'a':
			agent_path = optarg;
			break;
		case 'b':
			options.flags = KEYBLOB_CHANNEL_BINDING;
			break;
		case 'd':
			prefix = optarg;
			break;
		case 'I':
			options.identity = optarg;
			break;
		case 'i':
			in_lines = true;
			break;
		case 'l':
			if (n_alpn < ALPN_MAX)
				alpn[n_alpn++] = optarg;
			options.alpn = alpn;
			break;
		case 'n':
			name = optarg;
			break;
		case 's':
			in_steps = true;
			break;
		case 't':
			options.timeout_ms = atoi(optarg);
			break;
		case 'u':
			update_after = atoi(optarg);
			break;
		default:
			errx(2, "usage: see client.c");
		}
	}
	if (optind != argc - 1)
		errx(2, "usage: see client.c");
}

int main(int argc, char **argv)
{
	struct keyblob_status status;
	long long sent;
	pthread_t reader;

	read_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	sock = tcp_connect(atoi(argv[optind]));
	handshake();
	if (pthread_create(&reader, NULL, receive, NULL))
		errx(3, "pthread_create");
	sent = in_lines ? send_lines() : send_blocks();
	/* Not if the connection is gone: then the reader says why. */
	shutdown(sock, SHUT_WR);
	pthread_join(reader, NULL);
	if (keyblob_socket_status(sock, &status))
		errx(3, "no status");
	fprintf(stderr, "sent=%lld received=%lld end=%s tx_generation=%u rx_generation=%u tickets=%u alert=%u\n",
		sent, received, tell_name_of(-end), status.tx_generation, status.rx_generation,
		status.rx_tickets, status.rx_alert);
	return end ? 1 : 0;
}
