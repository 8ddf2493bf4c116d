// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of userspace/lib without an agent: options of programs of any age, and
 * replies with what may come several times.
 */
#include "kselftest_harness.h"
#include "agent.h"
#include "info.h"

#include <errno.h>
#include <linux/keyblob.h>
#include <stddef.h>

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

FIXTURE_SETUP(reply)
{
	static const uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct genlmsghdr genl = { .cmd = KEYBLOB_CMD_READY, .version = KEYBLOB_PROTO_VERSION };
	uint16_t number = 0x0304;

	self->packet.header = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_type = KEYBLOB_PROTO_TYPE,
	};
	memcpy(self->packet.bytes + NLMSG_HDRLEN, &genl, sizeof(genl));
	put(&self->packet, KEYBLOB_A_BLOB_TX, blob, sizeof(blob));
	put(&self->packet, KEYBLOB_A_BLOB_RX, blob, sizeof(blob));
	put(&self->packet, KEYBLOB_A_TLS_VERSION, &number, sizeof(number));
	put(&self->packet, KEYBLOB_A_CIPHER_SUITE, &number, sizeof(number));
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

TEST_HARNESS_MAIN
