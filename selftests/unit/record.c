// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of kmod/record.c, and of the KeyUpdate's part of kmod/schedule.c. */
#include <linux/keyblob.h>
#include <linux/tls.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "record.h"
#include "schedule.h"

/* A stream of records and where it stands. */
struct stream {
	u16 version;
	u16 role;
	struct kb_record at;
	struct kb_parse p;
};

static struct stream client13 = { .version = TLS_1_3_VERSION, .role = KEYBLOB_ROLE_CLIENT };
static struct stream server13 = { .version = TLS_1_3_VERSION, .role = KEYBLOB_ROLE_SERVER };
static struct stream client12 = { .version = TLS_1_2_VERSION, .role = KEYBLOB_ROLE_CLIENT };
static struct stream server12 = { .version = TLS_1_2_VERSION, .role = KEYBLOB_ROLE_SERVER };

/* One record, fed in parts of @step bytes (0: at once); returns what it asks for. */
static enum kb_event_kind record_in(struct stream *s, u8 type, const void *data, size_t len,
				    size_t step)
{
	const u8 *from = data;
	/* Of its exact size, so that the sanitizer sees a byte too far. */
	u8 *copy = malloc(len ?: 1);
	size_t at, n;

	memcpy(copy, from, len);
	kb_record_begin(&s->p, &s->at, s->version, s->role, type);
	for (at = 0; at < len; at += n) {
		n = step && step < len - at ? step : len - at;
		kb_record_feed(&s->p, copy + at, n);
	}
	kb_record_end(&s->p);
	free(copy);
	if (s->p.event.kind != KB_EVENT_ABORT)
		s->at = s->p.at;
	return s->p.event.kind;
}

static enum kb_event_kind record(struct stream *s, u8 type, const void *data, size_t len)
{
	return record_in(s, type, data, len, 0);
}

#define EXPECT_ABORT(s, why, type, ...) do {					\
	const u8 _data[] = { __VA_ARGS__ };					\
	struct stream _s = s;							\
	EXPECT_EQ(KB_EVENT_ABORT, record(&_s, type, _data, sizeof(_data)));	\
	EXPECT_EQ(why, _s.p.event.alert);					\
} while (0)

#define EXPECT_EVENT(s, what, type, ...) do {					\
	const u8 _data[] = { __VA_ARGS__ };					\
	EXPECT_EQ(what, record(s, type, _data, sizeof(_data)));			\
} while (0)

/* A ticket of @len bytes in all; returns @len. */
static size_t ticket(u8 *out, size_t len)
{
	memset(out, 0xee, len);
	out[0] = KB_HS_NEW_SESSION_TICKET;
	out[1] = (len - 4) >> 16;
	out[2] = (len - 4) >> 8;
	out[3] = len - 4;
	return len;
}

TEST(key_update_is_told_with_its_request)
{
	struct stream s = client13;

	EXPECT_EVENT(&s, KB_EVENT_KEY_UPDATE, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 1, 0);
	EXPECT_FALSE(s.p.event.requested);
	EXPECT_FALSE(kb_record_is_partial(&s.at));
	EXPECT_EVENT(&s, KB_EVENT_KEY_UPDATE, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 1, 1);
	EXPECT_TRUE(s.p.event.requested);
	EXPECT_FALSE(kb_record_is_partial(&s.at));
	s = server13;
	EXPECT_EVENT(&s, KB_EVENT_KEY_UPDATE, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 1, 1);
}

TEST(key_update_of_another_value_is_illegal)
{
	unsigned int value;

	for (value = 2; value < 256; value++)
		EXPECT_ABORT(client13, KB_ILLEGAL_PARAMETER, KB_TYPE_HANDSHAKE,
			     KB_HS_KEY_UPDATE, 0, 0, 1, value);
}

TEST(key_update_of_another_length_does_not_decode)
{
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 0);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 2,
		     0, 0);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 1, 1, 0);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 1, 0, 1, 0);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE,
		     0xff, 0xff, 0xff);
}

