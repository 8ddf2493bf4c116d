// SPDX-License-Identifier: GPL-2.0-only
/*
 * The provider "keyblob". Whatever is asked about a key is answered by its public half,
 * a key of the default provider; signing alone goes to the signer. What follows is in the
 * order of provider(7): key management, signatures, the provider itself.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "memory.h"
#include "remote_key.h"

#define PROVIDER "keyblob"
#define PROPERTIES "provider=" PROVIDER

/* Of these a key is made, by EVP_PKEY_fromdata(3). */
#define PARAM_PUBLIC "keyblob-public"
#define PARAM_NUMBER "keyblob-number"

enum kind { KIND_RSA, KIND_RSA_PSS, KIND_EC, KIND_EDWARDS };

static const struct {
	const char *name;
	enum kind kind;
} key_types[] = {
	{ "RSA", KIND_RSA },
	{ "RSA-PSS", KIND_RSA_PSS },
	{ "EC", KIND_EC },
	{ "ED25519", KIND_EDWARDS },
	{ "ED448", KIND_EDWARDS },
};
#define KEY_TYPES (sizeof(key_types) / sizeof(key_types[0]))

struct key {
	EVP_PKEY *public;
	uint32_t number;
	enum kind kind;
};

static remote_sign sign_remotely;
static void *sign_arg;
static int error_library;	/* 0: remote_key_init() has not been called */

/* Fetched once each, as long as there are few. */
static EVP_MD *digests[8];
#define DIGESTS (sizeof(digests) / sizeof(digests[0]))

enum { ERROR_SIGNER = 1, ERROR_USE };

#define raise(reason, ...) ERR_raise_data(error_library, reason, __VA_ARGS__)

/*
 * Keys.
 */

static void *key_new(void *provider)
{
	(void)provider;
	return memory_zalloc(sizeof(struct key));
}

static void key_free(void *data)
{
	struct key *key = data;

	if (key)
		EVP_PKEY_free(key->public);
	memory_free(key);
}

/* Keys made by others cannot be imported: there is nobody to sign for them. */
static int key_import(void *data, int selection, const OSSL_PARAM *params)
{
	const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, PARAM_NUMBER);
	const OSSL_PARAM *public = OSSL_PARAM_locate_const(params, PARAM_PUBLIC);
	struct key *key = data;
	const void *pkey;
	size_t len;

	(void)selection;
	if (!number || !public || !OSSL_PARAM_get_uint32(number, &key->number) ||
	    !OSSL_PARAM_get_octet_ptr(public, &pkey, &len) || !EVP_PKEY_up_ref((EVP_PKEY *)pkey))
		return 0;
	key->public = (EVP_PKEY *)pkey;
	for (size_t i = 0; i < KEY_TYPES; i++)
		if (EVP_PKEY_is_a(key->public, key_types[i].name))
			key->kind = key_types[i].kind;
	return 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_ptr(PARAM_PUBLIC, NULL, 0),
		OSSL_PARAM_uint32(PARAM_NUMBER, NULL),
		OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *arg)
{
	const struct key *key = data;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
		return 0;
	return EVP_PKEY_export(key->public, selection, callback, arg);
}

static const OSSL_PARAM *key_public_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END
	};

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static int key_has(const void *data, int selection)
{
	const struct key *key = data;

	(void)selection;
	return key->public != NULL;
}

static int key_get_params(void *data, OSSL_PARAM *params)
{
	const struct key *key = data;

	return EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM gettable[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_END
	};

	(void)provider;
	return gettable;
}

/*
 * A name that the default provider does not know: were it "RSA", OpenSSL would look there
 * first, and try to export the private key, at each signature.
 */
static const char *key_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? PROVIDER : NULL;
}

#define FUNCTION(id, function) { id, (void (*)(void))(function) }

/*
 * There is no "match": so EVP_PKEY_eq(3) exports our public half to the default provider,
 * which remembers it, rather than to try it the other way round first.
 */
static const OSSL_DISPATCH key_functions[] = {
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),
	FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_public_types),
	FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
	FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_name),
	{ 0, NULL }
};

/*
 * Signatures: EVP_DigestSign(3), in one call, as libssl does.
 */

struct signing {
	const struct key *key;
	const EVP_MD *md;	/* NULL: none, the message is signed */
	enum signature_padding padding;
	int salt_len;		/* bytes, or RSA_PSS_SALTLEN_DIGEST */
};

static void *signing_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return memory_zalloc(sizeof(struct signing));
}

