// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netlink family: what agents say and are told, every refusal with its error and its
 * text, who may do what, and how several agents and namespaces share.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "app.h"
#include "kselftest_harness.h"
#include "lib/net.h"

#define NOBODY	65534
#define LIMIT	"/sys/module/keyblob/parameters/handshakes_max"

static struct answer answer;
static struct accepted got;

/* A connection that asks for a handshake without waiting; 0 or a negative errno. */
static int ask_what(int fds[2], const struct keyblob_handshake *what)
{
	int err;

	if (tcp_pair(AF_INET, fds))
		return -EIO;
	err = keyblob_attach(fds[0]);
	if (err)
		return err;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	if (!setsockopt(fds[0], SOL_KEYBLOB, KEYBLOB_HANDSHAKE, what, sizeof(*what)))
		return -EPROTO;
	return errno == EINPROGRESS ? 0 : -errno;
}

static int ask(int fds[2])
{
	const struct keyblob_handshake what = { .role = KEYBLOB_ROLE_SERVER };

	return ask_what(fds, &what);
}

static void close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int error = -1;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

/* The exit status of a process of user @uid that runs @f; 0: it is content. */
static int run_as(uid_t uid, int (*f)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		alarm(20);
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(99);
		_exit(f(arg));
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int set_limit(const char *value)
{
	int fd = open(LIMIT, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 || write(fd, value, strlen(value)) < 0;

	close(fd);
	return err;
}

#define EXPECT_TEXT(expected) EXPECT_STREQ(expected, answer.text)

FIXTURE(messages)
{
	struct agent a;
	int fds[2];
};

FIXTURE_SETUP(messages)
{
	self->fds[0] = -1;
	self->fds[1] = -1;
	ASSERT_EQ(0, agent_new(&self->a));
}

FIXTURE_TEARDOWN(messages)
{
	set_limit("4096");
}

/* ---- AGENT_REGISTER ---- */

static int registers(void *arg)
{
	struct agent a;

	return -agent_new(&a);
}

TEST_F(messages, register_needs_net_admin)
{
	EXPECT_EQ(EPERM, run_as(NOBODY, registers, NULL));
	EXPECT_EQ(0, run_as(0, registers, NULL));
}

TEST_F(messages, register_is_once_for_a_socket)
{
	EXPECT_EQ(-EALREADY, agent_register(&self->a, true, &answer));
	EXPECT_TEXT("this socket is an agent's already");
}

TEST_F(messages, register_takes_no_other_attribute)
{
	struct nl_msg *msg = agent_msg(&self->a, KEYBLOB_GENL_AGENT_REGISTER);

	nla_put_u32(msg, KEYBLOB_A_GENL_TIMEOUT, 1);
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_NE('\0', answer.text[0]);
	msg = agent_msg(&self->a, KEYBLOB_GENL_AGENT_REGISTER);
	nla_put_u32(msg, KEYBLOB_A_GENL_STANDBY, 1);
	EXPECT_EQ(-ERANGE, agent_call(&self->a, msg, &answer));
}

TEST_F(messages, agents_are_limited)
{
	static struct agent many[1024];
	int i, err = 0;

	for (i = 0; i < 1024 && !err; i++)
		err = agent_new(&many[i]);
	ASSERT_EQ(1024, i);
	EXPECT_EQ(-EBUSY, err);
	EXPECT_EQ(-EBUSY, agent_register(&many[1023], false, &answer));
	EXPECT_TEXT("too many agents in this network namespace");
	agent_close(&many[0]);
	EXPECT_EQ(0, agent_register(&many[1023], false, &answer));
}

/* ---- ACCEPT ---- */

TEST_F(messages, accept_is_for_agents)
{
	struct agent other;

	ASSERT_EQ(0, agent_open(&other));
	ASSERT_EQ(0, ask(self->fds));
	EXPECT_EQ(-EPERM, agent_accept(&other, &got));
	answer = got.answer;
	EXPECT_TEXT("not the socket of an agent that takes requests");
	ASSERT_EQ(0, agent_register(&other, true, &answer));
	EXPECT_EQ(-EPERM, agent_accept(&other, &got));
	EXPECT_FALSE(agent_is_told(&other, 100));
	EXPECT_EQ(0, agent_take(&self->a, &got));
}

TEST_F(messages, accept_says_when_none_waits)
{
	EXPECT_EQ(-EAGAIN, agent_accept(&self->a, &got));
	answer = got.answer;
	EXPECT_TEXT("no request waits");
}

TEST_F(messages, accept_takes_no_attribute)
{
	struct nl_msg *msg = agent_msg(&self->a, KEYBLOB_GENL_ACCEPT);

	ASSERT_EQ(0, ask(self->fds));
	nla_put_u32(msg, KEYBLOB_A_GENL_TIMEOUT, 1);
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_EQ(0, agent_take(&self->a, &got));
}

TEST_F(messages, accept_tells_who_asks_for_what)
{
	static const uint8_t alpn[] = "\x02h2\x08http/1.1";
	struct nlattr **at = got.answer.attrs;
	struct app app;
	struct stat ours, theirs;
	uint32_t groups[2];

	ASSERT_EQ(0, tcp_pair(AF_INET6, self->fds));
	ASSERT_EQ(0, keyblob_attach(self->fds[0]));
	ASSERT_EQ(0, app_start(&app, self->fds[0], 4321));
	app.what = (struct keyblob_handshake){
		.role = KEYBLOB_ROLE_CLIENT,
		.timeout_ms = 20000,
		.alpn_len = sizeof(alpn) - 1,
		.peer_name = "www.example.org",
		.identity = "mine",
	};
	memcpy(app.what.alpn, alpn, sizeof(alpn) - 1);
	ASSERT_EQ(0, app_call(&app, APP_HANDSHAKE, 0));
	ASSERT_EQ(0, agent_take(&self->a, &got));

	EXPECT_EQ(KEYBLOB_ROLE_CLIENT, nla_get_u16(at[KEYBLOB_A_GENL_ROLE]));
	EXPECT_GE(20000, nla_get_u32(at[KEYBLOB_A_GENL_TIMEOUT]));
	EXPECT_LT(10000, nla_get_u32(at[KEYBLOB_A_GENL_TIMEOUT]));
	EXPECT_STREQ("www.example.org", nla_get_string(at[KEYBLOB_A_GENL_PEER_NAME]));
	EXPECT_STREQ("mine", nla_get_string(at[KEYBLOB_A_GENL_IDENTITY]));
	ASSERT_EQ(sizeof(alpn) - 1, nla_len(at[KEYBLOB_A_GENL_ALPN]));
	EXPECT_EQ(0, memcmp(nla_data(at[KEYBLOB_A_GENL_ALPN]), alpn, sizeof(alpn) - 1));
	EXPECT_EQ(app.pid, nla_get_u32(at[KEYBLOB_A_GENL_PID]));
	EXPECT_EQ(4321, nla_get_u32(at[KEYBLOB_A_GENL_UID]));
	EXPECT_EQ(4321, nla_get_u32(at[KEYBLOB_A_GENL_GID]));
	ASSERT_EQ(sizeof(groups), nla_len(at[KEYBLOB_A_GENL_GROUPS]));
	memcpy(groups, nla_data(at[KEYBLOB_A_GENL_GROUPS]), sizeof(groups));
	EXPECT_EQ(4242, groups[0]);
	EXPECT_EQ(4243, groups[1]);
	/* The root of cgroup v2 is where the guest's processes are. */
	ASSERT_NE(NULL, at[KEYBLOB_A_GENL_CGROUP]);
	EXPECT_STREQ("/", nla_get_string(at[KEYBLOB_A_GENL_CGROUP]));
	ASSERT_EQ(0, stat("/sys/fs/cgroup", &theirs));
	EXPECT_EQ(theirs.st_ino, nla_get_u64(at[KEYBLOB_A_GENL_CGROUP_ID]));

	/* The same socket, closed when the agent executes something. */
	ASSERT_EQ(0, fstat(got.fd, &ours));
	ASSERT_EQ(0, fstat(self->fds[0], &theirs));
	EXPECT_EQ(ours.st_ino, theirs.st_ino);
	EXPECT_EQ(FD_CLOEXEC, fcntl(got.fd, F_GETFD));
	app_kill(&app);
}

TEST_F(messages, accept_leaves_out_what_is_not_given)
{
	struct nlattr **at = got.answer.attrs;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	EXPECT_EQ(KEYBLOB_ROLE_SERVER, nla_get_u16(at[KEYBLOB_A_GENL_ROLE]));
	EXPECT_EQ(NULL, at[KEYBLOB_A_GENL_PEER_NAME]);
	EXPECT_EQ(NULL, at[KEYBLOB_A_GENL_IDENTITY]);
	EXPECT_EQ(NULL, at[KEYBLOB_A_GENL_ALPN]);
	EXPECT_LT(20000, nla_get_u32(at[KEYBLOB_A_GENL_TIMEOUT]));
	EXPECT_GE(30000, nla_get_u32(at[KEYBLOB_A_GENL_TIMEOUT]));
}

TEST_F(messages, accept_without_room_for_a_descriptor_changes_nothing)
{
	struct rlimit limit, none;
	uint32_t counts[3];
	int fd;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	fd = dup(0);
	close(fd);
	none = (struct rlimit){ .rlim_cur = fd, .rlim_max = limit.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, agent_accept(&self->a, &got));
	answer = got.answer;
	EXPECT_TEXT("no room for another descriptor");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, agent_status(&self->a, counts));
	EXPECT_EQ(1, counts[1]);
	EXPECT_EQ(0, agent_accept(&self->a, &got));
}

TEST_F(messages, accept_without_room_for_the_reply_returns_the_request)
{
	const int small = 1;
	const int fd = nl_socket_get_fd(self->a.sk);
	uint32_t counts[3];
	struct agent other;
	int i, next;

	ASSERT_EQ(0, agent_new(&other));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	/* Replies that nobody reads. */
	for (i = 0; i < 100; i++) {
		struct nl_msg *msg = agent_msg(&self->a, KEYBLOB_GENL_STATUS);

		nl_send_auto(self->a.sk, msg);
		nlmsg_free(msg);
	}
	ASSERT_EQ(0, ask(self->fds));
	next = dup(0);
	close(next);
	for (i = 0; i < 3; i++) {
		struct nl_msg *msg = agent_msg(&self->a, KEYBLOB_GENL_ACCEPT);

		nl_send_auto(self->a.sk, msg);
		nlmsg_free(msg);
	}
	EXPECT_EQ(-1, fcntl(next, F_GETFD));
	/* It is offered anew. */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, agent_status(&other, counts));
		if (counts[1])
			break;
		usleep(20000);
	}
	EXPECT_EQ(1, counts[1]);
	EXPECT_EQ(0, counts[2]);
	EXPECT_EQ(0, agent_accept(&other, &got));
	EXPECT_EQ(next, got.fd);
}

