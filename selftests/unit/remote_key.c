// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private keys of the agent's workers: handshakes between two ends in this process, one or
 * both of which sign through the provider, the fibers, and a signer in another process.
 * The other end uses OpenSSL's own, so that what was signed is verified by someone else.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <event2/event.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "../../userspace/agent/channel.h"
#include "../../userspace/agent/fiber.h"
#include "../../userspace/agent/remote_key.h"
#include "../../userspace/agent/signer.h"
#include "../../userspace/agent/signer_client.h"
#include "../../userspace/agent/signing.h"
#include "../lib/signer.h"
#include "kselftest_harness.h"

#define BIO_SIZE	(256 * 1024)
#define STACK_PAINT	(26 * 1024)

/* What OpenSSL has allocated now. */
static long allocated;

static void *counting_malloc(size_t size, const char *file, int line)
{
	void *ptr = malloc(size);

	allocated += !!ptr;
	return ptr;
}

static void *counting_realloc(void *ptr, size_t size, const char *file, int line)
{
	allocated += !ptr;
	return realloc(ptr, size);
}

static void counting_free(void *ptr, const char *file, int line)
{
	allocated -= !!ptr;
	free(ptr);
}

/* Before any test is forked: keys of these sizes take a while to make. */
static void __attribute__((constructor)) make_keys(void)
{
	CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	if (!lib_make_keys()) {
		fprintf(stderr, "cannot make keys\n");
		exit(1);
	}
}

/*
 * One end of a handshake.
 */

struct end {
	SSL *ssl;
	struct fiber *fiber;
	bool paused, done, failed;
	unsigned int pauses;
	char reason[128];	/* if it failed for lack of a signature */
	bool paint;
	uint8_t *stack;		/* lowest byte that was painted */
	size_t stack_used;	/* the most, in bytes */
};

static __attribute__((noinline)) void paint_stack(struct end *end)
{
	uint8_t area[STACK_PAINT], *at = area;

	memset(area, 0xa5, sizeof(area));
	__asm__ volatile("" : "+r"(at) : : "memory");
	end->stack = at;
}

static void measure_stack(struct end *end)
{
	size_t used = STACK_PAINT;

	for (const uint8_t *p = end->stack; used && *p == 0xa5; p++)
		used--;
	if (used > end->stack_used)
		end->stack_used = used;
}

static void advance(void *arg)
{
	struct end *end = arg;
	const char *reason;
	int ret;

	if (end->paint)
		paint_stack(end);
	ret = SSL_do_handshake(end->ssl);
	end->done = ret == 1;
	end->failed = ret != 1 && SSL_get_error(end->ssl, ret) != SSL_ERROR_WANT_READ;
	reason = remote_key_error();
	if (end->failed && reason)
		strncpy(end->reason, reason, sizeof(end->reason) - 1);
	if (end->paint)
		measure_stack(end);
}

static void step(struct end *end)
{
	end->paused = fiber_run(end->fiber, advance, end) == FIBER_PAUSED;
	end->pauses += end->paused;
}

static void end_free(struct end *end)
{
	fiber_abort(end->fiber);
	SSL_free(end->ssl);
	fiber_free(end->fiber);
}

struct pair {
	struct end server, client;
};

static void pair_free(struct pair *pair)
{
	end_free(&pair->server);
	end_free(&pair->client);
}

static bool ended(const struct end *end)
{
	return end->done || end->failed;
}

/* As far as it goes without an answer; true if it ended. */
static bool pair_step(struct pair *pair)
{
	for (int i = 0; i < 20; i++) {
		if (!pair->client.paused && !ended(&pair->client))
			step(&pair->client);
		if (!pair->server.paused && !ended(&pair->server))
			step(&pair->server);
	}
	return (ended(&pair->client) || pair->server.failed) &&
	       (ended(&pair->server) || pair->client.failed);
}

static bool pair_done(const struct pair *pair)
{
	return pair->server.done && pair->client.done;
}

/*
 * A worker.
 */

FIXTURE(worker) {
	struct event_base *base;
	struct signer_client *client;
	struct lib_signer signer;
	SSL_CTX *server, *peer;
	EVP_PKEY *key[KEY_TYPES];
};

FIXTURE_SETUP(worker)
{
	ASSERT_TRUE(lib_setup(false));
	self->base = event_base_new();
	self->client = signer_client_new(self->base, &lib_config);
	ASSERT_NE(NULL, self->client);
	ASSERT_EQ(0, remote_key_init(signer_client_sign, self->client));
	for (int type = 0; type < KEY_TYPES; type++) {
		self->key[type] = remote_key_new(X509_get0_pubkey(lib_certs[type]), type);
		ASSERT_NE(NULL, self->key[type]);
	}
	ASSERT_TRUE(lib_signer_start(&self->signer, 0, false, NULL, 0));
	ASSERT_EQ(0, signer_client_connect(self->client, 0, lib_signer_channel(&self->signer)));
	self->server = SSL_CTX_new(TLS_server_method());
	self->peer = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(self->server, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(self->peer, SSL_VERIFY_PEER, NULL);
	for (int type = 0; type < KEY_TYPES; type++) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(self->peer), lib_certs[type]);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(self->server), lib_certs[type]);
	}
}

