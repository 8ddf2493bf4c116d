// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of userspace/lib without an agent: options of programs of any age,
 * replies with what may come several times, and what becomes of requests that are not
 * answered, by an agent that says what the test wants.
 */
#include "kselftest_harness.h"
#include "agent.h"
#include "info.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyblob.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

FIXTURE(options)
{
	struct keyblob_agent agent;
	struct keyblob_options read;
	struct {
		struct keyblob_options known;
		char unknown[8];
	} given;
};

FIXTURE_SETUP(options)
{
	self->given.known = (struct keyblob_options)KEYBLOB_OPTIONS_INIT;
	self->given.known.timeout_ms = 7;
}

FIXTURE_TEARDOWN(options)
{
}

static int read_options(FIXTURE_DATA(options) *self, size_t size)
{
	self->given.known.size = size;
	return kb_options_read(&self->agent, &self->given.known, &self->read);
}

TEST_F(options, of_the_first_version_have_no_identity)
{
	self->given.known.identity = "not to be looked at";
	EXPECT_EQ(0, read_options(self, offsetof(struct keyblob_options, identity)));
	EXPECT_EQ(7, self->read.timeout_ms);
	EXPECT_EQ(NULL, self->read.identity);
}

TEST_F(options, of_this_version_have_one)
{
	self->given.known.identity = "a";
	EXPECT_EQ(0, read_options(self, sizeof(struct keyblob_options)));
	EXPECT_STREQ("a", self->read.identity);
}

TEST_F(options, of_a_later_version_are_known_if_they_are_zero)
{
	EXPECT_EQ(0, read_options(self, sizeof(self->given)));
	self->given.unknown[7] = 1;
	EXPECT_EQ(-E2BIG, read_options(self, sizeof(self->given)));
}

TEST_F(options, that_are_shorter_than_ever_are_refused)
{
	EXPECT_EQ(-EINVAL, read_options(self, offsetof(struct keyblob_options, identity) - 1));
	EXPECT_EQ(-EINVAL, read_options(self, 0));
}

TEST_F(options, names_have_to_fit_and_to_be_there)
{
	union kb_packet packet;
	char name[KEYBLOB_REQUEST_MAX];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	kb_message_begin(&packet, KEYBLOB_CMD_CONNECT, 1);
	EXPECT_EQ(-EINVAL, kb_peer_name_put(&self->agent, &packet, ""));
	EXPECT_EQ(-E2BIG, kb_peer_name_put(&self->agent, &packet, name));
	EXPECT_EQ(0, kb_peer_name_put(&self->agent, &packet, "localhost"));
	self->given.known.identity = name;
	EXPECT_EQ(-E2BIG, kb_options_put(&self->agent, &packet, &self->given.known));
	self->given.known.identity = "";
	EXPECT_EQ(-EINVAL, kb_options_put(&self->agent, &packet, &self->given.known));
}

TEST_F(options, flags_have_to_be_known)
{
	union kb_packet packet;

	kb_message_begin(&packet, KEYBLOB_CMD_ACCEPT, 1);
	self->given.known.timeout_ms = 0;
	EXPECT_EQ(0, kb_options_put(&self->agent, &packet, &self->given.known));
	EXPECT_EQ(NLMSG_HDRLEN + GENL_HDRLEN, packet.header.nlmsg_len);
	self->given.known.flags = KEYBLOB_CHANNEL_BINDING;
	EXPECT_EQ(0, read_options(self, sizeof(struct keyblob_options)));
	EXPECT_EQ(0, kb_options_put(&self->agent, &packet, &self->read));
	EXPECT_EQ(NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN, packet.header.nlmsg_len);
	self->given.known.flags = 2;
	EXPECT_EQ(-EINVAL, read_options(self, sizeof(struct keyblob_options)));
}

FIXTURE(reply)
{
	union kb_reply_packet packet;
	struct kb_reply reply;
};

