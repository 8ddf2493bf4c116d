// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a peer may send beside data never shows, whichever way a program reads, and
 * the end of the stream is the same in all of them.
 */
#include <errno.h>
#include <linux/tls.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"
#include "readers.h"

FIXTURE(receive)
{
	struct stream s;
	uint8_t buf[4096];
};

FIXTURE_VARIANT(receive)
{
	reader *get;
	bool drains;	/* short of its length, it has read all that was there */
	bool waits;	/* whatever the socket's flags say: io_uring */
};

#define READER(name, drains_all)			\
	FIXTURE_VARIANT_ADD(receive, name) {		\
		.get = get_##name,			\
		.drains = (drains_all),			\
	}

READER(read, true);
READER(readv, true);
READER(recv, true);
READER(recv_dontwait, true);
READER(recv_waitall, false);
READER(recv_peek, false);
READER(recvmsg, true);
READER(recvmsg_control, true);
READER(recvmmsg, true);
READER(splice, false);

#define URING_READER(name)				\
	FIXTURE_VARIANT_ADD(receive, name) {		\
		.get = get_##name,			\
		.drains = true,				\
		.waits = true,				\
	}

URING_READER(uring_read);
URING_READER(uring_recv);
URING_READER(uring_recvmsg);

FIXTURE_SETUP(receive)
{
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
}

FIXTURE_TEARDOWN(receive)
{
	stream_close(&self->s);
}

#define GET(len)	variant->get(self->s.fd, self->buf, len)

/* Reads this very text, in whatever pieces. */
#define EXPECT_TEXT(text) do {							\
	const size_t _len = strlen(text);					\
	size_t _have = 0;							\
	ssize_t _n = 1;								\
	for (; _have < _len && _n > 0; _have += _n) {				\
		_n = variant->get(self->s.fd, self->buf + _have, _len - _have);	\
		ASSERT_LT(0, _n);						\
	}									\
	EXPECT_EQ(0, memcmp(self->buf, text, _len));				\
} while (0)

/* That nothing can be read: at once, on a socket that does not block. */
#define EXPECT_NOTHING() do {							\
	stream_nonblock(&self->s);						\
	EXPECT_EQ(-EAGAIN, variant->waits ? get_recv(self->s.fd, self->buf, 16) : \
					    GET(16));				\
} while (0)

#define EXPECT_STATUS(member, value) do {					\
	struct keyblob_status _status;						\
	ASSERT_EQ(0, keyblob_info(self->s.fd, &_status));			\
	EXPECT_EQ(value, _status.member);					\
} while (0)

TEST_F(receive, tickets_leave_no_trace)
{
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "one"));
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "two"));
	EXPECT_TEXT("one");
	EXPECT_TEXT("two");
	EXPECT_STATUS(rx_tickets, 3);
	ASSERT_EQ(0, peer_ticket(&self->s));
	sleep_ms(10);
	EXPECT_NOTHING();
	EXPECT_STATUS(rx_tickets, 4);
}

TEST_F(receive, ticket_split_over_records_leaves_no_trace)
{
	uint8_t msg[24] = { HS_NEW_SESSION_TICKET, 0, 0, 20 };
	size_t i;

	for (i = 0; i < sizeof(msg); i++)
		ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_HANDSHAKE, msg + i, 1));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
	EXPECT_STATUS(rx_tickets, 1);
}

TEST_F(receive, several_tickets_in_a_record_leave_no_trace)
{
	uint8_t msgs[3 * 9] = {};
	int i;

	for (i = 0; i < 3; i++) {
		msgs[9 * i] = HS_NEW_SESSION_TICKET;
		msgs[9 * i + 3] = 5;
	}
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_HANDSHAKE, msgs, sizeof(msgs)));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
	EXPECT_STATUS(rx_tickets, 3);
}

TEST_F(receive, data_between_parts_of_a_message_ends_the_connection)
{
	const uint8_t part[] = { HS_NEW_SESSION_TICKET, 0 };

	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_HANDSHAKE, part, sizeof(part)));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_EQ(-EPROTO, GET(4));
	EXPECT_EQ(-EPROTO, GET(4));
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_FATAL, ALERT_UNEXPECTED_MESSAGE));
}

