// SPDX-License-Identifier: GPL-2.0-only
/*
 * secrets [OPTION...] PORT VERSION CIPHER [REQUEST]: a TLS client that tells all secrets
 * of its connection, as they follow from its key log, for memscan: lines "LABEL HEX" on
 * stdout, then "end". It sends REQUEST (default: a GET of /file, kept alive), reads
 * what comes within half a second of silence, and holds the connection until the end
 * of stdin.
 *
 *	-s NAME	a server instead, with NAME.pem and NAME.key, for one connection; it says
 *		"listening", and sends what it receives back before it tells
 *	-l ALPN	what the server chooses, whatever is offered
 *	-b	tell the channel binding tls-exporter, alone
 *
 * What is too short to be looked for is left out: the four bytes that TLS 1.2 with
 * AES-GCM derives for the nonce.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keylog.h"
#include "tcp.h"

#define SECRETS_MAX 16

static struct keylog logged[SECRETS_MAX];
static unsigned int n_logged;
static const char *server, *alpn;
static bool binding_alone;

static void on_keylog(const SSL *ssl, const char *line)
{
	(void)ssl;
	if (n_logged == SECRETS_MAX)
		errx(3, "key log: %s", line);
	keylog_parse(line, &logged[n_logged++]);
}

static void tell(const char *label, const char *part, const unsigned char *bytes, size_t len)
{
	printf("%s%s ", label, part);
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void derive(const char *name, OSSL_PARAM *params, unsigned char *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *kctx = EVP_KDF_CTX_new(kdf);

	if (!kctx || EVP_KDF_derive(kctx, out, len, params) != 1)
		errx(3, "%s", name);
	EVP_KDF_CTX_free(kctx);
	EVP_KDF_free(kdf);
}

static OSSL_PARAM text_param(const char *name, const char *text)
{
	return OSSL_PARAM_construct_utf8_string(name, (char *)text, 0);
}

static OSSL_PARAM bytes_param(const char *name, const void *bytes, size_t len)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)bytes, len);
}

/* HKDF-Expand-Label with no context, RFC 8446 sections 7.1 and 7.3. */
static void expand(const struct keylog *secret, const char *digest, const char *label,
		   unsigned char *out, size_t len)
{
	OSSL_PARAM params[] = {
		text_param(OSSL_KDF_PARAM_MODE, "EXPAND_ONLY"),
		text_param(OSSL_KDF_PARAM_DIGEST, digest),
		bytes_param(OSSL_KDF_PARAM_KEY, secret->secret, secret->len),
		bytes_param(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
		bytes_param(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
		OSSL_PARAM_construct_end(),
	};

	derive("TLS13-KDF", params, out, len);
}

static void tell_tls13(const SSL *ssl, const char *digest, size_t key_len)
{
	const SSL_SESSION *session = SSL_get_session(ssl);
	unsigned char key[32], iv[12], psk[64];
	size_t len;

	for (unsigned int i = 0; i < n_logged; i++) {
		const struct keylog *s = &logged[i];

		tell(s->label, "", s->secret, s->len);
		if (!strstr(s->label, "TRAFFIC_SECRET"))
			continue;
		expand(s, digest, "key", key, key_len);
		expand(s, digest, "iv", iv, sizeof(iv));
		tell(s->label, ".key", key, key_len);
		tell(s->label, ".iv", iv, sizeof(iv));
	}
	/* Of the last ticket, if one came. */
	len = SSL_SESSION_get_master_key(session, psk, sizeof(psk));
	if (SSL_SESSION_is_resumable(session))
		tell("PSK", "", psk, len);
}

/* RFC 5246 section 6.3. */
static void tell_tls12(const SSL *ssl, const char *digest, size_t key_len, size_t iv_len)
{
	static const char label[] = "key expansion";
	unsigned char seed[sizeof(label) - 1 + 2 * SSL3_RANDOM_SIZE], block[2 * (32 + 12)];
	unsigned char *random = seed + sizeof(label) - 1, *at = block;
	const struct keylog *master = &logged[0];
	OSSL_PARAM params[] = {
		text_param(OSSL_KDF_PARAM_DIGEST, digest),
		bytes_param(OSSL_KDF_PARAM_SECRET, master->secret, master->len),
		bytes_param(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
		OSSL_PARAM_construct_end(),
	};

	if (n_logged != 1 || strcmp(master->label, "CLIENT_RANDOM"))
		errx(3, "no master secret in the key log");
	memcpy(seed, label, sizeof(label) - 1);
	SSL_get_server_random(ssl, random, SSL3_RANDOM_SIZE);
	SSL_get_client_random(ssl, random + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
	derive("TLS1-PRF", params, block, 2 * (key_len + iv_len));

	tell("MASTER_SECRET", "", master->secret, master->len);
	tell("CLIENT", ".key", at, key_len);
	tell("SERVER", ".key", at + key_len, key_len);
	at += 2 * key_len;
	if (iv_len < 8)
		return;
	tell("CLIENT", ".iv", at, iv_len);
	tell("SERVER", ".iv", at + iv_len, iv_len);
}

/* RFC 9266: with a context, which is empty. */
static void tell_binding(SSL *ssl)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char binding[32];

	if (SSL_export_keying_material(ssl, binding, sizeof(binding), label, sizeof(label) - 1,
				       (const unsigned char *)"", 0, 1) != 1)
		errx(3, "no channel binding");
	tell("BINDING", "", binding, sizeof(binding));
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *offered, unsigned int offered_len, void *arg)
{
	(void)ssl;
	(void)offered;
	(void)offered_len;
	(void)arg;
	*out = (const unsigned char *)alpn;
	*out_len = strlen(alpn);
	return SSL_TLSEXT_ERR_OK;
}

static void tell_all(SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const char *digest = EVP_MD_get0_name(SSL_CIPHER_get_handshake_digest(cipher));
	int nid = SSL_CIPHER_get_cipher_nid(cipher);
	size_t key_len = nid == NID_aes_128_gcm ? 16 : 32;

	if (binding_alone)
		tell_binding(ssl);
	else if (SSL_version(ssl) == TLS1_3_VERSION)
		tell_tls13(ssl, digest, key_len);
	else
		tell_tls12(ssl, digest, key_len, nid == NID_chacha20_poly1305 ? 12 : 4);
}

static int set_up_server(SSL_CTX *ctx, int port)
{
	char cert[256], key[256];

	snprintf(cert, sizeof(cert), "%s.pem", server);
	snprintf(key, sizeof(key), "%s.key", server);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		errx(2, "%s", cert);
	if (alpn)
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	port = tcp_listen(&port);
	puts("listening");
	fflush(stdout);
	return tcp_accept(port);
}

static SSL_CTX *set_up(int version, const char *cipher)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!ctx)
		errx(3, "no SSL_CTX");
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (!(version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, cipher) :
					  SSL_CTX_set_cipher_list(ctx, cipher)))
		errx(2, "cipher %s", cipher);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	return ctx;
}

