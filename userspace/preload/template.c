// SPDX-License-Identifier: GPL-2.0-only
/*
 * Templates for handshakes, and what went wrong with them. Used by the command, for sockets
 * that a service manager handed over, and by the preloaded library; owns nothing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "template.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif
#ifndef IPPROTO_SMC
#define IPPROTO_SMC	256
#endif
#ifndef AF_SMC
#define AF_SMC		43
#endif

/* SO_PROTOCOL or SO_DOMAIN; or a negative errno. */
static int read_option(int fd, int name)
{
	int value;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -errno : value;
}

int run_is_tcp(int fd)
{
	const int protocol = read_option(fd, SO_PROTOCOL);
	int domain;

	if (protocol == -EBADF || protocol == -ENOTSOCK)
		return 0;
	if (protocol < 0 || protocol == IPPROTO_TCP)
		return protocol < 0 ? protocol : 1;
	/* MPTCP and SMC, which carry TCP's streams, have no upper layer protocols. */
	if (protocol == IPPROTO_MPTCP || protocol == IPPROTO_SMC)
		return -EPROTONOSUPPORT;
	domain = read_option(fd, SO_DOMAIN);
	if (domain == AF_SMC)
		return -EPROTONOSUPPORT;
	return domain < 0 ? domain : 0;
}

int run_template_set(int fd, const struct keyblob_handshake *what)
{
	static const char ulp[] = KEYBLOB_ULP_NAME;

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, sizeof(ulp) - 1) < 0 && errno != EEXIST)
		return -errno;
	if (setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, what, sizeof(*what)) < 0)
		return -errno;
	return 0;
}

int run_handshake_state(int fd, struct keyblob_status *status)
{
	struct keyblob_status own;
	socklen_t len = sizeof(own);

	if (!status)
		status = &own;
	memset(status, 0, sizeof(*status));
	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, status, &len) < 0)
		return KEYBLOB_HANDSHAKE_NONE;
	return status->handshake;
}

const char *run_explain(int err)
{
	switch (-err) {
	case ENOENT:
		return "the kernel module keyblob is not loaded: modprobe keyblob";
	case ENOTCONN:
	case ENOPROTOOPT:
		return "the kernel module keyblob that is loaded is too old for this";
	case EPROTONOSUPPORT:
		return "the program wants Multipath TCP or SMC, which carry no TLS: turn it off";
	case ESRCH:
		return "no agent runs in this network namespace: start keyblobd";
	case EACCES:
		return "the agent's access rules do not allow it: see keyblobd.conf(5)";
	case EKEYREJECTED:
		return "the peer was not verified";
	case ETIMEDOUT:
		return "the peer, or the agent, did not finish the handshake in time";
	case EBUSY:
		return "too many handshakes wait for an agent";
	case EINVAL:
		return "the kernel, or the agent, takes the name or another setting for none";
	default:
		return strerrordesc_np(-err) ? strerrordesc_np(-err) : "unknown error";
	}
}
