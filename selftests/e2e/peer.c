// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TLS client that keeps its bytes in its own hands: it sends parts of them, others
 * instead, or more of them at once than a client that writes and waits would.
 *
 *	peer [OPTION...] PORT STAGE ACT [TEXT]
 *
 * STAGE, how far it behaves:
 *	connect		nothing is sent
 *	half		half of the ClientHello is sent
 *	hello		the ClientHello is sent, the server's flight is read
 *	almost		the same, and all but the last byte of the client's last flight is sent
 *	finish		the handshake is completed; TEXT goes with its last flight
 * ACT, what it does then:
 *	wait		nothing more, until the server ends it
 *	fin, rst	ends the TCP connection (fin still reads); TEXT and the FIN go in one
 *			segment
 *	garbage		sends random bytes that look like a record at the later stages
 *	http		sends a request in plaintext
 *	alert		sends a fatal alert (certificate_unknown, 46)
 *	close		sends close_notify and FIN, all in one segment with TEXT
 *	go		goes on as a client should (after -d MS)
 * Then it tells
 *	port=LOCAL handshake=yes|no resumed=0|1 wire=HEX alert=N|none end=eof|reset|timeout ms=N
 * where wire is what came after the act, at most 64 bytes, and alert what that said.
 *
 *	-o FILE		where the plaintext received goes
 *	-d MS		wait that long before the act
 *	-w		wait with it until the end of the input
 *	-r		connect once before, and resume that session
 *	-v 1.1|1.2|1.3	the only version offered
 *	-c CIPHERS	offered, TLS 1.2 and older
 *	-l ALPN, -n SNI
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcp.h"

#define PATIENCE_MS 20000

struct peer {
	int fd;
	SSL *ssl;
	BIO *in, *out;
	int alert;		/* received, -1: none */
	bool completed;
};

static SSL_CTX *ctx;
static SSL_SESSION *session;
static const char *server_name;
static bool want_session;

static void on_info(const SSL *ssl, int where, int value)
{
	struct peer *p = SSL_get_app_data(ssl);

	if ((where & SSL_CB_ALERT) && (where & SSL_CB_READ))
		p->alert = value & 0xff;
}

static int on_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = s;
	return 1;
}

static void peer_open(struct peer *p, int port)
{
	*p = (struct peer){ .alert = -1 };
	p->ssl = SSL_new(ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	if (!p->ssl || !p->in || !p->out)
		errx(3, "out of memory");
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_app_data(p->ssl, p);
	SSL_set_connect_state(p->ssl);
	if (server_name)
		SSL_set_tlsext_host_name(p->ssl, server_name);
	if (session)
		SSL_set_session(p->ssl, session);
	p->fd = tcp_connect(port);
}

static void peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
}

/* Send what OpenSSL has to say, but for the last @keep bytes. */
static void flush(struct peer *p, size_t keep, int flags)
{
	char data[65536];
	int len = BIO_read(p->out, data, sizeof(data));

	if (len > (int)keep && send(p->fd, data, len - keep, MSG_NOSIGNAL | flags) < 0)
		warn("send");
}

/* Give OpenSSL what comes; 0 at the end, -1 for a reset, -2 at the timeout. */
static ssize_t take(struct peer *p, char *data, size_t size, long long deadline)
{
	struct pollfd poll_in = { .fd = p->fd, .events = POLLIN };
	long long left = deadline - tcp_now_ms();
	ssize_t n;

	if (left <= 0 || poll(&poll_in, 1, left) <= 0)
		return -2;
	n = recv(p->fd, data, size, 0);
	if (n > 0)
		BIO_write(p->in, data, n);
	return n;
}

