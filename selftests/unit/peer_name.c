// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/peer_name.c: what can be connected to, and what cannot. */
#include "kselftest_harness.h"
#include "peer_name.h"

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

TEST(dns_names_are_taken)
{
	static const char *const names[] = {
		"localhost", "www.example.org", "WWW.Example.ORG", "a-b.example.org",
		"my_service", "xn--bcher-kva.example", "1.example.org", "3com.example", LABEL63,
		"0x7g.example.0x7g",
	};
	struct peer_name name;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(NULL, peer_name_parse(&name, names[i]))
			TH_LOG("%s", names[i]);
		EXPECT_STREQ(names[i], name.text);
		EXPECT_EQ(0, name.address_len);
	}
}

TEST(dot_at_the_end_is_dropped)
{
	struct peer_name name;

	EXPECT_EQ(NULL, peer_name_parse(&name, "www.example.org."));
	EXPECT_STREQ("www.example.org", name.text);
	EXPECT_NE(NULL, peer_name_parse(&name, "www.example.org.."));
	EXPECT_NE(NULL, peer_name_parse(&name, "."));
}

TEST(addresses_are_taken)
{
	static const uint8_t v4[] = { 192, 0, 2, 1 }, v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	struct peer_name name;

	EXPECT_EQ(NULL, peer_name_parse(&name, "192.0.2.1"));
	EXPECT_EQ(4, name.address_len);
	EXPECT_EQ(0, memcmp(v4, name.address, sizeof(v4)));
	EXPECT_EQ(NULL, peer_name_parse(&name, "2001:db8::1"));
	EXPECT_EQ(16, name.address_len);
	EXPECT_EQ(0, memcmp(v6, name.address, sizeof(v6)));
	EXPECT_STREQ("2001:db8::1", name.text);
}

TEST(what_might_be_an_address_elsewhere_is_no_name)
{
	static const char *const names[] = {
		"127.1", "1", "256.0.0.1", "1.2.3.4.5", "0x7f.0.0.1", "0x7f000001", "0X7f",
		"127.0.0.0x1", "example.1", "192.0.2.1.", "0x",
	};
	struct peer_name name;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_NE(NULL, peer_name_parse(&name, names[i]))
			TH_LOG("%s", names[i]);
	}
}

TEST(what_is_no_name_is_refused)
{
	static const char *const names[] = {
		"", "a..b", ".a", "-a.example", "a-.example", "*.example.org", "a b", "a/b", "a:1",
		"[::1]", "fe80::1%lo", "user@example.org", "b\xc3\xbc" "cher.example", LABEL63 "a",
		"a\n", LABEL63 "." LABEL63 "." LABEL63 "." LABEL63,
	};
	struct peer_name name;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_NE(NULL, peer_name_parse(&name, names[i]))
			TH_LOG("%s", names[i]);
	}
}

TEST_HARNESS_MAIN
