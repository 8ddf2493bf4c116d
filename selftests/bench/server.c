// SPDX-License-Identifier: GPL-2.0-only
/*
 * server [-c CERTIFICATE -k KEY] [-a AGENT] [-p PORT] MODE FILE: the application that all
 * contenders have in common, in one thread; MODE is how it does TLS, one of transports.
 * Says "listening on port N", and serves until it is killed. A request is a line:
 *
 *	send N		the first N bytes of FILE come
 *	take N		followed by N bytes; "ok" and a newline come
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../e2e/tcp.h"
#include "transport.h"

#define BUFFER		16384	/* bytes read or written at once: a TLS record */
#define ACCEPTS		16	/* connections accepted, then the others have their turn */
#define EVENTS		64
#define LINE_MAX_LEN	32

static const struct transport *const transports[] = {
	&transport_plain, &transport_openssl, &transport_openssl_ktls, &transport_ktls,
	&transport_keyblob, &transport_keyblob_option,
};

struct session {
	struct connection connection;	/* first: transports know it alone */
	uint32_t watched;
	enum { LINE, SEND, TAKE, ACKNOWLEDGE } state;
	char line[LINE_MAX_LEN];
	size_t line_len;
	long long left;			/* bytes of SEND and TAKE */
	off_t offset;
};

static const struct transport *tls;
static int epoll, file;
static const char *content;
static off_t content_len;

/*
 * Requests. All return 0 to go on, or -errno, -EAGAIN to wait.
 */

static int parse(struct session *s)
{
	char verb[8];

	s->line[s->line_len] = 0;
	s->line_len = 0;
	s->offset = 0;
	if (sscanf(s->line, "%7s %lld", verb, &s->left) != 2 || s->left < 0)
		return -EPROTO;
	if (!strcmp(verb, "take"))
		s->state = s->left ? TAKE : ACKNOWLEDGE;
	else if (!strcmp(verb, "send") && s->left <= content_len)
		s->state = s->left ? SEND : LINE;
	else
		return -EPROTO;
	return 0;
}

static int take(struct session *s, size_t len)
{
	s->left -= len;
	if (!s->left)
		s->state = ACKNOWLEDGE;
	return 0;
}

static int consume(struct session *s, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t n = end ? end - data : len;

	if (s->line_len + n >= LINE_MAX_LEN)
		return -EPROTO;
	memcpy(s->line + s->line_len, data, n);
	s->line_len += n;
	if (!end)
		return 0;
	len -= n + 1;
	if (parse(s) || len > (s->state == TAKE ? s->left : 0))
		return -EPROTO;
	return len ? take(s, len) : 0;
}

static int receive(struct session *s)
{
	static char buffer[BUFFER];
	size_t len = s->state == TAKE && s->left < BUFFER ? s->left : BUFFER;
	ssize_t n = tls->read(&s->connection, buffer, len);

	if (n <= 0)
		return n ?: -ENODATA;
	return s->state == TAKE ? take(s, n) : consume(s, buffer, n);
}

static int send_more(struct session *s)
{
	const size_t len = s->left < BUFFER ? s->left : BUFFER;
	ssize_t n = tls->sendfile ?
			    tls->sendfile(&s->connection, file, s->offset, s->left) :
			    tls->write(&s->connection, content + s->offset, len);

	if (n <= 0)
		return n ?: -EIO;
	s->offset += n;
	s->left -= n;
	if (!s->left)
		s->state = LINE;
	return 0;
}

static int acknowledge(struct session *s)
{
	ssize_t n = tls->write(&s->connection, "ok\n", 3);

	if (n < 0)
		return n;
	s->state = LINE;
	return n == 3 ? 0 : -EIO;
}

static int serve(struct session *s)
{
	switch (s->state) {
	case SEND:
		return send_more(s);
	case ACKNOWLEDGE:
		return acknowledge(s);
	default:
		return receive(s);
	}
}

/*
 * The event loop.
 */

static void watch(struct session *s)
{
	struct epoll_event event = { .events = s->connection.wants, .data.ptr = s };

	if (s->watched == event.events)
		return;
	if (epoll_ctl(epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->connection.fd, &event))
		err(3, "epoll_ctl");
	s->watched = event.events;
}

static void finish(struct session *s)
{
	if (tls->end)
		tls->end(&s->connection);
	close(s->connection.fd);
	free(s);
}

/* Go on after @result, of whatever came last, as far as it goes. */
static void advance(struct session *s, int result)
{
	while (!result)
		result = s->connection.ready ? serve(s) : tls->handshake(&s->connection);
	if (result == -EAGAIN) {
		watch(s);
		return;
	}
	/* Between requests, a peer may go, in whatever way. */
	if (!s->connection.ready || s->state != LINE || s->line_len)
		warnx("%s: %s", s->connection.ready ? "a request" : "a handshake",
		      strerror(-result));
	finish(s);
}

static void accept_some(int listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct session *s;

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		s = calloc(1, sizeof(*s));
		if (fd < 0 || !s)
			err(3, "accept");
		s->connection.fd = fd;
		advance(s, tls->begin(&s->connection));
	}
}

static void complete_all(void)
{
	struct connection *c;
	int result;

	while ((c = tls->complete(&result)))
		advance((struct session *)c, result);
}

static void add(int fd, void *mark)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = mark };

	if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(3, "epoll_ctl");
}

static void loop(int listener)
{
	static char accepting, completing;	/* their addresses are what counts */
	struct epoll_event events[EVENTS];

	add(listener, &accepting);
	if (tls->completion_fd)
		add(tls->completion_fd(), &completing);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &accepting)
				accept_some(listener);
			else if (events[i].data.ptr == &completing)
				complete_all();
			else
				advance(events[i].data.ptr, 0);
		}
	}
}

static void open_content(const char *path)
{
	struct stat st;

	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0)
		err(1, "%s", path);
	content_len = st.st_size;
	content = mmap(NULL, content_len, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
	if (content == MAP_FAILED)
		err(1, "%s", path);
}

static const struct transport *find_transport(const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(*transports); i++) {
		if (!strcmp(transports[i]->name, name))
			return transports[i];
	}
	errx(2, "no mode %s", name);
}

int main(int argc, char **argv)
{
	struct settings settings = { 0 };
	int option, port = 0, listener, on = 1;

	while ((option = getopt(argc, argv, "a:c:k:p:")) != -1) {
		switch (option) {
		case 'a': settings.agent = optarg; break;
		case 'c': settings.cert = optarg; break;
		case 'k': settings.key = optarg; break;
		case 'p': port = atoi(optarg); break;
		default: return 2;
		}
	}
	if (argc - optind != 2)
		errx(2, "usage: server [-c CERTIFICATE -k KEY] [-a AGENT] [-p PORT] MODE FILE");
	tls = find_transport(argv[optind]);
	open_content(argv[optind + 1]);
	signal(SIGPIPE, SIG_IGN);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = tcp_listen(&port);
	/* What is accepted has the same. */
	if (epoll < 0 || setsockopt(listener, SOL_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    fcntl(listener, F_SETFL, O_NONBLOCK))
		err(3, "listener");
	if (tls->init)
		tls->init(&settings, listener);
	dprintf(STDOUT_FILENO, "listening on port %d\n", port);
	loop(listener);
}