TEST_F(receive, key_update_is_obeyed)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, peer_data(&self->s, "before"));
		ASSERT_EQ(0, peer_update(&self->s, false));
		ASSERT_EQ(0, peer_data(&self->s, "after"));
		EXPECT_TEXT("before");
		EXPECT_TEXT("after");
	}
	EXPECT_STATUS(rx_generation, 5);
	EXPECT_STATUS(tx_generation, 0);
	EXPECT_STATUS(rx_rec_seq, 1);
}

TEST_F(receive, key_update_is_answered_when_asked_for)
{
	uint8_t got[4];
	int i;

	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "data"));
		EXPECT_TEXT("data");
		ASSERT_EQ(4, write(self->s.fd, "back", 4));
		ASSERT_EQ(0, peer_read(&self->s, got, 4));
		EXPECT_EQ(0, memcmp(got, "back", 4));
		EXPECT_EQ(i, self->s.updates);
		EXPECT_EQ(0, self->s.requests);
	}
	EXPECT_STATUS(tx_generation, 3);
}

/* A peer that waits for the answer before it says more gets it from a reader alone. */
TEST_F(receive, answer_needs_no_data_either_way)
{
	uint8_t record[TLS_RECORD_MAX + 1], type;

	ASSERT_EQ(0, peer_update(&self->s, true));
	sleep_ms(10);
	EXPECT_NOTHING();
	ASSERT_EQ(5, peer_next(&self->s, &type, record));
	EXPECT_EQ(1, self->s.updates);
}

static void *talk(void *arg)
{
	struct stream *s = arg;

	sleep_ms(200);
	peer_ticket(s);
	sleep_ms(200);
	peer_update(s, true);
	sleep_ms(200);
	peer_alert(s, ALERT_WARNING, ALERT_USER_CANCELED);
	sleep_ms(200);
	peer_data(s, "data");
	return NULL;
}

TEST_F(receive, blocked_reader_sleeps_through_control_records)
{
	pthread_t thread;
	long cpu, wall;

	ASSERT_EQ(0, pthread_create(&thread, NULL, talk, &self->s));
	cpu = cpu_ms();
	wall = now_ms();
	EXPECT_TEXT("data");
	/* On a busy host, an emulated CPU's time is the host's as well. */
	EXPECT_GT((now_ms() - wall) / 2, cpu_ms() - cpu);
	pthread_join(thread, NULL);
}

TEST_F(receive, short_read_has_read_all)
{
	if (!variant->drains)
		SKIP(return, "promises no such thing");
	ASSERT_EQ(0, peer_data(&self->s, "one "));
	ASSERT_EQ(0, peer_update(&self->s, false));
	ASSERT_EQ(0, peer_data(&self->s, "two "));
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_update(&self->s, true));
	ASSERT_EQ(0, peer_data(&self->s, "three"));
	sleep_ms(20);
	ASSERT_EQ(13, GET(sizeof(self->buf)));
	EXPECT_EQ(0, memcmp(self->buf, "one two three", 13));
	EXPECT_NOTHING();
}

TEST_F(receive, close_notify_is_the_end_for_good)
{
	ASSERT_EQ(0, peer_data(&self->s, "last"));
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	EXPECT_TEXT("last");
	EXPECT_EQ(0, GET(4));
	ASSERT_EQ(0, peer_data(&self->s, "never"));
	sleep_ms(10);
	EXPECT_EQ(0, GET(4));
	EXPECT_EQ(0, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_CLOSE_NOTIFY);
	EXPECT_STATUS(tx_end, KEYBLOB_END_OPEN);
	/* This direction is its own. */
	EXPECT_EQ(4, write(self->s.fd, "back", 4));
	EXPECT_EQ(0, peer_read(&self->s, self->buf, 4));
}

static void *hang_up(void *arg)
{
	sleep_ms(50);
	peer_alert(arg, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
	return NULL;
}

TEST_F(receive, close_notify_wakes_a_blocked_reader)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, hang_up, &self->s));
	EXPECT_EQ(0, GET(4));
	pthread_join(thread, NULL);
}

