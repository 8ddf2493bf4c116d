// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections of the client's side, see load.h.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../e2e/tcp.h"
#include "cpu.h"
#include "load.h"

#define BUFFER		16384
#define READ_AHEAD	(4 * BUFFER)
#define EVENTS		64
#define PATIENCE_NS	60000000000LL

struct load_connection {
	int fd;
	SSL *ssl;
	enum { HANDSHAKE, IDLE, ASKING, GIVING, TAKING, ACKNOWLEDGED, CLOSING } state;
	uint32_t wants, watched;
	char line[32];
	size_t line_len;
	bool give, offered;	/* give: "take"; offered: a ticket */
	bool busy;		/* in advance() */
	long long left;
	size_t offset;
	void *data;
};

struct load_counts load_counts;

static struct load_settings settings;
static struct load_events events;
static SSL_CTX *ctx;
static SSL_SESSION *last_ticket;
static int epoll;
static const char *content;
static size_t content_len;

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	SSL_SESSION_free(last_ticket);
	last_ticket = ticket;
	return 1;
}

static void set_cipher(void)
{
	const bool tls13 = !strncmp(settings.cipher, "TLS_", 4);
	const int version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (SSL_CTX_set_min_proto_version(ctx, version) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, version) != 1 ||
	    (tls13 ? SSL_CTX_set_ciphersuites : SSL_CTX_set_cipher_list)(ctx, settings.cipher) != 1)
		errx(2, "no cipher %s", settings.cipher);
}

static void make_context(void)
{
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || SSL_CTX_load_verify_file(ctx, settings.cert) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1)
		errx(2, "OpenSSL cannot be set up with %s", settings.cert);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
	/* What the client costs is no contender's business: let it be little. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_ticket);
	set_cipher();
}

void load_init(const struct load_settings *s, const struct load_events *e)
{
	struct stat st;
	int file;

	settings = *s;
	events = *e;
	file = open(settings.file, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0)
		err(2, "%s", settings.file);
	content_len = st.st_size;
	content = mmap(NULL, content_len, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
	if (content == MAP_FAILED)
		err(2, "%s", settings.file);
	close(file);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	make_context();
}

/*
 * A connection's next step: 1 when done, 0 when it has to wait.
 */

static int result_of(struct load_connection *c, int ret)
{
	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_NONE:
		return 1;
	case SSL_ERROR_WANT_READ:
		c->wants = EPOLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->wants = EPOLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		errx(3, "the server ended a connection in state %d", c->state);
	default:
		ERR_print_errors_fp(stderr);
		err(3, "a connection failed in state %d", c->state);
	}
}

static int shake_hands(struct load_connection *c)
{
	if (!result_of(c, SSL_connect(c->ssl)))
		return 0;
	if (c->offered && !SSL_session_reused(c->ssl))
		errx(3, "the server did not resume a session, after %lld that it did",
		     load_counts.resumed);
	if (!c->offered && SSL_session_reused(c->ssl))
		errx(3, "the server resumed a session");
	/* P-256 is there for the certificate. */
	if (SSL_get_negotiated_group(c->ssl) != NID_X25519)
		errx(3, "the server chose another group");
	load_counts.resumed += SSL_session_reused(c->ssl);
	c->state = IDLE;
	load_counts.ready++;
	if (events.ready)
		events.ready(c);
	return 1;
}

static int give(struct load_connection *c)
{
	const size_t len = c->left < BUFFER ? c->left : BUFFER;
	int n = SSL_write(c->ssl, content + c->offset, len);

	if (!result_of(c, n))
		return 0;
	c->left -= n;
	c->offset += n;
	return 1;
}

static void answer(struct load_connection *c)
{
	c->state = IDLE;
	load_counts.answered++;
	if (events.answered)
		events.answered(c);
}

/* What came has to be what was asked for. */
static int take(struct load_connection *c, const char *expected, size_t len)
{
	char buffer[BUFFER];
	int n = SSL_read(c->ssl, buffer, len < BUFFER ? len : BUFFER);

	if (!result_of(c, n))
		return 0;
	if (memcmp(buffer, expected, n))
		errx(3, "the server sent something else");
	c->left -= n;
	c->offset += n;
	if (!c->left)
		answer(c);
	return 1;
}

/* Tickets and alerts that may come are of no interest any more. */
static int await_end(struct load_connection *c)
{
	char rest[1024];
	ssize_t n = recv(c->fd, rest, sizeof(rest), 0);

	if (n > 0)
		return 1;
	if (n < 0 && errno == EAGAIN) {
		c->wants = EPOLLIN;
		return 0;
	}
	load_counts.closed++;
	if (events.closed)
		events.closed(c);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return -1;
}

