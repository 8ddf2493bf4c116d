// SPDX-License-Identifier: GPL-2.0-only
/*
 * The provider "kdf": its algorithms look at what comes back. TLS13-KDF, which libssl gives
 * all its parameters at once, has no context, and is the default provider's where tls13_kdf.c
 * does not know what is asked; TLS1-PRF is always, and so are its contexts. Called by worker.c.
 */
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "tls13_kdf.h"
#include "traffic_secrets.h"

#define PROVIDER "kdf"
#define PROPERTIES "provider=" PROVIDER ",k.b=yes"

static EVP_KDF *tls13_kdf, *tls1_prf;
static OSSL_PROVIDER *our_provider;
static traffic_secret_cb tell;

static void look_at(const OSSL_PARAM *label, const OSSL_PARAM *from, const unsigned char *key,
		    size_t len)
{
	static const char *const labels[TRAFFIC_SECRETS] = {
		[SECRET_CLIENT] = "c ap traffic",
		[SECRET_SERVER] = "s ap traffic",
		[SECRET_KEY_BLOCK] = "key expansion",
		[SECRET_WRITE_KEY] = "key",
		[SECRET_WRITE_IV] = "iv",
	};
	struct derived derived = { .bytes = key, .len = len };

	if (from) {
		derived.from = from->data;
		derived.from_len = from->data_size;
	}
	for (int i = 0; label && i < TRAFFIC_SECRETS; i++) {
		if (label->data_size != strlen(labels[i]) ||
		    memcmp(label->data, labels[i], label->data_size))
			continue;
		derived.which = i;
		tell(&derived);
	}
}

static void *tls13_kdf_new(void *provider)
{
	return provider;
}

static void tls13_kdf_free(void *ctx)
{
	(void)ctx;
}

/* As another OpenSSL than those that tls13_kdf.c knows might ask. */
static int derive_by_default(unsigned char *key, size_t len, const OSSL_PARAM params[])
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(tls13_kdf);
	int ok = ctx && EVP_KDF_derive(ctx, key, len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	return ok;
}

static int tls13_kdf_derive_and_look(void *ctx, unsigned char *key, size_t len,
				     const OSSL_PARAM params[])
{
	(void)ctx;
	if (!tls13_kdf_derive(key, len, params) && !derive_by_default(key, len, params))
		return 0;
	look_at(OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_LABEL),
		OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_KEY), key, len);
	return 1;
}

static void *tls1_prf_new(void *provider)
{
	(void)provider;
	return EVP_KDF_CTX_new(tls1_prf);
}

static int tls1_prf_derive_and_look(void *ctx, unsigned char *key, size_t len,
				    const OSSL_PARAM params[])
{
	if (EVP_KDF_derive(ctx, key, len, params) != 1)
		return 0;
	/* Its label is the first part of its seed. */
	look_at(OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SEED), NULL, key, len);
	return 1;
}

#define FUNCTION(id, function) { id, (void (*)(void))(function) }

static const OSSL_DISPATCH tls13_kdf_functions[] = {
	FUNCTION(OSSL_FUNC_KDF_NEWCTX, tls13_kdf_new),
	FUNCTION(OSSL_FUNC_KDF_FREECTX, tls13_kdf_free),
	FUNCTION(OSSL_FUNC_KDF_DERIVE, tls13_kdf_derive_and_look),
	{ 0, NULL }
};

static const OSSL_DISPATCH tls1_prf_functions[] = {
	FUNCTION(OSSL_FUNC_KDF_NEWCTX, tls1_prf_new),
	FUNCTION(OSSL_FUNC_KDF_DUPCTX, EVP_KDF_CTX_dup),
	FUNCTION(OSSL_FUNC_KDF_FREECTX, EVP_KDF_CTX_free),
	FUNCTION(OSSL_FUNC_KDF_RESET, EVP_KDF_CTX_reset),
	FUNCTION(OSSL_FUNC_KDF_DERIVE, tls1_prf_derive_and_look),
	FUNCTION(OSSL_FUNC_KDF_SET_CTX_PARAMS, EVP_KDF_CTX_set_params),
	FUNCTION(OSSL_FUNC_KDF_GET_CTX_PARAMS, EVP_KDF_CTX_get_params),
	{ 0, NULL }
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
	static const OSSL_ALGORITHM algorithms[] = {
		{ OSSL_KDF_NAME_TLS1_3_KDF, PROPERTIES, tls13_kdf_functions, NULL },
		{ OSSL_KDF_NAME_TLS1_PRF, PROPERTIES, tls1_prf_functions, NULL },
		{ 0 }
	};

	(void)provider;
	*no_store = 0;
	return operation == OSSL_OP_KDF ? algorithms : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH provider_functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL }
	};

	(void)in;
	*out = provider_functions;
	*provider = (void *)handle;
	return 1;
}

int traffic_secrets_init(traffic_secret_cb callback)
{
	tell = callback;
	tls13_kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, "provider=default");
	tls1_prf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, "provider=default");
	if (tls13_kdf_init() || !tls13_kdf || !tls1_prf ||
	    OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) != 1)
		return -1;
	our_provider = OSSL_PROVIDER_load(NULL, PROVIDER);
	return our_provider ? 0 : -1;
}

void traffic_secrets_exit(void)
{
	if (our_provider)
		OSSL_PROVIDER_unload(our_provider);
	tls13_kdf_exit();
	EVP_KDF_free(tls13_kdf);
	EVP_KDF_free(tls1_prf);
	our_provider = NULL;
	tls13_kdf = tls1_prf = NULL;
}