TEST_F(messages, ready_comes_again_when_none_was_left)
{
	int more[2], third[2];

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, ask(more));
	EXPECT_TRUE(agent_is_told(&self->a, 3000));
	EXPECT_FALSE(agent_is_told(&self->a, 100));
	EXPECT_EQ(0, agent_accept(&self->a, &got));
	EXPECT_EQ(0, agent_accept(&self->a, &got));
	EXPECT_EQ(-EAGAIN, agent_accept(&self->a, &got));
	ASSERT_EQ(0, ask(third));
	EXPECT_TRUE(agent_is_told(&self->a, 3000));
}

static int accepts(void *arg)
{
	struct agent *a = arg;
	int err = -agent_accept(a, &got);

	/* The descriptor is here, and no socket of an agent can be made. */
	return err || fcntl(got.fd, F_GETFD) != FD_CLOEXEC || registers(NULL) != EPERM;
}

TEST_F(messages, socket_of_an_agent_is_the_right)
{
	ASSERT_EQ(0, ask(self->fds));
	EXPECT_EQ(0, run_as(NOBODY, accepts, &self->a));
}

/* ---- DONE ---- */

static struct nl_msg *done_msg(struct agent *a, uint64_t id, uint32_t error)
{
	struct nl_msg *msg = agent_msg(a, KEYBLOB_GENL_DONE);

