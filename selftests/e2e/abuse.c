// SPDX-License-Identifier: GPL-2.0-only
/*
 * abuse AGENT CASE: an application that does not know the agent's protocol well, or
 * means ill. Speaks it by hand. Tells what the agent answered, a line:
 *
 *	FAILED errno=NAME reason=TEXT
 *	READY
 *	closed		the agent closed the connection
 *	silence		nothing came within three seconds
 *
 * and, where the connection is to be closed after the answer, whether it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/keyblob.h>
#include <linux/netlink.h>
#include <poll.h>
#include <protocol.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>
#include <unistd.h>

#include "tcp.h"

#define UNKNOWN_ATTRIBUTE 60

static const char *agent_path;

/* A request in the making. */
static struct {
	_Alignas(struct nlmsghdr) unsigned char bytes[16384];
	size_t len;
	int fds[253];
	unsigned int n_fds;
} msg;

static struct nlmsghdr *header(void)
{
	return (struct nlmsghdr *)msg.bytes;
}

static struct genlmsghdr *command(void)
{
	return (struct genlmsghdr *)(msg.bytes + NLMSG_HDRLEN);
}

static void begin(uint32_t seq)
{
	memset(&msg, 0, sizeof(msg));
	msg.len = NLMSG_HDRLEN + GENL_HDRLEN;
	*header() = (struct nlmsghdr){
		.nlmsg_len = msg.len,
		.nlmsg_type = KEYBLOB_PROTO_TYPE,
		.nlmsg_flags = NLM_F_REQUEST,
		.nlmsg_seq = seq,
	};
	*command() = (struct genlmsghdr){
		.cmd = KEYBLOB_CMD_ACCEPT,
		.version = KEYBLOB_PROTO_VERSION,
	};
}

static void put(uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)(msg.bytes + msg.len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy(attr + 1, data, len);
	msg.len += NLA_ALIGN(attr->nla_len);
	header()->nlmsg_len = msg.len;
}

static void put_timeout(uint32_t ms)
{
	put(KEYBLOB_A_TIMEOUT, &ms, sizeof(ms));
}

static void pass(int fd)
{
	if (fd < 0)
		err(3, "no descriptor to pass");
	msg.fds[msg.n_fds++] = fd;
}

static int agent_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strncpy(address.sun_path, agent_path, sizeof(address.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(3, "%s", agent_path);
	return fd;
}

static ssize_t transmit(int agent, int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(msg.fds))] = { 0 };
	struct iovec iov = { msg.bytes, msg.len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (msg.n_fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(msg.n_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&m);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(msg.n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), msg.fds, msg.n_fds * sizeof(int));
	}
	return sendmsg(agent, &m, MSG_NOSIGNAL | flags);
}

static void send_request(int agent)
{
	if (transmit(agent, 0) < 0)
		err(3, "send");
}

/* Tell about one reply; false if it was the end, or none came. */
static bool tell_reply(int agent, int patience_ms)
{
	_Alignas(struct nlmsghdr) unsigned char reply[KEYBLOB_MSG_MAX];
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)reply;
	const struct genlmsghdr *genl = (const struct genlmsghdr *)(reply + NLMSG_HDRLEN);
	struct pollfd readable = { .fd = agent, .events = POLLIN };
	const char *reason = "-";
	uint32_t error = 0;
	ssize_t len;

	if (poll(&readable, 1, patience_ms) <= 0) {
		puts("silence");
		return false;
	}
	len = recv(agent, reply, sizeof(reply), 0);
	if (len <= 0) {
		puts("closed");
		return false;
	}
	if ((size_t)len < NLMSG_HDRLEN + GENL_HDRLEN || nlh->nlmsg_len != len || nlh->nlmsg_flags ||
	    nlh->nlmsg_type != KEYBLOB_PROTO_TYPE || genl->version != KEYBLOB_PROTO_VERSION) {
		puts("malformed");
		return true;
	}
	for (size_t at = NLMSG_HDRLEN + GENL_HDRLEN; at + NLA_HDRLEN <= (size_t)len;) {
		const struct nlattr *attr = (const struct nlattr *)(reply + at);

		if (attr->nla_type == KEYBLOB_A_ERRNO)
			memcpy(&error, attr + 1, sizeof(error));
		if (attr->nla_type == KEYBLOB_A_REASON)
			reason = (const char *)(attr + 1);
		at += NLA_ALIGN(attr->nla_len);
	}
	if (genl->cmd == KEYBLOB_CMD_READY)
		puts("READY");
	else
		printf("FAILED errno=%s reason=%s\n", strerrorname_np(error) ?: "?", reason);
	return true;
}

