// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys by OpenSSL's engine "pkcs11", for distributions that have no provider for PKCS#11,
 * such as Debian 12. Engines are deprecated: all use of them is in here.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/engine.h>

#include "keys_hardware.h"

/* Quiet: or it tells on stderr what it does. */
static int set_up(ENGINE *engine, const char *module)
{
	return ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 0) &&
	       (!module || ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module, 0));
}

EVP_PKEY *key_from_engine(const char *module, const char *uri, struct pin *pin, bool *loaded)
{
	UI_METHOD *ui = pin_ui();
	EVP_PKEY *key = NULL;
	ENGINE *engine;

	*loaded = false;
	ENGINE_load_dynamic();
	engine = ENGINE_by_id("pkcs11");
	if (!engine || !ui)
		goto out;
	if (!ENGINE_init(engine))
		goto out;

	*loaded = true;
	if (set_up(engine, module))
		key = ENGINE_load_private_key(engine, uri, ui, pin);
	/* The key does not hold it, hence the reference is kept as long as the process lives. */
	if (!key)
		ENGINE_finish(engine);
out:
	ENGINE_free(engine);
	return key;
}
