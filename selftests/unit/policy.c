// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/policy.c: which rule decides, and who is at a socket. */
#include "kselftest_harness.h"
#include "config_text.h"
#include "policy.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define IDENTITIES							\
	"[identity a]\ncertificate = c\nkey = k\n"			\
	"[identity b]\ncertificate = c\nkey = k\n"

FIXTURE(policy)
{
	struct config config;
	struct policy *policy;
	const char *rule;
};

FIXTURE_SETUP(policy)
{
}

FIXTURE_TEARDOWN(policy)
{
	policy_free(self->policy);
	config_free(&self->config);
}

#define rules(text)							\
	do {								\
		const char *_text = IDENTITIES text;			\
									\
		ASSERT_EQ(0, config_from(&self->config, _text, strlen(_text))); \
		self->policy = policy_new(&self->config);		\
		ASSERT_NE(NULL, self->policy);				\
	} while (0)

static struct credentials user(uid_t uid, gid_t gid)
{
	return (struct credentials){ .uid = uid, .gid = gid };
}

#define allows(who, role, identity)					\
	policy_allows(self->policy, &(who), role, identity, &self->rule)
#define server_allowed(who) allows(who, ROLE_SERVER, 0)

TEST_F(policy, without_rules_root_own_user_and_group_are_served)
{
	struct credentials root = user(0, 0), own = user(geteuid(), 999);
	struct credentials member = user(1000, 4242), other = user(1000, 1000);
	struct credentials supplementary = user(1000, 1000);
	gid_t groups[] = { 5, 4242 };

	rules("[agent]\ngroup = 4242\n");
	supplementary.groups = groups;
	supplementary.n_groups = 2;
	EXPECT_TRUE(server_allowed(root));
	EXPECT_TRUE(server_allowed(own));
	EXPECT_TRUE(server_allowed(member));
	EXPECT_TRUE(server_allowed(supplementary));
	EXPECT_TRUE(allows(member, ROLE_CLIENT, -1));
	EXPECT_FALSE(server_allowed(other));
	EXPECT_NE(NULL, strstr(self->rule, "no rules"));
	supplementary.n_groups = 1;
	EXPECT_FALSE(server_allowed(supplementary));
}

TEST_F(policy, without_rules_or_group_the_agents_own_counts)
{
	struct credentials member = user(1000, getegid()), other = user(1000, getegid() + 1);

	rules("");
	EXPECT_TRUE(server_allowed(member));
	EXPECT_FALSE(server_allowed(other));
}

TEST_F(policy, first_rule_that_fits_decides)
{
	struct credentials alice = user(1001, 100), bob = user(1002, 100);

	rules("[deny bob]\nuser = 1002\n[allow all]\ngroup = 100\n[deny late]\nuser = 1001\n");
	EXPECT_TRUE(server_allowed(alice));
	EXPECT_FALSE(server_allowed(bob));
	EXPECT_NE(NULL, strstr(self->rule, "[deny bob] at keyblobd.conf."));
	EXPECT_STREQ(":7", strrchr(self->rule, ':'));
}

TEST_F(policy, with_rules_what_none_allows_is_refused_to_root_as_well)
{
	struct credentials root = user(0, 0), own = user(geteuid(), getegid());

	rules("[allow x]\nuser = 1001\n");
	EXPECT_FALSE(server_allowed(root));
	EXPECT_STREQ("no rule allows it", self->rule);
	EXPECT_FALSE(server_allowed(own));
}

TEST_F(policy, rule_without_keys_fits_all)
{
	struct credentials who = user(1234, 1234);

	rules("[allow all]\n");
	EXPECT_TRUE(server_allowed(who));
	EXPECT_TRUE(allows(who, ROLE_CLIENT, -1));
}

TEST_F(policy, everything_in_a_rule_is_to_fit)
{
	struct credentials both = user(1001, 50), one = user(1001, 51), other = user(1002, 50);

	rules("[allow x]\nuser = 1000 1001\ngroup = 49 50\n");
	EXPECT_TRUE(server_allowed(both));
	EXPECT_FALSE(server_allowed(one));
	EXPECT_FALSE(server_allowed(other));
}

TEST_F(policy, supplementary_groups_count)
{
	gid_t groups[] = { 7, 50 };
	struct credentials who = { .uid = 1, .gid = 1, .groups = groups, .n_groups = 2 };

	rules("[deny x]\ngroup = 50\n[allow x]\n");
	EXPECT_FALSE(server_allowed(who));
	who.n_groups = 1;
	EXPECT_TRUE(server_allowed(who));
}

