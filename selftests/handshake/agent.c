// SPDX-License-Identifier: GPL-2.0-only
/* The tests' agent; see agent.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>

#include "agent.h"

#define WAIT_MS	5000

int agent_open(struct agent *a)
{
	const int one = 1;
	int fd;

	memset(a, 0, sizeof(*a));
	a->sk = nl_socket_alloc();
	if (!a->sk || genl_connect(a->sk))
		return -EIO;
	a->family = genl_ctrl_resolve(a->sk, KEYBLOB_FAMILY_NAME);
	a->group = genl_ctrl_resolve_grp(a->sk, KEYBLOB_FAMILY_NAME, KEYBLOB_MCGRP_EVENTS);
	if (a->family < 0 || a->group < 0)
		return -ENOENT;
	fd = nl_socket_get_fd(a->sk);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)))
		return -errno;
	return 0;
}

void agent_close(struct agent *a)
{
	nl_socket_free(a->sk);
	a->sk = NULL;
}

struct nl_msg *agent_msg(const struct agent *a, int cmd)
{
	struct nl_msg *msg = nlmsg_alloc_size(1 << 15);

	if (msg)
		genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, a->family, 0, NLM_F_REQUEST, cmd,
			    KEYBLOB_FAMILY_VERSION);
	return msg;
}

/* One datagram; its length, or a negative errno: -ETIME, none came. */
static ssize_t receive(struct agent *a, void *data, size_t size, int ms)
{
	struct pollfd pfd = { .fd = nl_socket_get_fd(a->sk), .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, ms) != 1)
		return -ETIME;
	n = recv(pfd.fd, data, size, 0);
	return n < 0 ? -errno : n;
}

/* The error and its text, of a header that was sent back without its payload. */
static void read_error(struct nlmsghdr *nlh, struct answer *answer)
{
	const struct nlmsgerr *err = nlmsg_data(nlh);
	struct nlattr *text;

	answer->error = err->error;
	answer->text[0] = '\0';
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	text = nlmsg_find_attr(nlh, sizeof(*err), NLMSGERR_ATTR_MSG);
	if (text)
		nla_strlcpy(answer->text, text, sizeof(answer->text));
}

static void read_message(struct agent *a, struct nlmsghdr *nlh, struct answer *answer)
{
	const struct genlmsghdr *ghdr = nlmsg_data(nlh);

	if (ghdr->cmd == KEYBLOB_GENL_READY) {
		a->told++;
		return;
	}
	answer->cmd = ghdr->cmd;
	answer->len = nlh->nlmsg_len;
	memcpy(answer->data, nlh, nlh->nlmsg_len);
	genlmsg_parse((struct nlmsghdr *)answer->data, 0, answer->attrs, KEYBLOB_A_GENL_MAX, NULL);
}

int agent_send(struct agent *a, struct nl_msg *msg)
{
	int n = nl_send_auto(a->sk, msg);

	nlmsg_free(msg);
	if (n < 0)
		return n == -NLE_NOMEM ? -ENOBUFS : -EIO;
	return 0;
}

int agent_answer(struct agent *a, struct answer *answer)
{
	static _Thread_local _Alignas(struct nlmsghdr) uint8_t data[1 << 16];
	struct nlmsghdr *nlh;
	ssize_t n;
	int left;

	memset(answer, 0, sizeof(*answer));
	for (;;) {
		n = receive(a, data, sizeof(data), WAIT_MS);
		if (n < 0)
			return n;
		left = n;
		for (nlh = (struct nlmsghdr *)data; nlmsg_ok(nlh, left);
		     nlh = nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				read_error(nlh, answer);
				return answer->error;
			}
			read_message(a, nlh, answer);
		}
	}
}

int agent_call(struct agent *a, struct nl_msg *msg, struct answer *answer)
{
	int err = agent_send(a, msg);

	return err ? err : agent_answer(a, answer);
}

int agent_register(struct agent *a, bool standby, struct answer *answer)
{
	struct nl_msg *msg = agent_msg(a, KEYBLOB_GENL_AGENT_REGISTER);

	if (standby)
		nla_put_flag(msg, KEYBLOB_A_GENL_STANDBY);
	return agent_call(a, msg, answer);
}

int agent_new(struct agent *a)
{
	static _Thread_local struct answer answer;
	int err = agent_open(a);

	return err ? err : agent_register(a, false, &answer);
}

int agent_accepted(struct accepted *r)
{
	r->fd = -1;
	if (r->answer.cmd != KEYBLOB_GENL_ACCEPT || !r->answer.attrs[KEYBLOB_A_GENL_ID] ||
	    !r->answer.attrs[KEYBLOB_A_GENL_FD])
		return -EPROTO;
	r->id = nla_get_u64(r->answer.attrs[KEYBLOB_A_GENL_ID]);
	r->fd = nla_get_s32(r->answer.attrs[KEYBLOB_A_GENL_FD]);
	return 0;
}

int agent_accept(struct agent *a, struct accepted *r)
{
	int err = agent_call(a, agent_msg(a, KEYBLOB_GENL_ACCEPT), &r->answer);

	r->fd = -1;
	return err ? err : agent_accepted(r);
}

int agent_take(struct agent *a, struct accepted *r)
{
	if (!agent_is_told(a, WAIT_MS))
		return -ETIME;
	return agent_accept(a, r);
}

struct nl_msg *agent_done_msg(const struct agent *a, uint64_t id, int error)
{
	struct nl_msg *msg = agent_msg(a, KEYBLOB_GENL_DONE);

	nla_put_u64(msg, KEYBLOB_A_GENL_ID, id);
	nla_put_u32(msg, KEYBLOB_A_GENL_ERROR, error);
	return msg;
}

int agent_done(struct agent *a, uint64_t id, int error, struct answer *answer)
{
	return agent_call(a, agent_done_msg(a, id, error), answer);
}

bool agent_is_told(struct agent *a, int ms)
{
	static _Thread_local struct answer answer;
	bool told;

	if (!a->told)
		agent_event(a, &answer, ms);
	told = a->told;
	a->told = 0;
	return told;
}

int agent_join(struct agent *a)
{
	const int group = a->group;

	return setsockopt(nl_socket_get_fd(a->sk), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? -errno : 0;
}

int agent_event(struct agent *a, struct answer *event, int ms)
{
	static _Thread_local _Alignas(struct nlmsghdr) uint8_t data[1 << 16];
	ssize_t n;

	memset(event, 0, sizeof(*event));
	n = receive(a, data, sizeof(data), ms);
	if (n < 0)
		return n;
	read_message(a, (struct nlmsghdr *)data, event);
	return 0;
}

int agent_status(struct agent *a, uint32_t counts[3])
{
	static _Thread_local struct answer answer;
	int err = agent_call(a, agent_msg(a, KEYBLOB_GENL_STATUS), &answer);

	if (err)
		return err;
	for (int i = 0; i < 3; i++) {
		const struct nlattr *attr = answer.attrs[KEYBLOB_A_GENL_AGENTS + i];

		if (!attr)
			return -EPROTO;
		counts[i] = nla_get_u32(attr);
	}
	return 0;
}