	nla_put_u64(msg, KEYBLOB_A_GENL_ID, id);
	nla_put_u32(msg, KEYBLOB_A_GENL_ERROR, error);
	return msg;
}

TEST_F(messages, done_needs_id_and_error)
{
	struct nl_msg *msg = agent_msg(&self->a, KEYBLOB_GENL_DONE);

	nla_put_u64(msg, KEYBLOB_A_GENL_ID, 1);
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_TEXT("ID and ERROR are required");
	msg = agent_msg(&self->a, KEYBLOB_GENL_DONE);
	nla_put_u32(msg, KEYBLOB_A_GENL_ERROR, 0);
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_TEXT("ID and ERROR are required");
}

TEST_F(messages, done_is_for_who_took_the_request)
{
	static const char text[] = "this agent has taken no such request, or it is over";
	struct agent other;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	ASSERT_EQ(0, agent_open(&other));
	EXPECT_EQ(-EPERM, agent_done(&other, got.id, EACCES, &answer));
	EXPECT_TEXT("not an agent's socket");
	ASSERT_EQ(0, agent_register(&other, false, &answer));
	EXPECT_EQ(-ENOENT, agent_done(&other, got.id, EACCES, &answer));
	EXPECT_TEXT(text);
	EXPECT_EQ(-ENOENT, agent_done(&self->a, got.id + 1, EACCES, &answer));
	EXPECT_EQ(0, error_of(self->fds[0]));
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
	EXPECT_EQ(-ENOENT, agent_done(&self->a, got.id, EACCES, &answer));
	EXPECT_TEXT(text);
	EXPECT_EQ(EACCES, error_of(self->fds[0]));
}

TEST_F(messages, done_is_for_requests_that_were_taken)
{
	int next[2];

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	ASSERT_EQ(0, ask(next));
	/* Numbers follow each other. */
	EXPECT_EQ(-ENOENT, agent_done(&self->a, got.id + 1, EACCES, &answer));
	EXPECT_EQ(0, error_of(next[0]));
	ASSERT_EQ(0, agent_accept(&self->a, &got));
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
	EXPECT_EQ(EACCES, error_of(next[0]));
}

TEST_F(messages, success_without_keys_is_refused_and_may_be_corrected)
{
	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	EXPECT_EQ(-EINVAL, agent_done(&self->a, got.id, 0, &answer));
	EXPECT_TEXT("success, but not both keys have been imported");
	EXPECT_EQ(0, agent_done(&self->a, got.id, ENOENT, &answer));
	EXPECT_EQ(ENOENT, error_of(self->fds[0]));
}

TEST_F(messages, done_refuses_errors_that_speak_of_waiting)
{
	static const int bad[] = { EINTR, EAGAIN, EALREADY, EINPROGRESS, EISCONN, ESRCH };
	int i;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, agent_done(&self->a, got.id, bad[i], &answer));
		EXPECT_TEXT("not the error of a handshake");
	}
	/* ERESTARTSYS, and what is no errno at all. */
	EXPECT_EQ(-ERANGE, agent_done(&self->a, got.id, 512, &answer));
	EXPECT_EQ(-ERANGE, agent_done(&self->a, got.id, -1, &answer));
	EXPECT_EQ(0, agent_done(&self->a, got.id, EKEYREJECTED, &answer));
}

