/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * keyblob: sealed TLS session keys for TCP sockets.
 *
 * This header is the contract between keyblob.ko and user space. The options
 * below exist on a TCP socket (IPv4 or IPv6) after
 *
 *	setsockopt(fd, SOL_TCP, TCP_ULP, "keyblob", sizeof("keyblob") - 1);
 *
 * which the socket must receive while it is ESTABLISHED, before the handshake.
 * TLS versions and ciphers are named by the constants of <linux/tls.h>.
 *
 * A call that is refused changes nothing. Errors common to all options:
 *
 *	EBADMSG		not authentic: altered, or sealed by another load of the
 *			module (another boot, or before a reload)
 *	EPROTONOSUPPORT	this module does not know the blob's version
 *	ESTALE		sealed for another socket, or the stream has moved since
 *	EKEYEXPIRED	the blob's lifetime is over
 *	EALREADY	this direction has its key
 *	EBUSY		another thread is sending, or importing, at this moment
 *	EOPNOTSUPP	a cipher, version or socket that kTLS cannot carry here; a
 *			socket whose network device would hold the key included
 *	EACCES		SOL_TLS key access (TLS_TX, TLS_RX) on a keyblob socket
 *	EINVAL		malformed, or a blob for the other direction
 *	ENOTCONN	the socket is not (or no longer) connected
 *
 * One refusal changes something: an import whose blob another thread changes meanwhile,
 * or whose route moves to a device that would take the key, fails with ECONNABORTED and
 * resets the connection.
 *
 * With its keys, the socket is an ordinary one: read(2), write(2), sendfile(2),
 * splice(2), poll(2) and io_uring carry application data. Session tickets are
 * consumed, KeyUpdates obeyed and answered, close_notify is sent by shutdown(2) and
 * close(2). Receiving ends with
 *
 *	0		the peer sent close_notify
 *	ECONNRESET	TCP ended without close_notify: the stream may be truncated.
 *			KEYBLOB_TRUNCATION makes that a 0
 *	ECONNABORTED	the peer sent a fatal alert
 *	EPROTO		the peer broke the protocol and was sent a fatal alert
 *	EBADMSG		a record was not authentic; the peer was sent an alert
 *
 * and stays there; KEYBLOB_INFO names the alert. Sending ends with EPIPE after a
 * fatal alert, and with EKEYEXPIRED where a TLS 1.2 key has reached its limit. Where there
 * is no memory to encrypt with, it says EBADMSG once, then EPIPE: the stream ends without
 * close_notify, and keyblob_status.tx_end is KEYBLOB_END_TRUNCATED.
 */
#ifndef _UAPI_LINUX_KEYBLOB_H
#define _UAPI_LINUX_KEYBLOB_H

#include <linux/types.h>

/* Level of the options, "KB". */
#define SOL_KEYBLOB		0x4b42

/* Name of the upper layer protocol, for TCP_ULP. */
#define KEYBLOB_ULP_NAME	"keyblob"

/* Options at SOL_KEYBLOB. */
#define KEYBLOB_EXPORT		1	/* getsockopt: struct keyblob_key in, blob out */
#define KEYBLOB_TX		2	/* setsockopt: import a blob to send with */
#define KEYBLOB_RX		3	/* setsockopt: import a blob to receive with */
#define KEYBLOB_INFO		4	/* getsockopt: struct keyblob_status */
#define KEYBLOB_REKEY		5	/* setsockopt: int, 1 asks the peer to do so, too */
#define KEYBLOB_TRUNCATION	6	/* setsockopt: int, 1: the end of TCP is an end */
#define KEYBLOB_HANDSHAKE	7	/* setsockopt: struct keyblob_handshake */

/* Directions, as seen from the socket. */
#define KEYBLOB_DIR_TX		1
#define KEYBLOB_DIR_RX		2

/* This side's part in the handshake. It decides which messages may still come. */
#define KEYBLOB_ROLE_UNKNOWN	0
#define KEYBLOB_ROLE_CLIENT	1
#define KEYBLOB_ROLE_SERVER	2

/* Sizes of what struct keyblob_key carries, in bytes. */
#define KEYBLOB_SECRET_MAX	48	/* a traffic secret, SHA-384 */
#define KEYBLOB_KEY_MAX		32
#define KEYBLOB_IV_SIZE		12

