// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/tickets.c, by OpenSSL's handshakes in memory. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "kselftest_harness.h"
#include "log.h"
#include "tickets.h"

#define LIFETIME 100

/* In place of the agent's: what was complained of. */
static char fault[300];

void config_fault(const struct setting *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault, sizeof(fault), format, args);
	va_end(args);
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault, sizeof(fault), format, args);
	va_end(args);
}

static const struct config with_tickets = {
	.tickets = true,
	.ticket_lifetime = LIFETIME,
	.ticket_rotation = 50,
};

static const struct config without_tickets = {
	.ticket_lifetime = LIFETIME,
	.ticket_rotation = 50,
};

/* An agent: keys and a context that uses them. */
struct agent {
	struct ticket_keyring ring;
	SSL_CTX *ctx;
};

static EVP_PKEY *key;
static X509 *cert;

static void make_identity(void)
{
	if (key)
		return;
	key = EVP_EC_gen("P-256");
	cert = X509_new();
	X509_set_pubkey(cert, key);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000000);
	X509_sign(cert, key, EVP_sha256());
}

/* With @ring, or if that is NULL with what is loaded. */
static void agent_start(struct agent *agent, int version, const struct config *config,
			const struct ticket_keyring *ring)
{
	if (ring)
		agent->ring = *ring;
	else if (tickets_load(&agent->ring, config))
		abort();
	agent->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_session_cache_mode(agent->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_proto_version(agent->ctx, version);
	if (SSL_CTX_use_cert_and_key(agent->ctx, cert, key, NULL, 1) != 1 ||
	    tickets_install(agent->ctx, config, &agent->ring))
		abort();
}

static void agent_stop(struct agent *agent)
{
	SSL_CTX_free(agent->ctx);
}

FIXTURE(tickets)
{
	struct agent one, two;
	SSL_CTX *client;
	SSL_SESSION *session;	/* the client's latest */
	bool given;		/* a ticket that it had not before */
};

FIXTURE_VARIANT(tickets)
{
	int version;
};

FIXTURE_VARIANT_ADD(tickets, tls_1_2) { .version = TLS1_2_VERSION };
FIXTURE_VARIANT_ADD(tickets, tls_1_3) { .version = TLS1_3_VERSION };

FIXTURE_SETUP(tickets)
{
	make_identity();
	agent_start(&self->one, variant->version, &with_tickets, NULL);
	agent_start(&self->two, variant->version, &with_tickets, &self->one.ring);
	self->client = SSL_CTX_new(TLS_client_method());
}

FIXTURE_TEARDOWN(tickets)
{
	SSL_SESSION_free(self->session);
	SSL_CTX_free(self->client);
	agent_stop(&self->one);
	agent_stop(&self->two);
}

static bool same_ticket(SSL_SESSION *a, SSL_SESSION *b)
{
	const uint8_t *ticket_a, *ticket_b;
	size_t len_a, len_b;

	SSL_SESSION_get0_ticket(a, &ticket_a, &len_a);
	SSL_SESSION_get0_ticket(b, &ticket_b, &len_b);
	return len_a == len_b && !memcmp(ticket_a, ticket_b, len_a);
}

/* The session of @client, which offered @offered (NULL: none), is the latest. */
static void keep_session(FIXTURE_DATA(tickets) *self, SSL *client, SSL_SESSION *offered)
{
	SSL_SESSION *latest = SSL_get1_session(client);

	self->given = latest && SSL_SESSION_has_ticket(latest) &&
		      !(offered && same_ticket(latest, offered));
	SSL_SESSION_free(self->session);
	self->session = latest;
}

/* Returns 1 if the client came back by @session (NULL: none), 0 after a full handshake. */
static int visit(FIXTURE_DATA(tickets) *self, SSL_CTX *ctx, SSL_SESSION *session)
{
	SSL *client = SSL_new(self->client), *server = SSL_new(ctx);
	SSL_SESSION *offered = session ? SSL_SESSION_dup(session) : NULL;
	BIO *client_end, *server_end;
	int resumed = -1;
	char byte;

	BIO_new_bio_pair(&client_end, 1 << 16, &server_end, 1 << 16);
	SSL_set_bio(client, client_end, client_end);
	SSL_set_bio(server, server_end, server_end);
	if (offered)
		SSL_set_session(client, offered);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	/* The tickets of TLS 1.3 come after the handshake. */
	SSL_read(client, &byte, 1);
	if (SSL_is_init_finished(client) && SSL_is_init_finished(server) &&
	    SSL_session_reused(client) == SSL_session_reused(server))
		resumed = SSL_session_reused(server);
	/* Or OpenSSL takes the connection for broken, and its session for void. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	keep_session(self, client, offered);
	SSL_SESSION_free(offered);
	SSL_free(client);
	SSL_free(server);
	return resumed;
}

/* The name of the key that the client's ticket is sealed with. */
static const uint8_t *ticket_name(SSL_SESSION *session)
{
	const uint8_t *ticket;
	size_t len;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	return len > 16 ? ticket : NULL;
}

TEST_F(tickets, ticket_of_one_worker_opens_at_another)
{
	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	ASSERT_EQ(true, self->given);
	EXPECT_EQ(1, visit(self, self->two.ctx, self->session));
}

TEST_F(tickets, ticket_is_sealed_by_the_first_key)
{
	ASSERT_EQ(0, tickets_rotate(&self->one.ring));
	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	ASSERT_NE(NULL, ticket_name(self->session));
	EXPECT_EQ(0, memcmp(ticket_name(self->session), self->one.ring.keys[0].name, 16));
}

TEST_F(tickets, ticket_does_not_open_at_another_agent)
{
	struct agent stranger;

	agent_start(&stranger, variant->version, &with_tickets, NULL);
	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	EXPECT_EQ(0, visit(self, stranger.ctx, self->session));
	EXPECT_EQ(true, self->given);
	agent_stop(&stranger);
}

/* Clients of TLS 1.3 do not use one twice. */
TEST_F(tickets, tls_1_3_client_has_a_new_ticket_for_each_visit)
{
	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(1, visit(self, self->one.ctx, self->session));
		EXPECT_EQ(variant->version == TLS1_3_VERSION, self->given);
	}
}

TEST_F(tickets, ticket_of_an_older_key_opens_and_is_renewed)
{
	SSL_SESSION *old;

	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	for (int i = 1; i < TICKET_KEYS_MAX; i++) {
		old = self->session;
		SSL_SESSION_up_ref(old);
		ASSERT_EQ(0, tickets_rotate(&self->one.ring));
		EXPECT_EQ(1, visit(self, self->one.ctx, old));
		EXPECT_EQ(true, self->given);
		EXPECT_EQ(0, memcmp(ticket_name(self->session), self->one.ring.keys[0].name, 16));
		SSL_SESSION_free(old);
	}
}

TEST_F(tickets, ticket_opens_until_its_key_has_left_the_ring)
{
	SSL_SESSION *old;

	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	old = self->session;
	SSL_SESSION_up_ref(old);
	for (int i = 1; i < TICKET_KEYS_MAX; i++)
		ASSERT_EQ(0, tickets_rotate(&self->one.ring));
	EXPECT_EQ(1, visit(self, self->one.ctx, old));
	ASSERT_EQ(0, tickets_rotate(&self->one.ring));
	EXPECT_EQ(TICKET_KEYS_MAX, self->one.ring.count);
	EXPECT_EQ(0, visit(self, self->one.ctx, old));
	EXPECT_EQ(true, self->given);
	SSL_SESSION_free(old);
}

/* The client believes that its ticket is good for longer: the server is to say no. */
static int visit_at_age(FIXTURE_DATA(tickets) *self, int version, unsigned int age)
{
	struct config config = with_tickets;
	struct agent agent;
	int resumed;

	config.ticket_lifetime = 2;
	agent_start(&agent, version, &config, &self->one.ring);
	resumed = visit(self, agent.ctx, NULL);
	if (!resumed) {
		SSL_SESSION_set_timeout(self->session, 1000);
		sleep(age);
		resumed = visit(self, agent.ctx, self->session);
	}
	agent_stop(&agent);
	return resumed;
}

TEST_F(tickets, expired_ticket_gives_a_full_handshake)
{
	EXPECT_EQ(1, visit_at_age(self, variant->version, 0));
	EXPECT_EQ(0, visit_at_age(self, variant->version, 4));
}

TEST_F(tickets, client_learns_the_lifetime)
{
	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	EXPECT_EQ(LIFETIME, SSL_SESSION_get_ticket_lifetime_hint(self->session));
}

/* @at: of the byte that is altered, from the end if negative. */
static SSL_SESSION *damaged(SSL_SESSION *session, int at)
{
	const uint8_t *ticket;
	unsigned char *der = NULL, *found = NULL;
	const unsigned char *p;
	SSL_SESSION *copy;
	size_t len;
	int der_len;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	der_len = i2d_SSL_SESSION(session, &der);
	found = memmem(der, der_len, ticket, len);
	if (!found)
		return NULL;
	found[at < 0 ? (int)len + at : at] ^= 1;
	p = der;
	copy = d2i_SSL_SESSION(NULL, &p, der_len);
	OPENSSL_free(der);
	return copy;
}

TEST_F(tickets, damaged_ticket_gives_a_full_handshake)
{
	/* in the name, the IV, the session, the MAC; and none, as a control */
	const int places[] = { 3, 20, 60, -1 };
	SSL_SESSION *session, *copy;

	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	session = self->session;
	SSL_SESSION_up_ref(session);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		copy = damaged(session, places[i]);
		ASSERT_NE(NULL, copy);
		EXPECT_EQ(0, visit(self, self->one.ctx, copy)) {
			TH_LOG("byte %d", places[i]);
		}
		SSL_SESSION_free(copy);
	}
	EXPECT_EQ(1, visit(self, self->one.ctx, session));
	SSL_SESSION_free(session);
}