TEST_F(messages, done_refuses_text_that_is_not_printable)
{
	static const int types[] = { KEYBLOB_A_GENL_REASON, KEYBLOB_A_GENL_GROUP,
		KEYBLOB_A_GENL_SERVER_NAME, KEYBLOB_A_GENL_PEER_NAME };
	static const char * const bad[] = { "a\nb", "\x1b[31m", "\x7f", "\xc3\xa9" };
	struct nl_msg *msg;
	int i, j;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			msg = done_msg(&self->a, got.id, EACCES);
			nla_put_string(msg, types[i], bad[j]);
			EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
			EXPECT_TEXT("not printable ASCII");
		}
	}
	msg = done_msg(&self->a, got.id, EACCES);
	nla_put(msg, KEYBLOB_A_GENL_ALPN, 3, "h\0" "2");
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_TEXT("not printable ASCII");
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
}

TEST_F(messages, done_refuses_malformed_attributes)
{
	static const uint8_t zeros[2000];
	static const struct {
		int type;
		int len;
	} bad[] = {
		{ KEYBLOB_A_GENL_REASON, 1025 },
		{ KEYBLOB_A_GENL_GROUP, 0 },
		{ KEYBLOB_A_GENL_ALPN, 0 },
		{ KEYBLOB_A_GENL_ALPN, 256 },
		{ KEYBLOB_A_GENL_ALERT_SENT, 2 },
		{ KEYBLOB_A_GENL_CIPHER_SUITE, 4 },
		{ KEYBLOB_A_GENL_RESUMED, 1 },
		{ KEYBLOB_A_GENL_PID, 4 },
		{ KEYBLOB_A_GENL_MAX + 1, 4 },
	};
	static const struct {
		int type;
		int max;
	} strings[] = {
		{ KEYBLOB_A_GENL_REASON, 1023 }, { KEYBLOB_A_GENL_GROUP, 39 },
		{ KEYBLOB_A_GENL_SERVER_NAME, 255 }, { KEYBLOB_A_GENL_PEER_NAME, 255 },
	};
	struct nl_msg *msg;
	char text[1100];
	int i;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		msg = done_msg(&self->a, got.id, EACCES);
		/* A string of so many bytes without its NUL, if it is one. */
		nla_put(msg, bad[i].type, bad[i].len,
			bad[i].type == KEYBLOB_A_GENL_REASON ? memset(text, 'x', 1025) : zeros);
		EXPECT_GT(0, agent_call(&self->a, msg, &answer)) {
			TH_LOG("attribute %d, %d bytes", bad[i].type, bad[i].len);
		}
		EXPECT_NE('\0', answer.text[0]);
	}
	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		memset(text, 'x', sizeof(text));
		text[strings[i].max + 1] = '\0';
		msg = done_msg(&self->a, got.id, EACCES);
		nla_put_string(msg, strings[i].type, text);
		EXPECT_GT(0, agent_call(&self->a, msg, &answer)) {
			TH_LOG("attribute %d, %d characters", strings[i].type, strings[i].max + 1);
		}
	}
	msg = done_msg(&self->a, got.id, EACCES);
	nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_SENT, 40);
	nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_RECEIVED, 40);
	EXPECT_EQ(-EINVAL, agent_call(&self->a, msg, &answer));
	EXPECT_TEXT("ALERT_SENT or ALERT_RECEIVED, not both");
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
}

TEST_F(messages, done_is_read_back_as_it_was_told)
{
	struct keyblob_status status;
	char name[256], reason[1024];
	struct nl_msg *msg;

	memset(name, 'n', 255);
	name[255] = '\0';
	memset(reason, 'r', 1023);
	reason[1023] = '\0';
	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	msg = done_msg(&self->a, got.id, EKEYREJECTED);
	nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_SENT, 48);
	nla_put_string(msg, KEYBLOB_A_GENL_REASON, reason);
	nla_put_u16(msg, KEYBLOB_A_GENL_CIPHER_SUITE, 0x1301);
	nla_put_string(msg, KEYBLOB_A_GENL_GROUP, "X25519MLKEM768");
	nla_put(msg, KEYBLOB_A_GENL_ALPN, 2, "h2");
	nla_put_string(msg, KEYBLOB_A_GENL_SERVER_NAME, "sni.example.org");
	nla_put_string(msg, KEYBLOB_A_GENL_PEER_NAME, name);
	nla_put_flag(msg, KEYBLOB_A_GENL_RESUMED);
	ASSERT_EQ(0, agent_call(&self->a, msg, &answer));

	ASSERT_EQ(0, keyblob_info(self->fds[0], &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_FAILED, status.handshake);
	EXPECT_EQ(EKEYREJECTED, status.error);
	EXPECT_EQ(1, status.has_alert);
	EXPECT_EQ(48, status.alert);
	EXPECT_EQ(0x1301, status.cipher_suite);
	EXPECT_EQ(1, status.resumed);
	EXPECT_STREQ("X25519MLKEM768", status.group);
	EXPECT_STREQ("h2", status.alpn);
	EXPECT_STREQ("sni.example.org", status.server_name);
	EXPECT_STREQ(name, status.peer_name);
	reason[255] = '\0';
	EXPECT_STREQ(reason, status.reason);
}