/* In the sanitized program. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

FIXTURE_TEARDOWN(worker)
{
	for (int type = 0; type < KEY_TYPES; type++)
		EVP_PKEY_free(self->key[type]);
	SSL_CTX_free(self->server);
	SSL_CTX_free(self->peer);
	signer_client_free(self->client);
	event_base_free(self->base);
	if (self->signer.pid)
		EXPECT_EQ(0, lib_signer_stop(&self->signer));
	lib_cleanup();
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

static bool use(SSL_CTX *ctx, X509 *cert, EVP_PKEY *key)
{
	return SSL_CTX_use_cert_and_key(ctx, cert, key, NULL, 1) == 1;
}

static void end_init(struct end *end, SSL *ssl, BIO *bio)
{
	*end = (struct end){ .ssl = ssl, .fiber = fiber_new((fiber_wake)step, end) };
	SSL_set_bio(ssl, bio, bio);
}

static void pair_init(struct pair *pair, SSL_CTX *server, SSL_CTX *client)
{
	BIO *bios[2];

	BIO_new_bio_pair(&bios[0], BIO_SIZE, &bios[1], BIO_SIZE);
	end_init(&pair->server, SSL_new(server), bios[0]);
	end_init(&pair->client, SSL_new(client), bios[1]);
	SSL_set_accept_state(pair->server.ssl);
	SSL_set_connect_state(pair->client.ssl);
}

/* Until it ends, 20 s at most. */
static bool pair_run(struct event_base *base, struct pair *pair)
{
	const struct timeval limit = { 20 };

	event_base_loopexit(base, &limit);
	while (!pair_step(pair))
		if (!pair->server.paused && !pair->client.paused)
			return false;
		else if (event_base_loop(base, EVLOOP_ONCE) || event_base_got_exit(base))
			return false;
	return pair_done(pair);
}

/*
 * Every kind of key and way to sign.
 */

FIXTURE(way) {
	FIXTURE_DATA(worker) worker;
};

FIXTURE_VARIANT(way) {
	enum key_type type;
	int version;
	const char *sigalgs;	/* that the peer knows; NULL: its own */
	int digest;		/* NID that is signed with */
	int signature;
};

#define WAY(name, type, version, sigalgs, digest, signature) \
	FIXTURE_VARIANT_ADD(way, name) { type, version, sigalgs, digest, signature }

WAY(rsa_pkcs1, KEY_RSA, TLS1_2_VERSION, "RSA+SHA256", NID_sha256, EVP_PKEY_RSA);
WAY(rsa_pkcs1_sha512, KEY_RSA, TLS1_2_VERSION, "RSA+SHA512", NID_sha512, EVP_PKEY_RSA);
WAY(rsa_12, KEY_RSA, TLS1_2_VERSION, "rsa_pss_rsae_sha256", NID_sha256, EVP_PKEY_RSA_PSS);
WAY(rsa_13, KEY_RSA, TLS1_3_VERSION, NULL, NID_sha256, EVP_PKEY_RSA_PSS);
WAY(rsa_sha384_13, KEY_RSA, TLS1_3_VERSION, "rsa_pss_rsae_sha384", NID_sha384, EVP_PKEY_RSA_PSS);
WAY(rsa_sha512_13, KEY_RSA, TLS1_3_VERSION, "rsa_pss_rsae_sha512", NID_sha512, EVP_PKEY_RSA_PSS);
WAY(rsa_4096_13, KEY_RSA_4096, TLS1_3_VERSION, NULL, NID_sha256, EVP_PKEY_RSA_PSS);
/* This one may be used with SHA-384 alone, which is not the first that the peer wants. */
WAY(rsa_pss_12, KEY_RSA_PSS, TLS1_2_VERSION, NULL, NID_sha384, EVP_PKEY_RSA_PSS);
WAY(rsa_pss_13, KEY_RSA_PSS, TLS1_3_VERSION, NULL, NID_sha384, EVP_PKEY_RSA_PSS);
WAY(p256_12, KEY_P256, TLS1_2_VERSION, NULL, NID_sha256, EVP_PKEY_EC);
WAY(p256_13, KEY_P256, TLS1_3_VERSION, NULL, NID_sha256, EVP_PKEY_EC);
WAY(p384_12, KEY_P384, TLS1_2_VERSION, "ECDSA+SHA384", NID_sha384, EVP_PKEY_EC);
WAY(p384_13, KEY_P384, TLS1_3_VERSION, NULL, NID_sha384, EVP_PKEY_EC);
WAY(p521_12, KEY_P521, TLS1_2_VERSION, "ECDSA+SHA512", NID_sha512, EVP_PKEY_EC);
WAY(p521_13, KEY_P521, TLS1_3_VERSION, NULL, NID_sha512, EVP_PKEY_EC);
WAY(ed25519_12, KEY_ED25519, TLS1_2_VERSION, NULL, NID_undef, EVP_PKEY_ED25519);
WAY(ed25519_13, KEY_ED25519, TLS1_3_VERSION, NULL, NID_undef, EVP_PKEY_ED25519);
WAY(ed448_12, KEY_ED448, TLS1_2_VERSION, NULL, NID_undef, EVP_PKEY_ED448);
WAY(ed448_13, KEY_ED448, TLS1_3_VERSION, NULL, NID_undef, EVP_PKEY_ED448);

FIXTURE_SETUP(way)
{
	worker_setup(_metadata, &self->worker, NULL);
	SSL_CTX_set_min_proto_version(self->worker.server, variant->version);
	SSL_CTX_set_max_proto_version(self->worker.server, variant->version);
}

FIXTURE_TEARDOWN(way)
{
	worker_teardown(_metadata, &self->worker, NULL);
}

TEST_F(way, server_signs_with_a_key_at_the_signer)
{
	EVP_PKEY *key = self->worker.key[variant->type];
	struct pair pair;
	int digest = NID_undef, signature = NID_undef;

	ASSERT_TRUE(use(self->worker.server, lib_certs[variant->type], key));
	if (variant->sigalgs)
		ASSERT_EQ(1, SSL_CTX_set1_sigalgs_list(self->worker.peer, variant->sigalgs));
	pair_init(&pair, self->worker.server, self->worker.peer);
	EXPECT_TRUE(pair_run(self->worker.base, &pair));
	EXPECT_EQ(1, pair.server.pauses);
	EXPECT_EQ(1, lib_shared->counters[COUNT_SIGNATURES]);
	SSL_get_peer_signature_nid(pair.client.ssl, &digest);
	SSL_get_peer_signature_type_nid(pair.client.ssl, &signature);
	EXPECT_EQ(variant->digest, digest);
	EXPECT_EQ(variant->signature, signature);
	EXPECT_EQ(X509_V_OK, SSL_get_verify_result(pair.client.ssl));
	pair_free(&pair);
}

