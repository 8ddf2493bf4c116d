// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys at persistent handles of a TPM 2.0, by the provider "tpm2".
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "keys_hardware.h"
#include "openssl_reason.h"

/* Of all errors: OpenSSL tells that a file is missing before it tells what for. */
static bool library_missing(void)
{
	bool missing = false;
	unsigned long code;

	while ((code = ERR_get_error()))
		missing = missing || ERR_GET_LIB(code) == ERR_LIB_DSO;
	return missing;
}

EVP_PKEY *key_open_tpm(const char *uri, char *why, size_t why_size)
{
	struct pin none = { 0 };
	EVP_PKEY *key;
	bool loaded;

	/* It writes to stderr by itself, and again what is told here. */
	setenv("TSS2_LOG", "all+none", 0);
	key = key_from_store("tpm2", uri, &none, &loaded);
	if (key)
		return key;

	if (!loaded && library_missing())
		snprintf(why, why_size, "OpenSSL has no provider for TPMs; install the package "
			 "tpm2-openssl");
	else if (!loaded)
		snprintf(why, why_size, "the TPM cannot be reached; there must be /dev/tpmrm0, "
			 "open to the agent, or TPM2OPENSSL_TCTI in its environment must say "
			 "where the TPM is");
	else if (none.asked)
		snprintf(why, why_size, "%s: the key wants a password, and the agent cannot ask "
			 "for one; make the key without", uri);
	else
		snprintf(why, why_size, "%s: the TPM has no key there (%s); "
			 "'tpm2_getcap handles-persistent' lists them", uri, openssl_reason());
	return NULL;
}
