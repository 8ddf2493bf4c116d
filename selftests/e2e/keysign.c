// SPDX-License-Identifier: GPL-2.0-only
/*
 * keysign [-u UID] [-w] KEY CERTIFICATE: opens KEY as the agent does, and makes and verifies
 * one signature in each scheme of TLS that the key is good for. Prints "opened", then a
 * line per signature. -u: gives up root once the key is open. -w: does it again for each
 * line on stdin. Leaves as a signer does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "keys.h"

static const struct scheme {
	const char *name, *digest;
	int type, padding;
} schemes[] = {
	{ "ecdsa_sha256", "SHA256", EVP_PKEY_EC, 0 },
	{ "rsa_pkcs1_sha256", "SHA256", EVP_PKEY_RSA, RSA_PKCS1_PADDING },
	{ "rsa_pkcs1_sha384", "SHA384", EVP_PKEY_RSA, RSA_PKCS1_PADDING },
	{ "rsa_pss_rsae_sha256", "SHA256", EVP_PKEY_RSA, RSA_PKCS1_PSS_PADDING },
	{ "rsa_pss_rsae_sha384", "SHA384", EVP_PKEY_RSA, RSA_PKCS1_PSS_PADDING },
};

static const unsigned char tbs[130] = "what a server signs in CertificateVerify";

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* In this order: pkcs11-provider wants to know the digest before the length of the salt. */
static int set_up(EVP_PKEY_CTX *ctx, const struct scheme *scheme)
{
	const EVP_MD *md = EVP_get_digestbyname(scheme->digest);

	if (scheme->padding && EVP_PKEY_CTX_set_rsa_padding(ctx, scheme->padding) <= 0)
		return 0;
	if (EVP_PKEY_CTX_set_signature_md(ctx, md) <= 0)
		return 0;
	return scheme->padding != RSA_PKCS1_PSS_PADDING ||
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static int make_digest(const struct scheme *scheme, unsigned char *digest, unsigned int *len)
{
	const EVP_MD *md = EVP_get_digestbyname(scheme->digest);

	return EVP_Digest(tbs, sizeof(tbs), digest, len, md, NULL);
}

/* Twice in one context, as signers do. */
static int sign(EVP_PKEY *key, const struct scheme *scheme, unsigned char *sig, size_t *len)
{
	size_t first_len = *len;
	EVP_PKEY_CTX *ctx = key_context_new(key);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len;
	int ok;

	ok = ctx && make_digest(scheme, digest, &digest_len) && EVP_PKEY_sign_init(ctx) > 0 &&
	     set_up(ctx, scheme) && EVP_PKEY_sign(ctx, sig, &first_len, digest, digest_len) > 0 &&
	     EVP_PKEY_sign(ctx, sig, len, digest, digest_len) > 0;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int verify(EVP_PKEY *public, const struct scheme *scheme, const unsigned char *sig,
		  size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public, NULL);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len;
	int ok;

	ok = ctx && make_digest(scheme, digest, &digest_len) && EVP_PKEY_verify_init(ctx) > 0 &&
	     set_up(ctx, scheme) && EVP_PKEY_verify(ctx, sig, len, digest, digest_len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool try_one(EVP_PKEY *key, EVP_PKEY *public, const struct scheme *scheme)
{
	unsigned char sig[2048];
	size_t len = sizeof(sig);
	bool ok = false;

	ERR_clear_error();
	if (!sign(key, scheme, sig, &len)) {
		say("%s: not signed", scheme->name);
		ERR_print_errors_fp(stderr);
	} else if (!verify(public, scheme, sig, len)) {
		say("%s: wrong", scheme->name);
	} else {
		say("%s: verified", scheme->name);
		ok = true;
	}
	return ok;
}

static bool try_all(EVP_PKEY *key, EVP_PKEY *public)
{
	bool ok = true, any = false;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (EVP_PKEY_get_base_id(public) != schemes[i].type)
			continue;
		any = true;
		ok = try_one(key, public, &schemes[i]) && ok;
	}
	return any && ok;
}

static X509 *read_certificate(const char *path)
{
	BIO *file = BIO_new_file(path, "r");
	X509 *cert = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;

	BIO_free(file);
	return cert;
}

int main(int argc, char **argv)
{
	struct identity_config id = { 0 };
	int opt, uid = 0, status = 1;
	bool wait = false;
	EVP_PKEY *key;
	char why[512], line[64];
	X509 *cert;

	while ((opt = getopt(argc, argv, "u:w")) != -1) {
		if (opt == 'u')
			uid = atoi(optarg);
		else if (opt == 'w')
			wait = true;
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	id.key.value = argv[optind];
	cert = read_certificate(argv[optind + 1]);
	if (!cert) {
		fprintf(stderr, "%s: no certificate\n", argv[optind + 1]);
		return 2;
	}

	key = key_open(&id, why, sizeof(why));
	if (!key) {
		say("%s: %s", errno == EKEYREJECTED ? "rejected" : "fault", why);
		_exit(1);
	}
	say("opened");
	if (uid && (setgid(uid) || setuid(uid))) {
		perror("setuid");
		_exit(2);
	}
	if (X509_check_private_key(cert, key) != 1)
		say("of another certificate");
	else if (try_all(key, X509_get0_pubkey(cert)))
		status = 0;
	while (wait && fgets(line, sizeof(line), stdin))
		say("again: %s", try_all(key, X509_get0_pubkey(cert)) ? "good" : "bad");
	EVP_PKEY_free(key);
	X509_free(cert);
	say("released");
	_exit(status);
}
