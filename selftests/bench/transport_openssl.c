// SPDX-License-Identifier: GPL-2.0-only
/*
 * OpenSSL in the program, as the agent has it set up; without and with kTLS. Called by
 * server.c.
 */
#include <err.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "transport.h"

static SSL_CTX *ctx;

static void make_context(const struct settings *settings, uint64_t options)
{
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(ctx, settings->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, settings->key, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s and %s are of no use", settings->cert, settings->key);
	/* Sessions live in tickets alone. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, options | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			      SSL_MODE_RELEASE_BUFFERS);
}

static void openssl_init(const struct settings *settings, int listener)
{
	make_context(settings, 0);
}

static void openssl_ktls_init(const struct settings *settings, int listener)
{
	make_context(settings, SSL_OP_ENABLE_KTLS);
}

/* What OpenSSL returned, as transport.h has it. */
static ssize_t result_of(struct connection *c, ssize_t ret)
{
	if (ret > 0)
		return ret;
	switch (SSL_get_error(c->tls, ret)) {
	case SSL_ERROR_WANT_READ:
		c->wants = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		c->wants = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		ERR_clear_error();
		return -EPROTO;
	}
}

static int openssl_handshake(struct connection *c)
{
	ssize_t result = result_of(c, SSL_accept(c->tls));

	if (result <= 0)
		return result ?: -EPROTO;
	c->ready = true;
	return 0;
}

static int openssl_begin(struct connection *c)
{
	c->tls = SSL_new(ctx);
	return c->tls && SSL_set_fd(c->tls, c->fd) == 1 ? 0 : -ENOMEM;
}

static int openssl_ktls_handshake(struct connection *c)
{
	int result = openssl_handshake(c);

	if (!result && !BIO_get_ktls_send(SSL_get_wbio(c->tls)))
		errx(1, "OpenSSL did not turn on kTLS");
	return result;
}

static ssize_t openssl_read(struct connection *c, void *buf, size_t len)
{
	return result_of(c, SSL_read(c->tls, buf, len));
}

static ssize_t openssl_write(struct connection *c, const void *buf, size_t len)
{
	return result_of(c, SSL_write(c->tls, buf, len));
}

static ssize_t openssl_sendfile(struct connection *c, int file, off_t offset, size_t len)
{
	ssize_t n = SSL_sendfile(c->tls, file, offset, len, 0);

	/* Which SSL_get_error() does not tell from a failure. */
	if (n < 0 && errno == EAGAIN) {
		c->wants = EPOLLOUT;
		return -EAGAIN;
	}
	return result_of(c, n);
}

static void openssl_end(struct connection *c)
{
	if (c->ready)
		SSL_shutdown(c->tls);
	ERR_clear_error();
	SSL_free(c->tls);
}

const struct transport transport_openssl = {
	.name = "openssl",
	.init = openssl_init,
	.begin = openssl_begin,
	.handshake = openssl_handshake,
	.read = openssl_read,
	.write = openssl_write,
	.end = openssl_end,
};

const struct transport transport_openssl_ktls = {
	.name = "openssl-ktls",
	.init = openssl_ktls_init,
	.begin = openssl_begin,
	.handshake = openssl_ktls_handshake,
	.read = openssl_read,
	.write = openssl_write,
	.sendfile = openssl_sendfile,
	.end = openssl_end,
};
