/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Generic netlink family "keyblob": how agents take the handshakes that applications ask for
 * by KEYBLOB_HANDSHAKE (keyblob.h). uapi/netlink/keyblob.yaml describes it for programs.
 *
 * Everything is per network namespace. With CAP_NET_ADMIN there, a netlink socket is made an
 * agent's (AGENT_REGISTER); from then on the socket itself is the right to take requests, so
 * that it can be passed to a process without privilege. Closing it ends the agent: requests
 * that it had taken and not touched wait for another, the others fail with ECONNABORTED.
 * Without another agent, those that wait end with ESRCH.
 */
#ifndef _UAPI_LINUX_KEYBLOB_NETLINK_H
#define _UAPI_LINUX_KEYBLOB_NETLINK_H

#define KEYBLOB_FAMILY_NAME	"keyblob"
#define KEYBLOB_FAMILY_VERSION	1

#define KEYBLOB_MCGRP_EVENTS	"events"

enum {
	/*
	 * do, CAP_NET_ADMIN. Optional: A_STANDBY (flag): this socket takes no requests
	 * itself and is not told of any, but as long as it is there, applications may wait
	 * for an agent. EALREADY: it is registered.
	 */
	KEYBLOB_GENL_AGENT_REGISTER = 1,
	/*
	 * Sent to an agent's socket: requests wait. Take them by ACCEPT until it says EAGAIN;
	 * this socket may not be told again before. Of several agents, one is told. It may
	 * come before the answer to AGENT_REGISTER, and before the EAGAIN that it follows.
	 */
	KEYBLOB_GENL_READY,
	/*
	 * do, agents' sockets only (EPERM). Takes the oldest request. Reply: A_ID, A_FD (of the
	 * connected socket, close-on-exec, installed into the calling process, which alone
	 * may use the connection until DONE; it is there when the call that sent ACCEPT has
	 * returned), A_ROLE, A_TIMEOUT (what is left), A_PEER_NAME, A_IDENTITY, A_ALPN, where
	 * given; and who asks: A_PID, A_UID, A_GID, A_GROUPS, A_CGROUP_ID, A_CGROUP, as seen from
	 * the caller's namespaces. It is less than 16 KB. EAGAIN: none can
	 * be taken now; READY comes when that changes.
	 */
	KEYBLOB_GENL_ACCEPT,
	/*
	 * do, from the socket that took the request. A_ID, A_ERROR (0: done, both keys are
	 * imported, the one to send with first; EINVAL where they are not; none that speaks
	 * of waiting: EINTR, EAGAIN, EALREADY, EINPROGRESS, EISCONN, ESRCH); and what is
	 * known of A_ALERT_SENT or A_ALERT_RECEIVED, A_REASON, A_CIPHER_SUITE, A_GROUP,
	 * A_ALPN, A_SERVER_NAME, A_PEER_NAME, A_RESUMED. Text is printable ASCII and fits
	 * into struct keyblob_status; of A_REASON, up to 1,023 characters, the rest is cut
	 * off. ENOENT: the request is over (cancelled, timed out). EINVAL: it is not, answer
	 * again.
	 */
	KEYBLOB_GENL_DONE,
	/*
	 * do, CAP_NET_ADMIN. Reply: A_AGENTS (with those on standby), A_WAITING, A_TAKEN:
	 * numbers at this moment.
	 */
	KEYBLOB_GENL_STATUS,
	/*
	 * Multicast to group "events", which CAP_NET_ADMIN may join: A_EVENT, A_COOKIE, and as far
	 * as it applies A_DIRECTION, A_TLS_VERSION, A_CIPHER, A_GENERATION, A_ERROR, A_PID, A_UID.
	 * A_PID is the initial pid namespace's in the initial network namespace, elsewhere
	 * what the process itself sees. No secrets.
	 */
	KEYBLOB_GENL_EVENT,
	/*
	 * do, agents' sockets only. It takes no further request and is told of none, nor do
	 * applications wait for it; what it has taken it may end by DONE.
	 */
	KEYBLOB_GENL_AGENT_RETIRE,