/* Read the server's flights until there is a last flight of ours to send. */
static bool handshake(struct peer *p)
{
	long long deadline = tcp_now_ms() + PATIENCE_MS;
	bool more = true;
	char data[16384];
	int ret;

	for (;;) {
		ret = SSL_do_handshake(p->ssl);
		/* TLS 1.2 in full: our last flight is out, and the server's Finished missing. */
		if (ret == 1 || SSL_get_state(p->ssl) == TLS_ST_CW_FINISHED ||
		    SSL_get_state(p->ssl) == TLS_ST_CR_SESSION_TICKET)
			return true;
		if (SSL_get_error(p->ssl, ret) != SSL_ERROR_WANT_READ || !more)
			return false;
		flush(p, 0, 0);
		more = take(p, data, sizeof(data), deadline) > 0;
	}
}

static void send_raw(struct peer *p, const void *data, size_t len)
{
	if (send(p->fd, data, len, MSG_NOSIGNAL) < 0)
		warn("send");
}

static void reset(struct peer *p)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(p->fd);
	p->fd = -1;
}

static void act(struct peer *p, const char *stage, const char *what)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static const unsigned char alert[] = { 21, 3, 3, 0, 2, 2, 46 };
	unsigned char garbage[256];
	bool early = !strcmp(stage, "connect");

	if (!strcmp(what, "fin")) {
		if (p->completed)
			flush(p, 0, MSG_MORE);	/* the FIN goes with it */
		shutdown(p->fd, SHUT_WR);
	} else if (!strcmp(what, "rst")) {
		reset(p);
	} else if (!strcmp(what, "garbage")) {
		RAND_bytes(garbage, sizeof(garbage));
		garbage[0] = early ? 0xff : 23;
		if (!early)
			memcpy(garbage + 1, "\3\3\0\373", 4);
		send_raw(p, garbage, sizeof(garbage));
	} else if (!strcmp(what, "http")) {
		send_raw(p, http, sizeof(http) - 1);
	} else if (!strcmp(what, "alert")) {
		send_raw(p, alert, sizeof(alert));
	} else if (!strcmp(what, "go")) {
		flush(p, 0, 0);
		p->completed = true;
	} else if (!strcmp(what, "close")) {
		SSL_shutdown(p->ssl);
		flush(p, 0, MSG_MORE);
		shutdown(p->fd, SHUT_WR);
	} else if (strcmp(what, "wait")) {
		errx(2, "unknown act %s", what);
	}
}

/* Read to the end, keep the first bytes in @wire, and the plaintext in @out. */
static const char *drain(struct peer *p, char wire[129], FILE *out, bool once)
{
	long long deadline = tcp_now_ms() + PATIENCE_MS;
	char data[16384], plain[16384];
	size_t kept = 0;
	ssize_t n;
	int got;

	wire[0] = '\0';
	if (p->fd < 0)
		return "own";
	do {
		while ((got = SSL_read(p->ssl, plain, sizeof(plain))) > 0) {
			fwrite(plain, 1, got, out);
			if (once && session && SSL_shutdown(p->ssl) >= 0) {
				flush(p, 0, 0);
				return "own";
			}
		}
		if (p->completed)
			flush(p, 0, 0);
		n = take(p, data, sizeof(data), deadline);
		for (ssize_t i = 0; i < n && kept < 64; i++, kept++)
			sprintf(wire + 2 * kept, "%02x", (unsigned char)data[i]);
	} while (n > 0);
	while ((got = SSL_read(p->ssl, plain, sizeof(plain))) > 0)
		fwrite(plain, 1, got, out);
	return !n ? "eof" : n == -1 ? "reset" : "timeout";
}