TEST_F(tickets, switched_off_none_is_issued_nor_taken)
{
	struct agent off;

	agent_start(&off, variant->version, &without_tickets, NULL);
	EXPECT_EQ(0, off.ring.count);
	EXPECT_EQ(0, visit(self, off.ctx, NULL));
	/* TLS 1.2 gives a session without a ticket, which nobody remembers. */
	EXPECT_EQ(true, !self->session || !SSL_SESSION_has_ticket(self->session));
	if (self->session)
		EXPECT_EQ(0, visit(self, off.ctx, self->session));

	ASSERT_EQ(0, visit(self, self->one.ctx, NULL));
	ASSERT_EQ(true, SSL_SESSION_has_ticket(self->session));
	off.ring = self->one.ring;
	EXPECT_EQ(0, visit(self, off.ctx, self->session));
	agent_stop(&off);
}

/*
 * Keys in files.
 */

static char directory[32];

FIXTURE(files)
{
	char path[TICKET_KEYS_MAX + 1][48];
	struct setting settings[TICKET_KEYS_MAX + 1];
	struct config config;
	struct ticket_keyring ring;
};

static void write_file(const char *path, const void *data, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fchmod(fd, mode))
		abort();
	close(fd);
}

FIXTURE_SETUP(files)
{
	char data[80];

	strcpy(directory, "/tmp/keyblob-tickets.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(directory));
	self->config = with_tickets;
	self->config.ticket_keys.list = self->settings;
	self->config.ticket_keys.count = 2;
	for (int i = 0; i <= TICKET_KEYS_MAX; i++) {
		snprintf(self->path[i], sizeof(self->path[i]), "%s/%d", directory, i);
		self->settings[i] = (struct setting){ .name = "keys", .value = self->path[i] };
		for (int n = 0; n < 80; n++)
			data[n] = i << 7 | n;
		write_file(self->path[i], data, 80, 0640);
	}
	*fault = 0;
}

FIXTURE_TEARDOWN(files)
{
	for (int i = 0; i <= TICKET_KEYS_MAX; i++) {
		unlink(self->path[i]);
		rmdir(self->path[i]);
	}
	rmdir(directory);
}

TEST_F(files, are_name_then_hmac_key_then_aes_key)
{
	ASSERT_EQ(0, tickets_load(&self->ring, &self->config));
	EXPECT_EQ(2, self->ring.count);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(i, self->ring.keys[0].name[i]);
	for (int i = 0; i < 32; i++) {
		EXPECT_EQ(16 + i, self->ring.keys[0].hmac_key[i]);
		EXPECT_EQ(48 + i, self->ring.keys[0].aes_key[i]);
	}
	EXPECT_EQ(0x80, self->ring.keys[1].name[0]);
}

TEST_F(files, are_not_rotated_and_keys_in_memory_are)
{
	EXPECT_EQ(0, tickets_rotation(&self->config));
	EXPECT_EQ(50, tickets_rotation(&with_tickets));
	EXPECT_EQ(0, tickets_rotation(&without_tickets));
}

TEST_F(files, the_first_seals_and_all_open)
{
	FIXTURE_DATA(tickets) visitor = { 0 };
	struct agent before, after;

	make_identity();
	visitor.client = SSL_CTX_new(TLS_client_method());
	self->config.ticket_keys.count = 1;
	agent_start(&before, TLS1_3_VERSION, &self->config, NULL);
	ASSERT_EQ(0, visit(&visitor, before.ctx, NULL));

	/* Another machine, which has a newer key. */
	self->settings[0].value = self->path[1];
	self->settings[1].value = self->path[0];
	self->config.ticket_keys.count = 2;
	agent_start(&after, TLS1_3_VERSION, &self->config, NULL);
	EXPECT_EQ(1, visit(&visitor, after.ctx, visitor.session));
	EXPECT_EQ(0x80, ticket_name(visitor.session)[0]);

	SSL_SESSION_free(visitor.session);
	SSL_CTX_free(visitor.client);
	agent_stop(&before);
	agent_stop(&after);
}

#define EXPECT_FAULT(text) do {						\
	EXPECT_EQ(-1, tickets_load(&self->ring, &self->config));	\
	EXPECT_NE(NULL, strstr(fault, text)) TH_LOG("fault: %s", fault);	\
} while (0)

