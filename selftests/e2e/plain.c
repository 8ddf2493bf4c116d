// SPDX-License-Identifier: GPL-2.0-only
/*
 * An application without a library or a line of TLS: socket options alone.
 *
 *	plain [OPTION...] server	accepts connections and echoes
 *	plain [OPTION...] client PORT	a cat(1) with two ends
 *
 *	-I IDENTITY	to be
 *	-l ALPN		a protocol; may be repeated
 *	-n NAME		whom a client connects to, as the certificate has it: localhost
 *	-N		non-blocking: poll(2), then SO_ERROR; a server in one thread
 *	-t MS		for the handshake
 *
 * Tells, a line each, as app.c does (a client on stderr, without "peer="):
 *
 *	peer=PORT result=OK ms=N suite=1301 group=… alpn=… sni=… name=… resumed=0
 *	peer=PORT result=ECONNABORTED ms=N handshake=4 errno=… alert=sent:70 error=TEXT
 *	peer=PORT end=OK bytes=N
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ask.h"
#include "tcp.h"

#define FDS_MAX 4096

static struct keyblob_handshake what;
static bool nonblocking;

struct connection {
	long long began, bytes;
	int port;
	bool keyed;
};

static const char *name_of(int result)
{
	return result ? strerrorname_np(-result) : "OK";
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static void tell(FILE *to, int port, int fd, int result, long long ms)
{
	const struct keyblob_status s = ask_status(fd);
	char alert[32] = "none";

	flockfile(to);
	if (port)
		fprintf(to, "peer=%d ", port);
	fprintf(to, "result=%s ms=%lld ", name_of(result), ms);
	if (s.has_alert)
		snprintf(alert, sizeof(alert), "%s:%d", s.has_alert == 1 ? "sent" : "received",
			 s.alert);
	if (result)
		fprintf(to, "handshake=%d errno=%s alert=%s error=%s\n", s.handshake,
			name_of(-(int)s.error), alert, s.reason);
	else
		fprintf(to, "suite=%04x group=%s alpn=%s sni=%s name=%s resumed=%d\n",
			s.cipher_suite, or_dash(s.group), or_dash(s.alpn), or_dash(s.server_name),
			or_dash(s.peer_name), s.resumed);
	funlockfile(to);
	fflush(to);
}

/* Blocking. */

static void *serve(void *arg)
{
	int fd = (intptr_t)arg, port = tcp_port(fd, getpeername), result;
	long long began = tcp_now_ms(), bytes = 0;
	char data[16384];
	ssize_t n = 0;

	result = ask_handshake(fd, &what);
	tell(stdout, port, fd, result, tcp_now_ms() - began);
	while (!result && (n = read(fd, data, sizeof(data))) > 0) {
		bytes += n;
		if (send(fd, data, n, MSG_NOSIGNAL) != n)
			break;
	}
	if (!result)
		printf("peer=%d end=%s bytes=%lld\n", port, name_of(n < 0 ? -errno : 0), bytes);
	close(fd);
	return NULL;
}

static void serve_in_threads(int listener)
{
	pthread_t thread;

	for (;;) {
		intptr_t fd = tcp_accept(listener);

		if (pthread_create(&thread, NULL, serve, (void *)fd))
			errx(3, "pthread_create");
		pthread_detach(thread);
	}
}

/* An event loop. */

static struct connection connections[FDS_MAX];

static void begin(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
	struct connection *c = &connections[fd];
	int result;

	if (fd >= FDS_MAX)
		errx(3, "too many connections");
	*c = (struct connection){ .began = tcp_now_ms(), .port = tcp_port(fd, getpeername) };
	fcntl(fd, F_SETFL, O_NONBLOCK);
	result = ask_handshake(fd, &what);
	if (result == -EINPROGRESS) {
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		return;
	}
	tell(stdout, c->port, fd, result, 0);
	close(fd);
}

