// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of userspace/agent/kernel_message.c: what the kernel passes on of an
 * application's request, and what it is answered.
 */
#include <netlink/genl/genl.h>
#include <stdarg.h>

#include "kernel_message.h"
#include "kselftest_harness.h"

#define FAMILY 0x21

/* Of handshake.c, which is not part of this. */
void handshake_result_fail(struct handshake_result *result, int error, const char *format, ...)
{
	va_list args;

	result->error = error;
	va_start(args, format);
	vsnprintf(result->reason, sizeof(result->reason), format, args);
	va_end(args);
}

static struct kernel_packet packet;

static void take(struct nl_msg *msg)
{
	packet.len = nlmsg_hdr(msg)->nlmsg_len;
	memcpy(packet.data, nlmsg_hdr(msg), packet.len);
	nlmsg_free(msg);
}

static struct nl_msg *reply(uint16_t role)
{
	struct nl_msg *msg = nlmsg_alloc();

	genlmsg_put(msg, 0, 7, FAMILY, 0, 0, KEYBLOB_GENL_ACCEPT, 1);
	nla_put_u64(msg, KEYBLOB_A_GENL_ID, 1ULL << 40);
	nla_put_s32(msg, KEYBLOB_A_GENL_FD, 5);
	nla_put_u16(msg, KEYBLOB_A_GENL_ROLE, role);
	nla_put_u32(msg, KEYBLOB_A_GENL_UID, 1000);
	nla_put_u32(msg, KEYBLOB_A_GENL_GID, 1001);
	return msg;
}

FIXTURE(decoded)
{
	struct kernel_request request;
	struct handshake_result refusal;
	uint32_t seq;
	int error;
};

FIXTURE_SETUP(decoded)
{
}

FIXTURE_TEARDOWN(decoded)
{
	credentials_free(&self->request.who);
}

#define decode() kernel_decode(&packet, FAMILY, &self->request, &self->refusal, &self->seq, \
			       &self->error)

TEST_F(decoded, servers_request_with_all_it_may_have)
{
	static const uint32_t groups[] = { 4, 24, 70000 };
	struct nl_msg *msg = reply(KEYBLOB_ROLE_SERVER);

	nla_put_u32(msg, KEYBLOB_A_GENL_PID, 4321);
	nla_put(msg, KEYBLOB_A_GENL_GROUPS, sizeof(groups), groups);
	nla_put_u64(msg, KEYBLOB_A_GENL_CGROUP_ID, 99);
	nla_put_string(msg, KEYBLOB_A_GENL_CGROUP, "/web.slice");
	nla_put_string(msg, KEYBLOB_A_GENL_IDENTITY, "www");
	nla_put(msg, KEYBLOB_A_GENL_ALPN, 12, "\2h2\10http/1.1");
	nla_put_u32(msg, KEYBLOB_A_GENL_TIMEOUT, 5000);
	take(msg);

	ASSERT_EQ(KERNEL_REQUEST, decode());
	EXPECT_EQ(7, self->seq);
	EXPECT_EQ(1ULL << 40, self->request.id);
	EXPECT_EQ(5, self->request.fd);
	EXPECT_EQ(ROLE_SERVER, self->request.params.role);
	EXPECT_TRUE(self->request.params.import);
	EXPECT_EQ(4321, self->request.who.pid);
	EXPECT_EQ(1000, self->request.who.uid);
	EXPECT_EQ(1001, self->request.who.gid);
	ASSERT_EQ(3, self->request.who.n_groups);
	EXPECT_EQ(70000, self->request.who.groups[2]);
	EXPECT_STREQ("/web.slice", self->request.who.cgroup);
	EXPECT_STREQ("www", self->request.identity);
	EXPECT_EQ(12, self->request.params.alpn_len);
	/* Before the kernel's own time is over. */
	EXPECT_EQ(4900, self->request.params.timeout_ms);
}

TEST_F(decoded, clients_request)
{
	struct nl_msg *msg = reply(KEYBLOB_ROLE_CLIENT);

	nla_put_string(msg, KEYBLOB_A_GENL_PEER_NAME, "www.example.org.");
	nla_put_u32(msg, KEYBLOB_A_GENL_TIMEOUT, 1);
	take(msg);
	ASSERT_EQ(KERNEL_REQUEST, decode());
	EXPECT_EQ(ROLE_CLIENT, self->request.params.role);
	EXPECT_STREQ("www.example.org", self->request.params.peer.text);
	EXPECT_EQ(NULL, self->request.identity);
	EXPECT_EQ(NULL, self->request.who.cgroup);
	EXPECT_EQ(1, self->request.params.timeout_ms);
}