/* Behave up to @stage. Returns false if the server did not let us. */
static bool advance(struct peer *p, const char *stage, const char *text)
{
	size_t pending;

	if (!strcmp(stage, "connect"))
		return true;
	if (!strcmp(stage, "half")) {
		SSL_do_handshake(p->ssl);
		pending = BIO_ctrl_pending(p->out);
		flush(p, pending / 2, 0);
		return true;
	}
	if (!handshake(p))
		return false;
	if (!strcmp(stage, "hello"))
		return true;
	if (!strcmp(stage, "almost")) {
		flush(p, 1, 0);
		return true;
	}
	if (strcmp(stage, "finish"))
		errx(2, "unknown stage %s", stage);

	/* A TLS 1.2 server has to answer before there can be data. */
	if (!SSL_is_init_finished(p->ssl)) {
		char data[16384];

		flush(p, 0, 0);
		while (SSL_do_handshake(p->ssl) != 1)
			if (take(p, data, sizeof(data), tcp_now_ms() + PATIENCE_MS) <= 0)
				return false;
	}
	if (text && SSL_write(p->ssl, text, strlen(text)) <= 0)
		return false;
	p->completed = true;
	return true;
}

static void set_version(const char *version)
{
	int number = !strcmp(version, "1.1") ? TLS1_1_VERSION :
		     !strcmp(version, "1.2") ? TLS1_2_VERSION : TLS1_3_VERSION;

	SSL_CTX_set_min_proto_version(ctx, number);
	SSL_CTX_set_max_proto_version(ctx, number);
	if (number == TLS1_1_VERSION)
		SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
}

static void set_alpn(const char *name)
{
	unsigned char list[256];
	size_t len = strlen(name);

	if (len > sizeof(list) - 1)
		errx(2, "%s", name);
	list[0] = len;
	memcpy(list + 1, name, len);
	SSL_CTX_set_alpn_protos(ctx, list, len + 1);
}

int main(int argc, char **argv)
{
	const char *stage, *what, *text, *end;
	int option, port, delay = 0;
	bool reached, waits = false;
	FILE *out = fopen("/dev/null", "w");
	long long began;
	struct peer p;
	char wire[129];

	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || !out)
		errx(3, "cannot start");
	SSL_CTX_set_info_callback(ctx, on_info);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	while ((option = getopt(argc, argv, "c:d:l:n:o:rv:w")) != -1) {
		switch (option) {
		case 'c':
			if (!SSL_CTX_set_cipher_list(ctx, optarg))
				errx(2, "ciphers %s", optarg);
			break;
		case 'd':
			delay = atoi(optarg);
			break;
		case 'l':
			set_alpn(optarg);
			break;
		case 'n':
			server_name = optarg;
			break;
		case 'o':
			out = fopen(optarg, "w");
			if (!out)
				err(3, "%s", optarg);
			break;
		case 'r':
			want_session = true;
			break;
		case 'v':
			set_version(optarg);
			break;
		case 'w':
			waits = true;
			break;
		default:
			errx(2, "usage: see peer.c");
		}
	}
	if (argc - optind < 3)
		errx(2, "usage: see peer.c");
	port = atoi(argv[optind]);
	stage = argv[optind + 1];
	what = argv[optind + 2];
	text = argv[optind + 3];
	if (text && !strcmp(text, "-"))
		text = NULL;

	if (want_session) {
		FILE *null = fopen("/dev/null", "w");

		peer_open(&p, port);
		if (!advance(&p, "finish", text))
			errx(3, "no first connection");
		flush(&p, 0, 0);
		drain(&p, wire, null, true);
		peer_close(&p);
		if (!session)
			errx(3, "no session to resume");
	}

	peer_open(&p, port);
	reached = advance(&p, stage, text);
	if (delay)
		usleep(delay * 1000);
	while (waits && read(STDIN_FILENO, wire, 1) > 0)
		;
	printf("port=%d ", tcp_port(p.fd, getsockname));
	began = tcp_now_ms();
	if (reached)
		act(&p, stage, what);
	else
		flush(&p, 0, 0);
	end = drain(&p, wire, out, false);
	printf("handshake=%s resumed=%d wire=%s ", p.completed ? "yes" : "no",
	       SSL_session_reused(p.ssl), *wire ? wire : "-");
	if (p.alert < 0)
		printf("alert=none ");
	else
		printf("alert=%d ", p.alert);
	printf("end=%s ms=%lld\n", end, tcp_now_ms() - began);
	fclose(out);
	return 0;
}
