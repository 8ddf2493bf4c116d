// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "keyblob": messages between the kernel and agents, and events
 * for who audits. agent.c knows the agents, handshake.c the sockets; here messages are
 * checked, read and written. An agent is trusted with connections, not with the kernel.
 *
 * Everything is in process context. Commands may run at the same time.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/sock_diag.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include <linux/keyblob_netlink.h>

#include "agent.h"
#include "genl.h"
#include "handshake.h"
#include "suite.h"
#include "ulp.h"

#define KB_GROUPS_MAX	1024	/* supplementary groups that are told */
#define KB_REASON_MAX	1023	/* characters; what keyblob_status cannot hold is cut off */

/* The longest string that fits into a field of struct keyblob_status. */
#define KB_STATUS_MAX(field) (sizeof_field(struct keyblob_status, field) - 1)

static struct genl_family family;

static struct sock *sender(const struct sk_buff *skb)
{
	return NETLINK_CB(skb).sk;
}

static int agent_register(struct sk_buff *skb, struct genl_info *info)
{
	int err = kb_agent_register(genl_info_net(info), sender(skb), info->snd_portid,
				    nla_get_flag(info->attrs[KEYBLOB_A_GENL_STANDBY]));

	if (err == -EALREADY)
		GENL_SET_ERR_MSG(info, "this socket is an agent's already");
	else if (err == -EBUSY)
		GENL_SET_ERR_MSG(info, "too many agents in this network namespace");
	return err;
}

static int agent_retire(struct sk_buff *skb, struct genl_info *info)
{
	int err = kb_agent_retire(genl_info_net(info), sender(skb), info->snd_portid);

	if (err == -EPERM)
		GENL_SET_ERR_MSG(info, "this socket is no agent");
	return err;
}

