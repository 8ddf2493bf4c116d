// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys in PKCS#11 tokens, named by URI (RFC 7512): takes the URI apart, sees that token, PIN
 * and key are right, which is where faults get their names, and has OpenSSL's provider, or
 * else its engine, open the key. These do not see a PIN in a URI, which they would print, and
 * a wrong one gets to the token once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "keys_hardware.h"
#include "openssl_reason.h"

/* What the URI says, and who is to be told. */
struct request {
	P11KitUri *uri;		/* without PIN and module */
	char *name;		/* the same as text */
	char *module;		/* NULL: those that p11-kit is configured for */
	struct pin pin;
	char *why;
	size_t why_size;
};

static int fault(struct request *rq, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int fault(struct request *rq, const char *format, ...)
{
	int len = rq->name ? snprintf(rq->why, rq->why_size, "%s: ", rq->name) : 0;
	va_list args;

	if (len < 0 || (size_t)len >= rq->why_size)
		return -1;
	va_start(args, format);
	vsnprintf(rq->why + len, rq->why_size - len, format, args);
	va_end(args);
	return -1;
}

static int read_pin(struct request *rq, const char *source)
{
	const char *path = strncmp(source, "file:", 5) ? source : source + 5;
	ssize_t len;
	int fd;

	if (!strncmp(path, "//", 2))
		path += 2;
	if (*path != '/')
		return fault(rq, "pin-source=%s: it must name a file, as in pin-source=file:/etc/"
			     "keyblob/pin", source);
	fd = secret_file_open(path, rq->why, rq->why_size);
	if (fd < 0)
		return -1;
	len = read(fd, rq->pin.text, PIN_MAX + 1);
	close(fd);
	if (len < 0)
		return fault(rq, "cannot read %s: %s", path, strerror(errno));
	if (len > PIN_MAX)
		return fault(rq, "%s: too long for a PIN, %d bytes at most", path, PIN_MAX);
	rq->pin.text[len] = '\0';
	rq->pin.text[strcspn(rq->pin.text, "\r\n")] = '\0';
	rq->pin.known = true;
	return 0;
}

static int take_pin(struct request *rq)
{
	const char *value = p11_kit_uri_get_pin_value(rq->uri);
	const char *source = p11_kit_uri_get_pin_source(rq->uri);
	int err = 0;

	if (source)
		err = read_pin(rq, source);
	if (value) {
		rq->pin.known = strlen(value) <= PIN_MAX;
		if (rq->pin.known)
			strcpy(rq->pin.text, value);
		else
			err = fault(rq, "too long for a PIN, %d bytes at most", PIN_MAX);
		OPENSSL_cleanse((char *)value, strlen(value));
	}
	p11_kit_uri_set_pin_value(rq->uri, NULL);
	p11_kit_uri_set_pin_source(rq->uri, NULL);
	return err;
}

static int take_module(struct request *rq)
{
	const char *module = p11_kit_uri_get_module_path(rq->uri);

	if (p11_kit_uri_get_module_name(rq->uri))
		return fault(rq, "module-name is not supported; say module-path");
	module = module ? module : getenv("PKCS11_MODULE_PATH");
	if (module) {
		rq->module = strdup(module);
		if (!rq->module)
			return fault(rq, "out of memory");
	}
	p11_kit_uri_set_module_path(rq->uri, NULL);
	return 0;
}

static int make_name(struct request *rq)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE private = { CKA_CLASS, &class, sizeof(class) };
	CK_ATTRIBUTE *given = p11_kit_uri_get_attribute(rq->uri, CKA_CLASS);

	if (given && (given->ulValueLen != sizeof(class) ||
		      memcmp(given->pValue, &class, sizeof(class))))
		return fault(rq, "the type of a private key is type=private");
	if (!p11_kit_uri_get_attribute(rq->uri, CKA_LABEL) &&
	    !p11_kit_uri_get_attribute(rq->uri, CKA_ID))
		return fault(rq, "the URI must say which key it is, by object= or id=");
	if (p11_kit_uri_set_attribute(rq->uri, &private) != P11_KIT_URI_OK ||
	    p11_kit_uri_format(rq->uri, P11_KIT_URI_FOR_ANY, &rq->name) != P11_KIT_URI_OK)
		return fault(rq, "out of memory");
	return 0;
}

