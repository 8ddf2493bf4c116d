/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct keyblob_agent from inside the library. agent.c looks after the handle,
 * connection.c after the UNIX socket, request.c after the handshakes under way, options.c
 * after what they are asked for.
 */
#ifndef KB_AGENT_H
#define KB_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "keyblob.h"
#include "message.h"

#define KB_ERROR_MAX	384	/* one line for a person */
#define KB_BUCKETS	256	/* of the table of requests, a power of two */
#define KB_NO_ALERT	(-1)

/* Why something failed; what keyblob_agent_error() and _alert() tell. */
struct kb_failure {
	int alert;		/* AlertDescription or KB_NO_ALERT */
	bool alert_sent;
	char text[KB_ERROR_MAX];
};

/* A moment of CLOCK_MONOTONIC in ms; or not to wait at all. */
typedef int64_t kb_deadline_t;
#define KB_NOWAIT	((kb_deadline_t)-1)

/* One handshake, from the request sent to its result taken. */
struct kb_request {
	struct kb_request *next; /* in its bucket, then in the queue of the done */
	kb_deadline_t deadline;	/* for the agent's answer */
	uint32_t seq;
	int fd;
	void *data;
	bool done;
	int result;
	struct keyblob_info *info;
	struct kb_failure failure;
};

struct keyblob_agent {
	struct sockaddr_un address;
	pid_t pid;		/* whose descriptors these are */
	int socket;		/* the connection, or -1 */
	int epoll;		/* the socket and the timer; or -1 */
	int timer;
	kb_deadline_t wake;	/* what the timer is set to; 0: nothing */
	kb_deadline_t retry;	/* when to try what got EAGAIN; 0: nothing did */
	kb_deadline_t expiry;	/* no request is overdue before; 0: none is under way */
	uint32_t last_seq;
	struct kb_request *table[KB_BUCKETS];	/* under way, by seq */
	struct kb_request *done_head;		/* done, to be taken */
	struct kb_request **done_tail;
	struct kb_failure failure;
	union kb_reply_packet packet;		/* the one that is being handled */
};

/* agent.c */
void kb_agent_own(struct keyblob_agent *agent);
void kb_agent_set_wake(struct keyblob_agent *agent);
int kb_fail(struct keyblob_agent *agent, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* connection.c */
kb_deadline_t kb_deadline(unsigned int ms);
int kb_connect(struct keyblob_agent *agent, kb_deadline_t deadline);
void kb_disconnect(struct keyblob_agent *agent);
int kb_send(const struct keyblob_agent *agent, const union kb_packet *packet, int fd);
ssize_t kb_receive(const struct keyblob_agent *agent, union kb_reply_packet *packet);
int kb_wait(const struct keyblob_agent *agent, short events, kb_deadline_t deadline);

/* options.c */
int kb_options_read(struct keyblob_agent *agent, const struct keyblob_options *from,
		    struct keyblob_options *options);
int kb_options_put(struct keyblob_agent *agent, union kb_packet *packet,
		   const struct keyblob_options *options);
int kb_peer_name_put(struct keyblob_agent *agent, union kb_packet *packet, const char *name);

/* request.c */
void kb_requests_forget(struct keyblob_agent *agent);

#endif /* KB_AGENT_H */
