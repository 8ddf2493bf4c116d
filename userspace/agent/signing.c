// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions, answers, and signatures by OpenSSL. Called by signer.c, which owns the keys,
 * and, for the questions, by signer_client.c in workers.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "keys.h"
#include "memory.h"
#include "signing.h"

#define WAYS 8

/* RSA and EC have one for each digest and padding: setting it up costs more than a use. */
struct signing_way {
	uint32_t padding;
	int32_t salt_len;
	char digest[16];
	EVP_PKEY_CTX *ctx;	/* NULL: not in use */
};

_Static_assert(sizeof(struct signing_question) + SIGNATURE_TBS_MAX <= CHANNEL_DATA_MAX &&
	       SIGNATURE_MAX <= CHANNEL_DATA_MAX, "everything fits into a message");

/*
 * Questions and answers.
 */

void signing_ask(struct channel_message *message, const struct signature *signature)
{
	struct signing_question question = {
		.key = signature->key,
		.padding = signature->padding,
		.salt_len = signature->salt_len,
	};

	memcpy(question.digest, signature->digest, sizeof(question.digest));
	message->type = SIGNING_QUESTION;
	message->len = sizeof(question) + signature->tbs_len;
	memcpy(message->data, &question, sizeof(question));
	memcpy(message->data + sizeof(question), signature->tbs, signature->tbs_len);
}

int signing_parse(const struct channel_message *message, struct signature *signature)
{
	struct signing_question question;

	if (message->type != SIGNING_QUESTION || message->len < sizeof(question) ||
	    message->len - sizeof(question) > SIGNATURE_TBS_MAX)
		return -EBADMSG;
	memcpy(&question, message->data, sizeof(question));
	if (question.padding > PADDING_PSS || question.digest[sizeof(question.digest) - 1] ||
	    question.salt_len < 0 || question.salt_len > SIGNATURE_MAX)
		return -EBADMSG;
	signature->key = question.key;
	signature->padding = question.padding;
	signature->salt_len = question.salt_len;
	memcpy(signature->digest, question.digest, sizeof(question.digest));
	signature->tbs = message->data + sizeof(question);
	signature->tbs_len = message->len - sizeof(question);
	return 0;
}

void signing_answer(struct channel_message *message, const struct signature *signature, int err)
{
	const struct signing_failure failure = { err };
	size_t len = strlen(signature->reason);

	if (err) {
		message->type = SIGNING_FAILURE;
		message->len = sizeof(failure) + len;
		memcpy(message->data, &failure, sizeof(failure));
		memcpy(message->data + sizeof(failure), signature->reason, len);
	} else {
		message->type = SIGNING_VALUE;
		message->len = signature->value_len;
		memcpy(message->data, signature->value, signature->value_len);
	}
}

int signing_result(const struct channel_message *message, struct signature *signature)
{
	struct signing_failure failure;

	if (message->type == SIGNING_VALUE && message->len <= signature->value_size) {
		memcpy(signature->value, message->data, message->len);
		signature->value_len = message->len;
		return 0;
	}
	if (message->type == SIGNING_FAILURE && message->len >= sizeof(failure)) {
		memcpy(&failure, message->data, sizeof(failure));
		snprintf(signature->reason, sizeof(signature->reason), "%.*s",
			 (int)(message->len - sizeof(failure)),
			 (const char *)message->data + sizeof(failure));
		if (failure.error < 0)
			return failure.error;
	}
	snprintf(signature->reason, sizeof(signature->reason), "the signer's answer is none");
	return -EPROTO;
}

/*
 * Signatures.
 */

void signing_key_init(struct signing_key *key, EVP_PKEY *pkey)
{
	key->pkey = pkey;
	key->ways = memory_zalloc(WAYS * sizeof(*key->ways));
	if (!key->ways)
		signing_key_free(key);
}

static void forget(struct signing_way *way)
{
	EVP_PKEY_CTX_free(way->ctx);
	way->ctx = NULL;
}

void signing_key_free(struct signing_key *key)
{
	for (size_t i = 0; key->ways && i < WAYS; i++)
		forget(&key->ways[i]);
	memory_free(key->ways);
	EVP_PKEY_free(key->pkey);
	*key = (struct signing_key){ 0 };
}

/* The last word of OpenSSL, and of the library behind it. */
static int failed(struct signature *signature, int err)
{
	const char *text = "", *reason;	/* left alone where there is no error */
	int flags = 0;
	unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &text, &flags);

	reason = code ? ERR_reason_error_string(code) : "unknown error";
	if (flags & ERR_TXT_STRING && *text)
		snprintf(signature->reason, sizeof(signature->reason), "%s (%s)",
			 reason ? reason : "error", text);
	else
		snprintf(signature->reason, sizeof(signature->reason), "%s",
			 reason ? reason : "unknown error");
	ERR_clear_error();
	return err;
}