/*
 * Key material of one direction of one socket; the input of KEYBLOB_EXPORT.
 * The blob is written over it, so that the caller's buffer holds no key
 * afterwards. On an error the buffer is left as it was: wipe it.
 *
 * TLS 1.3: @secret is the application traffic secret of @generation
 * (RFC 8446 section 7.1: client_ or server_application_traffic_secret_N, N
 * counted from 0), @secret_len its length, which the cipher determines. @key
 * and @iv are what section 7.3 derives from it; where they are zero, both, the
 * module does that.
 *
 * TLS 1.2: @key is the write key and @iv the 12 byte nonce: salt, then the
 * explicit nonce of the next record, for AES-GCM (RFC 5288 section 3; the
 * explicit part is of no importance for RX); the write IV for
 * ChaCha20-Poly1305 (RFC 7905 section 2). @secret, @secret_len and @generation
 * must be zero.
 */
struct keyblob_key {
	__u16 direction;	/* KEYBLOB_DIR_* */
	__u16 tls_version;	/* TLS_1_2_VERSION, TLS_1_3_VERSION */
	__u16 cipher;		/* TLS_CIPHER_AES_GCM_128, ... */
	__u16 secret_len;	/* bytes used in secret */
	__u32 generation;	/* how many KeyUpdates led to this secret */
	__u32 lifetime_ms;	/* of the blob; 0: the module's default */
	__u64 rec_seq;		/* sequence number of the next record */
	__u8 secret[KEYBLOB_SECRET_MAX];
	__u8 key[KEYBLOB_KEY_MAX];
	__u8 iv[KEYBLOB_IV_SIZE];
	__u16 role;		/* KEYBLOB_ROLE_* */
	__u16 reserved;		/* zero */
};

/*
 * KEYBLOB_HANDSHAKE: an agent of the network namespace is to do the handshake on this
 * socket and to import both keys.
 *
 * On a blocking socket the call returns when that is done. On a non-blocking one it
 * returns EINPROGRESS (as it does when SO_SNDTIMEO is over); then, as with connect(2),
 * poll(2) says writable when it has ended, SO_ERROR says how, and the same call again says
 * EALREADY meanwhile. A call that a signal interrupts (EINTR) leaves the handshake under
 * way; the same call again waits for it. Until it has ended, or the agent has imported the
 * key of a direction, that carries nothing for anybody but the agent: who reads or writes
 * waits, or gets EAGAIN. After a failure the socket never carries anything again, and the
 * connection is being closed.
 *
 *	ESRCH		no agent runs in this network namespace
 *	EALREADY	a handshake is under way
 *	EISCONN		the socket has its keys
 *	EBUSY		too many handshakes wait for an agent; or an agent's own limit; or
 *			another thread uses the socket at this moment
 *	E2BIG		a field that this module does not know is not zero
 *	EINVAL		malformed
 *	EACCES		the agent's access rules do not allow it
 *	ENOENT		the agent has no identity of that name
 *	ETIMEDOUT	the peer, or the agent, did not finish in time
 *	EKEYREJECTED	the peer was not verified
 *	ECONNRESET	the peer went away
 *	ECONNABORTED	the handshake failed otherwise, or the agent died
 *	ECANCELED	the application has closed the socket meanwhile
 *	ENOMEM		as usual
 *
 * EALREADY, EISCONN and E2BIG change nothing, nor do ESRCH, EBUSY, EINVAL and ENOMEM where the
 * call itself is refused. After a handshake that was under way, or set before, any error
 * ends the connection: keyblob_status.handshake is KEYBLOB_HANDSHAKE_FAILED then, and
 * alert and reason say more.
 *
 * The option may also be set before the socket is connected, or on one that listens
 * (TCP_ULP comes first, as ever). Then connect(2) includes the handshake: it returns, or a
 * non-blocking socket is writable, when both are done; and each socket that accept(2)
 * returns has its handshake under way, as if set non-blocking on it. Who set the option is
 * the one who asks, whoever uses the socket then. (TCP_ULP on a socket that listens comes
 * too late for calls of accept(2) that wait already.)
 *
 * The option's length is the size that the caller knows of this structure, at least
 * KEYBLOB_HANDSHAKE_SIZE_MIN; what is not given is zero. Strings end with a NUL, or where
 * the field does.
 */