static void put(union kb_reply_packet *packet, uint16_t type, const void *data, size_t len)
{
	struct nlattr attr = { .nla_len = NLA_HDRLEN + len, .nla_type = type };
	unsigned char *at = packet->bytes + packet->header.nlmsg_len;

	memcpy(at, &attr, sizeof(attr));
	memcpy(at + NLA_HDRLEN, data, len);
	packet->header.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
}

static void begin(union kb_reply_packet *packet, uint8_t cmd, uint32_t seq)
{
	struct genlmsghdr genl = { .cmd = cmd, .version = KEYBLOB_PROTO_VERSION };

	packet->header = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_type = KEYBLOB_PROTO_TYPE,
		.nlmsg_seq = seq,
	};
	memcpy(packet->bytes + NLMSG_HDRLEN, &genl, sizeof(genl));
}

static void begin_ready(union kb_reply_packet *packet, uint32_t seq)
{
	const uint16_t number = 0x0304;
	uint8_t blob[KEYBLOB_BLOB_SIZE];

	memset(blob, 0x5a, sizeof(blob));
	begin(packet, KEYBLOB_CMD_READY, seq);
	put(packet, KEYBLOB_A_BLOB_TX, blob, sizeof(blob));
	put(packet, KEYBLOB_A_BLOB_RX, blob, sizeof(blob));
	put(packet, KEYBLOB_A_TLS_VERSION, &number, sizeof(number));
	put(packet, KEYBLOB_A_CIPHER_SUITE, &number, sizeof(number));
}

FIXTURE_SETUP(reply)
{
	begin_ready(&self->packet, 0);
}

FIXTURE_TEARDOWN(reply)
{
}

static int take(FIXTURE_DATA(reply) *self)
{
	int err = kb_reply_header(&self->packet, self->packet.header.nlmsg_len, &self->reply);

	return err ? err : kb_reply_attrs(&self->packet, &self->reply);
}

TEST_F(reply, tells_all_names_and_certificates)
{
	struct keyblob_info *info;
	uint8_t binding[32] = { [31] = 9 }, told[32];
	const uint8_t *der;
	size_t len;

	put(&self->packet, KEYBLOB_A_PEER_NAME, "a", 2);
	put(&self->packet, KEYBLOB_A_PEER_CERT, "12345", 5);
	put(&self->packet, KEYBLOB_A_CHANNEL_BINDING, binding, sizeof(binding));
	put(&self->packet, KEYBLOB_A_PEER_NAME, "bcd", 4);
	put(&self->packet, KEYBLOB_A_PEER_CERT, "6", 1);
	ASSERT_EQ(0, take(self));
	info = kb_info_from_reply(&self->reply);
	ASSERT_NE(NULL, info);
	EXPECT_STREQ("a", keyblob_info_peer_name(info, 0));
	EXPECT_STREQ("bcd", keyblob_info_peer_name(info, 1));
	EXPECT_EQ(NULL, keyblob_info_peer_name(info, 2));
	EXPECT_EQ(0, keyblob_info_peer_cert(info, 0, &der, &len));
	EXPECT_EQ(5, len);
	EXPECT_EQ(0, memcmp("12345", der, 5));
	EXPECT_EQ(0, keyblob_info_peer_cert(info, 1, &der, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(-ENOENT, keyblob_info_peer_cert(info, 2, &der, &len));
	EXPECT_EQ(0, keyblob_info_channel_binding(info, told));
	EXPECT_EQ(0, memcmp(binding, told, sizeof(told)));
	keyblob_info_free(info);
}

TEST_F(reply, without_a_peer_tells_none)
{
	struct keyblob_info *info;
	const uint8_t *der;
	uint8_t told[32];
	size_t len;

	ASSERT_EQ(0, take(self));
	info = kb_info_from_reply(&self->reply);
	ASSERT_NE(NULL, info);
	EXPECT_EQ(NULL, keyblob_info_peer_name(info, 0));
	EXPECT_EQ(-ENOENT, keyblob_info_peer_cert(info, 0, &der, &len));
	EXPECT_EQ(-ENOENT, keyblob_info_channel_binding(info, told));
	keyblob_info_free(info);
}

TEST_F(reply, with_malformed_attributes_is_refused)
{
	static const struct {
		uint16_t type;
		size_t len;
	} bad[] = {
		{ KEYBLOB_A_PEER_NAME, 0 }, { KEYBLOB_A_PEER_NAME, 3 }, { KEYBLOB_A_PEER_CERT, 0 },
		{ KEYBLOB_A_CHANNEL_BINDING, 31 }, { KEYBLOB_A_CHANNEL_BINDING, 33 },
	};
	uint32_t len = self->packet.header.nlmsg_len;
	char data[33];

	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		self->packet.header.nlmsg_len = len;
		put(&self->packet, bad[i].type, data, bad[i].len);
		EXPECT_EQ(-EPROTO, take(self));
	}
	/* Once only. */
	self->packet.header.nlmsg_len = len;
	put(&self->packet, KEYBLOB_A_CHANNEL_BINDING, data, 32);
	EXPECT_EQ(0, take(self));
	put(&self->packet, KEYBLOB_A_CHANNEL_BINDING, data, 32);
	EXPECT_EQ(-EPROTO, take(self));
}

/* Nobody answers but the test. */
FIXTURE(deadline)
{
	struct keyblob_agent *agent;
	struct keyblob_options options;
	struct keyblob_done done;
	int listener, conn, events, fd;
	char path[64];
};

FIXTURE_SETUP(deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(self->path, sizeof(self->path), "/tmp/keyblob-unit.%d", (int)getpid());
	strcpy(address.sun_path, self->path);
	unlink(self->path);
	self->listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ASSERT_EQ(0, bind(self->listener, (struct sockaddr *)&address, sizeof(address)));
	ASSERT_EQ(0, listen(self->listener, 1));
	ASSERT_EQ(0, keyblob_agent_open(self->path, &self->agent));
	self->conn = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->conn);
	self->events = keyblob_agent_fd(self->agent);
	ASSERT_LE(0, self->events);
	self->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	self->options = (struct keyblob_options)KEYBLOB_OPTIONS_INIT;
}

