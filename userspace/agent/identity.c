// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and choosing identities. Each worker has its own, with keys that are the
 * signer's to use; that these belong to the certificates is for the signer to see.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "identity.h"
#include "log.h"
#include "openssl_reason.h"
#include "remote_key.h"

static BIO *open_file(const struct setting *path)
{
	BIO *file = BIO_new_file(path->value, "r");

	if (!file)
		config_fault(path, "cannot read it: %s", strerror(errno));
	return file;
}

static int load_cert(struct identity *id, const struct setting *path)
{
	BIO *file;
	X509 *next;

	file = open_file(path);
	if (!file)
		return -1;

	id->cert = PEM_read_bio_X509(file, NULL, NULL, "");
	if (!id->cert) {
		config_fault(path, "no certificate in PEM in there (%s)", openssl_reason());
		goto err;
	}
	id->chain = sk_X509_new_null();
	if (!id->chain)
		goto err;
	while ((next = PEM_read_bio_X509(file, NULL, NULL, ""))) {
		if (!sk_X509_push(id->chain, next)) {
			X509_free(next);
			goto err;
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		config_fault(path, "a certificate of the chain is damaged (%s)", openssl_reason());
		goto err;
	}
	ERR_clear_error();
	BIO_free(file);
	return 0;
err:
	BIO_free(file);
	return -1;
}

static GENERAL_NAME *dns_name(const char *name)
{
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	GENERAL_NAME *general = GENERAL_NAME_new();

	if (text && general && ASN1_STRING_set(text, name, -1) == 1) {
		GENERAL_NAME_set0_value(general, GEN_DNS, text);
		return general;
	}
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(general);
	return NULL;
}

/* A certificate that is nothing but @names, so that X509_check_host() can look at it. */
static X509 *certificate_of_names(const struct settings *names)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	X509 *cert = X509_new();
	bool ok = list && cert;

	for (size_t i = 0; ok && i < names->count; i++) {
		GENERAL_NAME *name = dns_name(names->list[i].value);

		ok = name && sk_GENERAL_NAME_push(list, name) > 0;
		if (!ok)
			GENERAL_NAME_free(name);
	}
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) == 1;
	sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

/* What only shows when it is used: key size and kind against OpenSSL's policy. */
static int check_usable(const struct identity *id, const struct setting *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int ok;

	ok = ctx && SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) == 1;
	if (!ok)
		config_fault(cert, "OpenSSL refuses it (%s)", openssl_reason());
	SSL_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int load(struct identity *id, const struct identity_config *config, size_t number)
{
	id->config = config;
	ERR_clear_error();
	if (load_cert(id, &config->certificate))
		return -1;
	id->key = remote_key_new(X509_get0_pubkey(id->cert), number);
	if (!id->key) {
		config_fault(&config->certificate, "the agent cannot use a key of its kind (%s)",
			     openssl_reason());
		return -1;
	}
	if (X509_cmp_current_time(X509_get0_notAfter(id->cert)) < 0)
		log_notice("certificate %s has expired; clients will refuse it",
			   config->certificate.value);
	if (config->names.count) {
		id->names = certificate_of_names(&config->names);
		if (!id->names) {
			log_error("out of memory");
			return -1;
		}
	}
	if (config->ocsp_response.value) {
		id->ocsp = ocsp_load(&config->ocsp_response, id->cert, id->chain);
		if (!id->ocsp)
			return -1;
	}
	if (config->client_auth != CLIENT_AUTH_NONE) {
		id->clients = trust_store_new(&config->clients);
		if (!id->clients)
			return -1;
	}
	return check_usable(id, &config->certificate);
}

int identities_load(struct identities *identities, const struct config *config)
{
	int err = 0;

	*identities = (struct identities){
		.list = calloc(config->n_identities + 1, sizeof(*identities->list)),
	};
	if (!identities->list) {
		log_error("out of memory");
		return -1;
	}
	identities->count = config->n_identities;
	for (size_t i = 0; i < identities->count; i++) {
		if (config->identities[i].is_default)
			identities->fallback = i;
		if (load(&identities->list[i], &config->identities[i], i))
			err = -1;
	}
	return err;
}

void identities_free(struct identities *identities)
{
	for (size_t i = 0; i < identities->count; i++) {
		struct identity *id = &identities->list[i];

		X509_free(id->cert);
		X509_free(id->names);
		EVP_PKEY_free(id->key);
		sk_X509_pop_free(id->chain, X509_free);
		ocsp_free(id->ocsp);
		trust_store_free(id->clients);
	}
	free(identities->list);
	*identities = (struct identities){ 0 };
}

/* The client asks for an OCSP response: RFC 6066 section 8. */
static int staple(SSL *ssl, void *arg)
{
	const struct identities *identities = arg;
	const X509 *chosen = SSL_get_certificate(ssl);

	for (size_t i = 0; i < identities->count; i++)
		if (identities->list[i].cert == chosen && identities->list[i].ocsp)
			return ocsp_staple(ssl, identities->list[i].ocsp);
	return SSL_TLSEXT_ERR_NOACK;
}

