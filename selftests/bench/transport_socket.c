// SPDX-License-Identifier: GPL-2.0-only
/*
 * No TLS in the program: none at all, behind a terminator; or keyblob, by the library or
 * by options of the listening socket. Called by server.c.
 */
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <keyblob.h>

#include "../e2e/ask.h"
#include "transport.h"

static struct keyblob_agent *agent;

static ssize_t result_of(struct connection *c, ssize_t n, uint32_t wants)
{
	if (n >= 0)
		return n;
	c->wants = wants;
	return -errno;
}

ssize_t socket_read(struct connection *c, void *buf, size_t len)
{
	return result_of(c, recv(c->fd, buf, len, 0), EPOLLIN);
}

ssize_t socket_write(struct connection *c, const void *buf, size_t len)
{
	return result_of(c, send(c->fd, buf, len, MSG_NOSIGNAL), EPOLLOUT);
}

ssize_t socket_sendfile(struct connection *c, int file, off_t offset, size_t len)
{
	return result_of(c, sendfile(c->fd, file, &offset, len), EPOLLOUT);
}

static int begin_ready(struct connection *c)
{
	c->ready = true;
	return 0;
}

const struct transport transport_plain = {
	.name = "plain",
	.begin = begin_ready,
	.read = socket_read,
	.write = socket_write,
	.sendfile = socket_sendfile,
};

static void library_init(const struct settings *settings, int listener)
{
	if (keyblob_agent_open(settings->agent, &agent) < 0)
		errx(1, "%s", keyblob_agent_error(NULL));
}

static int library_begin(struct connection *c)
{
	c->wants = 0;
	return keyblob_accept_start(agent, c->fd, NULL, c) ?: -EAGAIN;
}

static int library_fd(void)
{
	return keyblob_agent_fd(agent);
}

static struct connection *library_complete(int *result)
{
	struct keyblob_done done;
	struct connection *c;

	if (keyblob_complete(agent, &done) != 1)
		return NULL;
	*result = done.result;
	if (done.result)
		warnx("%s", keyblob_agent_error(agent));
	keyblob_info_free(done.info);
	c = done.data;
	c->ready = !done.result;
	return c;
}

const struct transport transport_keyblob = {
	.name = "keyblob",
	.init = library_init,
	.begin = library_begin,
	.read = socket_read,
	.write = socket_write,
	.sendfile = socket_sendfile,
	.completion_fd = library_fd,
	.complete = library_complete,
};

/* What is accepted is in its handshake, and to be read from when that is done. */
static void option_init(const struct settings *settings, int listener)
{
	const struct keyblob_handshake tls = { .role = KEYBLOB_ROLE_SERVER };
	int result = ask_handshake(listener, &tls);

	if (result)
		errx(1, "KEYBLOB_HANDSHAKE: %s", strerror(-result));
}

const struct transport transport_keyblob_option = {
	.name = "keyblob-option",
	.init = option_init,
	.begin = begin_ready,
	.read = socket_read,
	.write = socket_write,
	.sendfile = socket_sendfile,
};