TEST_F(files, of_another_size_are_refused)
{
	const char data[81] = { 0 };
	const size_t sizes[] = { 0, 48, 79, 81 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		write_file(self->path[1], data, sizes[i], 0600);
		EXPECT_FAULT("bytes, not 80; make a new one with 'openssl rand 80 > FILE'");
	}
}

TEST_F(files, that_others_may_use_are_refused)
{
	for (mode_t bit = 1; bit <= 4; bit <<= 1) {
		ASSERT_EQ(0, chmod(self->path[0], 0640 | bit));
		EXPECT_FAULT("others than its owner and group may use it");
	}
	ASSERT_EQ(0, chmod(self->path[0], 0640));
	EXPECT_EQ(0, tickets_load(&self->ring, &self->config));
}

TEST_F(files, that_are_not_there_or_no_files_are_refused)
{
	ASSERT_EQ(0, unlink(self->path[1]));
	EXPECT_FAULT("cannot be read: No such file or directory");
	ASSERT_EQ(0, mkdir(self->path[1], 0700));
	EXPECT_FAULT("is no file");
	ASSERT_EQ(0, rmdir(self->path[1]));
	ASSERT_EQ(0, mkfifo(self->path[1], 0600));
	EXPECT_FAULT("is no file");
}

TEST_F(files, of_which_there_are_too_many_are_refused)
{
	self->config.ticket_keys.count = TICKET_KEYS_MAX + 1;
	EXPECT_FAULT("one too many");
	self->config.ticket_keys.count = TICKET_KEYS_MAX;
	EXPECT_EQ(0, tickets_load(&self->ring, &self->config));
}

TEST_HARNESS_MAIN
