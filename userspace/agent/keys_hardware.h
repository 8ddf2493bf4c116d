/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The homes of private keys that are no files. Called by keys.c alone; for results
 * see key_open().
 */
#ifndef KEYBLOBD_KEYS_HARDWARE_H
#define KEYBLOBD_KEYS_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/ui.h>

#define PIN_MAX	255

/* Handed out once, so that a wrong one is never tried twice. */
struct pin {
	char text[PIN_MAX + 1];
	bool known;		/* there is one */
	bool asked;		/* it was wanted */
};

/*
 * What asks for passphrases in OpenSSL from now on, whose user data is a struct pin or NULL:
 * there is no terminal to ask at. NULL: out of memory.
 */
UI_METHOD *pin_ui(void);

/*
 * The private key at @uri in OpenSSL's store of @provider, which gets a library context of
 * its own, see key_context_new(). *@loaded: the provider could be loaded.
 */
EVP_PKEY *key_from_store(const char *provider, const char *uri, struct pin *pin, bool *loaded);

/* The same by OpenSSL's engine "pkcs11"; @module, if not NULL, is the library to use. */
EVP_PKEY *key_from_engine(const char *module, const char *uri, struct pin *pin, bool *loaded);

EVP_PKEY *key_open_pkcs11(const char *uri, char *why, size_t why_size);
EVP_PKEY *key_open_tpm(const char *uri, char *why, size_t why_size);

/* Open a file that holds a secret. -1: @why tells. */
int secret_file_open(const char *path, char *why, size_t why_size);

#endif
