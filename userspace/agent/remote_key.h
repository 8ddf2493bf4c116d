/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private keys that are somewhere else: an OpenSSL 3 provider in the worker, whose keys
 * are a public half and a number. The signature is made by the signer.
 */
#ifndef KEYBLOBD_REMOTE_KEY_H
#define KEYBLOBD_REMOTE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/*
 * What is signed is a digest, made in the worker, except with Ed25519 and Ed448, which
 * take the message. That is 130 bytes at most (RFC 8446 4.4.3, RFC 5246 7.4.3), or, for
 * a client certificate in TLS 1.2, the whole handshake so far (RFC 5246 7.4.8).
 */
#define SIGNATURE_TBS_MAX	8000	/* bytes */
#define SIGNATURE_MAX		2048	/* bytes of a signature: RSA-16384 */

enum signature_padding { PADDING_NONE, PADDING_PKCS1, PADDING_PSS };

/* One private-key operation. Holds no secret. */
struct signature {
	uint32_t key;			/* number of the identity */
	uint32_t padding;		/* enum signature_padding; RSA alone has one */
	int32_t salt_len;		/* PSS: bytes */
	char digest[16];		/* OpenSSL's name of what @tbs is; "": it is a message */
	const uint8_t *tbs;
	size_t tbs_len;
	uint8_t *value;			/* the result */
	size_t value_size;		/* at most SIGNATURE_MAX */
	size_t value_len;
	char reason[120];		/* why it failed, a line for a person */
};

/*
 * Get @signature made, waiting if need be (the caller may be in a fiber, which then pauses).
 * 0 or a negative errno; then signature->reason is set.
 */
typedef int (*remote_sign)(void *arg, struct signature *signature);

/*
 * Add the provider to OpenSSL's default library context, beside the default provider. Once
 * per process, before handshakes. 0, or -1 with OpenSSL's error queue.
 */
int remote_key_init(remote_sign sign, void *arg);

/* At the end of the process, when all keys are gone. */
void remote_key_exit(void);

/*
 * The private key number @number whose public half is @public (RSA, RSA-PSS, EC, Ed25519,
 * Ed448), of which it takes a reference. NULL: see the error queue.
 */
EVP_PKEY *remote_key_new(EVP_PKEY *public, uint32_t number);

/*
 * Why a handshake failed that failed because nobody signed for it: signature->reason, which
 * is then the oldest error on OpenSSL's queue, valid until the queue changes. Else NULL.
 */
const char *remote_key_error(void);

#endif
