// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the agent's configuration: what lands where, and that no file, be it
 * damaged in any place, does more than be refused. Messages: e2e/config.sh.
 */
#include "kselftest_harness.h"
#include "config_text.h"
#include "log.h"

#include <openssl/ssl.h>

static const char text[] =
	"[agent]\nlisten = /tmp/x\nmode = 0604\ngroup = 0\nworkers = 3\nhandshakes = 4\n"
	"handshakes-per-user = 2\nworker-lifetime = 0\ntimeout = 0.25\nkernel-requests = no\n"
	"worker-user = 1\nsigner-user = 2\nlog = syslog\nlog-level = detail\n"
	"[tls]\nmin-version = 1.3\nmax-version = 1.3\nciphersuites = s\nciphers = c\n"
	"groups = g\nalpn = h2 \t http/1.1\n"
	"[identity a]\ncertificate = c\nkey = pkcs11:token=x;object=y\nocsp-response = o\n"
	"names = n *.n.org\ndefault = yes\nclient-certificates = request\ntrust = t\ncrl = l\n"
	"[client]\ntrust = ct\ncrl = cl\nidentity = a\n"
	"[tickets]\nenabled = yes\nlifetime = 20\nrotation = 10\nkeys = k1 k2\n"
	"[deny d]\nuser = 1 2\ngroup = 3\ncgroup = /a /b\nrole = client\nidentity = a\n"
	"[allow d]\n";

TEST(every_key_lands_where_it_belongs)
{
	const struct identity_config *id;
	struct config config;

	ASSERT_EQ(0, config_from(&config, text, strlen(text)));
	EXPECT_STREQ("/tmp/x", config.listen);
	EXPECT_EQ(0604, config.mode);
	EXPECT_STREQ("0", config.group.value);
	EXPECT_EQ(3, config.workers);
	EXPECT_EQ(4, config.max_handshakes);
	EXPECT_EQ(2, config.max_handshakes_per_user);
	EXPECT_EQ(0, config.worker_lifetime);
	EXPECT_EQ(250, config.timeout_ms);
	EXPECT_FALSE(config.kernel_requests);
	EXPECT_STREQ("1", config.worker_user.value);
	EXPECT_STREQ("2", config.signer_user.value);
	EXPECT_EQ(LOG_TO_SYSLOG, config.log_target);
	EXPECT_EQ(LEVEL_DETAIL, config.log_level);
	EXPECT_EQ(TLS1_3_VERSION, config.min_tls);
	EXPECT_EQ(TLS1_3_VERSION, config.max_tls);
	EXPECT_STREQ("s", config.ciphersuites.value);
	EXPECT_STREQ("c", config.ciphers.value);
	EXPECT_STREQ("g", config.groups.value);
	ASSERT_EQ(2, config.alpn.count);
	EXPECT_STREQ("h2", config.alpn.list[0].value);
	EXPECT_STREQ("http/1.1", config.alpn.list[1].value);
	ASSERT_EQ(1, config.n_identities);
	id = &config.identities[0];
	EXPECT_STREQ("a", id->name);
	EXPECT_STREQ("c", id->certificate.value);
	EXPECT_STREQ("pkcs11:token=x;object=y", id->key.value);
	EXPECT_STREQ("key", id->key.name);
	EXPECT_STREQ(config.path, id->key.file);
	EXPECT_EQ(24, id->key.line);
	EXPECT_STREQ("o", id->ocsp_response.value);
	ASSERT_EQ(2, id->names.count);
	EXPECT_STREQ("*.n.org", id->names.list[1].value);
	EXPECT_TRUE(id->is_default);
	EXPECT_EQ(CLIENT_AUTH_REQUEST, id->client_auth);
	EXPECT_STREQ("t", id->clients.trust.value);
	EXPECT_STREQ("l", id->clients.crl.value);
	EXPECT_STREQ("ct", config.servers.trust.value);
	EXPECT_STREQ("cl", config.servers.crl.value);
	EXPECT_STREQ("a", config.client_identity.value);
	EXPECT_TRUE(config.tickets);
	EXPECT_EQ(20, config.ticket_lifetime);
	EXPECT_EQ(10, config.ticket_rotation);
	EXPECT_EQ(2, config.ticket_keys.count);
	ASSERT_EQ(2, config.n_rules);
	EXPECT_TRUE(config.rules[0].deny);
	EXPECT_FALSE(config.rules[1].deny);
	EXPECT_EQ(2, config.rules[0].users.count);
	EXPECT_EQ(1, config.rules[0].groups.count);
	EXPECT_EQ(2, config.rules[0].cgroups.count);
	EXPECT_EQ(1, config.rules[0].identities.count);
	EXPECT_FALSE(config.rules[0].server);
	EXPECT_TRUE(config.rules[0].client);
	EXPECT_TRUE(config.rules[1].server);
	EXPECT_TRUE(config.rules[1].client);
	config_free(&config);
}

