// SPDX-License-Identifier: GPL-2.0-only
/* A signer in a process of its own, see signer.h. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "../../userspace/agent/channel.h"
#include "../../userspace/agent/keys.h"
#include "../../userspace/agent/log.h"
#include "../../userspace/agent/remote_key.h"
#include "../../userspace/agent/signer.h"
#include "../../userspace/agent/signing.h"
#include "signer.h"

EVP_PKEY *lib_keys[KEY_TYPES];
X509 *lib_certs[KEY_TYPES];
struct config lib_config;
struct lib_shared *lib_shared;

static struct identity_config identities[KEY_TYPES];
static char directory[] = "/tmp/keyblob-signer-XXXXXX";

/* Sanitized: let what is on a fiber's stack be there, and not on a heap that looks like it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_stack_use_after_return=0";
}

/*
 * Doubles.
 */

void log_line(enum log_level level, const char *format, ...)
{
	size_t at = lib_shared ? strlen(lib_shared->log) : 0;
	va_list args;

	if (!lib_shared)
		return;
	va_start(args, format);
	vsnprintf(lib_shared->log + at, sizeof(lib_shared->log) - at, format, args);
	va_end(args);
}

void config_fault(const struct setting *setting, const char *format, ...)
{
	char why[500];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	log_line(LEVEL_ERROR, "%s %s: %s", setting->name, setting->value, why);
}

static char *captured;
static size_t captured_at;

void log_capture(char *text, size_t size)
{
	if (!text && captured && lib_shared)
		snprintf(captured, 2048, "%s", lib_shared->log + captured_at);
	captured = text;
	captured_at = lib_shared ? strlen(lib_shared->log) : 0;
}

EVP_PKEY_CTX *key_context_new(EVP_PKEY *key)
{
	return EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
}

void count_up(enum counter counter)
{
	lib_shared->counters[counter]++;
}

int confine(enum confinement confinement, const struct config *config)
{
	lib_shared->confined = 1 + confinement;
	return 0;
}

enum key_home key_home(const struct setting *key)
{
	return strncmp(key->value, "pkcs11:", 7) ? KEY_IN_FILE : KEY_IN_PKCS11;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, "") : NULL;

	if (f)
		fclose(f);
	return key;
}

/* A key of which the signer has but the handle, and that may go away. */
static int token_sign(void *path, struct signature *signature)
{
	struct signing_key key = { read_key(path) };
	int err;

	if (!key.pkey) {
		strcpy(signature->reason, "the token is not present");
		return -ENODEV;
	}
	err = signing_make(&key, signature);
	EVP_PKEY_free(key.pkey);
	return err;
}

EVP_PKEY *key_open(const struct identity_config *id, char *why, size_t why_size)
{
	bool token = key_home(&id->key) != KEY_IN_FILE;
	char *path = id->key.value + (token ? 7 : 0);
	EVP_PKEY *key = read_key(path), *handle;

	if (!key)
		snprintf(why, why_size, "%s: %s", id->key.value,
			 token ? "the token is not present" : strerror(errno));
	if (!key || !token)
		return key;
	handle = remote_key_init(token_sign, path) ? NULL : remote_key_new(key, 0);
	EVP_PKEY_free(key);
	return handle;
}

/*
 * Keys and certificates.
 */

static EVP_PKEY *make_key(enum key_type type)
{
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	switch (type) {
	case KEY_RSA:
		return EVP_RSA_gen(2048);
	case KEY_RSA_4096:
		return EVP_RSA_gen(4096);
	case KEY_P256:
		return EVP_EC_gen("P-256");
	case KEY_P384:
		return EVP_EC_gen("P-384");
	case KEY_P521:
		return EVP_EC_gen("P-521");
	case KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case KEY_ED448:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	default:
		break;
	}
	/* One for SHA-384 alone. */
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, EVP_sha384()) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, EVP_sha384()) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(ctx, 48) != 1 ||
	    EVP_PKEY_keygen(ctx, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static X509 *make_cert(EVP_PKEY *key, enum key_type type)
{
	bool message = type == KEY_ED25519 || type == KEY_ED448;
	X509 *cert = X509_new(), *read = NULL;
	unsigned char *der = NULL;
	const unsigned char *at;
	char common_name[32];
	X509_NAME *name;
	int len;

	if (!cert)
		return NULL;
	snprintf(common_name, sizeof(common_name), "key of type %d", type);
	name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (void *)common_name, -1, -1, 0);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + type);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 24 * 3600);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	if (!X509_sign(cert, key, message ? NULL : EVP_sha384()) ||
	    (len = i2d_X509(cert, &der)) < 0)
		goto out;
	/* Read anew, so that it has the public half only. */
	at = der;
	read = d2i_X509(NULL, &at, len);
	OPENSSL_free(der);
