/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The messages between an application and the agent.
 *
 * Transport: a UNIX socket of type SOCK_SEQPACKET, one message per packet.
 * A message is
 *
 *	struct nlmsghdr | struct genlmsghdr | netlink attributes
 *
 * (RFC 3549, <linux/netlink.h>, <linux/genetlink.h>), in host byte order:
 *
 *	nlmsg_type	KEYBLOB_PROTO_TYPE
 *	nlmsg_flags	NLM_F_REQUEST in requests, 0 in replies
 *	nlmsg_seq	chosen by the application, repeated in the reply. Any number
 *			of requests may be under way on one connection, each with a
 *			number of its own; replies come in the order of completion
 *	nlmsg_pid	0
 *	cmd		enum keyblob_cmd
 *	version		KEYBLOB_PROTO_VERSION
 *
 * Each request but CANCEL is answered by one reply: KEYBLOB_CMD_READY or
 * KEYBLOB_CMD_FAILED; STATUS and RELOAD, which carry nothing, by the same command or
 * by KEYBLOB_CMD_FAILED. A packet that is no such message at all (cut short, of
 * another type, without NLM_F_REQUEST) is answered with KEYBLOB_CMD_FAILED
 * where it has a header to answer to, and the connection is closed.
 *
 * Versions and growth: a request of a version the agent does not know fails
 * with EPROTONOSUPPORT. An attribute the agent does not know fails the request
 * with EOPNOTSUPP, unless its type has the bit KEYBLOB_A_OPTIONAL: such
 * attributes may be passed over. A known attribute of the wrong size, or given
 * twice, fails it with EINVAL. An application passes over the attributes of a
 * reply that it does not know.
 *
 * KEYBLOB_CMD_ACCEPT and _CONNECT carry the TCP socket, exactly one descriptor
 * in SCM_RIGHTS. The agent closes its copy before it replies. From the request
 * to the reply the application leaves the socket alone.
 */
#ifndef KEYBLOB_PROTOCOL_H
#define KEYBLOB_PROTOCOL_H

#define KEYBLOB_PROTO_TYPE	0x4b42
#define KEYBLOB_PROTO_VERSION	1

/* Where the agent listens, if nothing else is said. */
#define KEYBLOB_AGENT_PATH	"/run/keyblob/agent.sock"

/* No message is larger, in bytes; nor a request. */
#define KEYBLOB_MSG_MAX		65536
#define KEYBLOB_REQUEST_MAX	8192

/* Bytes of KEYBLOB_A_CHANNEL_BINDING. */
#define KEYBLOB_CHANNEL_BINDING_SIZE 32

/* An attribute with this bit in its type may be ignored by who does not know it. */
#define KEYBLOB_A_OPTIONAL	0x2000

enum keyblob_cmd {
	KEYBLOB_CMD_ACCEPT = 1,		/* handshake as TLS server */
	KEYBLOB_CMD_CANCEL,		/* give up the request of the same nlmsg_seq; it
					 * is not answered any more, nor is this */
	KEYBLOB_CMD_READY,		/* done; the blobs */
	KEYBLOB_CMD_FAILED,		/* not done, and why */
	KEYBLOB_CMD_CONNECT,		/* handshake as TLS client */
	KEYBLOB_CMD_STATUS,		/* the agent's counters; the answer is of the same cmd */
	KEYBLOB_CMD_RELOAD,		/* read the configuration anew; answered when that is
					 * done, by the same cmd or by FAILED */
};

enum keyblob_attr {
	/* requests */
	KEYBLOB_A_TIMEOUT = 1,		/* u32, ms for the handshake; absent: the agent's */
	KEYBLOB_A_ALPN_LIST,		/* protocols the application speaks, the preferred
					 * first, as ProtocolNameList of RFC 7301 3.1
					 * without its outer length, 100 names at most.
					 * Absent: no ALPN */
	/* READY */
	KEYBLOB_A_BLOB_TX,		/* binary, KEYBLOB_BLOB_SIZE */
	KEYBLOB_A_BLOB_RX,		/* binary, KEYBLOB_BLOB_SIZE */
	KEYBLOB_A_TLS_VERSION,		/* u16, as on the wire: 0x0304 */
	KEYBLOB_A_CIPHER_SUITE,		/* u16, IANA number: 0x1301 */
	KEYBLOB_A_CIPHER_NAME,		/* string, IANA name */
	KEYBLOB_A_GROUP,		/* string, name of the key exchange group */
	KEYBLOB_A_ALPN,			/* string, the protocol chosen; absent: none */
	KEYBLOB_A_SERVER_NAME,		/* string, the client's SNI; absent: none */
	KEYBLOB_A_RESUMED,		/* flag */
	/* FAILED */
	KEYBLOB_A_ERRNO,		/* u32, positive errno, see below */
	KEYBLOB_A_REASON,		/* string, one line for a person; of RELOAD, one per
					 * fault */
	KEYBLOB_A_ALERT_SENT,		/* u8, AlertDescription (RFC 8446 section 6) */
	KEYBLOB_A_ALERT_RECEIVED,	/* u8 */
	/* requests, again */
	KEYBLOB_A_PEER_NAME,		/* string, CONNECT, required: the DNS name (A-labels) or
					 * IP address to connect to: what the certificate must
					 * be for, and the SNI. In READY, repeated: the names of
					 * the peer's verified certificate, a client's PEER_NAME
					 * first: DNS names and addresses as they are,
					 * "email:...", "URI:..."; 16 KiB of them at most */
	KEYBLOB_A_IDENTITY,		/* string, the section's name in the agent's configuration.
					 * Absent: ACCEPT chooses by SNI, CONNECT takes the
					 * configured one or none */
	/* READY, again */
	KEYBLOB_A_PEER_CERT,		/* binary, DER; repeated: the chain as it was verified,
					 * from the peer's own to the trust anchor, or as much
					 * of it as fits. Absent: the peer showed none */
	KEYBLOB_A_CHANNEL_BINDING,	/* binary, 32 bytes: tls-exporter, RFC 9266; TLS 1.3 or
					 * extended master secret only, and only if the request
					 * has the same attribute, as a flag */
	/* STATUS */
	KEYBLOB_A_COUNTER,		/* repeated: u64 value, then the name as a string, of
					 * the characters a to z, 0 to 9 and _ */

	__KEYBLOB_A_END,
};

#define KEYBLOB_A_MAX (__KEYBLOB_A_END - 1)

/*
 * Values of KEYBLOB_A_ERRNO:
 *
 *	EINVAL		malformed request, or the descriptor is no TCP socket
 *	EPROTONOSUPPORT	unknown version
 *	EOPNOTSUPP	unknown command or attribute; or the module refuses this
 *			socket or what was negotiated
 *	ENOENT		no identity of that name
 *	ENOTCONN	the TCP socket is not connected
 *	EALREADY	the socket has its keys
 *	EBUSY		the limit of handshakes in flight is reached; or this application
 *			has a reload under way
 *	EACCES		the agent's access rules do not allow it
 *	EPERM		this user may not reload
 *	ETIMEDOUT	the peer did not finish in time
 *	ECONNRESET	the peer went away
 *	EKEYREJECTED	the peer was not verified; the reason says which check failed
 *	ECONNABORTED	the handshake failed otherwise; reason and alert say how
 *	ENOPROTOOPT	the kernel module is not loaded
 *	ESHUTDOWN	the agent is being stopped
 *	ENOMEM, EMFILE	as usual
 */

#endif /* KEYBLOB_PROTOCOL_H */