FIXTURE_TEARDOWN(deadline)
{
	keyblob_agent_close(self->agent);
	close(self->fd);
	close(self->conn);
	close(self->listener);
	unlink(self->path);
}

static int begin_request(FIXTURE_DATA(deadline) *self, unsigned int timeout_ms)
{
	self->options.timeout_ms = timeout_ms;
	return keyblob_accept_start(self->agent, self->fd, &self->options, self);
}

/* What the agent is sent: the command, and the number to answer to; or -1. */
static int asked(FIXTURE_DATA(deadline) *self, uint32_t *seq)
{
	union kb_packet packet;
	struct genlmsghdr genl;
	const ssize_t len = recv(self->conn, packet.bytes, sizeof(packet), MSG_DONTWAIT);

	*seq = 0;
	if (len < (ssize_t)(NLMSG_HDRLEN + GENL_HDRLEN))
		return -1;
	memcpy(&genl, packet.bytes + NLMSG_HDRLEN, sizeof(genl));
	*seq = packet.header.nlmsg_seq;
	return genl.cmd;
}

static bool answer(FIXTURE_DATA(deadline) *self, const union kb_reply_packet *packet)
{
	const ssize_t len = packet->header.nlmsg_len;

	return send(self->conn, packet->bytes, len, 0) == len;
}

static bool answer_failed(FIXTURE_DATA(deadline) *self, uint32_t seq, uint32_t err)
{
	union kb_reply_packet packet;

	begin(&packet, KEYBLOB_CMD_FAILED, seq);
	put(&packet, KEYBLOB_A_ERRNO, &err, sizeof(err));
	return answer(self, &packet);
}