TEST_F(receive, fatal_alert_is_an_error_that_has_a_name)
{
	ASSERT_EQ(0, peer_data(&self->s, "last"));
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_FATAL, ALERT_HANDSHAKE_FAILURE));
	EXPECT_TEXT("last");
	EXPECT_EQ(-ECONNABORTED, GET(4));
	EXPECT_EQ(-ECONNABORTED, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_ALERT);
	EXPECT_STATUS(rx_alert, ALERT_HANDSHAKE_FAILURE);
	EXPECT_EQ(-1, send(self->s.fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

/* RFC 8446 section 6: the level says nothing in TLS 1.3. */
TEST_F(receive, alert_is_fatal_whatever_its_level)
{
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_NO_RENEGOTIATION));
	EXPECT_EQ(-ECONNABORTED, GET(4));
	EXPECT_STATUS(rx_alert, ALERT_NO_RENEGOTIATION);
}

TEST_F(receive, user_canceled_is_ignored)
{
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_USER_CANCELED));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_TEXT("data");
}

TEST_F(receive, cut_stream_is_an_error)
{
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	shutdown(self->s.c.peer.fd, SHUT_WR);
	EXPECT_TEXT("data");
	EXPECT_EQ(-ECONNRESET, GET(4));
	EXPECT_EQ(-ECONNRESET, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_TRUNCATED);
	EXPECT_EQ(4, write(self->s.fd, "back", 4));
	EXPECT_EQ(0, peer_read(&self->s, self->buf, 4));
}

TEST_F(receive, record_cut_in_the_middle_is_an_error)
{
	uint8_t wire[64];
	ssize_t n = tls_seal(&self->s.c.peer.tx, TLS_TYPE_DATA, "data", 4, wire);

	ASSERT_EQ(0, peer_raw(&self->s, wire, n - 1));
	shutdown(self->s.c.peer.fd, SHUT_WR);
	EXPECT_EQ(-ECONNRESET, GET(4));
	EXPECT_EQ(-ECONNRESET, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_TRUNCATED);
}

TEST_F(receive, cut_stream_is_an_end_where_that_is_wanted)
{
	const int one = 1;

	ASSERT_EQ(0, setsockopt(self->s.fd, SOL_KEYBLOB, KEYBLOB_TRUNCATION, &one, sizeof(one)));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	ASSERT_EQ(0, peer_ticket(&self->s));
	shutdown(self->s.c.peer.fd, SHUT_WR);
	EXPECT_TEXT("data");
	EXPECT_EQ(0, GET(4));
	EXPECT_EQ(0, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_TRUNCATED);
}

/* All of it was there when the FIN came. */
TEST_F(receive, nothing_is_lost_before_the_end)
{
	ASSERT_EQ(0, peer_data(&self->s, "one"));
	ASSERT_EQ(0, peer_update(&self->s, true));
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "two"));
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	shutdown(self->s.c.peer.fd, SHUT_WR);
	sleep_ms(10);
	EXPECT_TEXT("one");
	EXPECT_TEXT("two");
	EXPECT_EQ(0, GET(4));
	EXPECT_STATUS(rx_end, KEYBLOB_END_CLOSE_NOTIFY);
}

#define EXPECT_ABORT(error, why) do {					\
	EXPECT_EQ(-(error), GET(4));						\
	EXPECT_EQ(-(error), GET(4));						\
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_FATAL, why))			\
		TH_LOG("alert %d %d", self->s.level, self->s.description);	\
	EXPECT_STATUS(rx_end, KEYBLOB_END_ABORTED);				\
	EXPECT_STATUS(tx_end, KEYBLOB_END_ALERT);				\
	EXPECT_STATUS(tx_alert, why);						\
	EXPECT_EQ(-1, send(self->s.fd, "x", 1, MSG_NOSIGNAL));			\
	EXPECT_EQ(EPIPE, errno);						\
} while (0)

TEST_F(receive, unexpected_handshake_message_ends_the_connection)
{
	ASSERT_EQ(0, peer_data(&self->s, "last"));
	ASSERT_EQ(0, peer_handshake(&self->s, HS_CERTIFICATE_REQUEST, "x", 1));
	EXPECT_TEXT("last");
	EXPECT_ABORT(EPROTO, ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(receive, key_update_of_another_value_ends_the_connection)
{
	ASSERT_EQ(0, peer_handshake(&self->s, HS_KEY_UPDATE, "\2", 1));
	EXPECT_ABORT(EPROTO, ALERT_ILLEGAL_PARAMETER);
}

TEST_F(receive, key_update_of_another_length_ends_the_connection)
{
	ASSERT_EQ(0, peer_handshake(&self->s, HS_KEY_UPDATE, "\0\0", 2));
	EXPECT_ABORT(EPROTO, ALERT_DECODE_ERROR);
}

TEST_F(receive, message_behind_a_key_update_ends_the_connection)
{
	const uint8_t msgs[] = { HS_KEY_UPDATE, 0, 0, 1, 0, HS_NEW_SESSION_TICKET, 0, 0, 1, 0 };

	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_HANDSHAKE, msgs, sizeof(msgs)));
	EXPECT_ABORT(EPROTO, ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(receive, malformed_alert_ends_the_connection)
{
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_ALERT, "\1", 1));
	EXPECT_ABORT(EPROTO, ALERT_DECODE_ERROR);
}

