// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy: versions, cipher suites, tickets. Called by each worker, after the
 * fork. Only what kTLS can carry on may be negotiated here.
 */
#include <linux/tls.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "context.h"
#include "log.h"
#include "openssl_reason.h"
#include "suite.h"
#include "traffic_secrets.h"

/* AEAD with forward secrecy; see also suite.c. */
#define SUITES_TLS13 \
	"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define SUITES_TLS12 \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

/* Those of them that this OpenSSL has; the first is of 3.5. */
#define GROUPS "X25519MLKEM768:X25519:P-256:P-384:X448:P-521"

/* Whether one word of a list is any good. */
typedef bool (*word_check)(SSL_CTX *ctx, const char *word);

static bool is_suite_tls13(SSL_CTX *ctx, const char *word)
{
	(void)ctx;
	return suite_find_name(TLS_1_3_VERSION, word);
}

static bool is_suite_tls12(SSL_CTX *ctx, const char *word)
{
	(void)ctx;
	return suite_find_name(TLS_1_2_VERSION, word);
}

static bool is_group(SSL_CTX *ctx, const char *word)
{
	bool known = SSL_CTX_set1_groups_list(ctx, word) == 1;

	ERR_clear_error();
	return known;
}

/*
 * Keep those of @words, between colons, that are good, in place. Returns a copy of the
 * first one that is not, for the caller to free, or NULL.
 */
static char *filter(SSL_CTX *ctx, char *words, word_check check)
{
	char *to = words, *next = words, *word, *bad = NULL;

	while ((word = strsep(&next, ":"))) {
		size_t len = strlen(word);

		if (!check(ctx, word)) {
			bad = bad ? bad : strdup(word);
			continue;
		}
		if (to != words)
			*to++ = ':';
		memmove(to, word, len);
		to += len;
	}
	*to = 0;	/* NOLINT(clang-analyzer-core.NullDereference): @words is not NULL */
	return bad;
}

/* The list to use: @setting, all of it good, or what there is of @defaults. The caller's. */
static char *choose(SSL_CTX *ctx, const struct setting *setting, const char *defaults,
		    word_check check, const char *hint)
{
	char *words = strdup(setting->value ? setting->value : defaults);
	char *bad = words ? filter(ctx, words, check) : NULL;

	if (bad && setting->value) {
		config_fault(setting, "\"%s\": %s", bad, hint);
		free(words);
		words = NULL;
	}
	free(bad);
	return words;
}

static int set_tls13_suites(SSL_CTX *ctx, const struct config *config)
{
	char *words = choose(ctx, &config->ciphersuites, SUITES_TLS13, is_suite_tls13,
			     "no suite of TLS 1.3 that kernel TLS carries; choose of "
			     SUITES_TLS13);
	int ok = words && SSL_CTX_set_ciphersuites(ctx, words) == 1;

	free(words);
	return ok ? 0 : -1;
}

static int set_tls12_suites(SSL_CTX *ctx, const struct config *config)
{
	char *words = choose(ctx, &config->ciphers, SUITES_TLS12, is_suite_tls12,
			     "no suite of TLS 1.2 that kernel TLS carries and that has forward "
			     "secrecy; choose of " SUITES_TLS12);
	int ok = words && SSL_CTX_set_cipher_list(ctx, words) == 1;

	free(words);
	return ok ? 0 : -1;
}

static int set_groups(SSL_CTX *ctx, const struct config *config)
{
	char *words = choose(ctx, &config->groups, GROUPS, is_group,
			     "no group that OpenSSL here knows; choose of " GROUPS);
	int ok = words && SSL_CTX_set1_groups_list(ctx, words) == 1;

	if (words && !ok && config->groups.value)
		config_fault(&config->groups, "OpenSSL does not take it");
	free(words);
	return ok ? 0 : -1;
}

/* What is not given is what kTLS carries, and has forward secrecy. -1 after a message. */
static int set_tls(SSL_CTX *ctx, const struct config *config)
{
	int err = 0;

	err |= set_tls13_suites(ctx, config);
	err |= set_tls12_suites(ctx, config);
	err |= set_groups(ctx, config);
	if (SSL_CTX_set_min_proto_version(ctx, config->min_tls) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, config->max_tls) != 1)
		err = -1;
	return err;
}

static void set_policy(SSL_CTX *ctx)
{
	/* The system's openssl.cnf may have turned it on. */
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);

	/* Read a record header, then its body: nothing behind the handshake. */
	SSL_CTX_set_read_ahead(ctx, 0);

	/* No early data: it would be read before there is an application to read it. */
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);

	/* Sessions live in the client's ticket alone, not in this process. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

static SSL_CTX *make(const SSL_METHOD *method, const struct config *config)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	ctx = SSL_CTX_new_ex(NULL, TRAFFIC_SECRETS_PROPERTIES, method);
	if (!ctx) {
		log_error("OpenSSL cannot be set up: %s",
			  openssl_reason());
		return NULL;
	}
	set_policy(ctx);
	if (!set_tls(ctx, config))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *context_new(const struct config *config, struct identities *identities,
		     const struct ticket_keyring *tickets)
{
	SSL_CTX *ctx = make(TLS_server_method(), config);

	if (!ctx)
		return NULL;
	if (tickets_install(ctx, config, tickets)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (identities_install(identities, ctx)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL_CTX *context_new_client(const struct config *config)
{
	SSL_CTX *ctx = make(TLS_client_method(), config);

	if (ctx)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	return ctx;
}
