// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of userspace/preload: what the settings of "keyblob run" mean, which of the names
 * that were looked up belongs to an address, and what is a TCP socket.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "settings.h"
#include "template.h"

/* For slots as another thread's fork(2) leaves them. */
#include "names.c"

/* In libc's place: what a socket of the kinds that few machines have would say. */
#define FAKE_FD	1000000
static struct { int domain, protocol, err; } fake;

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (fd != FAKE_FD)
		return syscall(SYS_getsockopt, fd, level, name, value, len);
	errno = fake.err;
	if (fake.err || level != SOL_SOCKET)
		return -1;
	*(int *)value = name == SO_DOMAIN ? fake.domain : fake.protocol;
	return 0;
}

/* NULL, or the option that the value of @variable is refused for. */
static const char *read_one(struct run_settings *s, const char *variable, const char *value)
{
	const struct run_setting *bad;

	setenv(variable, value, 1);
	bad = run_settings_read(s);
	unsetenv(variable);
	return bad ? bad->option : NULL;
}

static struct run_address address_of(const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct run_address address = { 0 };
	uint16_t port;

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		run_address_of((struct sockaddr *)&v4, sizeof(v4), &address, &port);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		run_address_of((struct sockaddr *)&v6, sizeof(v6), &address, &port);
	return address;
}

static bool selects(const struct run_settings *s, const char *text, uint16_t port)
{
	struct run_address address = address_of(text);

	return run_selects_peer(s, &address, port, names_has_other(&address));
}

TEST(ports_are_numbers_and_ranges)
{
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_PORTS", "443,8000-8099,65535,1-1"));
	s.server = true;
	EXPECT_TRUE(run_selects_listener(&s, 443));
	EXPECT_TRUE(run_selects_listener(&s, 8000));
	EXPECT_TRUE(run_selects_listener(&s, 8099));
	EXPECT_TRUE(run_selects_listener(&s, 65535));
	EXPECT_TRUE(run_selects_listener(&s, 1));
	EXPECT_FALSE(run_selects_listener(&s, 442));
	EXPECT_FALSE(run_selects_listener(&s, 7999));
	EXPECT_FALSE(run_selects_listener(&s, 8100));
	s.server = false;
	EXPECT_FALSE(run_selects_listener(&s, 443));
}

TEST(what_are_no_ports_is_refused)
{
	static const char *const values[] = {
		"", "0", "65536", "-1", "+1", " 1", "1 ", "1,", ",1", "1,,2", "2-1", "1-", "-", "0-1",
		"1-65536", "1-2-3", "http", "1;2", "0x10", "99999999999999999999", "1-99999999999999999999",
		/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one, with too many ports */
		"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
		"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
	};
	struct run_settings s;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_STREQ("ports", read_one(&s, "KEYBLOB_RUN_PORTS", values[i]) ?: "taken")
			TH_LOG("%s", values[i]);
	}
}

TEST(without_ports_every_listener_is_selected)
{
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_SERVER", "www"));
	EXPECT_STREQ("www", s.identity);
	EXPECT_TRUE(run_selects_listener(&s, 1));
	EXPECT_TRUE(run_selects_listener(&s, 65535));
	EXPECT_FALSE(selects(&s, "192.0.2.1", 443));
}

TEST(blocks_are_those_of_either_family)
{
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_ADDRESSES",
				 "192.0.2.1,10.0.0.0/8,172.16.0.0/12,2001:db8::/33,2001:db9::1"));
	s.client = true;
	EXPECT_TRUE(selects(&s, "192.0.2.1", 1));
	EXPECT_TRUE(selects(&s, "::ffff:192.0.2.1", 1));
	EXPECT_FALSE(selects(&s, "192.0.2.0", 1));
	EXPECT_TRUE(selects(&s, "10.255.0.1", 1));
	EXPECT_FALSE(selects(&s, "11.0.0.0", 1));
	EXPECT_TRUE(selects(&s, "172.31.255.255", 1));
	EXPECT_FALSE(selects(&s, "172.32.0.0", 1));
	EXPECT_TRUE(selects(&s, "2001:db8:7fff::", 1));
	EXPECT_FALSE(selects(&s, "2001:db8:8000::", 1));
	EXPECT_TRUE(selects(&s, "2001:db9::1", 53));
	EXPECT_FALSE(selects(&s, "2001:db9::2", 1));
	EXPECT_FALSE(selects(&s, "127.0.0.1", 1));
}

