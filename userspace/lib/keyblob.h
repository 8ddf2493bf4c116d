/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libkeyblob: TLS on a TCP socket, without TLS in the program.
 *
 * The program passes a connected TCP socket to the agent, keyblobd, which does
 * the handshake; what comes back are sealed keys, which this library imports
 * into the socket. From then on read(2), write(2), sendfile(2), splice(2) and
 * poll(2) on the socket carry plaintext, and the wire carries TLS.
 *
 *	struct keyblob_agent *agent;
 *
 *	if (keyblob_agent_open(NULL, &agent) < 0)
 *		errx(1, "%s", keyblob_agent_error(NULL));
 *	fd = accept(listener, NULL, NULL);
 *	if (keyblob_accept(agent, fd, NULL, NULL) < 0)
 *		warnx("%s", keyblob_agent_error(agent));
 *
 * or, on the other side,
 *
 *	connect(fd, ...);
 *	if (keyblob_connect(agent, fd, "www.example.org", NULL, NULL) < 0)
 *		warnx("%s", keyblob_agent_error(agent));
 *
 * Functions that return int return 0 (or what is said there) on success and a
 * negative errno on failure. Nothing here writes to stderr, installs a signal
 * handler, or raises SIGPIPE. Calls that a signal interrupts go on.
 *
 * Threads: a struct keyblob_agent is used by one thread at a time; threads that
 * work side by side open one each. Everything else has no shared state.
 *
 * Processes: after fork(2) the connection stays the parent's. A child may use
 * the handle as well: its first call lets go of what it inherited, requests
 * under way included, and its first request makes a connection of its own. A
 * child that closes descriptors wholesale (closefrom(3)) must not use the handle
 * any more. After vfork(2) leave it alone.
 */
#ifndef KEYBLOB_H
#define KEYBLOB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library is built with hidden visibility; what follows is its interface. */
#pragma GCC visibility push(default)

struct keyblob_agent;		/* a connection to the agent */
struct keyblob_info;		/* what a handshake negotiated */

/*
 * What a handshake is asked for. Begin with KEYBLOB_OPTIONS_INIT; fields are
 * only ever added at the end, and @size tells the library which ones the
 * program knows.
 */
struct keyblob_options {
	size_t size;
	/* Application protocols (ALPN, RFC 7301) that the program speaks, the
	 * preferred first, NULL-terminated; or NULL for no ALPN. A server
	 * refuses a client that offers ALPN but none of these
	 * (no_application_protocol); a client offers them, and
	 * keyblob_info_alpn() tells whether the server chose one.
	 */
	const char *const *alpn;
	/* Milliseconds for the handshake; 0: the agent's own limit, 30 s at most. */
	unsigned int timeout_ms;
	unsigned int flags;		/* KEYBLOB_CHANNEL_BINDING, or 0 */
	/* The identity to be, by its name in the agent's configuration; NULL:
	 * a server's is chosen by the name that the client asks for, a client
	 * shows the one that the agent is configured for, if any, and only if
	 * the server asks for a certificate.
	 */
	const char *identity;
};

/* Have keyblob_info_channel_binding() tell it: that costs the agent some computing. */
#define KEYBLOB_CHANNEL_BINDING	1

#define KEYBLOB_OPTIONS_INIT                                                   \
	{ .size = sizeof(struct keyblob_options), .alpn = NULL, .timeout_ms = 0, \
	  .flags = 0, .identity = NULL }

/*
 * Connect to the agent that listens at @path (NULL: $KEYBLOB_AGENT, else
 * /run/keyblob/agent.sock; set-user-ID programs pass over the variable). The
 * caller owns *@agent and ends it with keyblob_agent_close(). A connection that
 * breaks is made anew by the next request. Waits up to 5 s for an agent that is
 * slow to accept. Errors: those of connect(2): -ENOENT, -ECONNREFUSED (no agent
 * there), -EACCES, -EAGAIN (still slow); -ENAMETOOLONG; -ENOMEM, -EMFILE.
 */
