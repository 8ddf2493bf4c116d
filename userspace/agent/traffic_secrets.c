// SPDX-License-Identifier: GPL-2.0-only
/*
 * The provider "kdf": its one algorithm, TLS13-KDF, hands everything to the
 * default provider's, and looks at what comes back. Its contexts are those of the other one.
 * Called by worker.c.
 */
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "traffic_secrets.h"

#define PROVIDER "kdf"

static EVP_KDF *kdf;
static OSSL_PROVIDER *our_provider;
static traffic_secret_cb tell;

static void *context_new(void *provider)
{
	(void)provider;
	return EVP_KDF_CTX_new(kdf);
}

static bool has_label(const OSSL_PARAM *param, const char *label)
{
	return param->data_size == strlen(label) && !memcmp(param->data, label, param->data_size);
}

static int derive(void *ctx, unsigned char *key, size_t len, const OSSL_PARAM params[])
{
	const OSSL_PARAM *label = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_LABEL);

	if (EVP_KDF_derive(ctx, key, len, params) != 1)
		return 0;
	if (label && has_label(label, "c ap traffic"))
		tell(false, key, len);
	else if (label && has_label(label, "s ap traffic"))
		tell(true, key, len);
	return 1;
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
	(void)ctx;
	(void)provider;
	return EVP_KDF_settable_ctx_params(kdf);
}

#define FUNCTION(id, function) { id, (void (*)(void))(function) }

static const OSSL_DISPATCH functions[] = {
	FUNCTION(OSSL_FUNC_KDF_NEWCTX, context_new),
	FUNCTION(OSSL_FUNC_KDF_DUPCTX, EVP_KDF_CTX_dup),
	FUNCTION(OSSL_FUNC_KDF_FREECTX, EVP_KDF_CTX_free),
	FUNCTION(OSSL_FUNC_KDF_RESET, EVP_KDF_CTX_reset),
	FUNCTION(OSSL_FUNC_KDF_DERIVE, derive),
	FUNCTION(OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, settable),
	FUNCTION(OSSL_FUNC_KDF_SET_CTX_PARAMS, EVP_KDF_CTX_set_params),
	FUNCTION(OSSL_FUNC_KDF_GET_CTX_PARAMS, EVP_KDF_CTX_get_params),
	{ 0, NULL }
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
	static const OSSL_ALGORITHM algorithms[] = {
		{ OSSL_KDF_NAME_TLS1_3_KDF, "provider=" PROVIDER, functions, NULL },
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
	kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, "provider=default");
	if (!kdf || OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) != 1)
		return -1;
	our_provider = OSSL_PROVIDER_load(NULL, PROVIDER);
	return our_provider ? 0 : -1;
}

void traffic_secrets_exit(void)
{
	if (our_provider)
		OSSL_PROVIDER_unload(our_provider);
	EVP_KDF_free(kdf);
	our_provider = NULL;
	kdf = NULL;
}
