// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TLS 1.3 client on a keyblob socket, for want of an agent that does handshakes of
 * clients: OpenSSL does it here, and the kernel goes on. From then on the program is a
 * cat(1) with two ends, and knows read(2) and write(2) alone.
 *
 *	client [OPTION...] PORT
 *
 *	-c CIPHERSUITE	the only one offered
 *	-i		input is lines of text; K or k is a KeyUpdate instead, as in openssl
 *			s_client: K asks the peer for one
 *	-u BYTES	a KeyUpdate after so many bytes each, by turns without and with a request
 *
 * At the end of the input it ends its side; when the peer has done so too, it tells on
 * stderr
 *	sent=N received=N end=OK tx_generation=N rx_generation=N tickets=N
 */
#include <errno.h>
#include <linux/keyblob.h>
#include <linux/tls.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keylog.h"
#include "tcp.h"

/* Key material that the kernel turns into a blob in place. */
union seal {
	struct keyblob_key key;
	unsigned char blob[KEYBLOB_BLOB_SIZE];
};

static union seal tx = { .key.direction = KEYBLOB_DIR_TX };
static union seal rx = { .key.direction = KEYBLOB_DIR_RX };
static const char *suite;
static size_t update_after;
static bool in_lines;
static int sock;

/* What came from the peer, and how it ended: the reader's. */
static long long received;
static int end;

static void on_keylog(const SSL *ssl, const char *line)
{
	struct keyblob_key *key;
	struct keylog log;

	(void)ssl;
	keylog_parse(line, &log);
	if (!strcmp(log.label, "CLIENT_TRAFFIC_SECRET_0"))
		key = &tx.key;
	else if (!strcmp(log.label, "SERVER_TRAFFIC_SECRET_0"))
		key = &rx.key;
	else
		return;
	if (log.len > sizeof(key->secret))
		errx(3, "key log: %s", line);
	memcpy(key->secret, log.secret, log.len);
	key->secret_len = log.len;
}

static void hand_over(union seal *seal, int cipher_nid, int option)
{
	socklen_t len = sizeof(seal->blob);

	seal->key.tls_version = TLS_1_3_VERSION;
	seal->key.role = KEYBLOB_ROLE_CLIENT;
	seal->key.cipher = cipher_nid == NID_aes_128_gcm ? TLS_CIPHER_AES_GCM_128 :
			   cipher_nid == NID_aes_256_gcm ? TLS_CIPHER_AES_GCM_256 :
							   TLS_CIPHER_CHACHA20_POLY1305;
	if (getsockopt(sock, SOL_KEYBLOB, KEYBLOB_EXPORT, seal->blob, &len) ||
	    setsockopt(sock, SOL_KEYBLOB, option, seal->blob, len))
		err(3, "handing over");
}

/*
 * With SSL_connect() all records of the handshake are done, and none has been sent or
 * read under the keys that follow, tickets included: both count from 0.
 */
static void handshake(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int nid;
	SSL *ssl;

	if (!ctx || (suite && !SSL_CTX_set_ciphersuites(ctx, suite)))
		errx(3, "cannot start with %s", suite);
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	if (setsockopt(sock, SOL_TCP, TCP_ULP, KEYBLOB_ULP_NAME, strlen(KEYBLOB_ULP_NAME)))
		err(3, "attaching");
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, sock);
	if (SSL_connect(ssl) != 1 || SSL_has_pending(ssl))
		errx(3, "no handshake");
	nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl));
	hand_over(&tx, nid, KEYBLOB_TX);
	hand_over(&rx, nid, KEYBLOB_RX);
	SSL_set_quiet_shutdown(ssl, 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
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

int main(int argc, char **argv)
{
	struct keyblob_status status = { 0 };
	socklen_t len = sizeof(status);
	long long sent;
	pthread_t reader;
	int option;

	while ((option = getopt(argc, argv, "c:iu:")) != -1) {
		switch (option) {
		case 'c':
			suite = optarg;
			break;
		case 'i':
			in_lines = true;
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
	signal(SIGPIPE, SIG_IGN);
	sock = tcp_connect(atoi(argv[optind]));
	handshake();
	if (pthread_create(&reader, NULL, receive, NULL))
		errx(3, "pthread_create");
	sent = in_lines ? send_lines() : send_blocks();
	if (shutdown(sock, SHUT_WR))
		err(3, "shutdown");
	pthread_join(reader, NULL);
	if (getsockopt(sock, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len))
		err(3, "KEYBLOB_INFO");
	fprintf(stderr, "sent=%lld received=%lld end=%s tx_generation=%u rx_generation=%u tickets=%u\n",
		sent, received, end ? strerrorname_np(end) : "OK", status.tx_generation,
		status.rx_generation, status.rx_tickets);
	return end ? 1 : 0;
}