static const EVP_MD *find_digest(const char *name)
{
	size_t i;

	for (i = 0; i < DIGESTS && digests[i]; i++)
		if (EVP_MD_is_a(digests[i], name))
			return digests[i];
	if (i == DIGESTS)
		return NULL;
	digests[i] = EVP_MD_fetch(NULL, name, NULL);
	return digests[i];
}

/* A key may be for certain digests only (RFC 4055 3.1); its public half knows. */
static int digest_is_allowed(const struct key *key, const char *digest)
{
	EVP_MD_CTX *ctx;
	int ok;

	if (key->kind != KIND_RSA_PSS)
		return 1;
	ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key->public, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static int set_padding(struct signing *s, const OSSL_PARAM *param)
{
	int mode = 0;

	if (param->data_type == OSSL_PARAM_UTF8_STRING) {
		if (!strcmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15))
			mode = RSA_PKCS1_PADDING;
		else if (!strcmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS))
			mode = RSA_PKCS1_PSS_PADDING;
	} else if (!OSSL_PARAM_get_int(param, &mode)) {
		return 0;
	}
	if (mode == RSA_PKCS1_PSS_PADDING)
		s->padding = PADDING_PSS;
	else if (mode == RSA_PKCS1_PADDING && s->key->kind == KIND_RSA)
		s->padding = PADDING_PKCS1;
	else
		return raise(ERROR_USE, "no such padding"), 0;
	return 1;
}

static int set_salt_len(struct signing *s, const OSSL_PARAM *param)
{
	char *end;
	long len;

	if (param->data_type != OSSL_PARAM_UTF8_STRING) {
		if (!OSSL_PARAM_get_int(param, &s->salt_len))
			return 0;
	} else if (!strcmp(param->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST)) {
		s->salt_len = RSA_PSS_SALTLEN_DIGEST;
	} else {
		len = strtol(param->data, &end, 10);
		if (*end || end == param->data)
			len = -100;
		s->salt_len = len;
	}
	if (s->salt_len >= RSA_PSS_SALTLEN_DIGEST && s->salt_len <= SIGNATURE_MAX)
		return 1;
	return raise(ERROR_USE, "the length of a salt is \"digest\" or a number"), 0;
}

/* One digest for all: RFC 8446 4.2.3 has no scheme with two. */
static int check_digest(const struct signing *s, const OSSL_PARAM *param)
{
	if (s->md && param->data_type == OSSL_PARAM_UTF8_STRING && EVP_MD_is_a(s->md, param->data))
		return 1;
	return raise(ERROR_USE, "another digest than that of the signature"), 0;
}

static int signing_set_params(void *ctx, const OSSL_PARAM *params)
{
	struct signing *s = ctx;
	const OSSL_PARAM *p;

	if (!params)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p && !set_padding(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p && !set_salt_len(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p && !check_digest(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	return !p || check_digest(s, p);
}

static const OSSL_PARAM *signing_settable_params(void *ctx, void *provider)
{
	static const OSSL_PARAM rsa[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_END
	};
	const struct signing *s = ctx;

	(void)provider;
	return s && s->key && s->key->kind > KIND_RSA_PSS ? &rsa[4] : rsa;
}

static int signing_init(void *ctx, const char *digest, void *data, const OSSL_PARAM *params)
{
	static const enum signature_padding padding[] = {
		[KIND_RSA] = PADDING_PKCS1,
		[KIND_RSA_PSS] = PADDING_PSS,
	};
	struct signing *s = ctx;

	if (data)
		s->key = data;
	if (!s->key)
		return 0;
	s->md = NULL;
	s->padding = PADDING_NONE;
	if (s->key->kind == KIND_EDWARDS) {
		if (digest && *digest)
			return raise(ERROR_USE, "these keys sign messages, not digests"), 0;
		return signing_set_params(s, params);
	}
	if (!digest || !digest_is_allowed(s->key, digest))
		return 0;
	s->md = find_digest(digest);
	if (!s->md)
		return 0;
	if (s->key->kind <= KIND_RSA_PSS)
		s->padding = padding[s->key->kind];
	s->salt_len = RSA_PSS_SALTLEN_DIGEST;
	return signing_set_params(s, params);
}

static int signing_sign(void *ctx, unsigned char *value, size_t *len, size_t size,
			const unsigned char *message, size_t message_len)
{
	const struct signing *s = ctx;
	struct signature signature = {
		.key = s->key->number,
		.padding = s->padding,
		.tbs = message,
		.tbs_len = message_len,
		.value = value,
		.value_size = size,
	};
	size_t max = EVP_PKEY_get_size(s->key->public);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len;
	int err;

	if (!value) {
		*len = max;
		return 1;
	}
	if (size < max || max > SIGNATURE_MAX)
		return raise(ERROR_USE, "signatures have up to %zu bytes here", max), 0;
	if (s->md) {
		if (!EVP_Digest(message, message_len, digest, &digest_len, s->md, NULL))
			return 0;
		strncpy(signature.digest, EVP_MD_get0_name(s->md), sizeof(signature.digest) - 1);
		signature.tbs = digest;
		signature.tbs_len = digest_len;
		signature.salt_len = s->salt_len < 0 ? (int)digest_len : s->salt_len;
	}
	if (signature.tbs_len > SIGNATURE_TBS_MAX)
		return raise(ERROR_USE, "%zu bytes are too many for this key to sign",
			     message_len), 0;
	err = sign_remotely(sign_arg, &signature);
	if (err)
		return raise(ERROR_SIGNER, "%s",
			     *signature.reason ? signature.reason : strerror(-err)), 0;
	*len = signature.value_len;
	return 1;
}

static const OSSL_DISPATCH signing_functions[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, memory_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL }
};

/*
 * The provider.
 */

static const OSSL_ALGORITHM key_algorithms[] = {
	{ "RSA:rsaEncryption", PROPERTIES, key_functions, "RSA key at the signer" },
	{ "RSA-PSS:RSASSA-PSS", PROPERTIES, key_functions, "RSA-PSS key at the signer" },
	{ "EC:id-ecPublicKey", PROPERTIES, key_functions, "EC key at the signer" },
	{ "ED25519", PROPERTIES, key_functions, "Ed25519 key at the signer" },
	{ "ED448", PROPERTIES, key_functions, "Ed448 key at the signer" },
	{ 0 }
};

static const OSSL_ALGORITHM signature_algorithms[] = {
	{ PROVIDER, PROPERTIES, signing_functions, "signature by the signer" },
	{ 0 }
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
	(void)provider;
	*no_store = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return key_algorithms;
	return operation == OSSL_OP_SIGNATURE ? signature_algorithms : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL }
	};

	(void)in;
	*out = functions;
	*provider = (void *)handle;
	return 1;
}