out:
	X509_free(cert);
	return read;
}

static bool write_files(enum key_type type, bool token)
{
	struct identity_config *id = &identities[type];
	FILE *f;
	bool ok;

	id->name = "";
	if (asprintf(&id->certificate.value, "%s/%d.crt", directory, type) < 0 ||
	    asprintf(&id->key.value, "%s%s/%d.key", token ? "pkcs11:" : "", directory, type) < 0)
		return false;
	f = fopen(id->certificate.value, "w");
	ok = f && PEM_write_X509(f, lib_certs[type]);
	if (f)
		fclose(f);
	f = fopen(id->key.value + (token ? 7 : 0), "w");
	ok = f && ok && PEM_write_PrivateKey(f, lib_keys[type], NULL, NULL, 0, NULL, NULL);
	if (f)
		fclose(f);
	return ok;
}

bool lib_make_keys(void)
{
	for (int type = 0; type < KEY_TYPES; type++) {
		lib_keys[type] = make_key(type);
		lib_certs[type] = lib_keys[type] ? make_cert(lib_keys[type], type) : NULL;
		if (!lib_certs[type])
			return false;
	}
	return true;
}

bool lib_setup(bool token)
{
	if (!lib_shared)
		lib_shared = mmap(NULL, sizeof(*lib_shared), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(lib_shared, 0, sizeof(*lib_shared));
	strcpy(strrchr(directory, '-'), "-XXXXXX");
	if (!mkdtemp(directory))
		return false;
	lib_config.identities = identities;
	lib_config.n_identities = KEY_TYPES;
	for (int type = 0; type < KEY_TYPES; type++)
		if (!lib_certs[type] || !write_files(type, token && type == KEY_ED25519))
			return false;
	return true;
}

void lib_cleanup(void)
{
	for (int type = 0; type < KEY_TYPES; type++) {
		struct identity_config *id = &identities[type];

		unlink(id->certificate.value);
		unlink(id->key.value + (key_home(&id->key) != KEY_IN_FILE ? 7 : 0));
		free(id->certificate.value);
		free(id->key.value);
	}
	rmdir(directory);
}

/*
 * The process.
 */

bool lib_signer_start(struct lib_signer *signer, unsigned int number, bool lenient,
		      char *why, size_t size)
{
	struct channel_message message = { 0 };
	struct pollfd poll_fd;
	int fds[2], err, status;

	if (channel_pair(fds))
		return false;
	signer->pid = fork();
	if (!signer->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		status = signer_run(&lib_config, number, fds[1], lenient);
		remote_key_exit();
		exit(status);
	}
	close(fds[1]);
	signer->control = fds[0];
	poll_fd = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	poll(&poll_fd, 1, 20000);
	err = channel_receive(fds[0], &message, NULL);
	if (why)
		snprintf(why, size, "%.*s", (int)message.len, (char *)message.data);
	return err == 1 && message.type == CONTROL_READY;
}

int lib_signer_channel(struct lib_signer *signer)
{
	struct channel_message message = { .type = CONTROL_CHANNEL };
	int fds[2];

	if (channel_pair(fds))
		return -1;
	if (channel_send(signer->control, &message, fds[1])) {
		close(fds[0]);
		fds[0] = -1;
	}
	close(fds[1]);
	return fds[0];
}

int lib_signer_stop(struct lib_signer *signer)
{
	int status;

	close(signer->control);
	waitpid(signer->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