int identities_install(struct identities *identities, SSL_CTX *ctx)
{
	const struct identity *id = &identities->list[identities->fallback];

	SSL_CTX_set_tlsext_status_cb(ctx, staple);
	SSL_CTX_set_tlsext_status_arg(ctx, identities);
	if (!id->key)		/* there is none, or its faults have been told */
		return 0;
	return SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) == 1 ? 0 : -1;
}

static bool is_for(const struct identity *id, const char *name)
{
	/* A dot in front is no host's, but means to OpenSSL: any name beneath. */
	return *name != '.' &&
	       X509_check_host(id->names ? id->names : id->cert, name, 0, 0, NULL) == 1;
}

static bool same_setting(const struct setting *a, const struct setting *b)
{
	return a->value && b->value ? !strcmp(a->value, b->value) : a->value == b->value;
}

static bool ask_the_same(const struct identity *a, const struct identity *b)
{
	if (a->config->client_auth != b->config->client_auth)
		return false;
	return a->config->client_auth == CLIENT_AUTH_NONE ||
	       (same_setting(&a->config->clients.trust, &b->config->clients.trust) &&
		same_setting(&a->config->clients.crl, &b->config->clients.crl));
}

static int use(SSL *ssl, const struct identity *id)
{
	return SSL_use_cert_and_key(ssl, id->cert, id->key, id->chain, 1) == 1 ? 0 : -1;
}

static bool may_be(const struct permission *permission, size_t identity)
{
	const char *rule;

	return policy_allows(permission->policy, permission->who, ROLE_SERVER, identity, &rule);
}

/* The first one for @server_name, or the default, or the first one there is. */
static ssize_t choose(const struct identities *identities, const char *server_name,
		      const struct permission *permission)
{
	for (size_t i = 0; server_name && i < identities->count; i++)
		if (is_for(&identities->list[i], server_name) && may_be(permission, i))
			return i;
	if (identities->count && may_be(permission, identities->fallback))
		return identities->fallback;
	for (size_t i = 0; i < identities->count; i++)
		if (may_be(permission, i))
			return i;
	return NO_IDENTITY;
}

/* Of identities, those from the command line have no names, but numbers that stay. */
static int set_session_context(SSL *ssl, const struct identity *id, size_t number,
			       const char *server_name)
{
	char unnamed[24];
	const char *parts[] = { id->config->name, server_name ? server_name : "" };
	unsigned char digest[SHA256_DIGEST_LENGTH];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	snprintf(unnamed, sizeof(unnamed), "[%zu]", number);
	if (!*parts[0])
		parts[0] = unnamed;
	for (size_t i = 0; ok && i < 2; i++)
		ok = EVP_DigestUpdate(ctx, parts[i], strlen(parts[i]) + 1);
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) &&
	     SSL_set_session_id_context(ssl, digest, sizeof(digest));
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

/*
 * Give @ssl certificate and key of identity @number, and of those after it that can stand in
 * for it where the client asks for @server_name. @fresh: it has those of the default one.
 */
static int use_all(const struct identities *identities, SSL *ssl, size_t number,
		   const char *server_name, bool fresh, const struct permission *permission)
{
	const struct identity *id = &identities->list[number];

	fresh = fresh && number == identities->fallback;
	if (!fresh)
		SSL_certs_clear(ssl);
	/* OpenSSL keeps one per kind of key: the last given, hence backwards. */
	for (size_t i = identities->count; server_name && i-- > number + 1;) {
		const struct identity *other = &identities->list[i];

		if (!is_for(other, server_name) || !ask_the_same(id, other) ||
		    !may_be(permission, i))
			continue;
		fresh = false;
		if (use(ssl, other))
			return -1;
	}
	return fresh ? 0 : use(ssl, id);
}

int identities_use_for_server(const struct identities *identities, SSL *ssl, ssize_t wanted,
			      const char *server_name, bool first_hello,
			      const struct permission *permission,
			      struct verification *verification)
{
	ssize_t number = wanted == NO_IDENTITY ? choose(identities, server_name, permission) :
						 wanted;
	const struct identity *id;
	bool named;

	if (number == NO_IDENTITY)
		return -1;
	id = &identities->list[number];
	named = wanted == NO_IDENTITY && server_name && is_for(id, server_name);
	if (use_all(identities, ssl, number, named ? server_name : NULL, first_hello, permission) ||
	    verify_client(ssl, id->config->client_auth, id->clients, verification) ||
	    set_session_context(ssl, id, number, server_name))
		return -1;
	if (id->config->client_auth == CLIENT_AUTH_NONE)
		return 0;
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	return SSL_set_num_tickets(ssl, 0) == 1 ? 0 : -1;
}

int identities_use_for_client(const struct identities *identities, SSL *ssl, ssize_t wanted)
{
	return wanted == NO_IDENTITY ? 0 : use(ssl, &identities->list[wanted]);
}