static ERR_STRING_DATA error_strings[] = {
	{ 0, "keyblob" },
	{ ERR_PACK(0, 0, ERROR_SIGNER), "the signer did not sign" },
	{ ERR_PACK(0, 0, ERROR_USE), "not with a key at the signer" },
	{ 0, NULL }
};

static OSSL_PROVIDER *default_provider, *our_provider;

int remote_key_init(remote_sign sign, void *arg)
{
	EVP_KEYMGMT *first;

	sign_remotely = sign;
	sign_arg = arg;
	if (error_library)
		return 0;
	error_library = ERR_get_next_error_library();
	ERR_load_strings(error_library, error_strings);
	/*
	 * Of two that know "RSA", OpenSSL takes the one whose algorithms it got to know
	 * first: that must be the default provider.
	 */
	default_provider = OSSL_PROVIDER_load(NULL, "default");
	first = EVP_KEYMGMT_fetch(NULL, "RSA", "provider=default");
	EVP_KEYMGMT_free(first);
	if (!first || !OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init))
		return -1;
	our_provider = OSSL_PROVIDER_load(NULL, PROVIDER);
	return our_provider ? 0 : -1;
}

void remote_key_exit(void)
{
	for (size_t i = 0; i < DIGESTS; i++) {
		EVP_MD_free(digests[i]);
		digests[i] = NULL;
	}
	if (our_provider)
		OSSL_PROVIDER_unload(our_provider);
	if (default_provider)
		OSSL_PROVIDER_unload(default_provider);
	our_provider = default_provider = NULL;
}

EVP_PKEY *remote_key_new(EVP_PKEY *public, uint32_t number)
{
	void *pointer = public;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_ptr(PARAM_PUBLIC, &pointer, sizeof(pointer)),
		OSSL_PARAM_construct_uint32(PARAM_NUMBER, &number),
		OSSL_PARAM_construct_end()
	};
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *pkey = NULL;

	for (size_t i = 0; i < KEY_TYPES && !ctx; i++)
		if (EVP_PKEY_is_a(public, key_types[i].name))
			ctx = EVP_PKEY_CTX_new_from_name(NULL, key_types[i].name, PROPERTIES);
	if (!ctx) {
		raise(ERROR_USE, "keys of this kind cannot sign in TLS");
		return NULL;
	}
	if (EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

const char *remote_key_error(void)
{
	const char *text;
	unsigned long code;
	int flags;

	code = ERR_peek_error_all(NULL, NULL, NULL, &text, &flags);
	if (ERR_GET_LIB(code) != error_library || ERR_GET_REASON(code) != ERROR_SIGNER)
		return NULL;
	return flags & ERR_TXT_STRING ? text : NULL;
}
