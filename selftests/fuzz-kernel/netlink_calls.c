// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the family "keyblob", made of its attributes, right and wrong; and what an
 * agent does. By hand: a library would not let wrong ones through.
 */
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/keyblob_netlink.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"

struct message {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	uint8_t attrs[8192 - sizeof(struct nlmsghdr) - sizeof(struct genlmsghdr)];
} __attribute__((aligned(8)));

static void message_begin(struct message *m, uint16_t flags, uint8_t cmd)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->head.nlmsg_type = genl_family;
	m->head.nlmsg_flags = NLM_F_REQUEST | flags;
	m->genl.cmd = cmd;
	m->genl.version = KEYBLOB_FAMILY_VERSION;
}

static void put(struct message *m, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *attr = (void *)m + NLMSG_ALIGN(m->head.nlmsg_len);

	if (m->head.nlmsg_len + NLA_HDRLEN + len + 8 > sizeof(*m))
		return;
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy(attr + 1, data, len);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

/* How long the value of an attribute is; 0: a flag; -1: text or bytes. */
static int attr_size(unsigned int type)
{
	switch (type) {
	case KEYBLOB_A_GENL_PAD:
	case KEYBLOB_A_GENL_STANDBY:
	case KEYBLOB_A_GENL_RESUMED:
		return 0;
	case KEYBLOB_A_GENL_ALERT_SENT:
	case KEYBLOB_A_GENL_ALERT_RECEIVED:
		return 1;
	case KEYBLOB_A_GENL_ROLE:
	case KEYBLOB_A_GENL_CIPHER_SUITE:
	case KEYBLOB_A_GENL_EVENT:
	case KEYBLOB_A_GENL_DIRECTION:
	case KEYBLOB_A_GENL_TLS_VERSION:
	case KEYBLOB_A_GENL_CIPHER:
		return 2;
	case KEYBLOB_A_GENL_ID:
	case KEYBLOB_A_GENL_CGROUP_ID:
	case KEYBLOB_A_GENL_COOKIE:
		return 8;
	case KEYBLOB_A_GENL_PEER_NAME:
	case KEYBLOB_A_GENL_IDENTITY:
	case KEYBLOB_A_GENL_ALPN:
	case KEYBLOB_A_GENL_GROUPS:
	case KEYBLOB_A_GENL_CGROUP:
	case KEYBLOB_A_GENL_REASON:
	case KEYBLOB_A_GENL_GROUP:
	case KEYBLOB_A_GENL_SERVER_NAME:
		return -1;
	default:
		return 4;
	}
}

/*
 * @seed decides on values and lengths. @how: 0, as it should be; else one attribute is too
 * short, too long, there twice, of another type, nested, or says more than there is.
 */
static void put_any(struct world *w, struct message *m, uint16_t type, struct rng *rng,
		    uint32_t how)
{
	struct nlattr *attr = (void *)m + NLMSG_ALIGN(m->head.nlmsg_len);
	uint8_t value[2048];
	int len = attr_size(type);
	uint32_t error;

	if (len < 0)
		len = rng_below(rng, 5) ? 1 + rng_below(rng, 40) : rng_below(rng, 1500);
	memset(value, rng_below(rng, 8) ? 'a' + rng_below(rng, 26) : rng_next(rng), sizeof(value));
	if (len > 0)
		value[len - 1] = 0;
	if (type == KEYBLOB_A_GENL_ID)
		memcpy(value, &w->ids[rng_below(rng, IDS)], 8);
	if (type == KEYBLOB_A_GENL_ERROR) {
		error = rng_below(rng, 3) ? rng_below(rng, 140) : 0;
		memcpy(value, &error, sizeof(error));
	}
	if (how % 8 == 1 && len > 0)
		len--;
	else if (how % 8 == 2)
		len += 1 + (how >> 8) % 1000;
	put(m, how % 8 == 3 ? how >> 8 : type, value, len);
	if (how % 8 == 4)
		put(m, type, value, len);
	else if (how % 8 == 5)
		attr->nla_type |= how & 64 ? NLA_F_NESTED : NLA_F_NET_BYTEORDER;
	else if (how % 8 == 6)
		attr->nla_len = how >> 8;
}

/* A reply of ACCEPT brings a descriptor, for a slot, and the number of a request. */
static void read_accept(struct world *w, const struct nlmsghdr *head, uint32_t slot)
{
	const uint8_t *at = (const uint8_t *)head + NLMSG_LENGTH(GENL_HDRLEN);
	const uint8_t *end = (const uint8_t *)head + head->nlmsg_len;
	const struct nlattr *attr;
	int fd = -1;

	for (; at + NLA_HDRLEN <= end; at += NLA_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)at;
		if (attr->nla_len < NLA_HDRLEN)
			break;
		if (attr->nla_type == KEYBLOB_A_GENL_ID) {
			memmove(w->ids + 1, w->ids, (IDS - 1) * sizeof(w->ids[0]));
			memcpy(&w->ids[0], attr + 1, sizeof(w->ids[0]));
		} else if (attr->nla_type == KEYBLOB_A_GENL_FD) {
			memcpy(&fd, attr + 1, sizeof(fd));
		}
	}
	if (fd >= 0)
		world_put(w, slot, fd, link_of(w, fd));
}