/* ---- several agents ---- */

TEST_F(messages, status_counts)
{
	uint32_t counts[3];
	struct agent standby;
	int more[2];

	ASSERT_EQ(0, agent_open(&standby));
	ASSERT_EQ(0, agent_register(&standby, true, &answer));
	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, ask(more));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	ASSERT_EQ(0, agent_status(&standby, counts));
	EXPECT_EQ(2, counts[0]);
	EXPECT_EQ(1, counts[1]);
	EXPECT_EQ(1, counts[2]);
	ASSERT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
	close_pair(more);
	ASSERT_EQ(0, agent_status(&standby, counts));
	EXPECT_EQ(0, counts[1]);
	EXPECT_EQ(0, counts[2]);
}

static int reads_status(void *arg)
{
	uint32_t counts[3];
	struct agent a;

	return agent_open(&a) ? 1 : -agent_status(&a, counts);
}

TEST_F(messages, status_needs_net_admin)
{
	EXPECT_EQ(EPERM, run_as(NOBODY, reads_status, NULL));
	EXPECT_EQ(0, run_as(0, reads_status, NULL));
}

TEST_F(messages, agents_share)
{
	struct agent other;
	int fds[3][2], i;
	uint64_t first;

	ASSERT_EQ(0, agent_new(&other));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, ask(fds[i]));
	/* Each is told of one; the first to come takes the oldest. */
	ASSERT_EQ(0, agent_take(&self->a, &got));
	first = got.id;
	ASSERT_EQ(0, agent_take(&other, &got));
	EXPECT_EQ(first + 1, got.id);
	EXPECT_EQ(-EAGAIN, agent_accept(&other, &got));
	EXPECT_EQ(-EAGAIN, agent_accept(&self->a, &got));
	/* Who has less to do is told. */
	ASSERT_EQ(0, agent_done(&other, got.id, EACCES, &answer));
	ASSERT_EQ(0, ask(fds[2]));
	EXPECT_FALSE(agent_is_told(&self->a, 100));
	EXPECT_EQ(0, agent_take(&other, &got));
	EXPECT_EQ(first + 2, got.id);
}

TEST_F(messages, agent_that_ends_is_replaced_by_another)
{
	struct agent other;
	int fds[3][2], i;
	uint64_t first;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, ask(fds[i]));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, agent_accept(&self->a, &got));
		close(got.fd);
	}
	first = got.id - 1;
	ASSERT_EQ(0, agent_new(&other));
	ASSERT_EQ(0, agent_take(&other, &got));
	EXPECT_EQ(first + 2, got.id);
	EXPECT_EQ(-EAGAIN, agent_accept(&other, &got));
	agent_close(&self->a);
	/* The oldest first, as they were. */
	EXPECT_EQ(0, agent_take(&other, &got));
	EXPECT_EQ(first, got.id);
	EXPECT_EQ(0, agent_accept(&other, &got));
	EXPECT_EQ(first + 1, got.id);
	EXPECT_EQ(-EAGAIN, agent_accept(&other, &got));
}

TEST_F(messages, agent_that_was_only_told_is_replaced_too)
{
	struct agent other;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_new(&other));
	agent_is_told(&other, 100);
	agent_close(&self->a);
	EXPECT_EQ(0, agent_accept(&other, &got));
}

TEST_F(messages, agent_that_ends_in_the_middle_fails_its_requests)
{
	struct keyblob_status status;
	struct pollfd over;
	struct agent other;

	ASSERT_EQ(0, agent_new(&other));
	ASSERT_EQ(0, ask(self->fds));
	agent_is_told(&self->a, 100);
	ASSERT_EQ(0, agent_accept(&self->a, &got));
	ASSERT_EQ(1, send(got.fd, "x", 1, 0));
	agent_close(&self->a);
	over = (struct pollfd){ .fd = self->fds[0], .events = POLLERR };
	EXPECT_EQ(1, poll(&over, 1, 5000));
	EXPECT_EQ(-EAGAIN, agent_accept(&other, &got));
	EXPECT_EQ(ECONNABORTED, error_of(self->fds[0]));
	ASSERT_EQ(0, keyblob_info(self->fds[0], &status));
	EXPECT_EQ(KEYBLOB_HANDSHAKE_FAILED, status.handshake);
	EXPECT_NE('\0', status.reason[0]);
}

/* ---- an application that keeps the lock of its socket ---- */