/* RFC 8446 section 5.1: the record ends where the key does. */
TEST(nothing_follows_a_key_update_in_its_record)
{
	EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE,
		     KB_HS_KEY_UPDATE, 0, 0, 1, 0, KB_HS_NEW_SESSION_TICKET);
	EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE,
		     KB_HS_KEY_UPDATE, 0, 0, 1, 0, KB_HS_KEY_UPDATE, 0, 0, 1, 0);
	EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE,
		     KB_HS_KEY_UPDATE, 0, 0, 1, 1, 0);
}

TEST(key_update_may_follow_tickets_in_a_record)
{
	struct stream s = client13;
	u8 data[64];
	size_t len, step;

	for (step = 0; step < 30; step++) {
		len = ticket(data, 9);
		len += ticket(data + len, 14);
		memcpy(data + len, "\x18\0\0\1\1", 5);
		EXPECT_EQ(KB_EVENT_KEY_UPDATE,
			  record_in(&s, KB_TYPE_HANDSHAKE, data, len + 5, step));
		EXPECT_TRUE(s.p.event.requested);
		EXPECT_EQ(2, s.p.event.tickets);
		EXPECT_FALSE(kb_record_is_partial(&s.at));
	}
}

TEST(messages_may_be_split_anywhere)
{
	u8 data[40];
	size_t cut, cut2, len = ticket(data, 23);

	memcpy(data + len, "\x18\0\0\1\0", 5);
	len += 5;
	for (cut = 1; cut < len - 1; cut++) {
		for (cut2 = cut + 1; cut2 < len; cut2++) {
			struct stream s = client13;

			EXPECT_EQ(KB_EVENT_NONE, record(&s, KB_TYPE_HANDSHAKE, data, cut));
			EXPECT_EQ(cut != 23, kb_record_is_partial(&s.at));
			EXPECT_EQ(cut >= 23, s.p.event.tickets);
			EXPECT_EQ(KB_EVENT_NONE,
				  record(&s, KB_TYPE_HANDSHAKE, data + cut, cut2 - cut));
			EXPECT_EQ(cut2 != 23, kb_record_is_partial(&s.at));
			EXPECT_EQ(cut < 23 && cut2 >= 23, s.p.event.tickets);
			EXPECT_EQ(KB_EVENT_KEY_UPDATE,
				  record(&s, KB_TYPE_HANDSHAKE, data + cut2, len - cut2));
			EXPECT_FALSE(kb_record_is_partial(&s.at));
		}
	}
}

TEST(messages_may_come_byte_by_byte)
{
	struct stream s = client13;
	u8 data[300];
	size_t i, len = ticket(data, sizeof(data));

	for (i = 0; i < len; i++) {
		EXPECT_EQ(KB_EVENT_NONE, record(&s, KB_TYPE_HANDSHAKE, data + i, 1));
		EXPECT_EQ(i == len - 1, s.p.event.tickets);
		EXPECT_EQ(i < len - 1, kb_record_is_partial(&s.at));
	}
}

TEST(longest_ticket_fits)
{
	const u8 head[] = { KB_HS_NEW_SESSION_TICKET, 0xff, 0xff, 0xff };
	static const u8 body[16384];
	struct stream s = client13;
	size_t left = 0xffffff;

	EXPECT_EQ(KB_EVENT_NONE, record(&s, KB_TYPE_HANDSHAKE, head, sizeof(head)));
	while (left) {
		size_t n = left < sizeof(body) ? left : sizeof(body);

		ASSERT_EQ(KB_EVENT_NONE, record(&s, KB_TYPE_HANDSHAKE, body, n));
		left -= n;
		ASSERT_EQ(!left, s.p.event.tickets);
	}
	EXPECT_FALSE(kb_record_is_partial(&s.at));
}

/* What a refused record said is not kept. */
TEST(state_is_kept_by_the_caller_alone)
{
	const struct kb_record start = {};
	struct stream s = client13;

	EXPECT_EVENT(&s, KB_EVENT_ABORT, KB_TYPE_HANDSHAKE, KB_HS_NEW_SESSION_TICKET, 0, 0, 0);
	EXPECT_EQ(0, memcmp(&start, &s.at, sizeof(start)));
}

