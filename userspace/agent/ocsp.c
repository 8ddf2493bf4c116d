// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading, checking and stapling OCSP responses. Called by identity.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "log.h"
#include "ocsp.h"

struct ocsp {
	unsigned char *der;
	int len;
	ASN1_GENERALIZEDTIME *next_update;	/* NULL: good for ever */
};

static OCSP_RESPONSE *read_file(const struct setting *path)
{
	OCSP_RESPONSE *response;
	BIO *file;

	file = BIO_new_file(path->value, "rb");
	if (!file) {
		config_fault(path, "cannot read it: %s", strerror(errno));
		return NULL;
	}
	response = d2i_OCSP_RESPONSE_bio(file, NULL);
	BIO_free(file);
	if (!response)
		config_fault(path, "no OCSP response in DER in there");
	else if (OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return response;
	else
		config_fault(path, "the responder refused to answer: %s",
			     OCSP_response_status_str(OCSP_response_status(response)));
	OCSP_RESPONSE_free(response);
	return NULL;
}

/* Whether @single is about @cert; with the digest that the responder used. */
static bool is_about(OCSP_SINGLERESP *single, X509 *cert, X509 *issuer)
{
	/* OpenSSL asks for one without const, and does not change it. */
	OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single), *ours;
	const EVP_MD *digest;
	ASN1_OBJECT *algorithm;
	bool same;

	OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, id);
	digest = EVP_get_digestbyobj(algorithm);
	ours = digest ? OCSP_cert_to_id(digest, cert, issuer) : NULL;
	same = ours && !OCSP_id_cmp(ours, id);
	OCSP_CERTID_free(ours);
	return same;
}

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++)
		if (is_about(OCSP_resp_get0(basic, i), cert, issuer))
			return OCSP_resp_get0(basic, i);
	return NULL;
}

/* By the issuer, or by a responder whose certificate the issuer has signed for that. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer, STACK_OF(X509) *chain)
{
	X509_STORE *store = X509_STORE_new();
	bool ok;

	ok = store && X509_STORE_add_cert(store, issuer) == 1 &&
	     X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
	     OCSP_basic_verify(basic, chain, store, 0) == 1;
	X509_STORE_free(store);
	return ok;
}

static int check(const struct setting *path, OCSP_BASICRESP *basic, X509 *cert,
		 STACK_OF(X509) *chain, ASN1_GENERALIZEDTIME **next_update)
{
	X509 *issuer = sk_X509_num(chain) ? sk_X509_value(chain, 0) : cert;
	OCSP_SINGLERESP *single;
	int status;

	if (X509_check_issued(issuer, cert) != X509_V_OK) {
		config_fault(path, "the certificate's issuer is needed to check it; append it to "
			     "the certificate's file");
		return -1;
	}
	single = find_single(basic, cert, issuer);
	if (!single) {
		config_fault(path, "it is about another certificate");
		return -1;
	}
	status = OCSP_single_get0_status(single, NULL, NULL, NULL, next_update);
	if (status != V_OCSP_CERTSTATUS_GOOD) {
		config_fault(path, "it says that the certificate is %s",
			     OCSP_cert_status_str(status));
		return -1;
	}
	if (!is_signed(basic, issuer, chain)) {
		config_fault(path, "its signature is not that of the certificate's issuer");
		return -1;
	}
	return 0;
}

static bool is_over(const ASN1_GENERALIZEDTIME *next_update)
{
	return next_update && X509_cmp_current_time(next_update) < 0;
}

static struct ocsp *make(OCSP_RESPONSE *response, const ASN1_GENERALIZEDTIME *next_update)
{
	struct ocsp *ocsp = calloc(1, sizeof(*ocsp));

	if (!ocsp)
		return NULL;
	ocsp->len = i2d_OCSP_RESPONSE(response, &ocsp->der);
	if (next_update)
		ocsp->next_update = ASN1_STRING_dup(next_update);
	if (ocsp->len > 0 && !next_update == !ocsp->next_update)
		return ocsp;
	ocsp_free(ocsp);
	return NULL;
}

struct ocsp *ocsp_load(const struct setting *path, X509 *cert, STACK_OF(X509) *chain)
{
	ASN1_GENERALIZEDTIME *next_update = NULL;
	struct ocsp *ocsp = NULL;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;

	response = read_file(path);
	if (!response)
		return NULL;
	basic = OCSP_response_get1_basic(response);
	if (!basic)
		config_fault(path, "it is of an unknown type");
	else if (!check(path, basic, cert, chain, &next_update))
		ocsp = make(response, next_update);
	if (ocsp && is_over(next_update))
		log_notice("OCSP response %s is out of date; it is not handed out", path->value);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return ocsp;
}

void ocsp_free(struct ocsp *ocsp)
{
	if (!ocsp)
		return;
	OPENSSL_free(ocsp->der);
	ASN1_GENERALIZEDTIME_free(ocsp->next_update);
	free(ocsp);
}

int ocsp_staple(SSL *ssl, const struct ocsp *ocsp)
{
	unsigned char *copy;

	if (is_over(ocsp->next_update))
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(ocsp->der, ocsp->len);
	if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, ocsp->len) != 1) {
		OPENSSL_free(copy);
		return SSL_TLSEXT_ERR_NOACK;
	}
	return SSL_TLSEXT_ERR_OK;
}
