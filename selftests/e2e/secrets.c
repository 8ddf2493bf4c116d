// SPDX-License-Identifier: GPL-2.0-only
/*
 * secrets PORT VERSION CIPHER [REQUEST]: a TLS client that tells all secrets of its
 * connection, as they follow from its key log, for memscan: lines "LABEL HEX" on
 * stdout, then "end". It sends REQUEST (default: a GET of /file, kept alive), reads
 * what comes within half a second of silence, and holds the connection until the end
 * of stdin.
 *
 * What is too short to be looked for is left out: the four bytes that TLS 1.2 with
 * AES-GCM derives for the nonce.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keylog.h"
#include "tcp.h"

#define SECRETS_MAX 16

static struct keylog logged[SECRETS_MAX];
static unsigned int n_logged;

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

static void tell_all(const SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const char *digest = EVP_MD_get0_name(SSL_CIPHER_get_handshake_digest(cipher));
	int nid = SSL_CIPHER_get_cipher_nid(cipher);
	size_t key_len = nid == NID_aes_128_gcm ? 16 : 32;

	if (SSL_version(ssl) == TLS1_3_VERSION)
		tell_tls13(ssl, digest, key_len);
	else
		tell_tls12(ssl, digest, key_len, nid == NID_chacha20_poly1305 ? 12 : 4);
}

int main(int argc, char **argv)
{
	const char *request = "GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct pollfd silence = { .events = POLLIN };
	struct timeval patience = { .tv_sec = 20 };
	char data[16384];
	int version;
	SSL *ssl;

	if (argc < 4 || !ctx)
		errx(2, "usage: secrets PORT 1.2|1.3 CIPHER [REQUEST]");
	if (argc > 4)
		request = argv[4];
	version = !strcmp(argv[2], "1.3") ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (!(version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, argv[3]) :
					  SSL_CTX_set_cipher_list(ctx, argv[3])))
		errx(2, "cipher %s", argv[3]);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);

	silence.fd = tcp_connect(atoi(argv[1]));
	setsockopt(silence.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, silence.fd);
	if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, strlen(request)) <= 0)
		errx(3, "%s", ERR_reason_error_string(ERR_peek_error()));
	do {
		if (SSL_read(ssl, data, sizeof(data)) <= 0)
			errx(3, "the connection ended: %s", ERR_reason_error_string(ERR_peek_error()));
	} while (SSL_pending(ssl) || poll(&silence, 1, 500) > 0);

	tell_all(ssl);
	puts("end");
	fflush(stdout);
	while (read(STDIN_FILENO, data, sizeof(data)) > 0)
		;
	SSL_shutdown(ssl);
	return 0;
}