TEST_F(way, client_signs_with_a_key_at_the_signer)
{
	EVP_PKEY *key = self->worker.key[variant->type];
	struct pair pair;
	int digest = NID_undef, signature = NID_undef;

	ASSERT_TRUE(use(self->worker.server, lib_certs[KEY_P256], lib_keys[KEY_P256]));
	ASSERT_TRUE(use(self->worker.peer, lib_certs[variant->type], key));
	SSL_CTX_set_verify(self->worker.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	if (variant->sigalgs)
		ASSERT_EQ(1, SSL_CTX_set1_client_sigalgs_list(self->worker.server,
							      variant->sigalgs));
	pair_init(&pair, self->worker.server, self->worker.peer);
	EXPECT_TRUE(pair_run(self->worker.base, &pair));
	EXPECT_EQ(1, pair.client.pauses);
	EXPECT_EQ(0, pair.server.pauses);
	SSL_get_peer_signature_nid(pair.server.ssl, &digest);
	SSL_get_peer_signature_type_nid(pair.server.ssl, &signature);
	EXPECT_EQ(variant->digest, digest);
	EXPECT_EQ(variant->signature, signature);
	pair_free(&pair);
}

/* The whole handshake is signed: of messages, as much as fits; of digests, all. */
TEST_F(worker, client_signs_long_transcripts_in_tls12)
{
	static const enum key_type types[] = { KEY_P256, KEY_RSA, KEY_ED25519 };
	struct pair pair;

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], lib_keys[KEY_P256]));
	SSL_CTX_set_max_proto_version(self->server, TLS1_2_VERSION);
	SSL_CTX_set_verify(self->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	for (int i = 0; i < 12; i++)
		SSL_CTX_add1_chain_cert(self->server, lib_certs[KEY_RSA_4096]);
	for (int i = 0; i < 3; i++) {
		ASSERT_TRUE(use(self->peer, lib_certs[types[i]], self->key[types[i]]));
		pair_init(&pair, self->server, self->peer);
		EXPECT_EQ(types[i] != KEY_ED25519, pair_run(self->base, &pair));
		EXPECT_EQ(types[i] == KEY_ED25519, pair.client.failed);
		pair_free(&pair);
		/* With these gone, the last is tried once more. */
		if (types[i] == KEY_ED25519 && SSL_CTX_clear_chain_certs(self->server)) {
			pair_init(&pair, self->server, self->peer);
			EXPECT_TRUE(pair_run(self->base, &pair));
			pair_free(&pair);
		}
	}
}

/*
 * Keys.
 */

static const char *provider_of(const EVP_PKEY *key)
{
	return OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key));
}

TEST_F(worker, public_half_is_what_the_certificate_has)
{
	for (int type = 0; type < KEY_TYPES; type++) {
		EVP_PKEY *public = X509_get0_pubkey(lib_certs[type]), *key = self->key[type];
		char group[2][40] = { "", "" };

		EXPECT_STREQ("keyblob", provider_of(key));
		EXPECT_EQ(1, X509_check_private_key(lib_certs[type], key));
		EXPECT_EQ(1, EVP_PKEY_eq(public, key));
		EXPECT_NE(1, X509_check_private_key(lib_certs[(type + 1) % KEY_TYPES], key));
		EXPECT_EQ(EVP_PKEY_get_bits(public), EVP_PKEY_get_bits(key));
		EXPECT_EQ(EVP_PKEY_get_security_bits(public), EVP_PKEY_get_security_bits(key));
		EXPECT_EQ(EVP_PKEY_get_size(public), EVP_PKEY_get_size(key));
		EVP_PKEY_get_group_name(public, group[0], sizeof(group[0]), NULL);
		EVP_PKEY_get_group_name(key, group[1], sizeof(group[1]), NULL);
		EXPECT_STREQ(group[0], group[1]);
	}
	EXPECT_EQ(0, EVP_PKEY_eq(X509_get0_pubkey(lib_certs[KEY_RSA_4096]), self->key[KEY_RSA]));
	EXPECT_EQ(0, EVP_PKEY_eq(X509_get0_pubkey(lib_certs[KEY_P384]), self->key[KEY_P256]));
}

static bool has_param(EVP_PKEY *key, const char *name)
{
	uint8_t bn[1024], octets[1024];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_BN(name, bn, sizeof(bn)),
		OSSL_PARAM_construct_octet_string(name, octets, sizeof(octets)),
		OSSL_PARAM_END, OSSL_PARAM_END
	};

	EVP_PKEY_get_params(key, params);
	EVP_PKEY_get_params(key, params + 1);
	return OSSL_PARAM_modified(&params[0]) || OSSL_PARAM_modified(&params[1]);
}

TEST_F(worker, private_half_is_not_to_be_had)
{
	/* What is looked for is there to be found. */
	EXPECT_TRUE(has_param(self->key[KEY_RSA], OSSL_PKEY_PARAM_RSA_N));
	EXPECT_TRUE(has_param(lib_keys[KEY_RSA], OSSL_PKEY_PARAM_RSA_D));
	EXPECT_TRUE(has_param(lib_keys[KEY_RSA], OSSL_PKEY_PARAM_RSA_FACTOR1));
	EXPECT_TRUE(has_param(lib_keys[KEY_P256], OSSL_PKEY_PARAM_PRIV_KEY));
	EXPECT_TRUE(has_param(lib_keys[KEY_ED25519], OSSL_PKEY_PARAM_PRIV_KEY));
	for (int type = 0; type < KEY_TYPES; type++) {
		EVP_PKEY *key = self->key[type], *copy = NULL;
		BIO *out = BIO_new(BIO_s_mem());
		OSSL_PARAM *params = NULL;
		uint8_t raw[200];
		size_t len = sizeof(raw);

		EXPECT_FALSE(has_param(key, OSSL_PKEY_PARAM_RSA_D));
		EXPECT_FALSE(has_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1));
		EXPECT_FALSE(has_param(key, OSSL_PKEY_PARAM_PRIV_KEY));
		EXPECT_NE(1, EVP_PKEY_get_raw_private_key(key, raw, &len));
		EXPECT_NE(1, EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params));
		EXPECT_NE(1, PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
		EXPECT_GE(0, i2d_PrivateKey(key, NULL));
		copy = EVP_PKEY_dup(key);
		EXPECT_EQ(NULL, copy);

		EXPECT_EQ(1, EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params));
		OSSL_PARAM_free(params);
		BIO_free(out);
	}
}

