// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many handshakes. The server's side is libkeyblob, in this process; the clients are
 * OpenSSL alone, in a child. Each connection echoes 32 bytes and ends with
 * close_notify both ways.
 *
 *	handshakes [OPTION...] TOTAL AT_ONCE
 *
 *	-a AGENT
 *	-K		ask the kernel (KEYBLOB_HANDSHAKE), without library or agent connection:
 *			non-blocking in one thread, or with -b blocking in one for each
 *	-b		keyblob_accept() in a thread for each connection, with an agent
 *			connection of its own; else keyblob_accept_start() in one thread
 *	-x		give up every third request with keyblob_cancel(), or close()
 *	-t MS		timeout of a handshake
 *	-v 1.2|1.3	the only version the clients offer
 *	-k PID -A N	send SIGKILL to PID when N handshakes are done
 *
 * If AT_ONCE is TOTAL, no client says a word before all are connected and all
 * requests are with the agent. Tells what happened to the requests:
 *
 *	requests=N ok=N cancelled=N failed=N max_ms=N
 *	failed N ERRNO TEXT
 *	streams ok=N failed=N
 *	clients ok=N failed=N
 *
 * Exit status 0: every request came to an end, and whoever succeeded here did so there.
 */
#include <errno.h>
#include <fcntl.h>
#include <keyblob.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "tcp.h"

#define TOTAL_MAX	10000
#define FDS_MAX		(2 * TOTAL_MAX)
#define MESSAGE		32
#define PATIENCE_MS	100000

static const char *agent_path;
static struct keyblob_options options = KEYBLOB_OPTIONS_INIT;
static unsigned int total, at_once, kill_after;
static int version, victim;
static bool blocking, cancelling, by_kernel;
static struct keyblob_handshake what = { .role = KEYBLOB_ROLE_SERVER };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	unsigned int requests, ok, cancelled, failed, streams_ok, streams_failed;
	long long max_ms;
} count;

static struct failure {
	int result;
	char text[200];
	unsigned int n;
} failures[64];

static bool barrier(void)
{
	return total == at_once;
}

/*
 * The clients.
 */

struct client {
	int fd;			/* -1: not in use */
	SSL *ssl;
	enum { CONNECTING, WRITING, READING, CLOSING } state;
	short events;
	unsigned int got;
};

static const char message[MESSAGE] = "thirty-two bytes, there and back";

/* Go as far as it goes. 0: not done, 1: done well, -1: failed. */
static int client_advance(struct client *c)
{
	char data[MESSAGE];
	int ret, error;

	for (;;) {
		switch (c->state) {
		case CONNECTING:
			ret = SSL_connect(c->ssl);
			break;
		case WRITING:
			ret = SSL_write(c->ssl, message, MESSAGE);
			break;
		case READING:
			ret = SSL_read(c->ssl, data, MESSAGE);
			if (ret > 0) {
				c->got += ret;
				if (c->got < MESSAGE)
					continue;
				SSL_shutdown(c->ssl);
			}
			break;
		case CLOSING:
			/* The other side's close_notify, or it was cut off. */
			ret = SSL_read(c->ssl, data, MESSAGE);
			if (ret <= 0 && SSL_get_error(c->ssl, ret) == SSL_ERROR_ZERO_RETURN)
				return 1;
			break;
		}
		if (ret > 0) {
			c->state++;
			continue;
		}
		error = SSL_get_error(c->ssl, ret);
		if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
			c->events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
			return 0;
		}
		ERR_clear_error();
		return -1;
	}
}

static void client_open(struct client *c, SSL_CTX *ctx, int port)
{
	*c = (struct client){ .fd = tcp_connect(port) };
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	c->events = POLLOUT;
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	c->fd = -1;
}

/* In the child. Writes to @go_ahead are waited for once all are connected. */
static void run_clients(int port, int go_ahead)
{
	struct client *clients = calloc(at_once, sizeof(*clients));
	struct pollfd *polls = calloc(at_once, sizeof(*polls));
	unsigned int begun = 0, ended = 0, ok = 0;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char byte;

	if (!clients || !polls || !ctx)
		errx(3, "out of memory");
	signal(SIGPIPE, SIG_IGN);
	if (version) {
		SSL_CTX_set_min_proto_version(ctx, version);
		SSL_CTX_set_max_proto_version(ctx, version);
	}
	for (unsigned int i = 0; i < at_once; i++)
		clients[i].fd = -1;
	while (ended < total) {
		for (unsigned int i = 0; i < at_once; i++) {
			if (clients[i].fd < 0 && begun < total) {
				client_open(&clients[i], ctx, port);
				begun++;
			}
			polls[i] = (struct pollfd){ clients[i].fd, clients[i].events, 0 };
		}
		if (barrier() && go_ahead >= 0 && begun == total) {
			if (read(go_ahead, &byte, 1) != 1)
				errx(3, "no go-ahead");
			go_ahead = -1;
		}
		if (poll(polls, at_once, PATIENCE_MS) <= 0)
			break;
		for (unsigned int i = 0; i < at_once; i++) {
			int done;

			if (clients[i].fd < 0 || !polls[i].revents)
				continue;
			done = client_advance(&clients[i]);
			if (!done)
				continue;
			client_close(&clients[i]);
			ended++;
			ok += done > 0;
		}
	}
	printf("clients ok=%u failed=%u\n", ok, total - ok);
	fflush(stdout);
	SSL_CTX_free(ctx);
	free(clients);
	free(polls);
}