static int parse(struct request *rq, const char *text)
{
	int err;

	rq->uri = p11_kit_uri_new();
	if (!rq->uri)
		return fault(rq, "out of memory");
	err = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, rq->uri);
	if (err != P11_KIT_URI_OK)
		return fault(rq, "no URI of a PKCS#11 object (%s); write it as in RFC 7512, "
			     "pkcs11:token=NAME;object=NAME?pin-source=file:PATH",
			     p11_kit_uri_message(err));
	if (p11_kit_uri_any_unrecognized(rq->uri))
		return fault(rq, "the URI has attributes that RFC 7512 does not know");
	if (take_pin(rq) || take_module(rq))
		return -1;
	return make_name(rq);
}

/* Fault for good, see key_open(). */
static int rejected(struct request *rq, const char *what)
{
	fault(rq, "%s", what);
	errno = EKEYREJECTED;
	return -1;
}

struct token {
	CK_FUNCTION_LIST *module;
	CK_SLOT_ID slot;
	CK_TOKEN_INFO info;
};

/* Adds to @count the tokens that fit, and fills in @token with the last of them. */
static void look_for_token(struct request *rq, CK_FUNCTION_LIST *module, struct token *token,
			   unsigned int *count)
{
	CK_SLOT_ID slots[256];
	CK_ULONG n = sizeof(slots) / sizeof(*slots);
	CK_TOKEN_INFO info;

	if (module->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
		return;
	for (CK_ULONG i = 0; i < n; i++) {
		if (module->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
		    !(info.flags & CKF_TOKEN_INITIALIZED) ||
		    !p11_kit_uri_match_token_info(rq->uri, &info))
			continue;
		*token = (struct token){ module, slots[i], info };
		++*count;
	}
}

/* The last try before a token locks itself is not the agent's to use up. */
static int log_in(struct request *rq, const struct token *token, CK_SESSION_HANDLE session)
{
	CK_FLAGS flags = token->info.flags;
	CK_RV rv;

	/* With keys of its own for the PIN, it is asked for once: below, by OpenSSL. */
	if (!(flags & CKF_LOGIN_REQUIRED) || (flags & CKF_PROTECTED_AUTHENTICATION_PATH))
		return 0;
	if (!rq->pin.known)
		return fault(rq, "the token wants a PIN; add ?pin-source=file:PATH to the URI");
	if (flags & CKF_USER_PIN_LOCKED)
		return rejected(rq, "the token is locked; its security officer can unlock it");
	if (flags & CKF_USER_PIN_FINAL_TRY)
		return rejected(rq, "one more wrong PIN would lock the token; log in by hand, as "
				"with 'pkcs11-tool --login --list-objects', and configure the PIN "
				"that did it");
	rv = token->module->C_Login(session, CKU_USER, (CK_UTF8CHAR *)rq->pin.text,
				    strlen(rq->pin.text));
	switch (rv) {
	case CKR_OK:
	case CKR_USER_ALREADY_LOGGED_IN:
		return 0;
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
		return rejected(rq, "the token refuses the PIN; set the right one, as every try "
				"with a wrong one brings it nearer to locking itself");
	case CKR_PIN_EXPIRED:
		return rejected(rq, "the PIN has expired; set a new one in the token");
	case CKR_PIN_LOCKED:
		return rejected(rq, "the token is locked; its security officer can unlock it");
	default:
		return fault(rq, "the token lets nobody log in: %s", p11_kit_strerror(rv));
	}
}

static int look_for_key(struct request *rq, const struct token *token, CK_SESSION_HANDLE session)
{
	CK_FUNCTION_LIST *module = token->module;
	CK_OBJECT_HANDLE keys[2];
	CK_ATTRIBUTE *wanted;
	CK_ULONG n, found;
	CK_RV rv;

	wanted = p11_kit_uri_get_attributes(rq->uri, &n);
	rv = module->C_FindObjectsInit(session, wanted, n);
	if (rv == CKR_OK)
		rv = module->C_FindObjects(session, keys, 2, &found);
	if (rv != CKR_OK)
		return fault(rq, "the token's objects cannot be listed: %s", p11_kit_strerror(rv));
	module->C_FindObjectsFinal(session);
	/* Behind a login that only OpenSSL makes, it may not show yet. */
	if (!found && !(token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
		return fault(rq, "the token has no such private key; 'pkcs11-tool --login "
			     "--list-objects' lists those that it has");
	if (found > 1)
		return fault(rq, "several keys in the token fit; say which one it is by id=");
	return 0;
}

static int check_token(struct request *rq, const struct token *token)
{
	CK_SESSION_HANDLE session;
	CK_RV rv;
	int err;

	rv = token->module->C_OpenSession(token->slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
	if (rv != CKR_OK)
		return fault(rq, "the token cannot be used: %s", p11_kit_strerror(rv));
	err = log_in(rq, token, session);
	if (!err)
		err = look_for_key(rq, token, session);
	token->module->C_CloseSession(session);
	return err;
}

/* NULL after a fault. */
static CK_FUNCTION_LIST **load_modules(struct request *rq)
{
	CK_FUNCTION_LIST **modules;
	CK_RV rv;

	if (!rq->module) {
		modules = p11_kit_modules_load_and_initialize(0);
		if (!modules)
			fault(rq, "p11-kit has no library for tokens; say module-path=");
		return modules;
	}

	modules = calloc(2, sizeof(*modules));
	if (!modules)
		return NULL;
	modules[0] = p11_kit_module_load(rq->module, 0);
	if (!modules[0]) {
		fault(rq, "the library %s cannot be loaded; is its package installed?", rq->module);
		goto err;
	}
	rv = p11_kit_module_initialize(modules[0]);
	if (rv != CKR_OK) {
		fault(rq, "the library %s cannot be used: %s", rq->module, p11_kit_strerror(rv));
		p11_kit_module_release(modules[0]);
		goto err;
	}
	return modules;
err:
	free(modules);
	return NULL;
}

static int check(struct request *rq)
{
	CK_FUNCTION_LIST **modules = load_modules(rq);
	struct token token = { 0 };
	unsigned int count = 0;
	int err, saved;

	if (!modules)
		return -1;
	for (size_t i = 0; modules[i]; i++)
		look_for_token(rq, modules[i], &token, &count);
	if (!count)
		err = fault(rq, "the token is not there; is it plugged in, and may user %d use it?",
			    (int)geteuid());
	else if (count > 1)
		err = fault(rq, "%u tokens fit; say which one it is by token= or serial=", count);
	else
		err = check_token(rq, &token);
	saved = errno;
	p11_kit_modules_finalize_and_release(modules);
	errno = saved;
	return err;
}

static EVP_PKEY *open_key(struct request *rq)
{
	EVP_PKEY *key;
	bool loaded;

	if (rq->module && setenv("PKCS11_PROVIDER_MODULE", rq->module, 1)) {
		fault(rq, "out of memory");
		return NULL;
	}
	key = key_from_store("pkcs11", rq->name, &rq->pin, &loaded);
	if (!loaded) {
		ERR_clear_error();
		key = key_from_engine(rq->module, rq->name, &rq->pin, &loaded);
	}
	if (!key && loaded)
		fault(rq, "OpenSSL cannot use the key (%s)", openssl_reason());
	else if (!key)
		fault(rq, "OpenSSL has neither a provider nor an engine for PKCS#11; install the "
		      "package pkcs11-provider or libengine-pkcs11-openssl");
	return key;
}

EVP_PKEY *key_open_pkcs11(const char *uri, char *why, size_t why_size)
{
	struct request rq = { .why = why, .why_size = why_size };
	EVP_PKEY *key = NULL;
	int saved;

	if (!parse(&rq, uri) && !check(&rq))
		key = open_key(&rq);
	saved = errno;
	OPENSSL_cleanse(&rq.pin, sizeof(rq.pin));
	p11_kit_uri_free(rq.uri);
	free(rq.name);
	free(rq.module);
	errno = saved;
	return key;
}