TEST_F(receive, unknown_record_type_ends_the_connection)
{
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, 25, "x", 1));
	EXPECT_ABORT(EPROTO, ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(receive, empty_handshake_record_ends_the_connection)
{
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_HANDSHAKE, "", 0));
	EXPECT_ABORT(EPROTO, ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(receive, forged_record_ends_the_connection)
{
	uint8_t wire[64];
	ssize_t n;

	ASSERT_EQ(0, peer_data(&self->s, "last"));
	n = tls_seal(&self->s.c.peer.tx, TLS_TYPE_DATA, "data", 4, wire);
	wire[n - 1] ^= 1;
	ASSERT_EQ(0, peer_raw(&self->s, wire, n));
	EXPECT_TEXT("last");
	EXPECT_ABORT(EBADMSG, ALERT_BAD_RECORD_MAC);
}

/* A KeyUpdate that does not keep its word. */
TEST_F(receive, old_key_is_not_accepted_after_a_key_update)
{
	ASSERT_EQ(0, peer_handshake(&self->s, HS_KEY_UPDATE, "\0", 1));
	ASSERT_EQ(0, peer_data(&self->s, "old"));
	EXPECT_ABORT(EBADMSG, ALERT_BAD_RECORD_MAC);
}

TEST_F(receive, too_long_record_ends_the_connection)
{
	static uint8_t wire[5 + TLS_RECORD_MAX + 257] = {
		TLS_TYPE_DATA, 3, 3, (TLS_RECORD_MAX + 257) >> 8, (TLS_RECORD_MAX + 257) & 0xff,
	};

	ASSERT_EQ(0, peer_data(&self->s, "last"));
	sleep_ms(10);
	EXPECT_TEXT("last");
	ASSERT_EQ(0, peer_raw(&self->s, wire, sizeof(wire)));
	sleep_ms(10);
	/* It begins with the error that kTLS has left on the socket, if it has already. */
	if (variant->get == get_recvmmsg) {
		int got = GET(4);

		EXPECT_TRUE(got == -EMSGSIZE || got == -EPROTO);
	}
	EXPECT_ABORT(EPROTO, ALERT_RECORD_OVERFLOW);
}

/* Empty records are allowed as padding against traffic analysis, section 5.1. */
TEST_F(receive, empty_data_records_are_no_end)
{
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_DATA, "", 0));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_DATA, "", 0));
	EXPECT_TEXT("data");
	EXPECT_NOTHING();
}

/* MSG_PEEK leaves them where they are, in front of what is no data. */
TEST_F(receive, empty_data_records_that_were_peeked_at_hide_nothing)
{
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_DATA, "", 0));
	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	EXPECT_EQ(4, recv(self->s.fd, self->buf, 4, MSG_PEEK));
	EXPECT_STATUS(rx_tickets, 1);
	EXPECT_TEXT("data");
	EXPECT_NOTHING();
}

TEST_F(receive, reading_can_be_shut_down)
{
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_RD));
	EXPECT_EQ(0, GET(4));
	EXPECT_EQ(4, write(self->s.fd, "back", 4));
	EXPECT_EQ(0, peer_read(&self->s, self->buf, 4));
}

/* What depends on the version or the role. */
FIXTURE(role)
{
	struct stream s;
};

FIXTURE_VARIANT(role)
{
	uint16_t version;
	uint16_t role;
	uint16_t cipher;
};

FIXTURE_VARIANT_ADD(role, 1_2_client) {
	TLS_1_2_VERSION, KEYBLOB_ROLE_CLIENT, TLS_CIPHER_AES_GCM_128,
};

