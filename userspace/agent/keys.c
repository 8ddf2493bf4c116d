// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening private keys: those in files here, the others in keys_pkcs11.c and keys_tpm.c,
 * with what these two share. A signer calls this and owns the keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>

#include "keys.h"
#include "keys_hardware.h"
#include "openssl_reason.h"

/* Where the provider of a key in hardware is, and is preferred; never freed. */
static OSSL_LIB_CTX *hardware;

enum key_home key_home(const struct setting *key)
{
	if (!strncasecmp(key->value, "pkcs11:", 7))
		return KEY_IN_PKCS11;
	if (!strncasecmp(key->value, "handle:", 7))
		return KEY_IN_TPM;
	return KEY_IN_FILE;
}

int secret_file_open(const char *path, char *why, size_t why_size)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
		goto err;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "%s is no regular file", path);
		goto err;
	}
	if (st.st_mode & 0007) {
		snprintf(why, why_size, "%s is open to every user, its mode is %04o; run 'chmod "
			 "o-rwx' on it, and think about whether the secret is still one", path,
			 (unsigned int)st.st_mode & 07777);
		goto err;
	}
	return fd;
err:
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The agent has no terminal to ask at. */
static int no_passphrase(char *buf, int size, int rwflag, void *asked)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *open_file(const char *path, char *why, size_t why_size)
{
	bool asked = false;
	EVP_PKEY *key;
	BIO *file;
	int fd;

	fd = secret_file_open(path, why, why_size);
	if (fd < 0)
		return NULL;
	/* Not by stdio, which would leave the key in its buffer. */
	file = BIO_new_fd(fd, BIO_CLOSE);
	if (!file) {
		close(fd);
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, &asked);
	BIO_free(file);
	if (key)
		return key;

	if (asked)
		snprintf(why, why_size, "%s: the key is encrypted, and the agent cannot ask for a "
			 "passphrase; decrypt it with 'openssl pkey'", path);
	else
		snprintf(why, why_size, "%s: no private key in PEM in there (%s)", path,
			 openssl_reason());
	return NULL;
}

static int give_pin(UI *ui, UI_STRING *string)
{
	struct pin *pin = UI_get0_user_data(ui);
	bool first = pin && !pin->asked;

	if (UI_get_string_type(string) != UIT_PROMPT && UI_get_string_type(string) != UIT_VERIFY)
		return 1;
	if (pin)
		pin->asked = true;
	return first && pin->known && UI_set_result(ui, string, pin->text) == 0;
}

UI_METHOD *pin_ui(void)
{
	static UI_METHOD *ui;

	if (!ui)
		ui = UI_create_method("PIN");
	if (ui) {
		UI_method_set_reader(ui, give_pin);
		UI_set_default_method(ui);
	}
	return ui;
}

static EVP_PKEY *first_key(OSSL_STORE_CTX *store)
{
	EVP_PKEY *key = NULL;

	if (!OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY))
		return NULL;
	while (!key && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (!info)
			break;
		key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return key;
}

EVP_PKEY *key_from_store(const char *provider, const char *uri, struct pin *pin, bool *loaded)
{
	OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();
	OSSL_STORE_CTX *store = NULL;
	UI_METHOD *ui = pin_ui();
	EVP_PKEY *key = NULL;
	char query[32];

	snprintf(query, sizeof(query), "?provider=%s", provider);
	*loaded = libctx && OSSL_PROVIDER_load(libctx, "default") &&
		  OSSL_PROVIDER_load(libctx, provider);
	if (*loaded && ui && EVP_set_default_properties(libctx, query))
		store = OSSL_STORE_open_ex(uri, libctx, NULL, ui, pin, NULL, NULL, NULL);
	if (store)
		key = first_key(store);
	OSSL_STORE_close(store);
	if (key)
		hardware = libctx;
	else
		OSSL_LIB_CTX_free(libctx);
	return key;
}

EVP_PKEY_CTX *key_context_new(EVP_PKEY *key)
{
	return EVP_PKEY_CTX_new_from_pkey(EVP_PKEY_get0_provider(key) ? hardware : NULL, key, NULL);
}

EVP_PKEY *key_open(const struct identity_config *id, char *why, size_t why_size)
{
	const char *value = id->key.value;
	EVP_PKEY *key = NULL;

	ERR_clear_error();
	errno = 0;
	switch (key_home(&id->key)) {
	case KEY_IN_FILE:
		key = open_file(value, why, why_size);
		break;
	case KEY_IN_PKCS11:
		key = key_open_pkcs11(value, why, why_size);
		break;
	case KEY_IN_TPM:
		key = key_open_tpm(value, why, why_size);
		break;
	}
	return key;
}
