/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the application of the benchmark does TLS: one table of functions for each way.
 * server.c calls them, in one thread; the way keeps what it needs per connection in
 * struct connection.tls.
 */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct settings {
	const char *cert, *key, *agent;
};

/* What server.c shows of a connection. */
struct connection {
	int fd;			/* non-blocking */
	uint32_t wants;		/* EPOLLIN, EPOLLOUT: what a call that said EAGAIN waits for */
	bool ready;		/* the handshake is done */
	void *tls;
};

/*
 * All but begin, read and write may be NULL. Calls return -errno on failure, -EAGAIN with
 * ->wants set where they have to wait.
 */
struct transport {
	const char *name;

	/* Once; nothing has been accepted yet. */
	void (*init)(const struct settings *settings, int listener);

	/* A connection was accepted; unless that makes it ready, ->handshake comes next. */
	int (*begin)(struct connection *c);
	int (*handshake)(struct connection *c);

	ssize_t (*read)(struct connection *c, void *buf, size_t len);	/* 0: the end */
	ssize_t (*write)(struct connection *c, const void *buf, size_t len);
	/* NULL: the file is read, and written. */
	ssize_t (*sendfile)(struct connection *c, int file, off_t offset, size_t len);

	void (*end)(struct connection *c);	/* before close(2) */

	/* Handshakes that others do: the descriptor that says that some have ended, and
	 * the next one of them; *@result is as of ->handshake. NULL: there are no more.
	 */
	int (*completion_fd)(void);
	struct connection *(*complete)(int *result);
};

extern const struct transport transport_plain, transport_openssl, transport_openssl_ktls,
	transport_ktls, transport_keyblob, transport_keyblob_option;

/* Where the kernel does TLS, or nobody: the socket's own. In transport_socket.c. */
ssize_t socket_read(struct connection *c, void *buf, size_t len);
ssize_t socket_write(struct connection *c, const void *buf, size_t len);
ssize_t socket_sendfile(struct connection *c, int file, off_t offset, size_t len);

#endif