FIXTURE_VARIANT_ADD(role, 1_2_server) {
	TLS_1_2_VERSION, KEYBLOB_ROLE_SERVER, TLS_CIPHER_CHACHA20_POLY1305,
};

FIXTURE_VARIANT_ADD(role, 1_3_client) {
	TLS_1_3_VERSION, KEYBLOB_ROLE_CLIENT, TLS_CIPHER_CHACHA20_POLY1305,
};

FIXTURE_VARIANT_ADD(role, 1_3_server) {
	TLS_1_3_VERSION, KEYBLOB_ROLE_SERVER, TLS_CIPHER_AES_GCM_256,
};

FIXTURE_VARIANT_ADD(role, 1_3_unknown) {
	TLS_1_3_VERSION, KEYBLOB_ROLE_UNKNOWN, TLS_CIPHER_AES_GCM_256,
};

FIXTURE_SETUP(role)
{
	ASSERT_EQ(0, stream_open(&self->s, variant->version, variant->cipher, variant->role));
}

FIXTURE_TEARDOWN(role)
{
	stream_close(&self->s);
}

/* Reading ends with @error, and the peer is told why. */
#define EXPECT_REFUSED(error, why) do {					\
	char _byte;								\
	EXPECT_EQ(-1, read(self->s.fd, &_byte, 1));				\
	EXPECT_EQ(error, errno);						\
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_FATAL, why))			\
		TH_LOG("alert %d %d", self->s.level, self->s.description);	\
} while (0)

TEST_F(role, only_servers_send_tickets)
{
	char got[4];

	ASSERT_EQ(0, peer_ticket(&self->s));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	if (variant->version == TLS_1_2_VERSION || variant->role == KEYBLOB_ROLE_SERVER)
		EXPECT_REFUSED(EPROTO, ALERT_UNEXPECTED_MESSAGE);
	else
		EXPECT_EQ(4, read(self->s.fd, got, 4));
}

TEST_F(role, nobody_renegotiates)
{
	const uint8_t msg = variant->role == KEYBLOB_ROLE_SERVER ? HS_CLIENT_HELLO :
								   HS_HELLO_REQUEST;

	ASSERT_EQ(0, peer_handshake(&self->s, msg, "", 0));
	EXPECT_REFUSED(EPROTO, variant->version == TLS_1_2_VERSION ? ALERT_NO_RENEGOTIATION :
								     ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(role, warnings_are_warnings_in_tls_1_2)
{
	char got[4];

	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_NO_RENEGOTIATION));
	ASSERT_EQ(0, peer_data(&self->s, "data"));
	if (variant->version == TLS_1_2_VERSION) {
		EXPECT_EQ(4, read(self->s.fd, got, 4));
	} else {
		EXPECT_EQ(-1, read(self->s.fd, got, 4));
		EXPECT_EQ(ECONNABORTED, errno);
	}
}

TEST_F(role, key_update_belongs_to_tls_1_3)
{
	ASSERT_EQ(0, peer_handshake(&self->s, HS_KEY_UPDATE, "\0", 1));
	if (variant->version == TLS_1_2_VERSION) {
		EXPECT_REFUSED(EPROTO, ALERT_UNEXPECTED_MESSAGE);
		return;
	}
	ASSERT_EQ(0, peer_turn(&self->s));
	EXPECT_TRUE(conn_works(&self->s.c));
}

TEST_F(role, change_cipher_spec_is_refused)
{
	ASSERT_EQ(0, tls_peer_send(&self->s.c.peer, TLS_TYPE_CHANGE_CIPHER_SPEC, "\1", 1));
	EXPECT_REFUSED(EPROTO, ALERT_UNEXPECTED_MESSAGE);
}

TEST_F(role, forged_record_is_refused)
{
	uint8_t wire[64];
	ssize_t n = tls_seal(&self->s.c.peer.tx, TLS_TYPE_ALERT, "\1\0", 2, wire);

	wire[n - 1] ^= 1;
	ASSERT_EQ(0, peer_raw(&self->s, wire, n));
	EXPECT_REFUSED(EBADMSG, ALERT_BAD_RECORD_MAC);
}

TEST_F(role, close_notify_goes_both_ways)
{
	char byte;

	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	EXPECT_EQ(0, read(self->s.fd, &byte, 1));
	ASSERT_EQ(0, shutdown(self->s.fd, SHUT_WR));
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
}

TEST_HARNESS_MAIN
