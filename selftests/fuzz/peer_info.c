// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names in a peer's certificate, as an application is told them: printable, and an address
 * only where the certificate has an address. Input: subjectAltName in DER.
 */
#include <arpa/inet.h>

#include "../../userspace/agent/peer_info.c"
#include "fuzz.h"

static X509 *certificate_of(const uint8_t *data, size_t size)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;
	X509 *cert = X509_new();

	must(value && cert && ASN1_OCTET_STRING_set(value, data, size));
	extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
	must(extension && X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	return cert;
}

static int count_addresses(const X509 *cert)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		int len = name->type == GEN_IPADD ? ASN1_STRING_length(name->d.iPAddress) : 0;

		n += len == 4 || len == 16;
	}
	GENERAL_NAMES_free(all);
	return n;
}

static bool is_address(const char *name)
{
	struct in6_addr address;
	struct in_addr odd;

	return inet_aton(name, &odd) || inet_pton(AF_INET6, name, &address) == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	X509 *cert = certificate_of(data, size);
	STACK_OF(OPENSSL_STRING) *names = peer_names(cert);
	int addresses = 0;

	must(names);
	for (int i = 0; i < sk_OPENSSL_STRING_num(names); i++) {
		const char *name = sk_OPENSSL_STRING_value(names, i);

		must(*name && strlen(name) <= NAME_MAX_LEN + strlen("email:"));
		for (const char *p = name; *p; p++)
			must(*p > ' ' && *p <= '~');
		addresses += is_address(name);
	}
	must(addresses == count_addresses(cert));
	must(!put_first(names, "www.example.org"));
	must(!strcmp(sk_OPENSSL_STRING_value(names, 0), "www.example.org"));
	peer_names_free(names);
	X509_free(cert);
	return 0;
}