static void fail(const char *what)
{
	errx(3, "%s: %s", what, ERR_reason_error_string(ERR_peek_error()));
}

/* As a server, what came goes back. */
static void talk(SSL *ssl, const char *request)
{
	struct pollfd silence = { .fd = SSL_get_fd(ssl), .events = POLLIN };
	char data[16384];
	int n;

	if (!server && SSL_write(ssl, request, strlen(request)) <= 0)
		fail("SSL_write");
	do {
		n = SSL_read(ssl, data, sizeof(data));
		if (n <= 0)
			fail("the connection ended");
		if (server && SSL_write(ssl, data, n) != n)
			fail("SSL_write");
	} while (SSL_pending(ssl) || poll(&silence, 1, 500) > 0);
}

int main(int argc, char **argv)
{
	struct timeval patience = { .tv_sec = 20 };
	int option, version, fd;
	SSL_CTX *ctx;
	SSL *ssl;

	while ((option = getopt(argc, argv, "bl:s:")) != -1) {
		if (option == 'b')
			binding_alone = true;
		else if (option == 'l')
			alpn = optarg;
		else if (option == 's')
			server = optarg;
		else
			errx(2, "usage: see secrets.c");
	}
	argv += optind;
	argc -= optind;
	if (argc < 3)
		errx(2, "usage: secrets [OPTION...] PORT 1.2|1.3 CIPHER [REQUEST]");
	version = !strcmp(argv[1], "1.3") ? TLS1_3_VERSION : TLS1_2_VERSION;
	ctx = set_up(version, argv[2]);

	fd = server ? set_up_server(ctx, atoi(argv[0])) : tcp_connect(atoi(argv[0]));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		fail("no handshake");
	talk(ssl, argc > 3 ? argv[3] : "GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n");

	tell_all(ssl);
	puts("end");
	fflush(stdout);
	while (read(STDIN_FILENO, &option, 1) > 0)
		;
	SSL_shutdown(ssl);
	return 0;
}