TEST_F(decoded, request_that_makes_no_sense_is_refused_with_its_descriptor)
{
	struct nl_msg *msg = reply(9);

	take(msg);
	EXPECT_EQ(KERNEL_REFUSED, decode());
	EXPECT_EQ(5, self->request.fd);
	EXPECT_EQ(EINVAL, self->refusal.error);

	take(reply(KEYBLOB_ROLE_CLIENT));
	EXPECT_EQ(KERNEL_REFUSED, decode());
	EXPECT_NE(NULL, strstr(self->refusal.reason, "whom to connect to"));

	msg = reply(KEYBLOB_ROLE_CLIENT);
	nla_put_string(msg, KEYBLOB_A_GENL_PEER_NAME, "127.1");
	take(msg);
	EXPECT_EQ(KERNEL_REFUSED, decode());
	EXPECT_NE(NULL, strstr(self->refusal.reason, "\"127.1\" to connect to"));

	msg = reply(KEYBLOB_ROLE_SERVER);
	nla_put_string(msg, KEYBLOB_A_GENL_PEER_NAME, "www.example.org");
	take(msg);
	EXPECT_EQ(KERNEL_REFUSED, decode());

	msg = reply(KEYBLOB_ROLE_SERVER);
	nla_put(msg, KEYBLOB_A_GENL_ALPN, 3, "\3h2");
	take(msg);
	EXPECT_EQ(KERNEL_REFUSED, decode());
	EXPECT_NE(NULL, strstr(self->refusal.reason, "ALPN"));
}

TEST_F(decoded, what_is_no_request_is_noise)
{
	struct nl_msg *msg = nlmsg_alloc();

	/* without the one who asks */
	genlmsg_put(msg, 0, 7, FAMILY, 0, 0, KEYBLOB_GENL_ACCEPT, 1);
	nla_put_u64(msg, KEYBLOB_A_GENL_ID, 1);
	nla_put_s32(msg, KEYBLOB_A_GENL_FD, 5);
	take(msg);
	EXPECT_EQ(KERNEL_NOISE, decode());

	/* of another family, cut short, empty */
	take(reply(KEYBLOB_ROLE_SERVER));
	((struct nlmsghdr *)packet.data)->nlmsg_type++;
	EXPECT_EQ(KERNEL_NOISE, decode());
	take(reply(KEYBLOB_ROLE_SERVER));
	packet.len -= 4;
	EXPECT_EQ(KERNEL_NOISE, decode());
	packet.len = 0;
	EXPECT_EQ(KERNEL_NOISE, decode());
}

TEST_F(decoded, errors_and_readiness)
{
	const struct nlmsgerr error = { .error = -EAGAIN };
	struct nl_msg *msg = nlmsg_alloc();

	memcpy(nlmsg_data(nlmsg_put(msg, 0, 12, NLMSG_ERROR, sizeof(error), 0)), &error,
	       sizeof(error));
	take(msg);
	EXPECT_EQ(KERNEL_ERROR, decode());
	EXPECT_EQ(12, self->seq);
	EXPECT_EQ(-EAGAIN, self->error);

	msg = nlmsg_alloc();
	genlmsg_put(msg, 0, 0, FAMILY, 0, 0, KEYBLOB_GENL_READY, 1);
	take(msg);
	EXPECT_EQ(KERNEL_READY, decode());
}

/* The attributes of DONE. */
static struct nlattr **done(const struct handshake_result *result)
{
	static struct nlattr *tb[KEYBLOB_A_GENL_MAX + 1];
	struct nl_msg *msg = kernel_encode_done(FAMILY, 3, 77, result);
	struct nlmsghdr *hdr = (struct nlmsghdr *)packet.data;

	take(msg);
	memset(tb, 0, sizeof(tb));
	if (genlmsg_hdr(hdr)->cmd == KEYBLOB_GENL_DONE && hdr->nlmsg_flags == NLM_F_REQUEST)
		genlmsg_parse(hdr, 0, tb, KEYBLOB_A_GENL_MAX, NULL);
	return tb;
}