TEST_F(worker, other_keys_stay_with_the_default_provider)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *public;
	unsigned char *der = NULL;
	const unsigned char *at;
	int len;

	EXPECT_STREQ("default", provider_of(ec));
	EXPECT_STREQ("default", provider_of(ed));
	for (int type = 0; type < KEY_TYPES; type++) {
		der = NULL;
		len = i2d_PUBKEY(lib_keys[type], &der);
		at = der;
		public = d2i_PUBKEY(NULL, &at, len);
		ASSERT_NE(NULL, public);
		EXPECT_STREQ("default", provider_of(public));
		EVP_PKEY_free(public);
		OPENSSL_free(der);
	}
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed);
}

TEST_F(worker, keys_of_other_kinds_are_refused)
{
	EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	EXPECT_EQ(NULL, remote_key_new(x25519, 0));
	EVP_PKEY_free(x25519);
}

static int sign_with(EVP_PKEY *key, const char *digest, int padding, int salt_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	uint8_t value[SIGNATURE_MAX];
	size_t len = sizeof(value);
	int ok;

	ok = EVP_DigestSignInit_ex(ctx, &pctx, digest, NULL, NULL, key, NULL) == 1 &&
	     (!padding || EVP_PKEY_CTX_set_rsa_padding(pctx, padding) == 1) &&
	     (salt_len == -1 || EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt_len) == 1) &&
	     EVP_DigestSign(ctx, value, &len, (const void *)"text", 4) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* Outside fibers it blocks, and other ways than TLS's are refused here already. */
TEST_F(worker, ways_to_sign_that_a_key_does_not_have_are_refused)
{
	EXPECT_TRUE(sign_with(self->key[KEY_P256], "SHA256", 0, -1));
	EXPECT_TRUE(sign_with(self->key[KEY_RSA], "SHA256", RSA_PKCS1_PSS_PADDING, 20));
	EXPECT_TRUE(sign_with(self->key[KEY_RSA], "SHA256", RSA_PKCS1_PADDING, -1));
	EXPECT_TRUE(sign_with(self->key[KEY_ED448], NULL, 0, -1));

	EXPECT_FALSE(sign_with(self->key[KEY_ED25519], "SHA256", 0, -1));
	EXPECT_FALSE(sign_with(self->key[KEY_RSA_PSS], "SHA256", 0, -1));
	EXPECT_FALSE(sign_with(self->key[KEY_RSA_PSS], "SHA384", RSA_PKCS1_PADDING, -1));
	EXPECT_FALSE(sign_with(self->key[KEY_RSA], "SHA256", RSA_NO_PADDING, -1));
	EXPECT_FALSE(sign_with(self->key[KEY_RSA], "SHA256", RSA_PKCS1_PSS_PADDING,
			       RSA_PSS_SALTLEN_MAX));
	EXPECT_FALSE(sign_with(self->key[KEY_RSA], "no such digest", 0, -1));
	EXPECT_EQ(0, lib_shared->counters[COUNT_SIGNATURES_FAILED]);

	/* That the salt does not fit into the signature is for the signer to find. */
	EXPECT_FALSE(sign_with(self->key[KEY_RSA], "SHA256", RSA_PKCS1_PSS_PADDING, 250));
	EXPECT_EQ(1, lib_shared->counters[COUNT_SIGNATURES_FAILED]);
	EXPECT_TRUE(sign_with(self->key[KEY_RSA], "SHA256", RSA_PKCS1_PSS_PADDING, 32));
}

/*
 * Many at a time, and trouble.
 */

#define PAIRS 40

static void start_pairs(struct pair *pairs, int n, SSL_CTX *server, SSL_CTX *peer)
{
	for (int i = 0; i < n; i++) {
		pair_init(&pairs[i], server, peer);
		pair_step(&pairs[i]);
	}
}

static int count_paused(struct pair *pairs, int n)
{
	int paused = 0;

	for (int i = 0; i < n; i++)
		paused += pairs[i].server.paused;
	return paused;
}

static int run_pairs(struct event_base *base, struct pair *pairs, int n)
{
	int good = 0;

	for (int i = 0; i < n; i++) {
		good += pair_run(base, &pairs[i]);
		pair_free(&pairs[i]);
	}
	return good;
}

TEST_F(worker, handshakes_interleave)
{
	struct pair pairs[PAIRS];

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	kill(self->signer.pid, SIGSTOP);
	start_pairs(pairs, PAIRS, self->server, self->peer);
	EXPECT_EQ(PAIRS, count_paused(pairs, PAIRS));
	kill(self->signer.pid, SIGCONT);
	EXPECT_EQ(PAIRS, run_pairs(self->base, pairs, PAIRS));
	EXPECT_EQ(PAIRS, lib_shared->counters[COUNT_SIGNATURES]);
}

static int failing_sign(void *text, struct signature *signature)
{
	strcpy(signature->reason, text);
	return -EIO;
}

TEST_F(worker, handshake_fails_with_the_reason_and_leaves_nothing)
{
	struct pair pair;
	long before = 0;

	ASSERT_EQ(0, remote_key_init(failing_sign, "the token is on holiday"));
	for (int i = 0; i < 200; i++) {
		int type = i % KEY_TYPES;

		if (i == 2 * KEY_TYPES)
			before = allocated;
		ASSERT_TRUE(use(self->server, lib_certs[type], self->key[type]));
		SSL_CTX_set_max_proto_version(self->server, i & 1 ? TLS1_2_VERSION : 0);
		pair_init(&pair, self->server, self->peer);
		EXPECT_FALSE(pair_run(self->base, &pair));
		EXPECT_TRUE(pair.server.failed);
		EXPECT_STREQ("the token is on holiday", pair.server.reason);
		pair_free(&pair);
	}
	EXPECT_EQ(before, allocated);
}