TEST(block_of_no_bits_is_every_address_of_its_family)
{
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_ADDRESSES", "0.0.0.0/0"));
	s.client = true;
	EXPECT_TRUE(selects(&s, "255.1.2.3", 1));
	EXPECT_TRUE(selects(&s, "127.0.0.1", 1));
	EXPECT_FALSE(selects(&s, "2001:db8::1", 1));
	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_ADDRESSES", "::/0"));
	s.client = true;
	EXPECT_TRUE(selects(&s, "2001:db8::1", 1));
}

TEST(what_are_no_blocks_is_refused)
{
	static const char *const values[] = {
		"", "1.2.3", "1.2.3.4/33", "::/129", "::/-1", "1.2.3.4/", "/8", "host", "1.2.3.4,", "10/8",
		"1.2.3.4/8/8", "1.2.3.4/8x", "fe80::1%lo", "[::1]", "1.2.3.4:1", " 1.2.3.4", "::1/+1",
	};
	struct run_settings s;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_STREQ("addresses", read_one(&s, "KEYBLOB_RUN_ADDRESSES", values[i]) ?: "taken")
			TH_LOG("%s", values[i]);
	}
}

TEST(loopback_and_dns_are_left_alone_unless_asked_for)
{
	static const char *const loopback[] = {
		"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0",
	};
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_CLIENT", "1"));
	EXPECT_TRUE(selects(&s, "192.0.2.1", 443));
	EXPECT_TRUE(selects(&s, "::2", 443));
	EXPECT_FALSE(selects(&s, "192.0.2.1", 53));
	for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
		EXPECT_FALSE(selects(&s, loopback[i], 443))
			TH_LOG("%s", loopback[i]);
	}

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_PORTS", "53,443"));
	s.client = true;
	for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
		EXPECT_TRUE(selects(&s, loopback[i], 443))
			TH_LOG("%s", loopback[i]);
	}
	EXPECT_TRUE(selects(&s, "192.0.2.1", 53));
	EXPECT_FALSE(selects(&s, "192.0.2.1", 444));
}

TEST(port_and_address_both_have_to_fit)
{
	struct run_settings s;

	setenv("KEYBLOB_RUN_ADDRESSES", "10.0.0.0/8", 1);
	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_PORTS", "443"));
	unsetenv("KEYBLOB_RUN_ADDRESSES");
	s.client = true;
	EXPECT_TRUE(selects(&s, "10.0.0.1", 443));
	EXPECT_FALSE(selects(&s, "10.0.0.1", 444));
	EXPECT_FALSE(selects(&s, "11.0.0.1", 443));
}

TEST(what_is_no_internet_address_is_not_taken_for_one)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	struct run_address address;
	uint16_t port;

	EXPECT_FALSE(run_address_of(NULL, sizeof(v4), &address, &port));
	EXPECT_FALSE(run_address_of((struct sockaddr *)&v4, 1, &address, &port));
	EXPECT_FALSE(run_address_of((struct sockaddr *)&v4, sizeof(v4) - 1, &address, &port));
	EXPECT_FALSE(run_address_of((struct sockaddr *)&v6, sizeof(v4), &address, &port));
	EXPECT_TRUE(run_address_of((struct sockaddr *)&v6, sizeof(v6), &address, &port));
	EXPECT_EQ(80, port);
	/* As RFC 2133 had it, and the kernel takes it. */
	EXPECT_TRUE(run_address_of((struct sockaddr *)&v6, 24, &address, &port));
	v4.sin_family = AF_UNIX;
	EXPECT_FALSE(run_address_of((struct sockaddr *)&v4, sizeof(v4), &address, &port));
	v4.sin_family = AF_UNSPEC;
	EXPECT_FALSE(run_address_of((struct sockaddr *)&v4, sizeof(v4), &address, &port));
}

TEST(alpn_is_written_as_RFC_7301_does)
{
	static const char long_name[] = "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
		"lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
		"lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
		"llllllllllllllllllll";
	struct run_settings s;
	char list[300];

	ASSERT_EQ(255, strlen(long_name));
	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_ALPN", "h2,http/1.1"));
	EXPECT_EQ(12, s.common.alpn_len);
	EXPECT_EQ(0, memcmp("\2h2\10http/1.1", s.common.alpn, 12));
	EXPECT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_ALPN", long_name));
	EXPECT_EQ(256, s.common.alpn_len);
	snprintf(list, sizeof(list), "%sl", long_name);
	EXPECT_STREQ("alpn", read_one(&s, "KEYBLOB_RUN_ALPN", list));
	snprintf(list, sizeof(list), "%s,a", long_name);
	EXPECT_STREQ("alpn", read_one(&s, "KEYBLOB_RUN_ALPN", list));
	EXPECT_STREQ("alpn", read_one(&s, "KEYBLOB_RUN_ALPN", ""));
	EXPECT_STREQ("alpn", read_one(&s, "KEYBLOB_RUN_ALPN", "h2,,h3"));
}