struct keyblob_handshake {
	__u32 flags;		/* zero */
	__u16 role;		/* KEYBLOB_ROLE_CLIENT, KEYBLOB_ROLE_SERVER */
	__u16 alpn_len;		/* bytes used in alpn */
	__u32 timeout_ms;	/* waiting for an agent included; 0: 30 s */
	__u32 reserved;		/* zero */
	/* Clients: the DNS name or IP address to connect to, which the peer's certificate
	 * must be for. Servers: empty.
	 */
	char peer_name[256];
	char identity[64];	/* name of the certificate to show; empty: the agent's choice */
	/* ProtocolNameList of RFC 7301 section 3.1, without its outer length: the protocols
	 * to offer, the preferred first.
	 */
	__u8 alpn[256];
};

#define KEYBLOB_HANDSHAKE_SIZE_MIN 16

/* Of keyblob_handshake.timeout_ms, and where it is 0. */
#define KEYBLOB_HANDSHAKE_MS_MAX	(60 * 60 * 1000)
#define KEYBLOB_HANDSHAKE_MS_DEFAULT	(30 * 1000)

/*
 * A blob is KEYBLOB_BLOB_SIZE bytes and opaque, but for this head, which lets
 * whoever carries it tell what it is. @size counts all of the blob.
 */
#define KEYBLOB_MAGIC		0x424c424bU	/* "KBLB" as bytes, little endian */
#define KEYBLOB_BLOB_VERSION	1
#define KEYBLOB_BLOB_SIZE	256

struct keyblob_head {
	__u32 magic;
	__u16 version;
	__u16 size;
};

/* How the stream ended, or did not, in keyblob_status.rx_end and tx_end. */
#define KEYBLOB_END_OPEN	0
#define KEYBLOB_END_CLOSE_NOTIFY 1	/* close_notify, RFC 8446 section 6.1 */
#define KEYBLOB_END_ALERT	2	/* a fatal alert; its number is in *_alert */
#define KEYBLOB_END_TRUNCATED	3	/* TCP ended without close_notify */
#define KEYBLOB_END_ABORTED	4	/* the peer broke the protocol; see tx_alert */

/* Where KEYBLOB_HANDSHAKE stands, in keyblob_status.handshake. */
#define KEYBLOB_HANDSHAKE_NONE	0	/* not asked for */
#define KEYBLOB_HANDSHAKE_SET	1	/* begins when the socket is connected */
#define KEYBLOB_HANDSHAKE_UNDER_WAY 2
#define KEYBLOB_HANDSHAKE_DONE	3
#define KEYBLOB_HANDSHAKE_FAILED 4

/*
 * State of a keyblob socket; holds no secret. The kernel fills in as much as
 * the caller's buffer takes and says how much it knows in @size; fields are
 * only ever added at the end.
 */
struct keyblob_status {
	__u32 size;		/* bytes the kernel knows of this structure */
	__u16 tls_version;	/* 0 as long as no key is there */
	__u16 cipher;
	__u64 cookie;		/* SO_COOKIE of the socket */
	__u8 tx_ready;		/* 1: the direction has its key */
	__u8 rx_ready;
	__u8 tx_end;		/* KEYBLOB_END_*, what this side did */
	__u8 rx_end;		/* what the peer did */
	__u8 tx_alert;		/* AlertDescription, RFC 8446 section 6 */
	__u8 rx_alert;
	__u16 role;		/* KEYBLOB_ROLE_* */
	__u32 tx_generation;
	__u32 rx_generation;
	__u64 tx_rec_seq;	/* records sent under this generation's key */
	__u64 rx_rec_seq;	/* records received under this generation's key */
	__u32 rx_tickets;	/* session tickets consumed */
	__u32 reserved;

	/* of KEYBLOB_HANDSHAKE, as the agent told; strings end with a NUL */
	__u8 handshake;		/* KEYBLOB_HANDSHAKE_* */
	__u8 resumed;		/* 1: by a session ticket */
	__u16 cipher_suite;	/* IANA's number */
	__u32 error;		/* errno of one that failed */
	__u8 has_alert;		/* 1: sent by this side, 2: received */
	__u8 alert;		/* AlertDescription, if has_alert */
	__u8 reserved2[6];
	char reason[256];	/* why it failed */
	char alpn[256];		/* the protocol chosen; empty: none */
	char server_name[256];	/* SNI; empty: none */
	char peer_name[256];	/* first name of the peer's verified certificate; empty: none */
	char group[40];		/* of the key exchange */
};

#endif /* _UAPI_LINUX_KEYBLOB_H */
