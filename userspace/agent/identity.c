// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and choosing identities. Loaded by the supervisor's check and by each
 * worker, which owns them until it exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "identity.h"
#include "log.h"

static const char *openssl_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	return reason ? reason : "unknown error";
}

/* The agent has no terminal to ask at. */
static int no_passphrase(char *buf, int size, int rwflag, void *asked)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)asked = true;
	return -1;
}

static BIO *open_file(const char *what, const char *path)
{
	BIO *file = BIO_new_file(path, "r");

	if (!file)
		log_error("cannot read %s %s: %s", what, path, strerror(errno));
	return file;
}

static int load_cert(struct identity *id, const char *path)
{
	bool asked = false;
	BIO *file;
	X509 *next;

	file = open_file("certificate", path);
	if (!file)
		return -1;

	id->cert = PEM_read_bio_X509(file, NULL, no_passphrase, &asked);
	if (!id->cert) {
		log_error("%s: no certificate in PEM in there (%s)", path, openssl_error());
		goto err;
	}
	id->chain = sk_X509_new_null();
	if (!id->chain)
		goto err;
	while ((next = PEM_read_bio_X509(file, NULL, no_passphrase, &asked))) {
		if (!sk_X509_push(id->chain, next)) {
			X509_free(next);
			goto err;
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		log_error("%s: a certificate of the chain is damaged (%s)", path, openssl_error());
		goto err;
	}
	ERR_clear_error();
	BIO_free(file);
	return 0;
err:
	BIO_free(file);
	return -1;
}

static int load_key(struct identity *id, const char *path)
{
	bool asked = false;
	BIO *file;

	file = open_file("key", path);
	if (!file)
		return -1;
	id->key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, &asked);
	BIO_free(file);
	if (id->key)
		return 0;

	if (asked)
		log_error("%s: the key is encrypted, and the agent cannot ask for a passphrase; "
			  "decrypt it with 'openssl pkey'", path);
	else
		log_error("%s: no private key in PEM in there (%s)", path, openssl_error());
	return -1;
}

/* What only shows when it is used: key size and kind against OpenSSL's policy. */
static int check_usable(const struct identity *id, const char *cert_path)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int ok;

	ok = ctx && SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) == 1;
	if (!ok)
		log_error("%s: OpenSSL refuses it (%s)", cert_path, openssl_error());
	SSL_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int load(struct identity *id, const struct identity_files *files)
{
	ERR_clear_error();
	if (load_cert(id, files->cert) || load_key(id, files->key))
		return -1;
	if (X509_check_private_key(id->cert, id->key) != 1) {
		log_error("key %s does not belong to certificate %s", files->key, files->cert);
		return -1;
	}
	if (X509_cmp_current_time(X509_get0_notAfter(id->cert)) < 0)
		log_notice("certificate %s has expired; clients will refuse it", files->cert);
	return check_usable(id, files->cert);
}

int identities_load(struct identities *identities, const struct options *options)
{
	*identities = (struct identities){
		.list = calloc(options->n_identities, sizeof(*identities->list)),
	};
	if (!identities->list) {
		log_error("out of memory");
		return -1;
	}
	for (size_t i = 0; i < options->n_identities; i++) {
		identities->count = i + 1;
		if (load(&identities->list[i], &options->identities[i]))
			return -1;
	}
	return 0;
}

void identities_free(struct identities *identities)
{
	for (size_t i = 0; i < identities->count; i++) {
		X509_free(identities->list[i].cert);
		EVP_PKEY_free(identities->list[i].key);
		sk_X509_pop_free(identities->list[i].chain, X509_free);
	}
	free(identities->list);
	*identities = (struct identities){ 0 };
}

static int use(SSL *ssl, const struct identity *id)
{
	return SSL_use_cert_and_key(ssl, id->cert, id->key, id->chain, 1);
}

int identities_select(SSL *ssl, void *arg)
{
	const struct identities *identities = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	bool found = false;

	/* OpenSSL keeps one per kind of key: the last given, hence backwards. */
	for (size_t i = identities->count; name && i-- > 0;) {
		const struct identity *id = &identities->list[i];

		if (X509_check_host(id->cert, name, 0, 0, NULL) != 1)
			continue;
		if (use(ssl, id) != 1)
			return 0;
		found = true;
	}
	return found ? 1 : use(ssl, &identities->list[0]);
}
