/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The signer's work: how a question of a worker travels, and its answer made with a
 * private key, wherever that is.
 */
#ifndef KEYBLOBD_SIGNING_H
#define KEYBLOBD_SIGNING_H

#include <openssl/x509.h>

#include "channel.h"
#include "remote_key.h"

/* Types of messages on the channel of a worker. An answer has the question's id. */
enum signing_type {
	SIGNING_QUESTION = 1,	/* data: struct signing_question */
	SIGNING_VALUE,		/* data: the signature */
	SIGNING_FAILURE,	/* data: struct signing_failure */
};

struct signing_question {
	uint32_t key;
	uint32_t padding;	/* enum signature_padding */
	int32_t salt_len;
	char digest[16];	/* NUL-terminated */
	uint8_t tbs[];
};

struct signing_failure {
	int32_t error;		/* negative errno */
	char reason[];
};

/* Write @signature's question, or read it; 0, or -EBADMSG if it is none. */
void signing_ask(struct channel_message *message, const struct signature *signature);
int signing_parse(const struct channel_message *message, struct signature *signature);

/* Write the answer, @err being what signing_make() returned; or read it, and return that. */
void signing_answer(struct channel_message *message, const struct signature *signature, int err);
int signing_result(const struct channel_message *message, struct signature *signature);

/* A private key, and what OpenSSL had to set up to sign with it the last few ways. */
struct signing_key {
	EVP_PKEY *pkey;
	struct signing_way *ways;
};

/* Takes @pkey over, failure included. NULL in key->pkey: out of memory. */
void signing_key_init(struct signing_key *key, EVP_PKEY *pkey);
void signing_key_free(struct signing_key *key);

/*
 * Sign. 0 and signature->value_len, or a negative errno and signature->reason: -EIO if the
 * key does not do it, -EINVAL if there is no such way to sign.
 */
int signing_make(struct signing_key *key, struct signature *signature);

/*
 * Sign something as TLS 1.3 would, and verify it with @public. 0, or as signing_make() with
 * @why of @why_size bytes; -EKEYREJECTED: it signs, but @public is not its public half.
 */
int signing_try(struct signing_key *key, EVP_PKEY *public, char *why, size_t why_size);

#endif