TEST(tickets_come_from_servers)
{
	struct stream unknown = { .version = TLS_1_3_VERSION, .role = KEYBLOB_ROLE_UNKNOWN };
	struct stream s = client13;

	EXPECT_EVENT(&s, KB_EVENT_NONE, KB_TYPE_HANDSHAKE, KB_HS_NEW_SESSION_TICKET, 0, 0, 1, 0);
	EXPECT_EQ(1, s.p.event.tickets);
	EXPECT_EVENT(&unknown, KB_EVENT_NONE, KB_TYPE_HANDSHAKE, KB_HS_NEW_SESSION_TICKET,
		     0, 0, 1, 0);
	EXPECT_EQ(1, unknown.p.event.tickets);
	EXPECT_ABORT(server13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE,
		     KB_HS_NEW_SESSION_TICKET, 0, 0, 1, 0);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_HANDSHAKE,
		     KB_HS_NEW_SESSION_TICKET, 0, 0, 0);
}

TEST(all_other_messages_are_unexpected)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		if (type == KB_HS_KEY_UPDATE || type == KB_HS_NEW_SESSION_TICKET)
			continue;
		EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE, type, 0, 0, 1, 0);
		EXPECT_ABORT(server13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE, type, 0, 0, 0);
	}
}

TEST(nothing_is_negotiated_again_in_tls_1_2)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		const u8 why = type == KB_HS_HELLO_REQUEST || type == KB_HS_CLIENT_HELLO ?
			       KB_NO_RENEGOTIATION : KB_UNEXPECTED_MESSAGE;

		EXPECT_ABORT(client12, why, KB_TYPE_HANDSHAKE, type, 0, 0, 0);
		EXPECT_ABORT(server12, why, KB_TYPE_HANDSHAKE, type, 0, 0, 1, 0);
	}
}

TEST(empty_control_records_are_refused)
{
	EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE);
	EXPECT_ABORT(client12, KB_UNEXPECTED_MESSAGE, KB_TYPE_HANDSHAKE);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_ALERT);
	EXPECT_ABORT(client12, KB_DECODE_ERROR, KB_TYPE_ALERT);
}

TEST(unknown_content_types_are_refused)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		if (type == KB_TYPE_ALERT || type == KB_TYPE_HANDSHAKE || type == KB_TYPE_DATA)
			continue;
		EXPECT_ABORT(client13, KB_UNEXPECTED_MESSAGE, type, 1);
		EXPECT_ABORT(server12, KB_UNEXPECTED_MESSAGE, type, 1, 2, 3);
	}
}

TEST(alerts_are_two_bytes)
{
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_ALERT, KB_LEVEL_WARNING);
	EXPECT_ABORT(client13, KB_DECODE_ERROR, KB_TYPE_ALERT, KB_LEVEL_WARNING,
		     KB_CLOSE_NOTIFY, 0);
	EXPECT_ABORT(client12, KB_DECODE_ERROR, KB_TYPE_ALERT, KB_LEVEL_FATAL, 40,
		     KB_LEVEL_FATAL, 40);
}

TEST(alerts_are_told_as_their_version_reads_them)
{
	unsigned int level, description;

	for (level = 0; level < 256; level += level == 3 ? 252 : 1) {
		for (description = 0; description < 256; description++) {
			struct stream s13 = server13, s12 = client12;
			const bool closed = description == KB_CLOSE_NOTIFY;

			/* TLS 1.3: the level is nothing, section 6. */
			EXPECT_EVENT(&s13, closed ? KB_EVENT_CLOSED :
				     description == KB_USER_CANCELED ? KB_EVENT_NONE :
				     KB_EVENT_ALERT, KB_TYPE_ALERT, level, description);
			EXPECT_EVENT(&s12, closed ? KB_EVENT_CLOSED :
				     level == KB_LEVEL_WARNING ? KB_EVENT_NONE :
				     KB_EVENT_ALERT, KB_TYPE_ALERT, level, description);
			if (s13.p.event.kind == KB_EVENT_ALERT)
				EXPECT_EQ(description, s13.p.event.alert);
			if (s12.p.event.kind == KB_EVENT_ALERT)
				EXPECT_EQ(description, s12.p.event.alert);
		}
	}
}

