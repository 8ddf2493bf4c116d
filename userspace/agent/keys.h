/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private keys, from wherever they are. Called in signers alone.
 */
#ifndef KEYBLOBD_KEYS_H
#define KEYBLOBD_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

#include "config.h"

enum key_home { KEY_IN_FILE, KEY_IN_PKCS11, KEY_IN_TPM };

/* By what the configuration says: "pkcs11:...", "handle:...", else a file. */
enum key_home key_home(const struct setting *key);

/*
 * Open the private key that @id names. What is in hardware is used by reference: freeing
 * the EVP_PKEY lets go of the handle, and the object stays in its token. NULL: @why, of
 * @why_size bytes, says what is wrong and what to do, never a PIN; errno is EKEYREJECTED if
 * the token refused the PIN, or is about to be locked by a wrong one: the same
 * configuration must not be tried again, in whichever process.
 *
 * A process opens one key in hardware in its life, does not fork afterwards, and ends with
 * _exit(2): libraries for tokens are not good at being torn down in exit handlers.
 */
EVP_PKEY *key_open(const struct identity_config *id, char *why, size_t why_size);

/*
 * For operations with a key from key_open(): a key in hardware is used where it is, all else,
 * digests and random numbers too, is computed by OpenSSL's default provider, in the default
 * library context. (EVP_PKEY_CTX_new() finds a TPM's key to be without its private half.)
 * For EVP_PKEY_sign(); set the digest before PSS's salt length. NULL: out of memory.
 */
EVP_PKEY_CTX *key_context_new(EVP_PKEY *key);

#endif