/* All that is there; the error that the last answer has. */
static long read_answers(struct world *w, int fd, uint32_t slot)
{
	uint8_t data[16384] __attribute__((aligned(8)));
	struct nlmsghdr *head;
	long ret = -ENODATA;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		for (head = (struct nlmsghdr *)data; NLMSG_OK(head, n);
		     head = NLMSG_NEXT(head, n)) {
			const struct genlmsghdr *genl = NLMSG_DATA(head);

			if (head->nlmsg_type == NLMSG_ERROR)
				ret = ((struct nlmsgerr *)NLMSG_DATA(head))->error;
			else if (head->nlmsg_type == genl_family &&
				 genl->cmd == KEYBLOB_GENL_ACCEPT)
				read_accept(w, head, slot);
		}
	}
	return ret;
}

static long send_message(int fd, const struct message *m)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return result(sendto(fd, m, m->head.nlmsg_len, 0, (struct sockaddr *)&kernel,
			     sizeof(kernel)));
}

static long call(struct world *w, int fd, struct message *m, uint32_t slot)
{
	long ret;

	m->head.nlmsg_flags |= NLM_F_ACK;
	ret = send_message(fd, m);
	return ret < 0 ? ret : read_answers(w, fd, slot);
}

static long new_netlink(struct world *w, const uint32_t *a)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	const int one = 1;

	if (fd >= 0 && a[1] & 1)
		setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	if (fd >= 0 && a[1] & 2)
		setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &genl_group,
			   sizeof(genl_group));
	return world_put(w, a[0], fd, NULL);
}

static long agent(struct world *w, const uint32_t *a)
{
	const uint32_t options[ARGS_MAX] = { a[0], 1 };
	struct message m;
	long ret = new_netlink(w, options);

	if (ret)
		return ret;
	message_begin(&m, 0, KEYBLOB_GENL_AGENT_REGISTER);
	if (a[1] % 8 == 1)
		put(&m, KEYBLOB_A_GENL_STANDBY, NULL, 0);
	return call(w, world_fd(w, a[0]), &m, SLOTS - 1);
}