static EVP_PKEY_CTX *set_up(EVP_PKEY *pkey, const struct signature *signature)
{
	static const int paddings[] = {
		[PADDING_PKCS1] = RSA_PKCS1_PADDING,
		[PADDING_PSS] = RSA_PKCS1_PSS_PADDING,
	};
	const EVP_MD *md = EVP_get_digestbyname(signature->digest);
	EVP_PKEY_CTX *ctx;

	if (!md)
		return NULL;
	ctx = key_context_new(pkey);
	if (!ctx || EVP_PKEY_sign_init(ctx) <= 0)
		goto err;
	if (signature->padding != PADDING_NONE &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, paddings[signature->padding]) <= 0)
		goto err;
	/* ECDSA does not use it: some keep it from being set. */
	if (EVP_PKEY_CTX_set_signature_md(ctx, md) <= 0 && signature->padding != PADDING_NONE)
		goto err;
	if (signature->padding == PADDING_PSS &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, signature->salt_len) <= 0)
		goto err;
	return ctx;
err:
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static struct signing_way *find_way(struct signing_key *key, const struct signature *signature)
{
	struct signing_way *way;
	size_t i;

	for (i = 0; i < WAYS && key->ways[i].ctx; i++) {
		way = &key->ways[i];
		if (way->padding == signature->padding && way->salt_len == signature->salt_len &&
		    !strcmp(way->digest, signature->digest))
			return way;
	}
	way = &key->ways[i < WAYS ? i : 0];
	forget(way);
	way->ctx = set_up(key->pkey, signature);
	way->padding = signature->padding;
	way->salt_len = signature->salt_len;
	memcpy(way->digest, signature->digest, sizeof(way->digest));
	return way->ctx ? way : NULL;
}

static int sign_digest(struct signing_key *key, struct signature *signature)
{
	struct signing_way *way = find_way(key, signature);

	if (!way)
		return failed(signature, -EINVAL);
	signature->value_len = signature->value_size;
	if (EVP_PKEY_sign(way->ctx, signature->value, &signature->value_len, signature->tbs,
			  signature->tbs_len) == 1)
		return 0;
	forget(way);
	return failed(signature, -EIO);
}

static int sign_message(struct signing_key *key, struct signature *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = 0;

	signature->value_len = signature->value_size;
	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1)
		err = failed(signature, -EINVAL);
	else if (EVP_DigestSign(ctx, signature->value, &signature->value_len, signature->tbs,
				signature->tbs_len) != 1)
		err = failed(signature, -EIO);
	EVP_MD_CTX_free(ctx);
	return err;
}

int signing_make(struct signing_key *key, struct signature *signature)
{
	ERR_clear_error();
	return *signature->digest ? sign_digest(key, signature) : sign_message(key, signature);
}

/*
 * The trial.
 */

static void choose_way(EVP_PKEY *public, struct signature *signature)
{
	bool rsa = EVP_PKEY_is_a(public, "RSA");
	char digest[16] = "";

	if (EVP_PKEY_is_a(public, "ED25519") || EVP_PKEY_is_a(public, "ED448"))
		return;
	if (rsa || EVP_PKEY_is_a(public, "RSA-PSS"))
		signature->padding = PADDING_PSS;
	/* An RSA-PSS key may insist on another. */
	if (EVP_PKEY_get_default_digest_name(public, digest, sizeof(digest)) <= 0 || !*digest)
		strcpy(digest, "SHA256");
	memcpy(signature->digest, digest, sizeof(signature->digest));
}

static bool verify(EVP_PKEY *public, const struct signature *signature, const void *message,
		   size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	bool ok;

	ok = ctx && EVP_DigestVerifyInit_ex(ctx, &pctx, *signature->digest ? signature->digest :
					    NULL, NULL, NULL, public, NULL) == 1;
	if (ok && signature->padding == PADDING_PSS)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(ctx, signature->value, signature->value_len, message,
				    len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

int signing_try(struct signing_key *key, EVP_PKEY *public, char *why, size_t why_size)
{
	static const char message[] = "does this key sign?";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char value[SIGNATURE_MAX];
	struct signature signature = {
		.tbs = (const uint8_t *)message,
		.tbs_len = sizeof(message),
		.value = value,
		.value_size = sizeof(value),
	};
	unsigned int len;
	int err;

	choose_way(public, &signature);
	if (*signature.digest) {
		if (!EVP_Digest(message, sizeof(message), digest, &len,
				EVP_get_digestbyname(signature.digest), NULL))
			return -EINVAL;
		signature.tbs = digest;
		signature.tbs_len = len;
		signature.salt_len = signature.padding == PADDING_PSS ? len : 0;
	}
	err = signing_make(key, &signature);
	if (!err && !verify(public, &signature, message, sizeof(message)))
		err = -EKEYREJECTED;
	snprintf(why, why_size, "%s", signature.reason);
	return err;
}
