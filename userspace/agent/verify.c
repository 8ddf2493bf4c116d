// SPDX-License-Identifier: GPL-2.0-only
/*
 * OpenSSL's verification with our trust stores, our words, and the alerts of RFC 8446
 * section 6.2. Called by handshake.c for clients, by identity.c for servers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "peer_info.h"
#include "verify.h"

/*
 * Why not. Texts are cut to what fits.
 */

struct text {
	char *at;
	size_t left;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->at, text->left, format, args);
	va_end(args);
	if (n < 0 || !text->left)
		return;
	if ((size_t)n >= text->left)
		n = text->left - 1;
	text->at += n;
	text->left -= n;
}

static void add_subject(struct text *text, const X509_NAME *name)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *subject = NULL;
	long len = 0;

	if (memory && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) > 0)
		len = BIO_get_mem_data(memory, &subject);
	add(text, "\"%.*s\"", (int)(len < 100 ? len : 100), subject ? subject : "");
	BIO_free(memory);
}

static void add_time(struct text *text, const ASN1_TIME *time)
{
	char date[64];
	struct tm tm;

	if (time && ASN1_TIME_to_tm(time, &tm) && strftime(date, sizeof(date), "%F %H:%M UTC", &tm))
		add(text, "%s", date);
	else
		add(text, "an unknown date");
}

static void add_names(struct text *text, const X509 *cert)
{
	STACK_OF(OPENSSL_STRING) *names = peer_names(cert);
	int n = names ? sk_OPENSSL_STRING_num(names) : 0;

	for (int i = 0; i < n && i < 3; i++)
		add(text, "%s%.100s", i ? ", " : "", sk_OPENSSL_STRING_value(names, i));
	if (n > 3)
		add(text, " and %d more", n - 3);
	if (!n)
		add(text, "no name (subjectAltName)");
	peer_names_free(names);
}

static void add_key(struct text *text, X509 *cert)
{
	const EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;

	add(text, "key too weak (%s, %d bits)", kind ? kind : "unknown kind",
	    key ? EVP_PKEY_get_bits(key) : 0);
}

static void add_unknown_issuer(struct text *text, X509 *cert)
{
	add(text, "unknown CA: issuer ");
	add_subject(text, X509_get_issuer_name(cert));
	add(text, " is not trusted here, and its certificate was not sent (chain incomplete?)");
}

static void add_error(struct text *text, int error, X509 *cert, const char *role,
		      const char *expected)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		add(text, "expired on ");
		add_time(text, X509_get0_notAfter(cert));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		add(text, "not valid before ");
		add_time(text, X509_get0_notBefore(cert));
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		add(text, "is for ");
		add_names(text, cert);
		add(text, ", not for %s", expected);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		add_unknown_issuer(text, cert);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		add(text, "unknown CA: it is self-signed, and not trusted here");
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		add(text, "unknown CA: it is not trusted here");
		break;
	case X509_V_ERR_CERT_REVOKED:
		add(text, "revoked");
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		add(text, "no CRL is here of its issuer ");
		add_subject(text, X509_get_issuer_name(cert));
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		add(text, "the CRL of its issuer is out of date");
		break;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		add_key(text, cert);
		break;
	case X509_V_ERR_CA_MD_TOO_WEAK:
		add(text, "signed with a hash that is too weak (%s)",
		    OBJ_nid2sn(X509_get_signature_nid(cert)));
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		add(text, "not for TLS %ss (wrong key usage)", role);
		break;
	case X509_V_ERR_INVALID_CA:
		add(text, "not that of a CA (basicConstraints, keyUsage)");
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		add(text, "its signature is wrong");
		break;
	default:
		add(text, "%s", X509_verify_cert_error_string(error));
	}
}

static void explain(struct verification *v, X509_STORE_CTX *ctx, const SSL *ssl)
{
	const char *role = SSL_is_server(ssl) ? "client" : "server";
	struct text text = { v->reason, sizeof(v->reason) };
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

	if (!cert)
		cert = X509_STORE_CTX_get0_cert(ctx);
	if (!cert || !depth) {
		add(&text, "certificate of the %s: ", role);
	} else {
		add(&text, "in the chain of the %s, certificate of ", role);
		add_subject(&text, X509_get_subject_name(cert));
		add(&text, ": ");
	}
	if (cert)
		add_error(&text, error, cert, role, v->expected);
	else
		add(&text, "%s", X509_verify_cert_error_string(error));
}

/*
 * OpenSSL chooses the alert by the error. Where its choice is not what RFC 8446 section 6.2
 * says, another error of the right alert is put in place: "not currently valid" is
 * certificate_expired, a signature that does not verify is bad_certificate, and what a CRL
 * fails to tell is certificate_unknown.
 */
static int error_for_alert(int error)
{
	switch (error) {
	case X509_V_OK:
		return X509_V_ERR_UNSPECIFIED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return X509_V_ERR_CERT_HAS_EXPIRED;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return X509_V_ERR_CERT_REJECTED;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
		return X509_V_ERR_DIFFERENT_CRL_SCOPE;
	default:
		return error;
	}
}

/*
 * The verification.
 */

static int verification_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/* CAs above the one that issued the peer's certificate need no CRL. */
static int on_error(int ok, X509_STORE_CTX *ctx)
{
	if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL ||
	    !X509_STORE_CTX_get_error_depth(ctx))
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static int on_verify(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct verification *v = SSL_get_ex_data(ssl, verification_index());

	(void)arg;
	if (X509_verify_cert(ctx) == 1 && X509_STORE_CTX_get_error(ctx) == X509_V_OK)
		return 1;
	v->failed = true;
	explain(v, ctx, ssl);
	X509_STORE_CTX_set_error(ctx, error_for_alert(X509_STORE_CTX_get_error(ctx)));
	return 0;
}

void verify_install(SSL_CTX *ctx)
{
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
	if (SSL_CTX_get_security_level(ctx) < VERIFY_SECURITY_LEVEL)
		SSL_CTX_set_security_level(ctx, VERIFY_SECURITY_LEVEL);
}

int verify_server(SSL *ssl, struct trust_store *servers, const struct peer_name *name,
		  struct verification *verification)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	trust_store_read(servers);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_error);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
					       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	verification->expected = name->text;
	if (!SSL_set_ex_data(ssl, verification_index(), verification) ||
	    !SSL_set1_verify_cert_store(ssl, servers->certs))
		return -1;
	if (name->address_len)
		return X509_VERIFY_PARAM_set1_ip(param, name->address, name->address_len) ? 0 : -1;
	return X509_VERIFY_PARAM_set1_host(param, name->text, 0) &&
	       SSL_set_tlsext_host_name(ssl, name->text) ? 0 : -1;
}

int verify_client(SSL *ssl, enum client_auth auth, struct trust_store *clients,
		  struct verification *verification)
{
	int mode = auth == CLIENT_AUTH_NONE ? SSL_VERIFY_NONE :
		   auth == CLIENT_AUTH_REQUEST ? SSL_VERIFY_PEER :
		   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	STACK_OF(X509_NAME) *names;

	SSL_set_verify(ssl, mode, on_error);
	if (auth == CLIENT_AUTH_NONE)
		return 0;
	trust_store_read(clients);
	if (!SSL_set_ex_data(ssl, verification_index(), verification) ||
	    !SSL_set1_verify_cert_store(ssl, clients->certs))
		return -1;
	names = sk_X509_NAME_num(clients->names) > CA_NAMES_MAX ?
			sk_X509_NAME_new_null() : SSL_dup_CA_list(clients->names);
	if (!names)
		return -1;
	SSL_set0_CA_list(ssl, names);
	return 0;
}