int keyblob_agent_open(const char *path, struct keyblob_agent **agent);

/*
 * Close the connection and free @agent (NULL is allowed). Requests that are
 * still under way are cancelled; their sockets stay open.
 */
void keyblob_agent_close(struct keyblob_agent *agent);

/*
 * One line that says what went wrong in the last call that failed on @agent, or
 * in the last request that keyblob_complete() told to have failed, for a person
 * to read. Valid until the next call on @agent. With NULL: what went wrong in
 * this thread's last keyblob_agent_open() that failed. Never NULL.
 */
const char *keyblob_agent_error(const struct keyblob_agent *agent);

/*
 * Do the server's side of the handshake on @fd, a connected TCP socket, and
 * import the keys; wait until that is done. Blocks also if @fd is non-blocking
 * (whose flags are not touched), at most for the timeout in @options and a
 * second more. Requests from keyblob_accept_start() may be under way meanwhile;
 * those that complete are kept for keyblob_complete(). @options and @info may be
 * NULL; *@info is the caller's, to be freed with keyblob_info_free().
 *
 * The socket stays the caller's. After an error it is of no use: close it.
 * Errors: -ETIMEDOUT, -ECONNRESET, -ECONNABORTED (see keyblob_agent_error() and
 * keyblob_agent_alert()), -EKEYREJECTED (the peer's certificate: the text says which
 * check failed), -ENOENT (no identity of that name), -EACCES (the agent's access rules
 * do not allow it), -EBUSY, -EBADF, -ENOTCONN,
 * -EALREADY, -EOPNOTSUPP, -EINVAL, -E2BIG (@options has fields that this library does
 * not know, or too many protocols), -ENOPROTOOPT (module not loaded), -ESTALE,
 * -EBADMSG, -EKEYEXPIRED and the other errors of <linux/keyblob.h> (the import was
 * refused), -ESHUTDOWN and -EPIPE (the agent is stopping or went away; try again on a
 * new connection to the peer), -EPROTO (what answers is no agent), -EPROTONOSUPPORT
 * (an agent of another version), and those of
 * keyblob_agent_open().
 */
int keyblob_accept(struct keyblob_agent *agent, int fd,
		   const struct keyblob_options *options,
		   struct keyblob_info **info);

/*
 * The same for the client's side. The server is verified: its certificate must lead
 * to what the agent is configured to trust, be for TLS servers, and be for @name, a
 * DNS name or an IPv4 or IPv6 address (RFC 9525: subjectAltName alone counts, not the
 * common name; "*" stands for one whole label, the leftmost). A DNS name is also
 * sent as SNI; a dot at its end is dropped; internationalized names are given as
 * A-labels ("xn--..."). What is no name at all is -EINVAL.
 *
 * The handshake is complete for the client when its last message is sent. In TLS 1.3
 * a server may refuse the client's certificate after that: the first read(2) then
 * fails with ECONNABORTED, and the alert is in keyblob_socket_status().
 *
 * Sessions are not resumed.
 */
int keyblob_connect(struct keyblob_agent *agent, int fd, const char *name,
		    const struct keyblob_options *options,
		    struct keyblob_info **info);

/*
 * The same in two steps, for event loops; neither of them blocks.
 *
 * keyblob_accept_start() passes the request to the agent; @data is given back by
 * keyblob_complete(). Until then the caller keeps @fd open and leaves it alone.
 * At the timeout in @options and a second more the request completes with
 * -ETIMEDOUT at the latest. -EAGAIN: the agent is slow to take requests; try
 * again when keyblob_agent_fd() becomes readable, after keyblob_complete().
 */
int keyblob_accept_start(struct keyblob_agent *agent, int fd,
			 const struct keyblob_options *options, void *data);

/* As keyblob_connect(); @name is copied. */
int keyblob_connect_start(struct keyblob_agent *agent, int fd, const char *name,
			  const struct keyblob_options *options, void *data);