/* Whether the event loop is told within @ms. */
static bool is_told(FIXTURE_DATA(deadline) *self, int ms)
{
	struct pollfd p = { .fd = self->events, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

TEST_F(deadline, passes_without_an_answer_and_the_request_is_cancelled)
{
	uint32_t seq, cancelled;

	ASSERT_EQ(0, begin_request(self, 100));
	EXPECT_EQ(KEYBLOB_CMD_ACCEPT, asked(self, &seq));
	EXPECT_FALSE(is_told(self, 500));
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-1, asked(self, &cancelled));
	ASSERT_TRUE(is_told(self, 10000));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-ETIMEDOUT, self->done.result);
	EXPECT_EQ(self->fd, self->done.fd);
	EXPECT_EQ((void *)self, self->done.data);
	EXPECT_EQ(NULL, self->done.info);
	EXPECT_NE(NULL, strstr(keyblob_agent_error(self->agent), "does not answer"));
	EXPECT_EQ(KEYBLOB_CMD_CANCEL, asked(self, &cancelled));
	EXPECT_EQ(seq, cancelled);
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	EXPECT_FALSE(is_told(self, 0));
	EXPECT_EQ(-ENOENT, keyblob_cancel(self->agent, self->fd));
}

TEST_F(deadline, passed_an_answer_is_dropped_and_wiped)
{
	union kb_reply_packet packet;
	uint32_t seq;
	size_t i;

	ASSERT_EQ(0, begin_request(self, 1));
	ASSERT_EQ(KEYBLOB_CMD_ACCEPT, asked(self, &seq));
	ASSERT_TRUE(is_told(self, 10000));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	begin_ready(&packet, seq);
	ASSERT_TRUE(answer(self, &packet));
	ASSERT_TRUE(is_told(self, 10000));
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	EXPECT_FALSE(is_told(self, 0));
	for (i = 0; i < packet.header.nlmsg_len; i++)
		ASSERT_EQ(0, self->agent->packet.bytes[i]);
	/* The connection is as good as before. */
	ASSERT_EQ(0, begin_request(self, 0));
	EXPECT_EQ(KEYBLOB_CMD_CANCEL, asked(self, &seq));
	EXPECT_EQ(KEYBLOB_CMD_ACCEPT, asked(self, &seq));
	ASSERT_TRUE(answer_failed(self, seq, ECONNRESET));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-ECONNRESET, self->done.result);
}

TEST_F(deadline, passed_unseen_takes_no_answer_away)
{
	uint32_t seq;

	ASSERT_EQ(0, begin_request(self, 1));
	ASSERT_EQ(KEYBLOB_CMD_ACCEPT, asked(self, &seq));
	ASSERT_TRUE(answer_failed(self, seq, ECONNRESET));
	usleep(1100000);
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-ECONNRESET, self->done.result);
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	EXPECT_FALSE(is_told(self, 0));
}

TEST_F(deadline, is_each_requests_own)
{
	const kb_deadline_t begun = kb_deadline(0);
	uint32_t seq;

	/* 30 s if the program names none. */
	ASSERT_EQ(0, begin_request(self, 0));
	EXPECT_LE(begun + 30000, self->agent->expiry);
	EXPECT_GE(kb_deadline(31000), self->agent->expiry);
	ASSERT_EQ(0, begin_request(self, 1500));
	ASSERT_EQ(0, begin_request(self, 1));
	ASSERT_TRUE(is_told(self, 10000));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_GT(begun + 2500, kb_deadline(0));
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	ASSERT_TRUE(is_told(self, 10000));
	EXPECT_LE(begun + 2500, kb_deadline(0));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-ETIMEDOUT, self->done.result);
	/* The first is still under way. */
	EXPECT_EQ(0, keyblob_complete(self->agent, &self->done));
	EXPECT_FALSE(is_told(self, 0));
	EXPECT_EQ(KEYBLOB_CMD_ACCEPT, asked(self, &seq));
	ASSERT_TRUE(answer_failed(self, seq, ENOTCONN));
	ASSERT_EQ(1, keyblob_complete(self->agent, &self->done));
	EXPECT_EQ(-ENOTCONN, self->done.result);
}

TEST_HARNESS_MAIN