TEST_F(policy, roles_and_identities_are_told_apart)
{
	struct credentials who = user(1, 1);

	rules("[allow s]\nrole = server\nidentity = b\n[allow c]\nrole = client\nidentity = a b\n");
	EXPECT_FALSE(allows(who, ROLE_SERVER, 0));
	EXPECT_TRUE(allows(who, ROLE_SERVER, 1));
	EXPECT_TRUE(allows(who, ROLE_CLIENT, 0));
	EXPECT_TRUE(allows(who, ROLE_CLIENT, 1));
	EXPECT_FALSE(allows(who, ROLE_CLIENT, -1));
}

TEST_F(policy, cgroups_are_compared_by_component)
{
	static const struct {
		const char *path;
		bool allowed;
	} cases[] = {
		{ "/a/b", true }, { "/a/b/c", true }, { "/x", true }, { "/x/y/z", true },
		{ "/a/bc", false }, { "/a", false }, { "/", false }, { "/a/c/b", false },
		{ "/xy", false }, { "", false }, { NULL, false },
	};
	struct credentials who = user(0, 0);

	rules("[allow x]\ncgroup = /a/b /x/\n");
	EXPECT_TRUE(policy_needs_cgroup(self->policy));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		who.cgroup = (char *)cases[i].path;
		EXPECT_EQ(cases[i].allowed, server_allowed(who)) {
			TH_LOG("cgroup %s", cases[i].path ? cases[i].path : "not known");
		}
	}
}

TEST_F(policy, root_of_cgroups_is_all_of_them)
{
	struct credentials who = user(0, 0);

	rules("[allow x]\ncgroup = /\n");
	who.cgroup = (char *)"/any/thing";
	EXPECT_TRUE(server_allowed(who));
}

TEST_F(policy, unknown_cgroup_is_denied_and_not_allowed)
{
	struct credentials who = user(1000, 1000);

	rules("[deny x]\ncgroup = /a\n[allow y]\nuser = 1000\n");
	EXPECT_FALSE(server_allowed(who));
	who.cgroup = (char *)"";
	EXPECT_FALSE(server_allowed(who));
	who.cgroup = (char *)"/b";
	EXPECT_TRUE(server_allowed(who));
}

TEST_F(policy, unknown_cgroup_is_not_beneath_the_root)
{
	struct credentials who = user(1000, 1000);

	rules("[allow x]\ncgroup = /\n");
	EXPECT_FALSE(server_allowed(who));
	who.cgroup = (char *)"";
	EXPECT_FALSE(server_allowed(who));
}

TEST_F(policy, cgroups_are_not_needed_without_a_rule_about_them)
{
	rules("[allow x]\nuser = 1\n");
	EXPECT_FALSE(policy_needs_cgroup(self->policy));
}

TEST_F(policy, reload_is_for_root_and_own_user_whatever_the_rules)
{
	struct credentials root = user(0, 0), own = user(geteuid(), 5), other = user(4321, 0);

	rules("[deny all]\n");
	EXPECT_TRUE(policy_allows_admin(self->policy, &root));
	EXPECT_TRUE(policy_allows_admin(self->policy, &own));
	EXPECT_FALSE(policy_allows_admin(self->policy, &other));
}

/* As another user, in another process: connects, and waits until it is looked at. */
static pid_t connect_as_other(const struct sockaddr_un *address, socklen_t len)
{
	const gid_t groups[] = { 31, 32, 33 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pid_t pid = fork();
	char byte;

	if (!pid) {
		if (setgroups(3, groups) || setgid(21) || setuid(11) ||
		    connect(fd, (const void *)address, len))
			_exit(1);
		_exit(recv(fd, &byte, 1, 0) == 0 ? 0 : 1);
	}
	close(fd);
	return pid;
}

TEST(credentials_are_those_of_who_connected)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct credentials who;
	socklen_t len = sizeof(sa_family_t);
	int listener, fd, status;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root");
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	/* The kernel chooses an abstract name. */
	ASSERT_EQ(0, bind(listener, (void *)&address, len));
	len = sizeof(address);
	ASSERT_EQ(0, getsockname(listener, (void *)&address, &len));
	ASSERT_EQ(0, listen(listener, 1));
	pid = connect_as_other(&address, len);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, credentials_read(&who, fd));
	EXPECT_EQ(pid, who.pid);
	EXPECT_EQ(11, who.uid);
	EXPECT_EQ(21, who.gid);
	ASSERT_EQ(3, who.n_groups);
	EXPECT_EQ(31, who.groups[0]);
	EXPECT_EQ(33, who.groups[2]);
	EXPECT_EQ(NULL, who.cgroup);
	credentials_free(&who);
	close(fd);
	close(listener);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST(credentials_of_what_is_no_unix_socket_are_an_error)
{
	int null = open("/dev/null", O_RDONLY);
	struct credentials who;

	EXPECT_EQ(-EBADF, credentials_read(&who, -1));
	EXPECT_EQ(-ENOTSOCK, credentials_read(&who, null));
	close(null);
}

TEST_HARNESS_MAIN