/* What register, accept, status and retire need: no attributes. */
static long simple(struct world *w, const uint32_t *a)
{
	static const uint8_t cmds[] = {
		KEYBLOB_GENL_ACCEPT, KEYBLOB_GENL_ACCEPT, KEYBLOB_GENL_ACCEPT, KEYBLOB_GENL_STATUS,
		KEYBLOB_GENL_AGENT_RETIRE, KEYBLOB_GENL_AGENT_REGISTER, KEYBLOB_GENL_READY,
		KEYBLOB_GENL_EVENT,
	};
	struct message m;

	message_begin(&m, 0, cmds[a[1] % 8]);
	return call(w, world_fd(w, a[0]), &m, a[2]);
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static long done(struct world *w, const uint32_t *a)
{
	struct rng rng = { a[3] };
	uint32_t bits = a[3];
	unsigned int type;
	struct message m;

	message_begin(&m, 0, KEYBLOB_GENL_DONE);
	put(&m, KEYBLOB_A_GENL_ID, &w->ids[a[1] % IDS], sizeof(w->ids[0]));
	put_u32(&m, KEYBLOB_A_GENL_ERROR, a[2] < 8 ? 0 : a[2] % 140);
	for (type = KEYBLOB_A_GENL_PEER_NAME; type <= KEYBLOB_A_GENL_RESUMED; type++, bits >>= 1)
		if (bits & 1)
			put_any(w, &m, type, &rng, 0);
	return call(w, world_fd(w, a[0]), &m, SLOTS - 1);
}

/* All that an agent does about one request: take it, import both keys, say so. */
static long serve(struct world *w, const uint32_t *a)
{
	const uint32_t accept[ARGS_MAX] = { a[0], 0, a[1] };
	uint32_t answer[ARGS_MAX] = { a[0] };
	const int before = world_fd(w, a[1]);
	struct link *link;
	long ret;
	int fd;

	ret = simple(w, accept);
	fd = world_fd(w, a[1]);
	if (ret || fd == before)
		return ret;
	link = a[2] % 8 == 1 ? NULL : world_link(w, a[1]);
	if (link) {
		ret = link_import(link, fd, a[2] % 8 == 2 ? KEYBLOB_DIR_RX : KEYBLOB_DIR_TX);
		if (a[2] % 8 != 3)
			ret = link_import(link, fd, a[2] % 8 == 2 ? KEYBLOB_DIR_TX :
								    KEYBLOB_DIR_RX) ?: ret;
		link_unlock(link);
	}
	answer[2] = a[2] % 8 == 4 ? EKEYREJECTED : 0;
	answer[3] = a[3];
	return done(w, answer) ?: ret;
}

/* Any command with any attributes; one of them, perhaps, spoiled. */
static long any_message(struct world *w, const uint32_t *a)
{
	static const uint16_t flags[] = {
		0, 0, 0, NLM_F_DUMP, NLM_F_ECHO, NLM_F_ROOT, NLM_F_CREATE, NLM_F_MATCH,
	};
	struct rng rng = { a[3] };
	uint32_t bits = a[2];
	unsigned int type;
	struct message m;

	message_begin(&m, flags[a[5] % 8], a[1] ? a[1] : KEYBLOB_GENL_DONE);
	for (type = 1; bits; type++, bits >>= 1)
		if (bits & 1)
			put_any(w, &m, type, &rng, bits == 1 ? a[4] : 0);
	if (a[5] >> 3 & 1)
		m.head.nlmsg_len += a[4] % 64;
	else if (a[5] >> 4 & 1)
		m.genl.version = a[4];
	return call(w, world_fd(w, a[0]), &m, SLOTS - 1);
}

static long read_netlink(struct world *w, const uint32_t *a)
{
	return read_answers(w, world_fd(w, a[0]), a[1]);
}

/* All of TCP's sockets, with what their ULP says of itself: ss -i. */
static long diag(struct world *w, const uint32_t *a)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 req;
	} m = {
		.head.nlmsg_len = sizeof(m),
		.head.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.req.sdiag_family = a[0] & 1 ? AF_INET6 : AF_INET,
		.req.sdiag_protocol = IPPROTO_TCP,
		.req.idiag_ext = 0xff,
		.req.idiag_states = UINT32_MAX,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	char data[16384];
	long ret = result(send(fd, &m, sizeof(m), 0));

	while (recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	close(fd);
	return ret;
}

const struct call_type netlink_calls[] = {
	{ "netlink", "an", 2, new_netlink },
	{ "agent", "an", 3, agent },
	{ "genl", "ans", 5, simple },
	{ "done", "anxb", 3, done },
	{ "serve", "asnb", 5, serve },
	{ "message", "anbxkx", 4, any_message },
	{ "readnl", "as", 1, read_netlink },
	{ "diag", "n", 1, diag },
	{ NULL }
};