	__KEYBLOB_GENL_MAX,
};

#define KEYBLOB_GENL_MAX (__KEYBLOB_GENL_MAX - 1)

/* A_EVENT */
enum {
	KEYBLOB_EVENT_ATTACHED = 1,
	KEYBLOB_EVENT_EXPORTED,		/* a blob was made; direction, generation */
	KEYBLOB_EVENT_IMPORTED,
	KEYBLOB_EVENT_REKEYED,		/* by either side's KeyUpdate; direction, generation */
	KEYBLOB_EVENT_ENDED,		/* the socket is closed */
	KEYBLOB_EVENT_REFUSED,		/* export, import or handshake; error says why */
};

enum {
	KEYBLOB_A_GENL_UNSPEC,
	KEYBLOB_A_GENL_PAD,
	KEYBLOB_A_GENL_STANDBY,		/* flag */
	KEYBLOB_A_GENL_ID,		/* u64 */
	KEYBLOB_A_GENL_FD,		/* s32 */
	KEYBLOB_A_GENL_ROLE,		/* u16, KEYBLOB_ROLE_* */
	KEYBLOB_A_GENL_TIMEOUT,		/* u32, ms */
	KEYBLOB_A_GENL_PEER_NAME,	/* string */
	KEYBLOB_A_GENL_IDENTITY,	/* string */
	KEYBLOB_A_GENL_ALPN,		/* binary: ACCEPT, the list; DONE, the name chosen */
	KEYBLOB_A_GENL_PID,		/* u32; 0: not in the caller's pid namespace */
	KEYBLOB_A_GENL_UID,		/* u32 */
	KEYBLOB_A_GENL_GID,		/* u32 */
	KEYBLOB_A_GENL_GROUPS,		/* binary, u32 each: the first 1,024 supplementary */
	KEYBLOB_A_GENL_CGROUP_ID,	/* u64, of cgroup v2 */
	KEYBLOB_A_GENL_CGROUP,		/* string, its path */
	KEYBLOB_A_GENL_ERROR,		/* u32, positive errno */
	KEYBLOB_A_GENL_ALERT_SENT,	/* u8, AlertDescription of RFC 8446 section 6 */
	KEYBLOB_A_GENL_ALERT_RECEIVED,	/* u8 */
	KEYBLOB_A_GENL_REASON,		/* string, one line */
	KEYBLOB_A_GENL_CIPHER_SUITE,	/* u16, IANA's number */
	KEYBLOB_A_GENL_GROUP,		/* string */
	KEYBLOB_A_GENL_SERVER_NAME,	/* string */
	KEYBLOB_A_GENL_RESUMED,		/* flag */
	KEYBLOB_A_GENL_AGENTS,		/* u32 */
	KEYBLOB_A_GENL_WAITING,		/* u32 */
	KEYBLOB_A_GENL_TAKEN,		/* u32 */
	KEYBLOB_A_GENL_EVENT,		/* u16, KEYBLOB_EVENT_* */
	KEYBLOB_A_GENL_COOKIE,		/* u64, SO_COOKIE */
	KEYBLOB_A_GENL_DIRECTION,	/* u16, KEYBLOB_DIR_* */
	KEYBLOB_A_GENL_TLS_VERSION,	/* u16 */
	KEYBLOB_A_GENL_CIPHER,		/* u16, of <linux/tls.h> */
	KEYBLOB_A_GENL_GENERATION,	/* u32 */

	__KEYBLOB_A_GENL_MAX,
};

#define KEYBLOB_A_GENL_MAX (__KEYBLOB_A_GENL_MAX - 1)

#endif /* _UAPI_LINUX_KEYBLOB_NETLINK_H */
