// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registering takes CAP_NET_ADMIN, which workers have not; what they are given is a socket
 * that is registered. Called by supervisor.c and generation.c; owns a socket that keeps
 * applications waiting while workers come and go, and one that hears of new families.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/keyblob_netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "kernel_agent.h"
#include "log.h"

#define NONE_SERVED "no handshakes for applications that ask the kernel: "

struct kernel_agent {
	struct nl_sock *notices;	/* of the kernel, about its families */
	struct event *noticed;
	void (*came)(void *arg);
	void *arg;
	uint16_t family;		/* 0: the module is not there */
	bool serving;
	bool told;			/* why no socket can be had; once each time */
	int standby;			/* -1: none */
};

static void tell_once(struct kernel_agent *agent, const char *why, const char *remedy)
{
	if (!agent->told)
		log_notice(NONE_SERVED "%s%s", why, remedy);
	agent->told = true;
}

static struct nl_sock *connect_socket(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (sk && !genl_connect(sk))
		return sk;
	nl_socket_free(sk);
	return NULL;
}

/* The kernel loads the module for who asks, if it is installed. */
static uint16_t find_family(void)
{
	struct nl_sock *sk = connect_socket();
	int family = sk ? genl_ctrl_resolve(sk, KEYBLOB_FAMILY_NAME) : -1;

	nl_socket_free(sk);
	return family > 0 ? family : 0;
}

/*
 * 0 or a negative error of libnl. READY, which has another sequence number, may come before
 * the acknowledgement; then that is left for the worker, who skips it and asks anyway.
 */
static int register_socket(struct nl_sock *sk, uint16_t family, bool standby)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0,
				 KEYBLOB_GENL_AGENT_REGISTER, KEYBLOB_FAMILY_VERSION) ||
	    (standby && nla_put_flag(msg, KEYBLOB_A_GENL_STANDBY))) {
		nlmsg_free(msg);
		return -NLE_NOMEM;
	}
	nl_socket_disable_seq_check(sk);
	return nl_send_sync(sk, msg);
}

static int open_socket(struct kernel_agent *agent, bool standby)
{
	struct nl_sock *sk;
	int err, fd = -1;

	if (!agent->family) {
		tell_once(agent, "the kernel module keyblob is not loaded, or too old; they begin "
			  "when it is (modprobe keyblob)", "");
		return -1;
	}
	sk = connect_socket();
	err = sk ? register_socket(sk, agent->family, standby) : -NLE_NOMEM;
	if (!err)
		fd = fcntl(nl_socket_get_fd(sk), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		tell_once(agent, err ? nl_geterror(err) : "no descriptor is free",
			  err == -NLE_PERM ? "; registering as an agent wants CAP_NET_ADMIN" : "");
	else
		agent->told = false;
	nl_socket_free(sk);
	return fd;
}

int kernel_agent_socket(struct kernel_agent *agent, uint16_t *family)
{
	if (!agent)
		return -1;
	*family = agent->family;
	return open_socket(agent, false);
}

static void close_standby(struct kernel_agent *agent)
{
	if (agent->standby >= 0)
		close(agent->standby);
	agent->standby = -1;
}

void kernel_agent_serve(struct kernel_agent *agent, bool serve)
{
	if (!agent)
		return;
	agent->serving = serve;
	if (!serve)
		close_standby(agent);
	else if (agent->standby < 0)
		agent->standby = open_socket(agent, true);
}

/* Some family has come or gone, or notices were lost: look. */
static void on_noticed(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_agent *agent = arg;
	uint16_t family;
	char data[4096];

	(void)what;
	while (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0 || errno == EINTR)
		;
	family = find_family();
	if (family == agent->family)
		return;
	agent->family = family;
	agent->told = false;
	close_standby(agent);
	if (!agent->serving)
		return;
	log_notice("the kernel module keyblob was %sloaded", family ? "" : "un");
	kernel_agent_serve(agent, true);
	if (family)
		agent->came(agent->arg);
}

static int listen_to_notices(struct kernel_agent *agent, struct event_base *base)
{
	int group = -1, fd;

	agent->notices = connect_socket();
	if (agent->notices)
		group = genl_ctrl_resolve_grp(agent->notices, "nlctrl", "notify");
	if (group < 0 || nl_socket_add_membership(agent->notices, group))
		return -1;
	fd = nl_socket_get_fd(agent->notices);
	agent->noticed = event_new(base, fd, EV_READ | EV_PERSIST, on_noticed, agent);
	return agent->noticed ? event_add(agent->noticed, NULL) : -1;
}

struct kernel_agent *kernel_agent_new(struct event_base *base, void (*came)(void *arg),
				      void *arg)
{
	struct kernel_agent *agent = calloc(1, sizeof(*agent));

	if (!agent)
		goto err;
	*agent = (struct kernel_agent){ .came = came, .arg = arg, .standby = -1 };
	if (listen_to_notices(agent, base))
		goto err;
	agent->family = find_family();
	return agent;
err:
	log_notice(NONE_SERVED "there is no generic netlink for this process");
	kernel_agent_free(agent);
	return NULL;
}

void kernel_agent_free(struct kernel_agent *agent)
{
	if (!agent)
		return;
	close_standby(agent);
	if (agent->noticed)
		event_free(agent->noticed);
	nl_socket_free(agent->notices);
	free(agent);
}