static void exchange(int agent)
{
	send_request(agent);
	tell_reply(agent, 3000);
}

/* Both ends of a TCP connection. */
static int tcp_pair(int *other)
{
	int port = 0, listener = tcp_listen(&port), fd = tcp_connect(port);

	*other = tcp_accept(listener);
	close(listener);
	return fd;
}

static int tcp_one(void)
{
	int other;

	return tcp_pair(&other);
}

static void attach(int fd, const char *name)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, name, strlen(name)) < 0)
		err(3, "attach %s", name);
}

/* A socket that has its keys, made up here. */
static int keyed_socket(void)
{
	struct keyblob_key key = { .tls_version = 0x0304, .cipher = 51, .secret_len = 32 };
	union {
		struct keyblob_key key;
		unsigned char blob[KEYBLOB_BLOB_SIZE];
	} u;
	socklen_t len = sizeof(u);
	int fd = tcp_one();

	attach(fd, KEYBLOB_ULP_NAME);
	for (int direction = KEYBLOB_DIR_TX; direction <= KEYBLOB_DIR_RX; direction++) {
		u.key = key;
		u.key.direction = direction;
		getrandom(u.key.secret, 32, 0);
		if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, &u, &len) < 0 ||
		    setsockopt(fd, SOL_KEYBLOB, direction == KEYBLOB_DIR_TX ? KEYBLOB_TX : KEYBLOB_RX,
			       &u, len) < 0)
			err(3, "import");
	}
	return fd;
}

static int unix_socket(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? -1 : pair[0];
}

static int pipe_end(void)
{
	int pair[2];

	return pipe(pair) < 0 ? -1 : pair[0];
}

static int listening_socket(void)
{
	int port = 0;

	return tcp_listen(&port);
}

static int ulp_socket(void)
{
	int fd = tcp_one();

	attach(fd, "tls");
	return fd;
}

static int attached_socket(void)
{
	int fd = tcp_one();

	attach(fd, KEYBLOB_ULP_NAME);
	return fd;
}

/* As many bytes as @len, without sense; from half of the calls on with a true header. */
static void nonsense(size_t len, bool headed)
{
	begin(1);
	getrandom(msg.bytes + (headed ? NLMSG_HDRLEN : 0), sizeof(msg.bytes) - NLMSG_HDRLEN, 0);
	msg.len = len;
	if (headed)
		header()->nlmsg_len = len;
}

static int send_nonsense(void)
{
	static const size_t sizes[] = { 1, 4, 15, 16, 17, 20, 24, 100, 1000, 8192, 8193, 12000 };
	int agent;

	for (unsigned int i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int fds = 0; fds < 3; fds++) {
			agent = agent_connect();
			nonsense(sizes[i / 2], i & 1 && sizes[i / 2] >= NLMSG_HDRLEN);
			for (int n = 0; n < fds; n++)
				pass(fds == 1 ? tcp_one() : pipe_end());
			send_request(agent);
			while (tell_reply(agent, 300))
				;
			close(agent);
			for (unsigned int n = 0; n < msg.n_fds; n++)
				close(msg.fds[n]);
		}
	}
	return 0;
}

/*
 * Send @n requests that the agent refuses, without a look at the replies until it
 * takes no more for half a second. Say how many it took, then read while sending
 * the rest: one reply each.
 */