/*
 * The server.
 */

/* One request came to its end, after @ms. */
static void account(int result, const char *text, long long ms)
{
	struct failure *f = failures;

	pthread_mutex_lock(&lock);
	if (!result) {
		count.ok++;
	} else {
		count.failed++;
		while (f->n && (f->result != result || strcmp(f->text, text)) &&
		       f < failures + sizeof(failures) / sizeof(failures[0]) - 1)
			f++;
		f->result = result;
		snprintf(f->text, sizeof(f->text), "%s", text);
		f->n++;
	}
	if (ms > count.max_ms)
		count.max_ms = ms;
	if (victim && count.ok + count.failed == kill_after)
		kill(victim, SIGKILL);
	pthread_mutex_unlock(&lock);
}

static void account_stream(bool ok)
{
	pthread_mutex_lock(&lock);
	count.streams_ok += ok;
	count.streams_failed += !ok;
	pthread_mutex_unlock(&lock);
}

/* Read what there is, send it back. 0: goes on, 1: ended well, -1: ended otherwise. */
static int echo(int fd)
{
	char data[MESSAGE];
	ssize_t n = read(fd, data, sizeof(data));

	if (n > 0)
		return send(fd, data, n, MSG_NOSIGNAL) == n ? 0 : -1;
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n ? -1 : 1;
}

static void echo_all(int fd)
{
	int end;

	while (!(end = echo(fd)))
		;
	account_stream(end > 0);
}

static void *serve_by_kernel(void *arg)
{
	long long began = tcp_now_ms();
	int fd = (intptr_t)arg, result;

	result = ask_handshake(fd, &what);
	account(result, ask_status(fd).reason, tcp_now_ms() - began);
	if (!result)
		echo_all(fd);
	close(fd);
	return NULL;
}

static void *serve_one(void *arg)
{
	struct keyblob_agent *agent;
	int fd = (intptr_t)arg, result;
	long long began;

	result = keyblob_agent_open(agent_path, &agent);
	if (result) {
		account(result, keyblob_agent_error(NULL), 0);
		close(fd);
		return NULL;
	}
	began = tcp_now_ms();
	result = keyblob_accept(agent, fd, &options, NULL);
	account(result, keyblob_agent_error(agent), tcp_now_ms() - began);
	keyblob_agent_close(agent);
	if (!result)
		echo_all(fd);
	close(fd);
	return NULL;
}