/* Tickets come; nothing else does. */
static int stay_idle(struct load_connection *c)
{
	char byte;

	if (result_of(c, SSL_peek(c->ssl, &byte, 1)))
		errx(3, "the server sent what nobody asked for");
	return 0;
}

static int step(struct load_connection *c)
{
	switch (c->state) {
	case HANDSHAKE:
		return shake_hands(c);
	case ASKING:
		if (!result_of(c, SSL_write(c->ssl, c->line, c->line_len)))
			return 0;
		c->state = c->give ? GIVING : TAKING;
		return 1;
	case GIVING:
		if (c->left)
			return give(c);
		c->state = ACKNOWLEDGED;
		c->left = 3;
		c->offset = 0;
		return 1;
	case TAKING:
		return take(c, content + c->offset, c->left);
	case ACKNOWLEDGED:
		return take(c, &"ok\n"[c->offset], c->left);
	case CLOSING:
		return await_end(c);
	default:
		return stay_idle(c);
	}
}

static void advance(struct load_connection *c)
{
	struct epoll_event event = { .data.ptr = c };
	int more;

	c->busy = true;
	do {
		more = step(c);
	} while (more > 0);
	if (more < 0)
		return;
	c->busy = false;
	if (c->wants == c->watched)
		return;
	event.events = c->wants;
	if (epoll_ctl(epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event))
		err(3, "epoll_ctl");
	c->watched = c->wants;
}

/*
 * What client.c calls, also from where a connection goes on; others are due, and go on in
 * load_turn().
 */

static struct load_connection *due[1 << 17];
static size_t n_due;

static void make_due(struct load_connection *c)
{
	if (c->busy)
		return;
	if (n_due == sizeof(due) / sizeof(*due))
		errx(3, "too many connections");
	due[n_due++] = c;
}

/* A copy: OpenSSL does not offer one again that was used, and some are under way at once. */
static void offer_ticket(struct load_connection *c)
{
	SSL_SESSION *copy = SSL_SESSION_dup(last_ticket);

	if (!copy || SSL_set_session(c->ssl, copy) != 1)
		errx(3, "a ticket cannot be offered");
	SSL_SESSION_free(copy);
}

struct load_connection *load_open(void *data)
{
	struct load_connection *c = calloc(1, sizeof(*c));

	if (!c)
		err(3, "a connection");
	c->fd = tcp_connect(settings.port);
	c->ssl = SSL_new(ctx);
	c->data = data;
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) || !c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
		errx(3, "a connection");
	c->offered = settings.resume && last_ticket;
	if (c->offered)
		offer_ticket(c);
	load_counts.opened++;
	make_due(c);
	return c;
}

void *load_data(const struct load_connection *c)
{
	return c->data;
}

void load_request(struct load_connection *c, const char *verb, long long bytes)
{
	if (c->state != IDLE || bytes <= 0 || bytes > content_len)
		errx(3, "a request that cannot be made");
	c->line_len = snprintf(c->line, sizeof(c->line), "%s %lld\n", verb, bytes);
	c->give = !strcmp(verb, "take");
	c->left = bytes;
	c->offset = 0;
	c->state = ASKING;
	make_due(c);
}

void load_close(struct load_connection *c)
{
	SSL_shutdown(c->ssl);
	c->state = CLOSING;
	make_due(c);
}

long long load_now_ns(void)
{
	return cpu_clock_ns(CLOCK_MONOTONIC);
}

static void advance_due(void)
{
	/* The list may grow meanwhile; a connection is on it once at a time. */
	for (size_t i = 0; i < n_due; i++)
		advance(due[i]);
	n_due = 0;
}

void load_turn(long long deadline_ns)
{
	struct epoll_event happened[EVENTS];
	struct timespec wait = { 0 };
	long long ns;
	int n;

	/* After what is due has been done, it is the caller's turn. */
	ns = n_due ? 0 : deadline_ns < 0 ? PATIENCE_NS : deadline_ns - load_now_ns();
	advance_due();
	if (ns > 0)
		wait = (struct timespec){ ns / 1000000000, ns % 1000000000 };
	n = epoll_pwait2(epoll, happened, EVENTS, &wait, NULL);
	if (n < 0)
		err(3, "epoll_pwait2");
	if (!n && ns == PATIENCE_NS)
		errx(3, "nothing happens: %lld connections opened, %lld ready, %lld requests answered, %lld closed",
		     load_counts.opened, load_counts.ready, load_counts.answered,
		     load_counts.closed);
	for (int i = 0; i < n; i++)
		advance(happened[i].data.ptr);
	advance_due();
}

void load_until(const long long *count, long long target)
{
	while (*count < target)
		load_turn(-1);
}