TEST(timeout_is_in_seconds_and_bounded)
{
	struct run_settings s;

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_TIMEOUT", "3600"));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_MS_MAX, s.common.timeout_ms);
	EXPECT_STREQ("timeout", read_one(&s, "KEYBLOB_RUN_TIMEOUT", "3601"));
	EXPECT_STREQ("timeout", read_one(&s, "KEYBLOB_RUN_TIMEOUT", "0"));
	EXPECT_STREQ("timeout", read_one(&s, "KEYBLOB_RUN_TIMEOUT", "1s"));
	EXPECT_STREQ("timeout", read_one(&s, "KEYBLOB_RUN_TIMEOUT", ""));
}

TEST(names_have_to_fit)
{
	static const char *const variables[] = { "KEYBLOB_RUN_SERVER", "KEYBLOB_RUN_NAME" };
	static const char *const options[] = { "server", "name" };
	static const size_t sizes[] = { 64, 256 };
	struct run_settings s;
	char name[300];

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		memset(name, 'n', sizeof(name));
		name[sizes[i] - 1] = '\0';
		EXPECT_EQ(NULL, read_one(&s, variables[i], name));
		name[sizes[i] - 1] = 'n';
		name[sizes[i]] = '\0';
		EXPECT_STREQ(options[i], read_one(&s, variables[i], name));
		EXPECT_STREQ(options[i], read_one(&s, variables[i], ""));
	}
}

TEST(templates_say_what_the_settings_do)
{
	struct keyblob_handshake what;
	struct run_settings s;

	setenv("KEYBLOB_RUN_SERVER", "www", 1);
	setenv("KEYBLOB_RUN_ALPN", "h2", 1);
	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_TIMEOUT", "7"));
	run_server_template(&s, &what);
	EXPECT_EQ(KEYBLOB_ROLE_SERVER, what.role);
	EXPECT_STREQ("www", what.identity);
	EXPECT_STREQ("", what.peer_name);
	EXPECT_EQ(7000, what.timeout_ms);
	EXPECT_EQ(3, what.alpn_len);
	run_client_template(&s, "example.org", &what);
	EXPECT_EQ(KEYBLOB_ROLE_CLIENT, what.role);
	EXPECT_STREQ("example.org", what.peer_name);
	EXPECT_STREQ("", what.identity);
	EXPECT_EQ(7000, what.timeout_ms);
	setenv("KEYBLOB_RUN_SERVER", "-", 1);
	ASSERT_EQ(NULL, run_settings_read(&s));
	run_server_template(&s, &what);
	EXPECT_STREQ("", what.identity);
}

/* What an address is called; "-": nothing, "*": several names. */
static const char *called(const char *text)
{
	static char name[NAME_SIZE];
	struct run_address address = address_of(text);

	switch (names_find(&address, name)) {
	case 0:
		return "-";
	case 1:
		return name;
	default:
		return "*";
	}
}

static void look_up(const char *name, const char *text, uint64_t now)
{
	struct run_address address = address_of(text);

	names_add(name, &address, 1, now);
}

TEST(address_has_the_name_that_was_asked_for)
{
	struct run_address both[] = { address_of("192.0.2.1"), address_of("2001:db8::1") };

	EXPECT_STREQ("-", called("192.0.2.1"));
	names_add("a.example", both, 2, 0);
	EXPECT_STREQ("a.example", called("192.0.2.1"));
	EXPECT_STREQ("a.example", called("::ffff:192.0.2.1"));
	EXPECT_STREQ("a.example", called("2001:db8::1"));
	EXPECT_STREQ("-", called("192.0.2.2"));
}

TEST(address_of_several_names_has_none)
{
	look_up("a.example", "192.0.2.1", 0);
	look_up("A.Example.", "192.0.2.1", 1);
	EXPECT_STREQ("A.Example", called("192.0.2.1"));
	look_up("b.example", "192.0.2.1", 2);
	EXPECT_STREQ("*", called("192.0.2.1"));
}