static void on_handshake(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	struct connection *c = &connections[fd];
	int result = ask_result(fd);

	tell(stdout, c->port, fd, result, tcp_now_ms() - c->began);
	c->keyed = true;
	if (result)
		close(fd);
	else
		epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void on_data(int fd)
{
	struct connection *c = &connections[fd];
	char data[16384];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		c->bytes += n;
		if (send(fd, data, n, MSG_NOSIGNAL) == n)
			return;
	}
	printf("peer=%d end=%s bytes=%lld\n", c->port, name_of(n < 0 ? -errno : 0), c->bytes);
	close(fd);
}

static void serve_by_events(int listener)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		if (event.data.fd == listener)
			begin(epoll, tcp_accept(listener));
		else if (!connections[event.data.fd].keyed)
			on_handshake(epoll, event.data.fd);
		else
			on_data(event.data.fd);
	}
}

/* A client. */

static int sock, end;

static void *receive(void *unused)
{
	char data[16384];
	ssize_t n;

	while ((n = read(sock, data, sizeof(data))) > 0)
		if (write(STDOUT_FILENO, data, n) != n)
			err(3, "stdout");
	end = n ? errno : 0;
	return unused;
}

static int connect_to(int port)
{
	struct pollfd ready = { .events = POLLOUT };
	long long began = tcp_now_ms();
	int flags, result;

	sock = ready.fd = tcp_connect(port);
	flags = fcntl(sock, F_GETFL);
	if (nonblocking)
		fcntl(sock, F_SETFL, flags | O_NONBLOCK);
	result = ask_handshake(sock, &what);
	if (nonblocking && result == -EINPROGRESS) {
		poll(&ready, 1, -1);
		result = ask_result(sock);
	}
	fcntl(sock, F_SETFL, flags);
	tell(stderr, 0, sock, result, tcp_now_ms() - began);
	return result;
}

static int run_client(int port)
{
	char data[16384];
	pthread_t reader;
	ssize_t n;

	if (connect_to(port))
		return 4;
	if (pthread_create(&reader, NULL, receive, NULL))
		errx(3, "pthread_create");
	while ((n = read(STDIN_FILENO, data, sizeof(data))) > 0)
		if (write(sock, data, n) != n)
			err(3, "write");
	shutdown(sock, SHUT_WR);
	pthread_join(reader, NULL);
	fprintf(stderr, "end=%s\n", name_of(-end));
	return end ? 1 : 0;
}

static void add_protocol(const char *name)
{
	size_t len = strlen(name);

	if (!len || what.alpn_len + 1 + len > sizeof(what.alpn))
		errx(2, "too long: %s", name);
	what.alpn[what.alpn_len] = len;
	memcpy(what.alpn + what.alpn_len + 1, name, len);
	what.alpn_len += 1 + len;
}

static void read_options(int argc, char **argv)
{
	int option;

	strcpy(what.peer_name, "localhost");
	while ((option = getopt(argc, argv, "I:l:n:Nt:")) != -1) {
		switch (option) {
		case 'I':
			snprintf(what.identity, sizeof(what.identity), "%s", optarg);
			break;
		case 'l':
			add_protocol(optarg);
			break;
		case 'n':
			snprintf(what.peer_name, sizeof(what.peer_name), "%s", optarg);
			break;
		case 'N':
			nonblocking = true;
			break;
		case 't':
			what.timeout_ms = atoi(optarg);
			break;
		default:
			errx(2, "usage: see plain.c");
		}
	}
}

int main(int argc, char **argv)
{
	int port = 0, listener;

	read_options(argc, argv);
	setlinebuf(stdout);
	signal(SIGPIPE, SIG_IGN);
	if (argc - optind == 2 && !strcmp(argv[optind], "client")) {
		what.role = KEYBLOB_ROLE_CLIENT;
		return run_client(atoi(argv[optind + 1]));
	}
	if (argc - optind != 1 || strcmp(argv[optind], "server"))
		errx(2, "usage: see plain.c");
	what.role = KEYBLOB_ROLE_SERVER;
	memset(what.peer_name, 0, sizeof(what.peer_name));
	listener = tcp_listen(&port);
	printf("listening on port %d\n", port);
	if (nonblocking)
		serve_by_events(listener);
	else
		serve_in_threads(listener);
}
