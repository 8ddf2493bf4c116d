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
 * fatal alert, and with EKEYEXPIRED where a TLS 1.2 key has reached its limit.
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
 * and @iv must be zero.
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
};

#endif /* _UAPI_LINUX_KEYBLOB_H */