TEST(name_that_moves_leaves_its_address)
{
	look_up("a.example", "192.0.2.1", 1000);
	look_up("a.example", "192.0.2.2", 1000 + NAMES_GRACE);
	EXPECT_STREQ("a.example", called("192.0.2.1"));
	look_up("a.example", "192.0.2.2", 1001 + NAMES_GRACE);
	EXPECT_STREQ("-", called("192.0.2.1"));
	EXPECT_STREQ("a.example", called("192.0.2.2"));
}

TEST(name_that_was_forgotten_is_not_replaced_by_another)
{
	look_up("a.example", "192.0.2.1", 1000);
	look_up("a.example", "192.0.2.2", 1001 + NAMES_GRACE);
	ASSERT_STREQ("-", called("192.0.2.1"));
	look_up("b.example", "192.0.2.1", 1001 + NAMES_GRACE);
	EXPECT_STREQ("*", called("192.0.2.1"));
	EXPECT_STREQ("a.example", called("192.0.2.2"));
}

TEST(name_that_was_forgotten_may_come_back)
{
	look_up("a.example", "192.0.2.1", 1000);
	look_up("a.example", "192.0.2.2", 1001 + NAMES_GRACE);
	ASSERT_STREQ("-", called("192.0.2.1"));
	look_up("A.EXAMPLE", "192.0.2.1", 1001 + NAMES_GRACE);
	EXPECT_STREQ("A.EXAMPLE", called("192.0.2.1"));
}

TEST(name_that_made_room_is_not_replaced_by_another)
{
	char name[32];

	look_up("a.example", "192.0.2.1", 10);
	look_up("b.example", "192.0.2.2", 10);
	look_up("c.example", "192.0.2.2", 10);
	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "more%u.example", i);
		look_up(name, "192.0.2.3", 20);
	}
	ASSERT_STREQ("-", called("192.0.2.1"));
	ASSERT_STREQ("-", called("192.0.2.2"));
	look_up("b.example", "192.0.2.1", 30);
	look_up("b.example", "192.0.2.2", 30);
	look_up("b.example", "192.0.2.4", 30);
	EXPECT_STREQ("*", called("192.0.2.1"));
	EXPECT_STREQ("*", called("192.0.2.2"));
	EXPECT_STREQ("b.example", called("192.0.2.4"));
}

TEST(slot_whose_writer_is_gone_may_hold_another_name)
{
	look_up("a.example", "192.0.2.1", 1);
	ASSERT_STREQ("a.example", called("192.0.2.1"));
	slots[NAMES_MAX - 1].sequence++;
	EXPECT_STREQ("*", called("192.0.2.1"));
	EXPECT_STREQ("*", called("192.0.2.2"));
	/* Nor does it stop others. */
	look_up("b.example", "192.0.2.2", 2);
	slots[NAMES_MAX - 1].sequence++;
	EXPECT_STREQ("b.example", called("192.0.2.2"));
}

TEST(loopback_address_with_a_name_is_not_left_alone)
{
	struct run_settings s;
	char name[32];

	ASSERT_EQ(NULL, read_one(&s, "KEYBLOB_RUN_CLIENT", "1"));
	look_up("localhost", "127.0.0.1", 1);
	look_up("LocalHost.", "::1", 1);
	look_up("127.0.0.1", "127.0.0.1", 1);
	look_up("::1", "::1", 1);
	EXPECT_FALSE(selects(&s, "127.0.0.1", 443));
	EXPECT_FALSE(selects(&s, "::1", 443));
	look_up("db.example", "127.0.0.1", 1);
	look_up("db.example", "127.0.0.3", 1);
	look_up("db.example", "::1", 1);
	look_up("db.example", "0.0.0.0", 1);
	/* For good. */
	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "more%u.example", i);
		look_up(name, "192.0.2.3", 20);
	}
	EXPECT_STREQ("-", called("127.0.0.3"));
	EXPECT_TRUE(selects(&s, "127.0.0.1", 443));
	EXPECT_TRUE(selects(&s, "127.0.0.3", 443));
	EXPECT_TRUE(selects(&s, "::1", 443));
	EXPECT_TRUE(selects(&s, "0.0.0.0", 443));
	EXPECT_FALSE(selects(&s, "127.0.0.2", 443));
	EXPECT_FALSE(selects(&s, "127.0.0.1", 53));
}