/*
 * The descriptor to poll for reading, with poll(2), epoll(7) or the like:
 * readable when keyblob_complete() has something to do, requests that completed
 * during a keyblob_accept() included. It stays the same for the life of @agent,
 * whatever happens to the connection; only a forked child gets another one.
 * Never read from it. Errors (of the first call): -EMFILE, -ENFILE, -ENOMEM.
 */
int keyblob_agent_fd(struct keyblob_agent *agent);

/*
 * Take the next completed request, import its keys, and tell about it in
 * *@done. Returns 1 if there was one (successful or not: see @done->result), 0
 * if none is complete yet; call it until it returns 0. Requests that the agent
 * can no longer answer because it went away complete with -EPIPE, those that it does
 * not answer in time with -ETIMEDOUT.
 */
struct keyblob_done {
	int fd;			/* as given */
	void *data;		/* as given */
	int result;		/* 0, or a negative errno as from keyblob_accept() */
	struct keyblob_info *info; /* on success; the caller's, free it */
};

int keyblob_complete(struct keyblob_agent *agent, struct keyblob_done *done);

/*
 * Give up the request for @fd (the latest, should there be several): it will not
 * complete. Its socket is of no use any more. -ENOENT: there is no such request.
 */
int keyblob_cancel(struct keyblob_agent *agent, int fd);

/*
 * The alert (AlertDescription, RFC 8446 section 6) of the last handshake that
 * failed on @agent: sent by this side (*@sent = 1) or received from the peer
 * (*@sent = 0; @sent may be NULL). -ENOENT: there was none.
 */
int keyblob_agent_alert(const struct keyblob_agent *agent, int *sent);

/*
 * What was negotiated. Strings belong to @info and are NULL where there is
 * nothing to say.
 */
uint16_t keyblob_info_version(const struct keyblob_info *info);	/* 0x0304: TLS 1.3 */
uint16_t keyblob_info_cipher(const struct keyblob_info *info);	/* IANA number */
const char *keyblob_info_cipher_name(const struct keyblob_info *info);
const char *keyblob_info_group(const struct keyblob_info *info);
const char *keyblob_info_alpn(const struct keyblob_info *info);
const char *keyblob_info_server_name(const struct keyblob_info *info);
int keyblob_info_resumed(const struct keyblob_info *info);	/* 0 or 1 */

/*
 * The peer's certificates, if it showed any, in DER: the chain as it was verified,
 * from the peer's own (@index 0) to the trust anchor. Of chains of more than some
 * 50 KB the end is left out. *@der belongs to @info. -ENOENT: there are not so many.
 */
int keyblob_info_peer_cert(const struct keyblob_info *info, unsigned int index,
			   const uint8_t **der, size_t *len);

/*
 * The names that the peer's certificate is for, from 0; NULL: there are not so many.
 * DNS names (wildcards included) and IP addresses are told as they are, mail addresses
 * as "email:...", URIs as "URI:...". A client's first one is the name that it asked
 * for.
 */
const char *keyblob_info_peer_name(const struct keyblob_info *info, unsigned int index);

/*
 * The channel binding "tls-exporter" (RFC 9266), which both ends of a connection have
 * in common, and no other connection. -ENOENT: it was not asked for (see struct
 * keyblob_options), or TLS 1.2 without extended master secret.
 */
int keyblob_info_channel_binding(const struct keyblob_info *info, uint8_t binding[32]);

void keyblob_info_free(struct keyblob_info *info);		/* NULL is allowed */

/*
 * The kernel's view of a keyblob socket (struct keyblob_status of
 * <linux/keyblob.h>; fields that the kernel does not know are zero).
 * -ENOPROTOOPT: @fd is no keyblob socket; -ENOTSOCK, -EBADF.
 */
struct keyblob_status;
int keyblob_socket_status(int fd, struct keyblob_status *status);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* KEYBLOB_H */