/* The kernel reads the second half of the option under the socket lock; it is not there. */
static void *keep_lock(void *arg)
{
	int *fd_and_fault = arg;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	const long size = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fault = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	range.range.start = (uintptr_t)pages + size;
	range.range.len = size;
	if (fault < 0 || ioctl(fault, UFFDIO_API, &api) || ioctl(fault, UFFDIO_REGISTER, &range))
		return NULL;
	pages[0] = 0;
	fd_and_fault[1] = fault;
	setsockopt(fd_and_fault[0], SOL_SOCKET, SO_LINGER, pages + size - 4, 8);
	munmap(pages, 2 * size);
	return arg;
}

static bool begin_keeping(pthread_t *thread, int *fd_and_fault)
{
	struct pollfd pfd;

	fd_and_fault[1] = -1;
	if (pthread_create(thread, NULL, keep_lock, fd_and_fault))
		return false;
	while (*(volatile int *)&fd_and_fault[1] < 0)
		usleep(1000);
	pfd = (struct pollfd){ .fd = fd_and_fault[1], .events = POLLIN };
	/* If reads could block, it would say POLLERR at once. */
	return poll(&pfd, 1, 5000) == 1 && pfd.revents == POLLIN;
}

static bool end_keeping(pthread_t thread, int *fd_and_fault)
{
	struct uffd_msg msg;
	struct uffdio_zeropage zero = { .range.len = sysconf(_SC_PAGESIZE) };
	void *ret;

	if (read(fd_and_fault[1], &msg, sizeof(msg)) != sizeof(msg))
		return false;
	zero.range.start = msg.arg.pagefault.address & -zero.range.len;
	if (ioctl(fd_and_fault[1], UFFDIO_ZEROPAGE, &zero) || pthread_join(thread, &ret))
		return false;
	close(fd_and_fault[1]);
	return ret;
}

TEST_F(messages, kept_lock_keeps_no_agent)
{
	int fd_and_fault[2];
	pthread_t thread;

	ASSERT_EQ(0, ask(self->fds));
	fd_and_fault[0] = self->fds[0];
	ASSERT_TRUE(agent_is_told(&self->a, 5000));
	ASSERT_TRUE(begin_keeping(&thread, fd_and_fault));
	/* At once, if with nothing; and again when the lock is free. */
	EXPECT_EQ(-EAGAIN, agent_accept(&self->a, &got));
	ASSERT_TRUE(end_keeping(thread, fd_and_fault));
	ASSERT_EQ(0, agent_take(&self->a, &got));

	ASSERT_TRUE(begin_keeping(&thread, fd_and_fault));
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
	EXPECT_EQ(-ENOENT, agent_done(&self->a, got.id, EACCES, &answer));
	ASSERT_TRUE(end_keeping(thread, fd_and_fault));
	usleep(300000);
	EXPECT_EQ(EACCES, error_of(self->fds[0]));
}

TEST_F(messages, last_agent_ends_what_waits)
{
	ASSERT_EQ(0, ask(self->fds));
	agent_close(&self->a);
	EXPECT_EQ(ESRCH, error_of(self->fds[0]));
}

TEST_F(messages, last_agent_ends_what_it_has_taken_and_not_begun)
{
	struct pollfd pfd;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	close(got.fd);
	agent_close(&self->a);
	pfd = (struct pollfd){ .fd = self->fds[0] };
	EXPECT_EQ(1, poll(&pfd, 1, 5000));
	EXPECT_EQ(ESRCH, error_of(self->fds[0]));
}

TEST_F(messages, standby_lets_requests_wait_for_an_agent)
{
	struct agent standby, other;

	ASSERT_EQ(0, agent_open(&standby));
	ASSERT_EQ(0, agent_register(&standby, true, &answer));
	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	close(got.fd);
	agent_close(&self->a);
	EXPECT_EQ(0, error_of(self->fds[0]));
	ASSERT_EQ(0, agent_new(&other));
	EXPECT_EQ(0, agent_take(&other, &got));
}

/* ---- AGENT_RETIRE ---- */

TEST_F(messages, retiring_agent_ends_what_it_has_taken)
{
	struct agent other;
	int more[2];

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	ASSERT_EQ(0, agent_new(&other));
	ASSERT_EQ(0, agent_call(&self->a, agent_msg(&self->a, KEYBLOB_GENL_AGENT_RETIRE), &answer));
	ASSERT_EQ(0, ask(more));
	EXPECT_FALSE(agent_is_told(&self->a, 100));
	EXPECT_EQ(0, agent_done(&self->a, got.id, EACCES, &answer));
	EXPECT_EQ(EACCES, error_of(self->fds[0]));
	EXPECT_GT(0, agent_accept(&self->a, &got));
	EXPECT_EQ(0, agent_take(&other, &got));
}

TEST_F(messages, nobody_waits_for_a_retiring_agent)
{
	ASSERT_EQ(0, agent_call(&self->a, agent_msg(&self->a, KEYBLOB_GENL_AGENT_RETIRE), &answer));
	EXPECT_EQ(-ESRCH, ask(self->fds));
}

TEST_F(messages, retiring_of_the_last_agent_ends_what_waits)
{
	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_call(&self->a, agent_msg(&self->a, KEYBLOB_GENL_AGENT_RETIRE), &answer));
	EXPECT_EQ(ESRCH, error_of(self->fds[0]));
}