TEST(name_not_asked_for_longest_makes_room)
{
	char name[32];

	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "host%u.example", i);
		look_up(name, i ? "192.0.2.2" : "192.0.2.1", 10 + i);
	}
	EXPECT_STREQ("host0.example", called("192.0.2.1"));
	look_up("host0.example", "192.0.2.1", 5000);
	look_up("one.example", "192.0.2.3", 5001);
	EXPECT_STREQ("host0.example", called("192.0.2.1"));
	EXPECT_STREQ("one.example", called("192.0.2.3"));
	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "more%u.example", i);
		look_up(name, "192.0.2.4", 6000);
	}
	EXPECT_STREQ("-", called("192.0.2.1"));
}

TEST(name_that_does_not_fit_is_not_remembered)
{
	char name[NAME_SIZE + 1];

	memset(name, 'n', NAME_SIZE);
	name[NAME_SIZE] = '\0';
	look_up(name, "192.0.2.1", 1);
	look_up("", "192.0.2.1", 1);
	look_up(".", "192.0.2.1", 1);
	EXPECT_STREQ("-", called("192.0.2.1"));
	name[NAME_SIZE - 1] = '\0';
	look_up(name, "192.0.2.1", 1);
	EXPECT_STREQ(name, called("192.0.2.1"));
}

/* Addresses of each thread: together more than there is room for. */
#define LOOKED_UP	200

static atomic_bool enough;

/* A name of one letter, throughout, and an address that goes with it. */
static void *keep_looking_up(void *arg)
{
	const int letter = *(const int *)arg;
	char name[200], address[32];

	memset(name, letter, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (unsigned int i = 0; !enough; i++) {
		snprintf(address, sizeof(address), "10.%d.0.%u", letter, i % LOOKED_UP);
		look_up(name, address, i);
	}
	return NULL;
}

TEST(threads_do_not_mix_up_names)
{
	int letters[] = { 'a', 'b', 'c' };
	pthread_t threads[ARRAY_SIZE(letters)];
	unsigned int found = 0;
	char name[NAME_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, keep_looking_up, &letters[i]));
	for (unsigned int i = 0; i < 2000 || (found < 100 && i < 50000); i++) {
		struct run_address address = address_of("10.0.0.0");

		address.bytes[13] = letters[i % ARRAY_SIZE(letters)];
		address.bytes[15] = i / ARRAY_SIZE(letters) % LOOKED_UP;
		if (names_find(&address, name) != 1)
			continue;
		found++;
		ASSERT_EQ(199, strlen(name));
		for (size_t j = 0; j < 199; j++)
			ASSERT_EQ(address.bytes[13], name[j]);
	}
	enough = true;
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		pthread_join(threads[i], NULL);
	EXPECT_LE(100, found);
}

TEST(tcp_socket_is_told_from_others)
{
	int fds[2];

	EXPECT_EQ(1, run_is_tcp(socket(AF_INET, SOCK_STREAM, 0)));
	EXPECT_EQ(0, run_is_tcp(socket(AF_INET, SOCK_DGRAM, 0)));
	EXPECT_EQ(0, run_is_tcp(socket(AF_UNIX, SOCK_STREAM, 0)));
	EXPECT_EQ(0, run_is_tcp(-1));
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(0, run_is_tcp(fds[0]));
	fake.domain = AF_INET6;
	fake.protocol = IPPROTO_TCP;
	EXPECT_EQ(1, run_is_tcp(FAKE_FD));
	fake.protocol = IPPROTO_SCTP;
	EXPECT_EQ(0, run_is_tcp(FAKE_FD));
}

TEST(what_is_like_tcp_and_cannot_be_tls_is_refused)
{
	fake.domain = AF_INET;
	fake.protocol = 262; /* MPTCP */
	EXPECT_EQ(-EPROTONOSUPPORT, run_is_tcp(FAKE_FD));
	fake.protocol = 256; /* SMC */
	EXPECT_EQ(-EPROTONOSUPPORT, run_is_tcp(FAKE_FD));
	fake.domain = 43; /* AF_SMC */
	fake.protocol = 0;
	EXPECT_EQ(-EPROTONOSUPPORT, run_is_tcp(FAKE_FD));
}

TEST(what_cannot_be_told_is_refused)
{
	fake.protocol = IPPROTO_TCP;
	fake.err = EPERM;
	EXPECT_EQ(-EPERM, run_is_tcp(FAKE_FD));
	fake.err = EBADF;
	EXPECT_EQ(0, run_is_tcp(FAKE_FD));
	fake.err = ENOTSOCK;
	EXPECT_EQ(0, run_is_tcp(FAKE_FD));
}

TEST_HARNESS_MAIN