static int status(struct sk_buff *skb, struct genl_info *info)
{
	struct kb_agent_counts counts;
	struct sk_buff *reply;
	void *header;

	kb_agent_count(genl_info_net(info), &counts);
	reply = genlmsg_new(3 * nla_total_size(sizeof(u32)), GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	header = genlmsg_put_reply(reply, info, &family, 0, KEYBLOB_GENL_STATUS);
	if (!header || nla_put_u32(reply, KEYBLOB_A_GENL_AGENTS, counts.agents) ||
	    nla_put_u32(reply, KEYBLOB_A_GENL_WAITING, counts.waiting) ||
	    nla_put_u32(reply, KEYBLOB_A_GENL_TAKEN, counts.taken)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, header);
	return genlmsg_reply(reply, info);
}

/* ---- ACCEPT ---- */

/* @text ends with a NUL or after @size characters. None: no attribute. */
static int put_text(struct sk_buff *skb, int type, const char *text, size_t size)
{
	const size_t len = strnlen(text, size);
	struct nlattr *attr;
	char *to;

	if (!len)
		return 0;
	attr = nla_reserve(skb, type, len + 1);
	if (!attr)
		return -EMSGSIZE;
	to = nla_data(attr);
	memcpy(to, text, len);
	to[len] = '\0';
	return 0;
}

static int put_what(struct sk_buff *skb, const struct kb_request *r)
{
	const struct keyblob_handshake *what = &r->what;
	const unsigned long now = jiffies;
	const u32 left = time_after(r->expires, now) ? jiffies_to_msecs(r->expires - now) : 0;

	if (nla_put_u16(skb, KEYBLOB_A_GENL_ROLE, what->role) ||
	    nla_put_u32(skb, KEYBLOB_A_GENL_TIMEOUT, left) ||
	    put_text(skb, KEYBLOB_A_GENL_PEER_NAME, what->peer_name, sizeof(what->peer_name)) ||
	    put_text(skb, KEYBLOB_A_GENL_IDENTITY, what->identity, sizeof(what->identity)))
		return -EMSGSIZE;
	return what->alpn_len ? nla_put(skb, KEYBLOB_A_GENL_ALPN, what->alpn_len, what->alpn) : 0;
}

static int count_groups(const struct kb_request *r)
{
	return min(r->who.cred->group_info->ngroups, KB_GROUPS_MAX);
}

static int put_groups(struct sk_buff *skb, const struct kb_request *r)
{
	const int count = count_groups(r);
	struct nlattr *attr;
	u32 *to;
	int i;

	attr = nla_reserve(skb, KEYBLOB_A_GENL_GROUPS, count * sizeof(u32));
	if (!attr)
		return -EMSGSIZE;
	to = nla_data(attr);
	for (i = 0; i < count; i++)
		to[i] = from_kgid_munged(current_user_ns(), r->who.cred->group_info->gid[i]);
	return 0;
}

/* Who asks, as the caller's namespaces see it. */
static int put_who(struct sk_buff *skb, const struct kb_request *r, const char *cgroup)
{
	struct user_namespace *ns = current_user_ns();

	if (nla_put_u32(skb, KEYBLOB_A_GENL_PID, pid_vnr(r->who.pid)) ||
	    nla_put_u32(skb, KEYBLOB_A_GENL_UID, from_kuid_munged(ns, r->who.cred->euid)) ||
	    nla_put_u32(skb, KEYBLOB_A_GENL_GID, from_kgid_munged(ns, r->who.cred->egid)) ||
	    put_groups(skb, r))
		return -EMSGSIZE;
	if (!r->who.cgroup)
		return 0;
	if (nla_put_u64_64bit(skb, KEYBLOB_A_GENL_CGROUP_ID, cgroup_id(r->who.cgroup),
			      KEYBLOB_A_GENL_PAD))
		return -EMSGSIZE;
	return put_text(skb, KEYBLOB_A_GENL_CGROUP, cgroup, PATH_MAX);
}

/* Its path, to be freed; empty: none, or too long to tell. NULL: no memory. */
static char *path_of_cgroup(const struct kb_request *r)
{
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	int len = 0;

	if (!path)
		return NULL;
	if (r->who.cgroup)
		len = cgroup_path_ns(r->who.cgroup, path, PATH_MAX, current->nsproxy->cgroup_ns);
	if (len <= 0 || len >= PATH_MAX)
		path[0] = '\0';
	return path;
}

static struct sk_buff *accept_reply(const struct kb_request *r, int fd, struct genl_info *info)
{
	char *cgroup = path_of_cgroup(r);
	struct sk_buff *reply = NULL;
	void *header;

	if (!cgroup)
		return NULL;
	reply = genlmsg_new(2 * nla_total_size_64bit(sizeof(u64)) +
			    6 * nla_total_size(sizeof(u32)) +
			    nla_total_size(sizeof(r->what.peer_name) + 1) +
			    nla_total_size(sizeof(r->what.identity) + 1) +
			    nla_total_size(sizeof(r->what.alpn)) +
			    nla_total_size(count_groups(r) * sizeof(u32)) +
			    nla_total_size(strlen(cgroup) + 1), GFP_KERNEL);
	if (!reply)
		goto out;
	header = genlmsg_put_reply(reply, info, &family, 0, KEYBLOB_GENL_ACCEPT);
	if (!header || nla_put_u64_64bit(reply, KEYBLOB_A_GENL_ID, r->id, KEYBLOB_A_GENL_PAD) ||
	    nla_put_s32(reply, KEYBLOB_A_GENL_FD, fd) ||
	    put_what(reply, r) || put_who(reply, r, cgroup)) {
		nlmsg_free(reply);
		reply = NULL;
		goto out;
	}
	genlmsg_end(reply, header);
out:
	kfree(cgroup);
	return reply;
}

static int accept(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct sk_buff *reply;
	struct kb_request *r;
	struct file *file;
	int err;

	if (fd < 0) {
		GENL_SET_ERR_MSG(info, "no room for another descriptor");
		return fd;
	}
	r = kb_agent_accept(net, sender(skb), info->snd_portid, &file);
	if (IS_ERR(r)) {
		err = PTR_ERR(r);
		if (err == -EPERM)
			GENL_SET_ERR_MSG(info, "not the socket of an agent that takes requests");
		else if (err == -EAGAIN)
			GENL_SET_ERR_MSG(info, "no request waits");
		goto err_fd;
	}
	reply = accept_reply(r, fd, info);
	err = reply ? genlmsg_reply(reply, info) : -ENOMEM;
	if (err) {
		/* EAGAIN would be: none waits. */
		err = err == -EAGAIN ? -ENOBUFS : err;
		GENL_SET_ERR_MSG(info, "no room for the reply: read what is there");
		goto err_request;
	}
	/* Whoever reads the number has to wait for its own call to return, at most. */
	fd_install(fd, file);
	kb_request_put(r);
	return 0;

err_request:
	fput(file);
	kb_agent_give_back(net, r);
	kb_request_put(r);
err_fd:
	put_unused_fd(fd);
	return err;
}

/* ---- DONE ---- */

static const struct {
	u16 attr;
	u16 max;	/* characters */
} texts[KB_TEXTS] = {
	[KB_REASON]	 = { KEYBLOB_A_GENL_REASON, KB_STATUS_MAX(reason) },
	[KB_ALPN]	 = { KEYBLOB_A_GENL_ALPN, KB_STATUS_MAX(alpn) },
	[KB_SERVER_NAME] = { KEYBLOB_A_GENL_SERVER_NAME, KB_STATUS_MAX(server_name) },
	[KB_PEER_NAME]	 = { KEYBLOB_A_GENL_PEER_NAME, KB_STATUS_MAX(peer_name) },
	[KB_GROUP]	 = { KEYBLOB_A_GENL_GROUP, KB_STATUS_MAX(group) },
};

/* Strings end at their NUL; ALPN has none. */
static size_t text_len(const struct nlattr *attr)
{
	if (nla_type(attr) == KEYBLOB_A_GENL_ALPN)
		return nla_len(attr);
	return strnlen(nla_data(attr), nla_len(attr));
}

/* They end up on the terminals of applications' users. */
static int check_texts(struct genl_info *info)
{
	const struct nlattr *attr;
	const u8 *text;
	size_t len;
	int i;

	for (i = 0; i < KB_TEXTS; i++) {
		attr = info->attrs[texts[i].attr];
		if (!attr)
			continue;
		text = nla_data(attr);
		for (len = text_len(attr); len; len--, text++) {
			if (!isascii(*text) || !isprint(*text)) {
				NL_SET_ERR_MSG_ATTR(info->extack, attr, "not printable ASCII");
				return -EINVAL;
			}
		}
	}
	return 0;
}

/* What says something else to who waits for a handshake than that it has failed. */
static bool is_no_failure(u32 error)
{
	return error == EINTR || error == EAGAIN || error == EALREADY || error == EINPROGRESS ||
	       error == EISCONN || error == ESRCH;
}

static int check_done(struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;

	if (GENL_REQ_ATTR_CHECK(info, KEYBLOB_A_GENL_ID) ||
	    GENL_REQ_ATTR_CHECK(info, KEYBLOB_A_GENL_ERROR)) {
		GENL_SET_ERR_MSG(info, "ID and ERROR are required");
		return -EINVAL;
	}
	if (is_no_failure(nla_get_u32(attrs[KEYBLOB_A_GENL_ERROR]))) {
		NL_SET_ERR_MSG_ATTR(info->extack, attrs[KEYBLOB_A_GENL_ERROR],
				    "not the error of a handshake");
		return -EINVAL;
	}
	if (attrs[KEYBLOB_A_GENL_ALERT_SENT] && attrs[KEYBLOB_A_GENL_ALERT_RECEIVED]) {
		GENL_SET_ERR_MSG(info, "ALERT_SENT or ALERT_RECEIVED, not both");
		return -EINVAL;
	}
	return check_texts(info);
}

static void set_alert(struct kb_outcome *outcome, const struct nlattr *attr, u8 has_alert)
{
	if (!attr)
		return;
	outcome->has_alert = has_alert;
	outcome->alert = nla_get_u8(attr);
}

static void set_text(struct kb_outcome *outcome, int i, const struct nlattr *attr, u16 *end)
{
	size_t len = min_t(size_t, text_len(attr), texts[i].max);

	outcome->text[i] = *end;
	memcpy(outcome->texts + *end, nla_data(attr), len);
	*end += len + 1;
}

/* Text at offset 0 is the empty one. */
static struct kb_outcome *outcome_of(struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct kb_outcome *outcome;
	size_t size = 1;
	u16 end = 1;
	int i;

	for (i = 0; i < KB_TEXTS; i++)
		if (attrs[texts[i].attr])
			size += min_t(size_t, text_len(attrs[texts[i].attr]), texts[i].max) + 1;
	outcome = kzalloc(struct_size(outcome, texts, size), GFP_KERNEL_ACCOUNT);
	if (!outcome)
		return NULL;
	outcome->error = nla_get_u32(attrs[KEYBLOB_A_GENL_ERROR]);
	outcome->resumed = nla_get_flag(attrs[KEYBLOB_A_GENL_RESUMED]);
	if (attrs[KEYBLOB_A_GENL_CIPHER_SUITE])
		outcome->cipher_suite = nla_get_u16(attrs[KEYBLOB_A_GENL_CIPHER_SUITE]);
	set_alert(outcome, attrs[KEYBLOB_A_GENL_ALERT_SENT], 1);
	set_alert(outcome, attrs[KEYBLOB_A_GENL_ALERT_RECEIVED], 2);
	for (i = 0; i < KB_TEXTS; i++)
		if (attrs[texts[i].attr])
			set_text(outcome, i, attrs[texts[i].attr], &end);
	return outcome;
}

static int done(struct sk_buff *skb, struct genl_info *info)
{
	struct kb_outcome *outcome;
	int err = check_done(info);

	if (err)
		return err;
	outcome = outcome_of(info);
	if (!outcome)
		return -ENOMEM;
	err = kb_agent_done(genl_info_net(info), sender(skb), info->snd_portid,
			    nla_get_u64(info->attrs[KEYBLOB_A_GENL_ID]), outcome);
	if (!err)
		return 0;
	kfree(outcome);
	if (err == -EPERM)
		GENL_SET_ERR_MSG(info, "not an agent's socket");
	else if (err == -ENOENT)
		GENL_SET_ERR_MSG(info, "this agent has taken no such request, or it is over");
	else if (err == -EINVAL)
		GENL_SET_ERR_MSG(info, "success, but not both keys have been imported");
	return err;
}

/* ---- what the kernel says of itself ---- */

int kb_genl_ready(struct net *net, u32 portid)
{
	struct sk_buff *skb = genlmsg_new(0, GFP_KERNEL);
	void *header;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put(skb, 0, 0, &family, 0, KEYBLOB_GENL_READY);
	if (!header) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_unicast(net, skb, portid);
}

static int put_direction(struct sk_buff *skb, const struct kb_sock *kb, u16 direction)
{
	const struct kb_dir *dir = direction == KEYBLOB_DIR_TX ? &kb->tx : &kb->rx;

	if (!direction)
		return 0;
	return nla_put_u16(skb, KEYBLOB_A_GENL_DIRECTION, direction) ?:
	       nla_put_u32(skb, KEYBLOB_A_GENL_GENERATION, READ_ONCE(dir->generation));
}

static int put_suite(struct sk_buff *skb, const struct kb_sock *kb)
{
	const struct kb_suite *suite = READ_ONCE(kb->suite);

	if (!suite)
		return 0;
	return nla_put_u16(skb, KEYBLOB_A_GENL_TLS_VERSION, kb->tls_version) ?:
	       nla_put_u16(skb, KEYBLOB_A_GENL_CIPHER, suite->cipher);
}

/*
 * Whose call it is. Listeners have no pid namespace in common: the initial one counts in
 * the initial network namespace, elsewhere the process's own.
 */
static int put_caller(struct sk_buff *skb, struct net *net)
{
	pid_t pid;

	if (!in_task() || current->flags & PF_KTHREAD)
		return 0;
	pid = net_eq(net, &init_net) ? task_tgid_nr(current) : task_tgid_vnr(current);
	return nla_put_u32(skb, KEYBLOB_A_GENL_PID, pid) ?:
	       nla_put_u32(skb, KEYBLOB_A_GENL_UID,
			   from_kuid_munged(net->user_ns, current_euid()));
}

static int put_event(struct sk_buff *skb, struct sock *sk, const struct kb_audit *event)
{
	const struct kb_sock *kb = kb_sock(sk);
	__u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	if (nla_put_u16(skb, KEYBLOB_A_GENL_EVENT, event->type) ||
	    nla_put_u64_64bit(skb, KEYBLOB_A_GENL_COOKIE, ((u64)cookie[1] << 32) | cookie[0],
			      KEYBLOB_A_GENL_PAD) ||
	    put_direction(skb, kb, event->direction) || put_suite(skb, kb) ||
	    put_caller(skb, sock_net(sk)))
		return -EMSGSIZE;
	return event->error ? nla_put_u32(skb, KEYBLOB_A_GENL_ERROR, event->error) : 0;
}

void kb_genl_event(struct sock *sk, const struct kb_audit *event)
{
	struct net *net = sock_net(sk);
	struct sk_buff *skb;
	void *header;

	if (!genl_has_listeners(&family, net, 0))
		return;
	skb = genlmsg_new(nla_total_size_64bit(sizeof(u64)) + 8 * nla_total_size(sizeof(u32)),
			  GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &family, 0, KEYBLOB_GENL_EVENT);
	if (!header || put_event(skb, sk, event)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast_netns(&family, net, skb, 0, 0, GFP_KERNEL);
}

/* ---- the family ---- */

static const struct nla_policy register_policy[] = {
	[KEYBLOB_A_GENL_STANDBY]	= { .type = NLA_FLAG },
};

static const struct nla_policy done_policy[] = {
	[KEYBLOB_A_GENL_ID]		= { .type = NLA_U64 },
	[KEYBLOB_A_GENL_PEER_NAME]	= { .type = NLA_NUL_STRING,
					    .len = KB_STATUS_MAX(peer_name) },
	[KEYBLOB_A_GENL_ALPN]		= NLA_POLICY_RANGE(NLA_BINARY, 1, KB_STATUS_MAX(alpn)),
	[KEYBLOB_A_GENL_ERROR]		= NLA_POLICY_MAX(NLA_U32, EHWPOISON),
	[KEYBLOB_A_GENL_ALERT_SENT]	= { .type = NLA_U8 },
	[KEYBLOB_A_GENL_ALERT_RECEIVED]	= { .type = NLA_U8 },
	[KEYBLOB_A_GENL_REASON]		= { .type = NLA_NUL_STRING, .len = KB_REASON_MAX },
	[KEYBLOB_A_GENL_CIPHER_SUITE]	= { .type = NLA_U16 },
	[KEYBLOB_A_GENL_GROUP]		= { .type = NLA_NUL_STRING, .len = KB_STATUS_MAX(group) },
	[KEYBLOB_A_GENL_SERVER_NAME]	= { .type = NLA_NUL_STRING,
					    .len = KB_STATUS_MAX(server_name) },
	[KEYBLOB_A_GENL_RESUMED]	= { .type = NLA_FLAG },
};

/* Without a policy, no attribute is let in. */
static const struct genl_ops ops[] = {
	{
		.cmd		= KEYBLOB_GENL_AGENT_REGISTER,
		.doit		= agent_register,
		.policy		= register_policy,
		.maxattr	= ARRAY_SIZE(register_policy) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd		= KEYBLOB_GENL_ACCEPT,
		.doit		= accept,
	},
	{
		.cmd		= KEYBLOB_GENL_DONE,
		.doit		= done,
		.policy		= done_policy,
		.maxattr	= ARRAY_SIZE(done_policy) - 1,
	},
	{
		.cmd		= KEYBLOB_GENL_STATUS,
		.doit		= status,
		.flags		= GENL_UNS_ADMIN_PERM,
	},
	{
		.cmd		= KEYBLOB_GENL_AGENT_RETIRE,
		.doit		= agent_retire,
	},
};

static const struct genl_multicast_group groups[] = {
	{ .name = KEYBLOB_MCGRP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

static struct genl_family family __ro_after_init = {
	.name		= KEYBLOB_FAMILY_NAME,
	.version	= KEYBLOB_FAMILY_VERSION,
	.module		= THIS_MODULE,
	.netnsok	= true,
	.parallel_ops	= true,
	.ops		= ops,
	.n_ops		= ARRAY_SIZE(ops),
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
};

static int on_netlink(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct netlink_notify *n = data;

	if (event == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC)
		kb_agent_unregister(n->net, n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = on_netlink };

int __init kb_genl_init(void)
{
	int err = netlink_register_notifier(&notifier);

	if (err)
		return err;
	err = genl_register_family(&family);
	if (err)
		netlink_unregister_notifier(&notifier);
	return err;
}

void kb_genl_exit(void)
{
	genl_unregister_family(&family);
	netlink_unregister_notifier(&notifier);
}