TEST(answer_says_what_was_negotiated)
{
	struct handshake_result result = {
		.cipher_suite = 0x1302, .group = "X25519", .alpn = "h2", .server_name = "a.test",
		.resumed = true, .alert_sent = NO_ALERT, .alert_received = NO_ALERT,
	};
	struct nlattr **tb;

	result.peer.names = sk_OPENSSL_STRING_new_null();
	sk_OPENSSL_STRING_push(result.peer.names, "first.test");
	sk_OPENSSL_STRING_push(result.peer.names, "second.test");
	tb = done(&result);
	sk_OPENSSL_STRING_free(result.peer.names);
	ASSERT_NE(NULL, tb[KEYBLOB_A_GENL_ID]);
	EXPECT_EQ(77, nla_get_u64(tb[KEYBLOB_A_GENL_ID]));
	EXPECT_EQ(0, nla_get_u32(tb[KEYBLOB_A_GENL_ERROR]));
	EXPECT_EQ(0x1302, nla_get_u16(tb[KEYBLOB_A_GENL_CIPHER_SUITE]));
	EXPECT_STREQ("X25519", nla_get_string(tb[KEYBLOB_A_GENL_GROUP]));
	EXPECT_EQ(2, nla_len(tb[KEYBLOB_A_GENL_ALPN]));
	EXPECT_STREQ("a.test", nla_get_string(tb[KEYBLOB_A_GENL_SERVER_NAME]));
	EXPECT_STREQ("first.test", nla_get_string(tb[KEYBLOB_A_GENL_PEER_NAME]));
	EXPECT_NE(NULL, tb[KEYBLOB_A_GENL_RESUMED]);
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_REASON]);
}

TEST(answer_says_why_it_failed_as_far_as_there_is_room)
{
	struct handshake_result result = {
		.error = EKEYREJECTED, .alert_sent = 48, .alert_received = NO_ALERT,
	};
	struct nlattr **tb;

	memset(result.reason, 'x', sizeof(result.reason) - 1);
	tb = done(&result);
	ASSERT_NE(NULL, tb[KEYBLOB_A_GENL_REASON]);
	EXPECT_EQ(EKEYREJECTED, nla_get_u32(tb[KEYBLOB_A_GENL_ERROR]));
	EXPECT_EQ(256, nla_len(tb[KEYBLOB_A_GENL_REASON]));
	EXPECT_EQ(255, strlen(nla_get_string(tb[KEYBLOB_A_GENL_REASON])));
	EXPECT_EQ(48, nla_get_u8(tb[KEYBLOB_A_GENL_ALERT_SENT]));
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_ALERT_RECEIVED]);
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_CIPHER_SUITE]);
}

/* What the kernel does not take would leave the application waiting. */
TEST(answer_is_one_that_the_kernel_takes)
{
	struct handshake_result result = {
		.error = EALREADY, .reason = "caf\xc3\xa9\n\x7f", .alert_sent = NO_ALERT,
		.alert_received = NO_ALERT,
	};
	struct nlattr **tb = done(&result);

	EXPECT_EQ(ECONNABORTED, nla_get_u32(tb[KEYBLOB_A_GENL_ERROR]));
	EXPECT_STREQ("caf????", nla_get_string(tb[KEYBLOB_A_GENL_REASON]));

	/* One alert: where there are both, ours ended it. */
	result.alert_sent = 48;
	result.alert_received = 112;
	tb = done(&result);
	EXPECT_EQ(48, nla_get_u8(tb[KEYBLOB_A_GENL_ALERT_SENT]));
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_ALERT_RECEIVED]);

	result = (struct handshake_result){
		.alpn = "\x0a\x0a", .server_name = "\x80", .alert_sent = NO_ALERT,
		.alert_received = NO_ALERT,
	};
	tb = done(&result);
	EXPECT_EQ(0, nla_get_u32(tb[KEYBLOB_A_GENL_ERROR]));
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_ALPN]);
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_SERVER_NAME]);
}

TEST(name_that_has_no_room_is_left_out)
{
	struct handshake_result result = { .alert_sent = NO_ALERT, .alert_received = NO_ALERT };
	struct nlattr **tb;
	char name[300];

	memset(name, 'x', sizeof(name));
	name[256] = 0;
	result.peer.names = sk_OPENSSL_STRING_new_null();
	sk_OPENSSL_STRING_push(result.peer.names, name);
	tb = done(&result);
	EXPECT_EQ(NULL, tb[KEYBLOB_A_GENL_PEER_NAME]);
	name[255] = 0;
	tb = done(&result);
	EXPECT_NE(NULL, tb[KEYBLOB_A_GENL_PEER_NAME]);
	sk_OPENSSL_STRING_free(result.peer.names);
}

TEST_HARNESS_MAIN