static void run_blocking(int listener, int go_ahead)
{
	pthread_t *threads = calloc(total, sizeof(*threads));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (unsigned int i = 0; i < total; i++) {
		intptr_t fd = tcp_accept(listener);

		if (pthread_create(&threads[i], &attr, by_kernel ? serve_by_kernel : serve_one,
				   (void *)fd))
			errx(3, "pthread_create");
		count.requests++;
	}
	if (barrier()) {
		sleep(1);	/* until all of them wait */
		if (write(go_ahead, "", 1) != 1)
			err(3, "go-ahead");
	}
	for (unsigned int i = 0; i < total; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

static long long begun_ms[TOTAL_MAX];

static void begin_request(struct keyblob_agent *agent, int fd)
{
	unsigned int n = count.requests++;
	int result;

	begun_ms[n] = tcp_now_ms();
	for (;;) {
		result = keyblob_accept_start(agent, fd, &options, &begun_ms[n]);
		if (result != -EAGAIN)
			break;
		poll(&(struct pollfd){ keyblob_agent_fd(agent), POLLIN, 0 }, 1, 100);
	}
	if (result) {
		account(result, keyblob_agent_error(agent), 0);
		close(fd);
	} else if (cancelling && n % 3 == 0) {
		if (keyblob_cancel(agent, fd))
			errx(3, "cancel: %s", keyblob_agent_error(agent));
		count.cancelled++;
		close(fd);
	}
}

static void finish_requests(struct keyblob_agent *agent, int epoll)
{
	struct keyblob_done done;
	struct epoll_event event = { .events = EPOLLIN };

	while (keyblob_complete(agent, &done) == 1) {
		account(done.result, keyblob_agent_error(agent),
			tcp_now_ms() - *(long long *)done.data);
		keyblob_info_free(done.info);
		event.data.fd = done.fd;
		if (done.result)
			close(done.fd);
		else if (epoll_ctl(epoll, EPOLL_CTL_ADD, done.fd, &event) < 0)
			err(3, "epoll_ctl");
	}
}

static bool all_ended(void)
{
	return count.ok + count.failed + count.cancelled == total &&
	       count.streams_ok + count.streams_failed == count.ok;
}

/* By descriptor: when a request of the kernel began that is under way; 0: none is. */
static long long asked_ms[FDS_MAX];

static void ask_kernel(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
	unsigned int n = count.requests++;
	int result;

	if (fd >= FDS_MAX)
		errx(3, "too many descriptors");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	result = ask_handshake(fd, &what);
	if (result != -EINPROGRESS) {
		account(result ? result : -EPROTO, ask_status(fd).reason, 0);
		close(fd);
	} else if (cancelling && n % 3 == 0) {
		count.cancelled++;
		close(fd);
	} else {
		asked_ms[fd] = tcp_now_ms();
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void take_result(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	int result = ask_result(fd);

	account(result, ask_status(fd).reason, tcp_now_ms() - asked_ms[fd]);
	asked_ms[fd] = 0;
	if (result)
		close(fd);
	else
		epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void run_events(int listener, int go_ahead)
{
	struct epoll_event events[64], event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC), n, end, agent_fd = -1;
	struct keyblob_agent *agent = NULL;
	bool gone_ahead = !barrier();

	event.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	if (!by_kernel) {
		if (keyblob_agent_open(agent_path, &agent) < 0)
			errx(3, "%s", keyblob_agent_error(NULL));
		agent_fd = keyblob_agent_fd(agent);
		event.data.fd = agent_fd;
		epoll_ctl(epoll, EPOLL_CTL_ADD, agent_fd, &event);
	}

	while (!all_ended()) {
		if (!gone_ahead && count.requests == total) {
			gone_ahead = true;
			if (write(go_ahead, "", 1) != 1)
				err(3, "go-ahead");
		}
		n = epoll_wait(epoll, events, 64, PATIENCE_MS);
		if (n <= 0)
			errx(1, "nothing happens any more: %u requests, %u ok, %u failed, %u streams",
			     count.requests, count.ok, count.failed, count.streams_ok);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener && by_kernel) {
				ask_kernel(epoll, tcp_accept(listener));
			} else if (fd == listener) {
				begin_request(agent, tcp_accept(listener));
			} else if (asked_ms[fd]) {
				take_result(epoll, fd);
			} else if (fd == agent_fd) {
				finish_requests(agent, epoll);
			} else if ((end = echo(fd))) {
				account_stream(end > 0);
				close(fd);
			}
		}
	}
	if (agent)
		keyblob_agent_close(agent);
	close(epoll);
}

int main(int argc, char **argv)
{
	int option, port = 0, listener, go_ahead[2], told[2], status;
	char line[256];
	unsigned int ok, failed;
	FILE *answer;
	pid_t child;

	options.timeout_ms = 60000;
	while ((option = getopt(argc, argv, "a:bKxt:v:k:A:")) != -1) {
		switch (option) {
		case 'a':
			agent_path = optarg;
			break;
		case 'b':
			blocking = true;
			break;
		case 'K':
			by_kernel = true;
			break;
		case 'x':
			cancelling = true;
			break;
		case 't':
			options.timeout_ms = atoi(optarg);
			break;
		case 'v':
			version = strcmp(optarg, "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
			break;
		case 'k':
			victim = atoi(optarg);
			break;
		case 'A':
			kill_after = atoi(optarg);
			break;
		default:
			errx(2, "usage: see handshakes.c");
		}
	}
	what.timeout_ms = options.timeout_ms;
	if (argc - optind != 2)
		errx(2, "usage: see handshakes.c");
	total = atoi(argv[optind]);
	at_once = atoi(argv[optind + 1]);
	if (total < 1 || total > TOTAL_MAX || at_once < 1 || at_once > total)
		errx(2, "give two numbers up to %d", TOTAL_MAX);

	listener = tcp_listen(&port);
	if (pipe(go_ahead) < 0 || pipe(told) < 0)
		err(3, "pipe");
	child = fork();
	if (!child) {
		close(listener);
		close(go_ahead[1]);
		dup2(told[1], STDOUT_FILENO);
		run_clients(port, go_ahead[0]);
		return 0;
	}
	close(told[1]);
	close(go_ahead[0]);
	signal(SIGPIPE, SIG_IGN);
	if (blocking)
		run_blocking(listener, go_ahead[1]);
	else
		run_events(listener, go_ahead[1]);

	printf("requests=%u ok=%u cancelled=%u failed=%u max_ms=%lld\n", count.requests, count.ok,
	       count.cancelled, count.failed, count.max_ms);
	for (struct failure *f = failures; f->n; f++)
		printf("failed %u %s %s\n", f->n, strerrorname_np(-f->result), f->text);
	printf("streams ok=%u failed=%u\n", count.streams_ok, count.streams_failed);
	answer = fdopen(told[0], "r");
	if (!fgets(line, sizeof(line), answer) ||
	    sscanf(line, "clients ok=%u failed=%u", &ok, &failed) != 2)
		errx(1, "the clients did not end");
	fputs(line, stdout);
	waitpid(child, &status, 0);
	return count.ok == count.streams_ok && count.ok == ok &&
	       count.ok + count.failed + count.cancelled == total ? 0 : 1;
}
