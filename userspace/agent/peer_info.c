// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads what a finished handshake says of the peer. Called by handshake.c, which owns the
 * result, and by verify.c, which names names.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509v3.h>

#include "peer_info.h"
#include "peer_name.h"

/* Bytes of a name that are worth telling. */
#define NAME_MAX_LEN 1000

static const char label[] = "EXPORTER-Channel-Binding";

static void free_name(char *name)
{
	OPENSSL_free(name);
}

void peer_names_free(STACK_OF(OPENSSL_STRING) *names)
{
	sk_OPENSSL_STRING_pop_free(names, free_name);
}

static int add_name(STACK_OF(OPENSSL_STRING) *names, const char *name)
{
	char *copy = OPENSSL_strdup(name);

	if (!copy || !sk_OPENSSL_STRING_push(names, copy)) {
		OPENSSL_free(copy);
		return -1;
	}
	return 0;
}

/* So that a DNS name is nothing else, an address least of all. */
static bool is_dns_name(const char *name)
{
	if (peer_name_ends_in_number(name))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-_.*", *name))
			return false;
	return true;
}

/* "PREFIXtext", if the bytes are printable ASCII: an embedded NUL is not. */
static bool format_text(char *to, size_t size, const char *prefix, const ASN1_STRING *string)
{
	const unsigned char *data = ASN1_STRING_get0_data(string);
	int len = ASN1_STRING_length(string);

	if (len < 1 || len > NAME_MAX_LEN)
		return false;
	for (int i = 0; i < len; i++)
		if (data[i] > '~' || !isgraph(data[i]))
			return false;
	snprintf(to, size, "%s%.*s", prefix, len, (const char *)data);
	return true;
}

static bool format_address(char *to, size_t size, const ASN1_STRING *string)
{
	int len = ASN1_STRING_length(string);

	return (len == 4 || len == 16) &&
	       inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(string), to, size);
}

static bool format_name(char *to, size_t size, const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DNS:
		return format_text(to, size, "", name->d.dNSName) && is_dns_name(to);
	case GEN_IPADD:
		return format_address(to, size, name->d.iPAddress);
	case GEN_EMAIL:
		return format_text(to, size, "email:", name->d.rfc822Name);
	case GEN_URI:
		return format_text(to, size, "URI:", name->d.uniformResourceIdentifier);
	default:
		return false;
	}
}

STACK_OF(OPENSSL_STRING) *peer_names(const X509 *cert)
{
	STACK_OF(OPENSSL_STRING) *names = sk_OPENSSL_STRING_new_null();
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char text[NAME_MAX_LEN + sizeof("email:")];

	for (int i = 0; names && i < sk_GENERAL_NAME_num(all); i++) {
		if (!format_name(text, sizeof(text), sk_GENERAL_NAME_value(all, i)))
			continue;
		if (add_name(names, text)) {
			peer_names_free(names);
			names = NULL;
		}
	}
	GENERAL_NAMES_free(all);
	return names;
}

/* Move @expected to the front. */
static int put_first(STACK_OF(OPENSSL_STRING) *names, const char *expected)
{
	char *copy;

	for (int i = 0; i < sk_OPENSSL_STRING_num(names); i++) {
		if (!strcasecmp(sk_OPENSSL_STRING_value(names, i), expected)) {
			OPENSSL_free(sk_OPENSSL_STRING_delete(names, i));
			break;
		}
	}
	copy = OPENSSL_strdup(expected);
	if (copy && sk_OPENSSL_STRING_unshift(names, copy))
		return 0;
	OPENSSL_free(copy);
	return -1;
}

/*
 * RFC 9266 section 2. The context is there, and empty: without one, TLS 1.2 would give
 * another value (RFC 5705 section 4).
 */
void peer_info_read_binding(struct peer_info *info, SSL *ssl)
{
	if (SSL_version(ssl) != TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return;
	info->bound = SSL_export_keying_material(ssl, info->channel_binding,
						 sizeof(info->channel_binding), label,
						 sizeof(label) - 1, (const uint8_t *)"", 0,
						 1) == 1;
}

int peer_info_read(struct peer_info *info, SSL *ssl, const char *expected)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

	if (sk_X509_num(chain) < 1 || SSL_get_verify_result(ssl) != X509_V_OK)
		return 0;
	info->chain = X509_chain_up_ref(chain);
	if (!info->chain)
		return -1;
	info->names = peer_names(sk_X509_value(chain, 0));
	if (!info->names)
		return -1;
	return expected ? put_first(info->names, expected) : 0;
}

void peer_info_free(struct peer_info *info)
{
	sk_X509_pop_free(info->chain, X509_free);
	peer_names_free(info->names);
	*info = (struct peer_info){ 0 };
}