static int flood(int n)
{
	int agent = agent_connect(), sent = 0, got = 0, socket_fd = tcp_one();
	struct pollfd ready = { .fd = agent, .events = POLLOUT };
	char reply[KEYBLOB_MSG_MAX];
	bool reading = false;

	while (got < n) {
		ready.events = (sent < n ? POLLOUT : 0) | (reading ? POLLIN : 0);
		if (poll(&ready, 1, reading ? 10000 : 500) <= 0) {
			if (reading || !sent)
				break;
			reading = true;
			printf("refused to take more than %d\n", sent);
			fflush(stdout);
			raise(SIGSTOP);
			continue;
		}
		if (ready.revents & POLLIN) {
			if (recv(agent, reply, sizeof(reply), 0) <= 0)
				break;
			got++;
		}
		if (sent < n && (ready.revents & POLLOUT)) {
			begin(sent + 1);
			command()->cmd = 99;
			if (sent % 10 == 0)
				pass(socket_fd);
			if (transmit(agent, MSG_DONTWAIT) > 0)
				sent++;
			else if (errno != EAGAIN)
				break;
		}
		if (sent == n)
			reading = true;
	}
	printf("sent %d, replies %d\n", sent, got);
	return sent == n && got == n ? 0 : 1;
}

/* Begin @n handshakes that hang, then leave in some way. */
static int leave(int n, const char *how)
{
	int agent = agent_connect();

	for (int i = 0; i < n; i++) {
		begin(i + 1);
		pass(tcp_one());
		send_request(agent);
	}
	puts("under way");
	fflush(stdout);
	if (!strcmp(how, "close")) {
		close(agent);
		pause();
	} else if (!strcmp(how, "kill")) {
		pause();
	} else if (!strcmp(how, "cancel")) {
		for (int i = 0; i < n; i++) {
			begin(i + 1);
			command()->cmd = KEYBLOB_CMD_CANCEL;
			send_request(agent);
		}
		tell_reply(agent, 1000);
		fflush(stdout);
		pause();
	}
	return 0;
}

/* Connect, and send the request when continued. */
static int late(void)
{
	int agent = agent_connect();

	puts("connected");
	fflush(stdout);
	raise(SIGSTOP);
	begin(7);
	put_timeout(300);
	pass(tcp_one());
	exchange(agent);
	return 0;
}

static const struct {
	const char *name;
	int (*make)(void);
} descriptors[] = {
	{ "pipe", pipe_end },
	{ "unix", unix_socket },
	{ "listening", listening_socket },
	{ "other-ulp", ulp_socket },
	{ "keyed", keyed_socket },
	{ "attached", attached_socket },
	{ "tcp", tcp_one },
};

static int descriptor(const char *name)
{
	if (!strcmp(name, "udp"))
		return socket(AF_INET, SOCK_DGRAM, 0);
	if (!strcmp(name, "unconnected"))
		return socket(AF_INET, SOCK_STREAM, 0);
	if (!strcmp(name, "file"))
		return open("/etc/passwd", O_RDONLY);
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (!strcmp(name, descriptors[i].name))
			return descriptors[i].make();
	return -1;
}