TEST_F(worker, signer_that_is_killed_and_replaced_is_not_noticed)
{
	struct pair pairs[PAIRS];

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	kill(self->signer.pid, SIGSTOP);
	start_pairs(pairs, PAIRS, self->server, self->peer);
	kill(self->signer.pid, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, lib_signer_stop(&self->signer));
	event_base_loop(self->base, EVLOOP_NONBLOCK);
	EXPECT_EQ(PAIRS, count_paused(pairs, PAIRS));

	ASSERT_TRUE(lib_signer_start(&self->signer, 0, false, NULL, 0));
	ASSERT_EQ(0, signer_client_connect(self->client, 0, lib_signer_channel(&self->signer)));
	EXPECT_EQ(PAIRS, run_pairs(self->base, pairs, PAIRS));
}

/* From another channel to the next, without a death. */
TEST_F(worker, signer_that_is_replaced_while_it_lives_is_not_noticed)
{
	struct pair pairs[PAIRS];

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	start_pairs(pairs, PAIRS, self->server, self->peer);
	ASSERT_EQ(0, signer_client_connect(self->client, 0, lib_signer_channel(&self->signer)));
	EXPECT_EQ(PAIRS, run_pairs(self->base, pairs, PAIRS));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

TEST_F(worker, signer_that_is_gone_is_waited_for_for_two_seconds)
{
	struct pair pair;
	double start;

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	EXPECT_EQ(0, lib_signer_stop(&self->signer));
	start = now();
	pair_init(&pair, self->server, self->peer);
	EXPECT_FALSE(pair_run(self->base, &pair));
	EXPECT_STREQ("the signer is not available", pair.server.reason);
	EXPECT_LT(1.8, now() - start);
	EXPECT_GT(5, now() - start);
	pair_free(&pair);

	/* Thereafter nobody waits, */
	start = now();
	pair_init(&pair, self->server, self->peer);
	EXPECT_TRUE(pair_step(&pair));
	EXPECT_STREQ("the signer is not available", pair.server.reason);
	EXPECT_GT(1, now() - start);
	pair_free(&pair);

	/* until there is one. */
	ASSERT_TRUE(lib_signer_start(&self->signer, 0, false, NULL, 0));
	ASSERT_EQ(0, signer_client_connect(self->client, 0, lib_signer_channel(&self->signer)));
	pair_init(&pair, self->server, self->peer);
	EXPECT_TRUE(pair_run(self->base, &pair));
	pair_free(&pair);
}

TEST_F(worker, question_that_signers_die_of_is_given_up)
{
	struct pair pair;
	int fds[2];

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, channel_pair(fds));
		ASSERT_EQ(0, signer_client_connect(self->client, 0, fds[0]));
		if (!i) {
			pair_init(&pair, self->server, self->peer);
			EXPECT_FALSE(pair_step(&pair));
		}
		EXPECT_TRUE(pair.server.paused);
		close(fds[1]);
		event_base_loop(self->base, EVLOOP_NONBLOCK);
	}
	EXPECT_TRUE(pair.server.failed);
	EXPECT_STREQ("the signer died of it", pair.server.reason);
	pair_free(&pair);
}

/* What a signer that is in no hurry has in its channel, at most @max. */
static int take_questions(int channel, struct channel_message *messages, int max)
{
	int n = 0;

	while (n < max && channel_receive(channel, &messages[n], NULL) == 1)
		n++;
	return n;
}

TEST_F(worker, aborted_handshakes_are_not_signed_for)
{
	struct channel_message *messages = calloc(PAIRS, sizeof(*messages));
	struct pair pairs[PAIRS], late;
	int fds[2], asked;

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	ASSERT_EQ(0, channel_pair(fds));
	ASSERT_EQ(0, signer_client_connect(self->client, 0, fds[0]));
	start_pairs(pairs, PAIRS, self->server, self->peer);
	EXPECT_EQ(PAIRS, count_paused(pairs, PAIRS));
	for (int i = 0; i < PAIRS; i++) {
		fiber_abort(pairs[i].server.fiber);
		EXPECT_TRUE(pairs[i].server.failed);
		EXPECT_STREQ("given up", pairs[i].server.reason);
		pairs[i].server.paused = false;
		pair_free(&pairs[i]);
	}
	asked = take_questions(fds[1], messages, PAIRS);
	EXPECT_GT(PAIRS / 2, asked);

	/* The late answers are nobody's, and make room for another question. */
	pair_init(&late, self->server, self->peer);
	EXPECT_FALSE(pair_step(&late));
	EXPECT_EQ(0, take_questions(fds[1], messages + asked, 1));
	for (int i = 0; i < asked; i++) {
		messages[i].type = SIGNING_VALUE;
		messages[i].len = 70;
		EXPECT_EQ(0, channel_send(fds[1], &messages[i], -1));
	}
	event_base_loop(self->base, EVLOOP_ONCE);
	EXPECT_TRUE(late.server.paused);
	EXPECT_EQ(1, take_questions(fds[1], messages, 1));
	pair_free(&late);
	close(fds[1]);
	free(messages);
}

TEST_F(worker, answers_that_are_none_fail_the_handshake)
{
	static const struct {
		uint32_t type, len;
	} answers[] = {
		{ SIGNING_VALUE, CHANNEL_DATA_MAX }, { SIGNING_FAILURE, 0 },
		{ SIGNING_FAILURE, sizeof(struct signing_failure) }, { 99, 10 },
	};
	struct channel_message message;
	struct pair pair;
	int fds[2];

	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	ASSERT_EQ(0, channel_pair(fds));
	ASSERT_EQ(0, signer_client_connect(self->client, 0, fds[0]));
	for (int i = 0; i < 4; i++) {
		pair_init(&pair, self->server, self->peer);
		EXPECT_FALSE(pair_step(&pair));
		ASSERT_EQ(1, take_questions(fds[1], &message, 1));
		message.type = answers[i].type;
		message.len = answers[i].len;
		memset(message.data, 0, sizeof(message.data));
		ASSERT_EQ(0, channel_send(fds[1], &message, -1));
		EXPECT_FALSE(pair_run(self->base, &pair));
		EXPECT_STREQ("the signer's answer is none", pair.server.reason);
		pair_free(&pair);
	}
	close(fds[1]);
}