TEST(first_mistake_is_the_one_that_is_told)
{
	struct stream s = client13;

	EXPECT_EVENT(&s, KB_EVENT_ABORT, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 1, 9, 1);
	EXPECT_EQ(KB_ILLEGAL_PARAMETER, s.p.event.alert);
	EXPECT_EVENT(&s, KB_EVENT_ABORT, KB_TYPE_HANDSHAKE, KB_HS_KEY_UPDATE, 0, 0, 2, 9, 1);
	EXPECT_EQ(KB_DECODE_ERROR, s.p.event.alert);
}

/* Repeatable, and good enough. */
static u32 random_u32(void)
{
	static u64 state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* How a record is cut up by its reader makes no difference. */
TEST(any_bytes_are_read_the_same_however_they_are_fed)
{
	static struct stream *const begin[] = { &client13, &server13, &client12, &server12 };
	int round;

	for (round = 0; round < 200000; round++) {
		struct stream a = *begin[random_u32() % 4], b;
		const u8 type = random_u32() % 16 ? 21 + random_u32() % 2 : random_u32();
		size_t len = random_u32() % 40, i;
		u8 data[40];

		for (i = 0; i < len; i++)
			data[i] = random_u32();
		/* Most random bytes would be refused at once. */
		for (i = 0; i + 4 <= len && random_u32() % 4; i += 4 + data[i + 3]) {
			data[i] = random_u32() % 2 ? KB_HS_KEY_UPDATE : KB_HS_NEW_SESSION_TICKET;
			data[i + 1] = 0;
			data[i + 2] = 0;
			data[i + 3] = data[i] == KB_HS_KEY_UPDATE ? 1 : random_u32() % 8;
			if (i + 4 < len && random_u32() % 8)
				data[i + 4] &= 1;
		}
		/* In the middle of something. */
		if (random_u32() % 2) {
			a.at.have = random_u32() % 5;
			if (a.at.have)
				a.at.head[0] = random_u32() % 2 ? KB_HS_KEY_UPDATE :
								  KB_HS_NEW_SESSION_TICKET;
			if (a.at.have == 4)
				a.at.left = a.at.head[0] == KB_HS_KEY_UPDATE ? 1 :
					    1 + random_u32() % 20;
		}
		b = a;
		record(&a, type, data, len);
		record_in(&b, type, data, len, 1 + random_u32() % 5);
		ASSERT_EQ(a.p.event.kind, b.p.event.kind);
		ASSERT_EQ(a.p.event.alert, b.p.event.alert);
		ASSERT_EQ(a.p.event.requested, b.p.event.requested);
		ASSERT_EQ(a.p.event.tickets, b.p.event.tickets);
		ASSERT_EQ(0, memcmp(&a.at, &b.at, sizeof(a.at)));
		ASSERT_TRUE(a.at.have <= 4);
	}
}

/* A stream of good messages, cut into records at random, tells of each once. */
TEST(good_messages_are_each_told_once)
{
	int round;

	for (round = 0; round < 3000; round++) {
		unsigned int updates = 0, got_updates = 0, tickets = 0, got_tickets = 0;
		struct stream s = client13;
		u8 data[2000];
		/* Where a record must end: behind a KeyUpdate. */
		bool must[sizeof(data) + 1] = {};
		size_t len = 0, at, n, i;

		while (len < sizeof(data) - 200) {
			if (random_u32() % 3) {
				len += ticket(data + len, 5 + random_u32() % 100);
				tickets++;
			} else {
				memcpy(data + len, "\x18\0\0\1\0", 5);
				len += 5;
				must[len] = true;
				updates++;
			}
		}
		for (at = 0; at < len; at += n) {
			n = 1 + random_u32() % 300;
			for (i = 1; i < n && at + i < len && !must[at + i]; i++)
				;
			n = i;
			ASSERT_NE(KB_EVENT_ABORT, record_in(&s, KB_TYPE_HANDSHAKE, data + at, n,
							    random_u32() % 7));
			got_updates += s.p.event.kind == KB_EVENT_KEY_UPDATE;
			got_tickets += s.p.event.tickets;
		}
		ASSERT_EQ(updates, got_updates);
		ASSERT_EQ(tickets, got_tickets);
		ASSERT_FALSE(kb_record_is_partial(&s.at));
	}
}

static size_t unhex(const char *hex, u8 *out)
{
	size_t n = 0;

	while (sscanf(hex + 2 * n, "%2hhx", out + n) == 1)
		n++;
	return n;
}

/*
 * Two KeyUpdates on from the secret 00 01 02 ...; computed by Python's hmac, the first
 * also by openssl kdf -kdfopt 'prefix:tls13 ' -kdfopt 'label:traffic upd' TLS13-KDF.
 */
static const struct {
	u16 cipher;
	struct {
		const char *secret, *key, *iv;
	} generation[2];
} updated[] = {
	{ TLS_CIPHER_AES_GCM_128, {
		{ "2cecd0a17506ef5fa73edc062d6e7b5397cf074ec1b4d8f99a120772932f0b45",
		  "05cdc7251fb9f925889f80ebc1fd385f", "4ef68fed17d39b5f23bb4b30" },
		{ "2d3fb1fe267c2e0126351cc169afb7ca25c0d8867167c55c5533e3715558a6b9",
		  "f795fc0182a370f8af96a1d6dfba76ac", "2739edacb4dc79885391a769" },
	} },
	{ TLS_CIPHER_AES_GCM_256, {
		{ "401331b63e9d59f202e8f041042d9516f4cd7fa2e2ee14631d3b49fc340d7af3"
		  "7fc2c0c9f252d8036f81ec5b85cbe5db",
		  "eb354f3b48924ed78de34dd8aa6a6a0a51d857ddad1454d5cfa7b69f60712911",
		  "8478ffbe4f2e5450789775b3" },
		{ "1fed39ab8257f49d1c0c45bfbf71ffa8525b22ea44fdbbe0f7dfff32ea98fa53"
		  "864320d595ea4ab13a8292965996db9b",
		  "2d9c985947a6214bd2d1eef320171612b39ade8f7b8f0df6c09023ab183d172e",
		  "fd5be82f2a1fe585114075cc" },
	} },
	{ TLS_CIPHER_CHACHA20_POLY1305, {
		{ "2cecd0a17506ef5fa73edc062d6e7b5397cf074ec1b4d8f99a120772932f0b45",
		  "c690ede9a7525f64b759094f3bda2da3b5b52e50cffacd89a37bdf85affdd091",
		  "4ef68fed17d39b5f23bb4b30" },
		{ "2d3fb1fe267c2e0126351cc169afb7ca25c0d8867167c55c5533e3715558a6b9",
		  "a0bbbcfeba507420e29aff13ebeaeb194782449236bef1c04640793d86732721",
		  "2739edacb4dc79885391a769" },
	} },
};

TEST(key_updates_lead_from_secret_to_secret)
{
	size_t i, g;

	for (i = 0; i < ARRAY_SIZE(updated); i++) {
		const struct kb_suite *suite = kb_suite_find(TLS_1_3_VERSION, updated[i].cipher);
		u8 secret[48], next[48], want[48];
		struct kb_keys keys;

		ASSERT_NE(NULL, suite);
		for (g = 0; g < sizeof(secret); g++)
			secret[g] = g;
		for (g = 0; g < 2; g++) {
			ASSERT_EQ(0, kb_schedule_update(suite, secret, next));
			ASSERT_EQ(suite->hash_size, unhex(updated[i].generation[g].secret, want));
			EXPECT_EQ(0, memcmp(want, next, suite->hash_size));
			ASSERT_EQ(0, kb_schedule_keys(suite, next, &keys));
			ASSERT_EQ(suite->key_size, unhex(updated[i].generation[g].key, want));
			EXPECT_EQ(0, memcmp(want, keys.key, suite->key_size));
			ASSERT_EQ(12, unhex(updated[i].generation[g].iv, want));
			EXPECT_EQ(0, memcmp(want, keys.nonce, 12));
			memcpy(secret, next, sizeof(secret));
		}
	}
}

TEST_HARNESS_MAIN
