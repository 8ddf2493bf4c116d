/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections of the client's side, OpenSSL in user space, in one event loop: the same
 * load for whatever serves. client.c says what they do. Whatever a connection does not
 * do as it should ends the program: what was not served is never a figure.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>

struct load_settings {
	int port;
	const char *file;	/* what the server sends, and is sent */
	const char *cert;	/* the server's, which is verified */
	const char *cipher;	/* the only one offered, "TLS_...": in TLS 1.3, else in 1.2 */
	bool resume;		/* with the last ticket there was */
};

struct load_connection;

/* What happens next; each may be NULL. */
struct load_events {
	void (*ready)(struct load_connection *c);	/* the handshake is done */
	void (*answered)(struct load_connection *c);	/* a request, in full */
	void (*closed)(struct load_connection *c);	/* by both sides; @c is freed then */
};

/* So far. */
struct load_counts {
	long long opened, ready, answered, closed, resumed;
};

extern struct load_counts load_counts;

void load_init(const struct load_settings *settings, const struct load_events *events);

/* Begin a connection. @data is for load_data(). */
struct load_connection *load_open(void *data);
void *load_data(const struct load_connection *c);

/* One at a time, on a connection that is ready. @verb: "send" or "take", see server.c. */
void load_request(struct load_connection *c, const char *verb, long long bytes);

/* Send close_notify, and wait for the server to end the connection. */
void load_close(struct load_connection *c);

/* Wait for something to happen, but not longer than until @deadline_ns (-1: some time, and
 * if nothing comes, that is a failure), and do what there is to do. See load_now_ns().
 */
void load_turn(long long deadline_ns);

/* Turn until *@count, one of load_counts, is @target. */
void load_until(const long long *count, long long target);

long long load_now_ns(void);

#endif