/* A request that is right but for what @name says. */
static int malformed(const char *name)
{
	int agent = agent_connect();
	uint32_t ms = 300;
	int other;

	begin(7);
	put_timeout(300);
	pass(tcp_pair(&other));
	if (!strcmp(name, "empty")) {
		msg.len = 0;
	} else if (!strcmp(name, "cut-header")) {
		msg.len = 10;
	} else if (!strcmp(name, "length")) {
		header()->nlmsg_len = 4000;
	} else if (!strcmp(name, "short-length")) {
		header()->nlmsg_len = 3;
	} else if (!strcmp(name, "type")) {
		header()->nlmsg_type = 2;
	} else if (!strcmp(name, "no-request")) {
		header()->nlmsg_flags = 0;
	} else if (!strcmp(name, "version")) {
		command()->version = KEYBLOB_PROTO_VERSION + 1;
	} else if (!strcmp(name, "command")) {
		command()->cmd = 99;
	} else if (!strcmp(name, "reply-command")) {
		command()->cmd = KEYBLOB_CMD_READY;
	} else if (!strcmp(name, "mandatory")) {
		put(UNKNOWN_ATTRIBUTE, &ms, sizeof(ms));
	} else if (!strcmp(name, "optional")) {
		put(UNKNOWN_ATTRIBUTE | KEYBLOB_A_OPTIONAL, &ms, sizeof(ms));
	} else if (!strcmp(name, "reply-attribute")) {
		put(KEYBLOB_A_ERRNO, &ms, sizeof(ms));
	} else if (!strcmp(name, "connect-to-nobody")) {
		command()->cmd = KEYBLOB_CMD_CONNECT;
	} else if (!strcmp(name, "connect-to-bytes")) {
		command()->cmd = KEYBLOB_CMD_CONNECT;
		put(KEYBLOB_A_PEER_NAME, "localhost", 9);
	} else if (!strcmp(name, "connect-to-two")) {
		command()->cmd = KEYBLOB_CMD_CONNECT;
		put(KEYBLOB_A_PEER_NAME, "localhost\0a", 12);
	} else if (!strcmp(name, "connect-to-nothing")) {
		command()->cmd = KEYBLOB_CMD_CONNECT;
		put(KEYBLOB_A_PEER_NAME, "", 1);
	} else if (!strcmp(name, "connect")) {
		command()->cmd = KEYBLOB_CMD_CONNECT;
		put(KEYBLOB_A_PEER_NAME, "localhost", 10);
	} else if (!strcmp(name, "accept-from")) {
		put(KEYBLOB_A_PEER_NAME, "localhost", 10);
	} else if (!strcmp(name, "no-identity")) {
		put(KEYBLOB_A_IDENTITY, "", 1);
	} else if (!strcmp(name, "identity-of-bytes")) {
		put(KEYBLOB_A_IDENTITY, "localhost", 9);
	} else if (!strcmp(name, "unknown-identity")) {
		put(KEYBLOB_A_IDENTITY, "nobody", 7);
	} else if (!strcmp(name, "binding")) {
		put(KEYBLOB_A_CHANNEL_BINDING, &ms, sizeof(ms));
	} else if (!strcmp(name, "twice")) {
		put_timeout(300);
	} else if (!strcmp(name, "size")) {
		put(KEYBLOB_A_ALPN_LIST, "", 0);
	} else if (!strcmp(name, "alpn")) {
		put(KEYBLOB_A_ALPN_LIST, "\11http/1.1", 9);
	} else if (!strcmp(name, "cut-attribute")) {
		put(UNKNOWN_ATTRIBUTE | KEYBLOB_A_OPTIONAL, &ms, sizeof(ms));
		((struct nlattr *)(msg.bytes + msg.len - 8))->nla_len = 100;
	} else if (!strcmp(name, "too-long")) {
		msg.len = KEYBLOB_REQUEST_MAX + 4;
		header()->nlmsg_len = msg.len;
	} else if (!strcmp(name, "no-fd")) {
		msg.n_fds = 0;
	} else if (!strcmp(name, "two-fds")) {
		pass(other);
	} else if (!strcmp(name, "many-fds")) {
		while (msg.n_fds < 253)
			pass(other);
	} else if (!strcmp(name, "status-attribute")) {
		command()->cmd = KEYBLOB_CMD_STATUS;
		msg.n_fds = 0;
	} else if (!strcmp(name, "status-fd") || !strcmp(name, "reload-fd")) {
		begin(7);
		command()->cmd = *name == 's' ? KEYBLOB_CMD_STATUS : KEYBLOB_CMD_RELOAD;
		pass(other);
	} else if (!strcmp(name, "same-number")) {
		send_request(agent);
		msg.fds[0] = tcp_one();
	} else if (strcmp(name, "timeout")) {
		errx(2, "unknown case %s", name);
	}
	send_request(agent);
	/* A second reply is due, or perhaps the end. */
	if (tell_reply(agent, 3000) &&
	    poll(&(struct pollfd){ agent, POLLIN, 0 }, 1, strcmp(name, "same-number") ? 100 : 2000) > 0)
		tell_reply(agent, 0);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: see abuse.c");
	agent_path = argv[1];
	if (!strcmp(argv[2], "nonsense"))
		return send_nonsense();
	if (!strcmp(argv[2], "flood") && argc == 4)
		return flood(atoi(argv[3]));
	if (!strcmp(argv[2], "late"))
		return late();
	if (!strcmp(argv[2], "leave") && argc == 5)
		return leave(atoi(argv[3]), argv[4]);
	if (!strcmp(argv[2], "fd") && argc == 4) {
		begin(7);
		put_timeout(300);
		pass(descriptor(argv[3]));
		exchange(agent_connect());
		return 0;
	}
	return malformed(argv[2]);
}