/* Whoever signs wrongly does not get its handshake through. */
TEST_F(worker, wrong_signature_is_noticed_by_the_peer)
{
	struct pair pair;

	ASSERT_EQ(1, EVP_PKEY_up_ref(self->key[KEY_P256]));
	EVP_PKEY_free(self->key[KEY_P256]);
	EVP_PKEY_free(self->key[KEY_P256]);
	/* Another's number. */
	self->key[KEY_P256] = remote_key_new(X509_get0_pubkey(lib_certs[KEY_P256]), KEY_P384);
	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	pair_init(&pair, self->server, self->peer);
	EXPECT_FALSE(pair_run(self->base, &pair));
	pair_free(&pair);
}

/*
 * Stacks.
 */

/* The needle is on the stack while the handshake waits, and gone afterwards. */
static uint8_t needle[32];
static const uint8_t *fiber_stack;

static int sign_deep(void *client, struct signature *signature)
{
	uint8_t copy[4096], *at = copy;

	for (size_t i = 0; i < sizeof(copy); i++)
		copy[i] = needle[i % sizeof(needle)];
	__asm__ volatile("" : "+r"(at) : : "memory");
	fiber_stack = at;
	return signer_client_sign(client, signature);
}

/* How often it is within 20 KiB around @fiber_stack, where all of its run has been. */
static __attribute__((no_sanitize_address)) int count_needles(const uint8_t *top)
{
	size_t same;
	int n = 0;

	for (const uint8_t *p = fiber_stack - 4096; p < top - sizeof(needle); p++) {
		for (same = 0; same < sizeof(needle) && p[same] == needle[same]; same++)
			;
		n += same == sizeof(needle);
	}
	return n;
}

static const uint8_t *main_frame;

static void note_and_advance(void *arg)
{
	main_frame = __builtin_frame_address(0);
	advance(arg);
}

TEST_F(worker, fiber_leaves_nothing_on_its_stack)
{
	struct pair pair;

	ASSERT_EQ(1, RAND_bytes(needle, sizeof(needle)));
	ASSERT_EQ(0, remote_key_init(sign_deep, self->client));
	ASSERT_TRUE(use(self->server, lib_certs[KEY_P256], self->key[KEY_P256]));
	pair_init(&pair, self->server, self->peer);
	step(&pair.client);
	pair.server.paused = fiber_run(pair.server.fiber, note_and_advance, &pair.server) ==
			     FIBER_PAUSED;
	ASSERT_TRUE(pair.server.paused);
	EXPECT_LT(0, count_needles(main_frame));
	EXPECT_EQ(0, event_base_loop(self->base, EVLOOP_ONCE));
	ASSERT_FALSE(pair.server.paused);
	EXPECT_EQ(0, count_needles(main_frame));
	EXPECT_TRUE(pair_run(self->base, &pair));
	pair_free(&pair);
}