TEST_F(messages, retire_is_for_agents)
{
	struct agent other;

	ASSERT_EQ(0, agent_open(&other));
	EXPECT_EQ(-EPERM, agent_call(&other, agent_msg(&other, KEYBLOB_GENL_AGENT_RETIRE), &answer));
	EXPECT_TEXT("this socket is no agent");
}

/* ---- limits ---- */

struct asking {
	int want_good;
	int fds[8][2];
};

static int asks_until_refused(void *arg)
{
	struct asking *asking = arg;
	int i, err = 0;

	for (i = 0; i < 8 && !err; i++)
		err = ask(asking->fds[i]);
	return err != -EBUSY || i != asking->want_good + 1;
}

TEST_F(messages, queue_is_limited)
{
	struct asking asking = { .want_good = 4 };
	int fds[2];

	ASSERT_EQ(0, set_limit("4"));
	ASSERT_EQ(0, asks_until_refused(&asking));
	/* The refused one is as it was. */
	EXPECT_EQ(0, error_of(asking.fds[4][0]));
	ASSERT_EQ(1, send(asking.fds[4][0], "x", 1, 0));
	/* Who is taken does not wait any more. */
	ASSERT_EQ(0, agent_take(&self->a, &got));
	EXPECT_EQ(0, ask(fds));
}

/* Who has set the option before is told by connect(2), and why. */
TEST_F(messages, full_queue_is_told_to_who_connects)
{
	const struct keyblob_handshake what = { .role = KEYBLOB_ROLE_SERVER };
	struct keyblob_status status = {};
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = tcp_listen(AF_INET, &addr, &len);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, keyblob_attach(fd));
	ASSERT_EQ(0, setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &what, sizeof(what)));
	ASSERT_EQ(0, set_limit("1"));
	ASSERT_EQ(0, ask(self->fds));
	EXPECT_EQ(-1, connect(fd, (struct sockaddr *)&addr, len));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, keyblob_info(fd, &status));
	EXPECT_EQ(EBUSY, status.error);
	EXPECT_STREQ("too many handshakes wait for an agent", status.reason);
}

TEST_F(messages, half_of_the_queue_is_for_other_users)
{
	struct asking asking = { .want_good = 2 };
	int fds[2][2];

	ASSERT_EQ(0, set_limit("4"));
	ASSERT_EQ(0, ask(fds[0]));
	EXPECT_EQ(0, run_as(NOBODY, asks_until_refused, &asking));
	/* What that process left has gone with it. */
	EXPECT_EQ(0, ask(fds[1]));
	EXPECT_EQ(0, run_as(NOBODY, asks_until_refused, &asking));
}

/* ---- namespaces ---- */

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return err;
}

static int lives_in_another_namespace(void *arg)
{
	const uint64_t *id = arg;
	uint32_t counts[3];
	struct agent a;
	int fds[2];

	/* A user's own one, of which it is root. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) || loopback_up())
		return 2;
	if (ask(fds) != -ESRCH)
		return 3;
	if (agent_new(&a) || agent_status(&a, counts) || counts[0] != 1 || counts[1])
		return 4;
	if (agent_accept(&a, &got) != -EAGAIN || agent_done(&a, *id, EACCES, &answer) != -ENOENT)
		return 5;
	/* And it has all that there is here. */
	if (ask(fds) || agent_take(&a, &got) || agent_done(&a, got.id, EACCES, &answer) ||
	    error_of(fds[0]) != EACCES)
		return 6;
	return 0;
}

TEST_F(messages, namespaces_are_apart)
{
	int taken[2];

	ASSERT_EQ(0, ask(taken));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	ASSERT_EQ(0, ask(self->fds));
	EXPECT_EQ(0, run_as(NOBODY, lives_in_another_namespace, &got.id));
	EXPECT_EQ(0, error_of(taken[0]));
	EXPECT_EQ(0, error_of(self->fds[0]));
	EXPECT_EQ(0, agent_accept(&self->a, &got));
}

/* ---- events ---- */

static int joins(void *arg)
{
	struct agent a;

	return agent_open(&a) ? 1 : -agent_join(&a);
}

TEST_F(messages, events_are_for_net_admin)
{
	EXPECT_EQ(EPERM, run_as(NOBODY, joins, NULL));
	EXPECT_EQ(0, run_as(0, joins, NULL));
}

static bool has_bytes(const struct answer *event, const void *bytes, size_t len)
{
	return memmem(event->data, event->len, bytes, len);
}