TEST(defaults_are_those_of_the_manual)
{
	struct config config;

	ASSERT_EQ(0, config_from(&config, "", 0));
	EXPECT_STREQ("/run/keyblob/agent.sock", config.listen);
	EXPECT_EQ(0660, config.mode);
	EXPECT_GE(config.workers, 1);
	EXPECT_EQ(1000, config.max_handshakes);
	EXPECT_EQ(500, config.max_handshakes_per_user);
	EXPECT_EQ(1000000, config.worker_lifetime);
	EXPECT_EQ(10000, config.timeout_ms);
	EXPECT_TRUE(config.kernel_requests);
	EXPECT_EQ(LOG_TO_STDERR, config.log_target);
	EXPECT_EQ(LEVEL_NOTICE, config.log_level);
	EXPECT_EQ(TLS1_2_VERSION, config.min_tls);
	EXPECT_EQ(TLS1_3_VERSION, config.max_tls);
	EXPECT_STREQ("system", config.servers.trust.value);
	EXPECT_TRUE(config.tickets);
	EXPECT_EQ(7200, config.ticket_lifetime);
	EXPECT_EQ(3600, config.ticket_rotation);
	config_free(&config);
}

TEST(timeout_is_exact_to_the_millisecond)
{
	struct config config;
	char agent[40];

	for (unsigned int ms = 1; ms <= 3000; ms++) {
		snprintf(agent, sizeof(agent), "[agent]\ntimeout = %u.%03u\n", ms / 1000, ms % 1000);
		ASSERT_EQ(0, config_from(&config, agent, strlen(agent)));
		EXPECT_EQ(ms, config.timeout_ms);
		config_free(&config);
	}
}

/* For the sanitizers: whatever comes of it. */
static void parse(const char *bytes, size_t len)
{
	struct config config;

	config_from(&config, bytes, len);
	config_free(&config);
}

TEST(file_that_ends_anywhere_is_survived)
{
	for (size_t len = 0; len < strlen(text); len++)
		parse(text, len);
}

TEST(damage_anywhere_is_survived)
{
	static const char damage[] = { 0, '\n', '[', ']', '=', ' ', ';', '#', ':', '\xff' };
	char copy[sizeof(text)];

	for (size_t i = 0; i < strlen(text); i++) {
		for (size_t j = 0; j < sizeof(damage); j++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = damage[j];
			parse(copy, strlen(text));
		}
	}
}

TEST(random_bytes_are_survived)
{
	char bytes[6000];

	srand(1);
	for (int round = 0; round < 500; round++) {
		size_t len = rand() % sizeof(bytes);

		for (size_t i = 0; i < len; i++)
			bytes[i] = rand() % 3 ? "[]=; \n\t#agentlskyuer"[rand() % 20] : rand();
		parse(bytes, len);
	}
}

TEST_HARNESS_MAIN