/* Jobs have 32 KiB. With all kinds of keys at both ends, and all groups. */
TEST_F(worker, handshakes_need_less_than_half_of_a_fibers_stack)
{
	static const char *const groups[] = { "X25519", "P-256", "P-521", "X448", "ffdhe2048",
					      "ffdhe4096", "X25519MLKEM768", "SecP384r1MLKEM1024" };
	size_t used = 0;
	struct pair pair;

	SSL_CTX_set_verify(self->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	for (int i = 0; i < KEY_TYPES * ARRAY_SIZE(groups); i++) {
		int type = i % KEY_TYPES, group = i / KEY_TYPES;
		size_t most;

		if (SSL_CTX_set1_groups_list(self->peer, groups[group]) != 1 ||
		    SSL_CTX_set1_groups_list(self->server, groups[group]) != 1)
			continue;
		ASSERT_TRUE(use(self->server, lib_certs[type], self->key[type]));
		ASSERT_TRUE(use(self->peer, lib_certs[type], self->key[type]));
		pair_init(&pair, self->server, self->peer);
		pair.server.paint = pair.client.paint = true;
		EXPECT_TRUE(pair_run(self->base, &pair));
		most = pair.server.stack_used > pair.client.stack_used ?
		       pair.server.stack_used : pair.client.stack_used;
		if (most > used) {
			TH_LOG("%s, key %d: server %zu, client %zu bytes", groups[group], type,
			       pair.server.stack_used, pair.client.stack_used);
			used = most;
		}
		pair_free(&pair);
	}
	EXPECT_LT(1024, used);
	EXPECT_GT(16 * 1024, used);
}

/*
 * The signer.
 */

TEST_F(worker, signer_confines_itself_before_it_serves)
{
	EXPECT_EQ(1 + CONFINE_SIGNER, lib_shared->confined);
}

static int ask(int channel, enum key_type type, uint64_t id)
{
	static const uint8_t tbs[32];
	struct signature signature = { .key = type, .tbs = tbs, .tbs_len = sizeof(tbs) };
	struct channel_message message = { .id = id };

	if (type <= KEY_RSA || type == KEY_RSA_4096)
		signature.padding = PADDING_PKCS1;
	if (type != KEY_ED25519 && type != KEY_ED448)
		strcpy(signature.digest, "SHA256");
	signing_ask(&message, &signature);
	return channel_send(channel, &message, -1);
}

static bool readable(int fd, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1;
}

static int get_answer(int channel, struct channel_message *message)
{
	return readable(channel, 5000) ? channel_receive(channel, message, NULL) : -EAGAIN;
}

TEST_F(worker, channel_with_other_than_questions_is_dropped_alone)
{
	struct channel_message good, message;
	int other = lib_signer_channel(&self->signer), channel, before;

	ASSERT_EQ(0, ask(other, KEY_P256, 7));
	ASSERT_EQ(1, get_answer(other, &message));
	EXPECT_EQ(7, message.id);
	EXPECT_EQ(SIGNING_VALUE, message.type);

	for (int i = 0; i < 9; i++) {
		struct signing_question *question = (void *)good.data;

		memset(&good, 0, sizeof(good));
		good.type = SIGNING_QUESTION;
		good.len = sizeof(*question) + 32;
		question->key = KEY_P256;
		strcpy(question->digest, "SHA256");
		if (i == 1)
			good.type = SIGNING_VALUE;
		else if (i == 2)
			good.len = sizeof(*question) - 1;
		else if (i == 3)
			good.len = CHANNEL_DATA_MAX;
		else if (i == 4)
			question->key = KEY_TYPES;
		else if (i == 5)
			question->padding = PADDING_PSS + 1;
		else if (i == 6)
			question->salt_len = -1;
		else if (i == 7)
			memset(question->digest, 'a', sizeof(question->digest));
		channel = lib_signer_channel(&self->signer);
		before = strlen(lib_shared->log);
		/* The last is even shorter than a message. */
		ASSERT_LT(0, send(channel, &good, i < 8 ? 16 + good.len : 5, 0));
		/* The first is as it should be. */
		EXPECT_EQ(i ? 0 : 1, get_answer(channel, &message));
		EXPECT_EQ(!i, !strstr(lib_shared->log + before, "something else"));
		close(channel);
	}
	ASSERT_EQ(0, ask(other, KEY_P256, 8));
	EXPECT_EQ(1, get_answer(other, &message));
	close(other);
}

/* A way to sign that OpenSSL does not know is no attack: an answer says so. */
TEST_F(worker, unknown_digests_and_wrong_lengths_are_answered_with_a_failure)
{
	struct channel_message message;
	struct signature signature = { .key = KEY_P256, .tbs = (void *)"x", .tbs_len = 1 };
	int channel = lib_signer_channel(&self->signer);

	for (int i = 0; i < 2; i++) {
		strcpy(signature.digest, i ? "SHA256" : "no-such-digest");
		signing_ask(&message, &signature);
		ASSERT_EQ(0, channel_send(channel, &message, -1));
		ASSERT_EQ(1, get_answer(channel, &message));
		EXPECT_EQ(SIGNING_FAILURE, message.type);
		EXPECT_LT(sizeof(struct signing_failure), message.len);
	}
	ASSERT_EQ(0, ask(channel, KEY_P256, 1));
	EXPECT_EQ(1, get_answer(channel, &message));
	EXPECT_EQ(SIGNING_VALUE, message.type);
	close(channel);
}

TEST_F(worker, worker_that_takes_no_answers_is_dropped)
{
	int channel = lib_signer_channel(&self->signer), size = 1, err = 0;

	/* The sender's buffer is what limits; ours, and that of the signer. */
	ASSERT_EQ(0, setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	for (int i = 0; i < 100000 && !err; i++) {
		err = ask(channel, KEY_ED25519, i);
		if (err == -EAGAIN) {
			usleep(1000);
			err = 0;
		}
	}
	EXPECT_TRUE(err == -EPIPE || err == -ECONNRESET);
	EXPECT_NE(NULL, strstr(lib_shared->log, "does not take its signatures"));
	close(channel);
}

TEST_F(worker, signer_is_fair_among_workers)
{
	struct channel_message message;
	int a = lib_signer_channel(&self->signer), b = lib_signer_channel(&self->signer);
	int early = 0;

	/* Both are known to it. */
	ASSERT_EQ(0, ask(b, KEY_P256, 1));
	ASSERT_EQ(1, get_answer(b, &message));
	kill(self->signer.pid, SIGSTOP);
	for (int i = 0; i < 30; i++)
		ASSERT_EQ(0, ask(a, KEY_RSA_4096, i));
	ASSERT_EQ(0, ask(b, KEY_P256, 2));
	kill(self->signer.pid, SIGCONT);
	ASSERT_EQ(1, get_answer(b, &message));
	while (channel_receive(a, &message, NULL) == 1)
		early++;
	EXPECT_GT(10, early);
	for (int i = early; i < 30; i++) {
		ASSERT_EQ(1, get_answer(a, &message));
		EXPECT_EQ(i, message.id);
	}
	close(a);
	close(b);
}

FIXTURE(signer) {
	struct lib_signer files, token;
	char why[200];
	char *path;		/* of the token's key */
};

FIXTURE_SETUP(signer)
{
	ASSERT_TRUE(lib_setup(true));
	self->path = lib_config.identities[KEY_ED25519].key.value + 7;
}

FIXTURE_TEARDOWN(signer)
{
	lib_cleanup();
}

static bool pull(const char *path, bool out)
{
	char away[200];

	snprintf(away, sizeof(away), "%s.away", path);
	return !(out ? rename(path, away) : rename(away, path));
}

TEST_F(signer, each_key_in_hardware_has_one_of_its_own)
{
	EXPECT_EQ(2, signer_count(&lib_config));
	for (int i = 0; i < KEY_TYPES; i++)
		EXPECT_EQ(i == KEY_ED25519, signer_of_identity(&lib_config, i));
}

TEST_F(signer, only_keys_of_its_own_are_served)
{
	struct channel_message message;
	int channel;

	ASSERT_TRUE(lib_signer_start(&self->files, 0, false, NULL, 0));
	EXPECT_EQ(1 + CONFINE_SIGNER, lib_shared->confined);
	ASSERT_TRUE(lib_signer_start(&self->token, 1, false, NULL, 0));
	EXPECT_EQ(1 + CONFINE_TOKEN_SIGNER, lib_shared->confined);
	for (int type = 0; type < KEY_TYPES; type++) {
		struct lib_signer *owner = type == KEY_ED25519 ? &self->token : &self->files;
		struct lib_signer *other = type == KEY_ED25519 ? &self->files : &self->token;

		channel = lib_signer_channel(other);
		ASSERT_EQ(0, ask(channel, type, 1));
		EXPECT_EQ(0, get_answer(channel, &message));
		close(channel);
		channel = lib_signer_channel(owner);
		ASSERT_EQ(0, ask(channel, type, 1));
		EXPECT_EQ(1, get_answer(channel, &message));
		close(channel);
	}
	/* In this order: the younger has a copy of the elder's control channel. */
	EXPECT_EQ(0, lib_signer_stop(&self->token));
	EXPECT_EQ(0, lib_signer_stop(&self->files));
}

TEST_F(signer, key_that_does_not_belong_to_its_certificate_is_a_fault)
{
	struct identity_config *id = &lib_config.identities[KEY_P256];
	struct setting key = id->key;

	for (int type = 0; type < KEY_TYPES; type++) {
		if (type == KEY_P256 || type == KEY_ED25519)
			continue;
		id->key = lib_config.identities[type].key;
		EXPECT_FALSE(lib_signer_start(&self->files, 0, true, self->why,
					      sizeof(self->why)));
		EXPECT_NE(NULL, strstr(self->why, id->key.value));
		EXPECT_NE(NULL, strstr(self->why, "does not belong")) {
			TH_LOG("%s", self->why);
		}
		EXPECT_EQ(1, lib_signer_stop(&self->files));
	}
	id->key = key;
}

TEST_F(signer, missing_key_is_a_fault)
{
	struct identity_config *id = &lib_config.identities[KEY_P256];

	unlink(id->key.value);
	EXPECT_FALSE(lib_signer_start(&self->files, 0, true, self->why, sizeof(self->why)));
	EXPECT_NE(NULL, strstr(self->why, id->key.value));
	EXPECT_EQ(1, lib_signer_stop(&self->files));
	EXPECT_EQ(0, lib_shared->confined);
}

static int exit_status(struct lib_signer *signer)
{
	int status;

	waitpid(signer->pid, &status, 0);
	close(signer->control);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(signer, token_that_is_missing_is_a_fault_unless_one_is_lenient)
{
	struct channel_message message;
	double start;
	int channel;

	ASSERT_TRUE(pull(self->path, true));
	EXPECT_FALSE(lib_signer_start(&self->token, 1, false, self->why, sizeof(self->why)));
	EXPECT_NE(NULL, strstr(self->why, "the token is not present"));
	EXPECT_EQ(1, lib_signer_stop(&self->token));

	/* It says what is the matter, and ends soon, to be started anew. */
	start = now();
	ASSERT_TRUE(lib_signer_start(&self->token, 1, true, NULL, 0));
	channel = lib_signer_channel(&self->token);
	ASSERT_EQ(0, ask(channel, KEY_ED25519, 1));
	ASSERT_EQ(1, get_answer(channel, &message));
	EXPECT_EQ(SIGNING_FAILURE, message.type);
	EXPECT_NE(NULL, memmem(message.data, message.len, "not present", 11));
	EXPECT_EQ(1, exit_status(&self->token));
	EXPECT_LT(1, now() - start);
	EXPECT_GT(5, now() - start);
	close(channel);
	ASSERT_TRUE(pull(self->path, false));
}

TEST_F(signer, token_that_is_pulled_out_ends_its_signer)
{
	struct channel_message message;
	int channel;

	ASSERT_TRUE(lib_signer_start(&self->token, 1, false, NULL, 0));
	channel = lib_signer_channel(&self->token);
	ASSERT_EQ(0, ask(channel, KEY_ED25519, 1));
	ASSERT_EQ(1, get_answer(channel, &message));
	EXPECT_EQ(SIGNING_VALUE, message.type);

	ASSERT_TRUE(pull(self->path, true));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, ask(channel, KEY_ED25519, 2));
		ASSERT_EQ(1, get_answer(channel, &message));
		EXPECT_EQ(SIGNING_FAILURE, message.type);
		EXPECT_NE(NULL, memmem(message.data, message.len, "not present", 11));
	}
	EXPECT_NE(NULL, strstr(lib_shared->log, "not present"));
	EXPECT_EQ(1, exit_status(&self->token));
	close(channel);

	ASSERT_TRUE(pull(self->path, false));
	ASSERT_TRUE(lib_signer_start(&self->token, 1, true, NULL, 0));
	channel = lib_signer_channel(&self->token);
	ASSERT_EQ(0, ask(channel, KEY_ED25519, 3));
	ASSERT_EQ(1, get_answer(channel, &message));
	EXPECT_EQ(SIGNING_VALUE, message.type);
	close(channel);
	EXPECT_EQ(0, lib_signer_stop(&self->token));
}

/*
 * Channels.
 */

TEST(channel_carries_a_descriptor_and_no_more)
{
	struct channel_message out = { .type = 1, .len = 3, .data = "abc" }, in;
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { &out, offsetof(struct channel_message, data) + 3 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fds[2], fd, next;

	ASSERT_EQ(0, channel_pair(fds));
	EXPECT_EQ(-EAGAIN, channel_receive(fds[1], &in, &fd));
	next = dup(0);
	close(next);
	for (int i = 0; i < 3; i++) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(c), (int[]){ 0, 1 }, 2 * sizeof(int));
		if (i == 2)
			out.len = 4;
		ASSERT_LT(0, sendmsg(fds[0], &msg, 0));
		EXPECT_EQ(i == 2 ? -EBADMSG : 1, channel_receive(fds[1], &in, i == 1 ? NULL : &fd));
		if (!i) {
			EXPECT_EQ(next, fd);
			EXPECT_EQ(0, memcmp(in.data, "abc", 3));
			close(fd);
		}
		/* Nothing stays open. */
		EXPECT_EQ(next, dup(0));
		close(next);
	}
	EXPECT_EQ(-1, fd);
	out.len = CHANNEL_DATA_MAX + 1;
	EXPECT_EQ(-EMSGSIZE, channel_send(fds[0], &out, -1));
	close(fds[0]);
	EXPECT_EQ(0, channel_receive(fds[1], &in, &fd));
	EXPECT_EQ(-EPIPE, channel_send(fds[1], &in, -1));
	close(fds[1]);
}

TEST_HARNESS_MAIN