TEST_F(messages, events_tell_what_happens_to_a_socket_without_secrets)
{
	static const struct {
		uint16_t type, direction;
	} want[] = {
		{ KEYBLOB_EVENT_ATTACHED, 0 },
		{ KEYBLOB_EVENT_EXPORTED, KEYBLOB_DIR_TX }, { KEYBLOB_EVENT_IMPORTED, KEYBLOB_DIR_TX },
		{ KEYBLOB_EVENT_EXPORTED, KEYBLOB_DIR_RX }, { KEYBLOB_EVENT_IMPORTED, KEYBLOB_DIR_RX },
		{ KEYBLOB_EVENT_REFUSED, KEYBLOB_DIR_TX },
		{ KEYBLOB_EVENT_REKEYED, KEYBLOB_DIR_TX },
		{ KEYBLOB_EVENT_ENDED, 0 },
	};
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct keyblob_status status;
	struct answer event;
	const int zero = 0;
	struct conn c;
	int i;

	ASSERT_EQ(0, agent_join(&self->a));
	ASSERT_EQ(0, conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
	ASSERT_EQ(0, keyblob_info(c.fd, &status));
	ASSERT_EQ(0, conn_import_one(&c, KEYBLOB_DIR_TX));
	ASSERT_EQ(0, conn_import_one(&c, KEYBLOB_DIR_RX));
	ASSERT_EQ(-EALREADY, keyblob_export(c.fd, &c.tx, blob));
	ASSERT_EQ(0, setsockopt(c.fd, SOL_KEYBLOB, KEYBLOB_REKEY, &zero, sizeof(zero)));
	close(c.fd);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		ASSERT_EQ(0, agent_event(&self->a, &event, 3000)) {
			TH_LOG("no event %d", i);
		}
		ASSERT_EQ(KEYBLOB_GENL_EVENT, event.cmd);
		ASSERT_EQ(want[i].type, nla_get_u16(event.attrs[KEYBLOB_A_GENL_EVENT])) {
			TH_LOG("event %d", i);
		}
		EXPECT_EQ(status.cookie, nla_get_u64(event.attrs[KEYBLOB_A_GENL_COOKIE]));
		EXPECT_EQ(!want[i].direction, !event.attrs[KEYBLOB_A_GENL_DIRECTION]);
		if (event.attrs[KEYBLOB_A_GENL_DIRECTION]) {
			EXPECT_EQ(want[i].direction,
				  nla_get_u16(event.attrs[KEYBLOB_A_GENL_DIRECTION]));
		}
		if (want[i].type == KEYBLOB_EVENT_REFUSED)
			EXPECT_EQ(EALREADY, nla_get_u32(event.attrs[KEYBLOB_A_GENL_ERROR]));
		if (want[i].type == KEYBLOB_EVENT_REKEYED)
			EXPECT_EQ(1, nla_get_u32(event.attrs[KEYBLOB_A_GENL_GENERATION]));
		if (want[i].type == KEYBLOB_EVENT_IMPORTED) {
			EXPECT_EQ(TLS_1_3_VERSION,
				  nla_get_u16(event.attrs[KEYBLOB_A_GENL_TLS_VERSION]));
			EXPECT_EQ(TLS_CIPHER_AES_GCM_128,
				  nla_get_u16(event.attrs[KEYBLOB_A_GENL_CIPHER]));
		}
		ASSERT_NE(NULL, event.attrs[KEYBLOB_A_GENL_PID]);
		EXPECT_EQ(getpid(), nla_get_u32(event.attrs[KEYBLOB_A_GENL_PID]));
		EXPECT_EQ(0, nla_get_u32(event.attrs[KEYBLOB_A_GENL_UID]));
		EXPECT_FALSE(has_bytes(&event, c.tx.secret, 16));
		EXPECT_FALSE(has_bytes(&event, c.rx.secret, 16));
	}
	EXPECT_EQ(-ETIME, agent_event(&self->a, &event, 100));
}

static int attaches_elsewhere(void *arg)
{
	int fds[2];

	return unshare(CLONE_NEWNET) || loopback_up() || tcp_pair(AF_INET, fds) ||
	       keyblob_attach(fds[0]);
}

TEST_F(messages, events_stay_in_their_namespace)
{
	struct answer event;

	ASSERT_EQ(0, agent_join(&self->a));
	ASSERT_EQ(0, run_as(0, attaches_elsewhere, NULL));
	EXPECT_EQ(-ETIME, agent_event(&self->a, &event, 200));
}

/* ---- the module ---- */

static int load(void)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): open(2) refuses NULL */
	int fd = open(getenv("KEYBLOB_KO"), O_RDONLY | O_CLOEXEC);
	int err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;

	close(fd);
	return err;
}

static int unload_patiently(void)
{
	int i, err = -1;

	for (i = 0; i < 100 && err; i++) {
		err = syscall(SYS_delete_module, "keyblob", O_NONBLOCK);
		if (err)
			usleep(50000);
	}
	return err;
}

/* Requests do keep it, by their sockets. */
TEST_F(messages, module_goes_when_its_requests_are_gone)
{
	struct agent next;

	ASSERT_EQ(0, ask(self->fds));
	ASSERT_EQ(0, agent_take(&self->a, &got));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "keyblob", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	close(got.fd);
	close_pair(self->fds);
	ASSERT_EQ(0, unload_patiently());
	EXPECT_EQ(-ENOENT, agent_accept(&self->a, &got));
	ASSERT_EQ(0, load());
	/* Who was an agent of the module before is none of this one. */
	ASSERT_EQ(0, agent_new(&next));
	self->a.family = next.family;
	EXPECT_EQ(-EPERM, agent_accept(&self->a, &got));
	EXPECT_EQ(0, agent_register(&self->a, false, &answer));
}

TEST_HARNESS_MAIN
