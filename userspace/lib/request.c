// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handshakes: requests to the agent, the table of those under way, and the queue
 * of those that are done and wait to be taken.
 *
 * A request is in the table from the moment it is sent. A reply, a malformed
 * packet, the end of the connection or that of its time moves it to the queue; keys
 * are imported right then, so that no blob is ever kept.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "import.h"
#include "info.h"

#define DEFAULT_TIMEOUT_MS	30000
#define GRACE_MS		1000	/* for the agent to tell about a timeout itself */
#define RETRY_MS		10
#define RETRY_START_MS		2	/* when nobody waits for it */

static struct kb_request **bucket(struct keyblob_agent *agent, uint32_t seq)
{
	return &agent->table[seq % KB_BUCKETS];
}

/* Where in the table the pointer to the request @seq stands, or NULL. */
static struct kb_request **find(struct keyblob_agent *agent, uint32_t seq)
{
	struct kb_request **link;

	for (link = bucket(agent, seq); *link; link = &(*link)->next) {
		if ((*link)->seq == seq)
			return link;
	}
	return NULL;
}

static uint32_t new_seq(struct keyblob_agent *agent)
{
	do {
		agent->last_seq++;
	} while (!agent->last_seq || find(agent, agent->last_seq));
	return agent->last_seq;
}

static struct kb_request *unlink_request(struct kb_request **link)
{
	struct kb_request *request = *link;

	*link = request->next;
	request->next = NULL;
	return request;
}

static void enqueue_done(struct keyblob_agent *agent, struct kb_request *request)
{
	request->done = true;
	*agent->done_tail = request;
	agent->done_tail = &request->next;
}

/* Take the request that @link points to out of the queue of the done. */
static struct kb_request *dequeue_done(struct keyblob_agent *agent, struct kb_request **link)
{
	if (agent->done_tail == &(*link)->next)
		agent->done_tail = link;
	return unlink_request(link);
}

static void free_request(struct kb_request *request)
{
	keyblob_info_free(request->info);
	free(request);
}

void kb_requests_forget(struct keyblob_agent *agent)
{
	size_t i;

	for (i = 0; i < KB_BUCKETS; i++) {
		while (agent->table[i])
			free_request(unlink_request(&agent->table[i]));
	}
	while (agent->done_head)
		free_request(dequeue_done(agent, &agent->done_head));
	agent->expiry = 0;
}

/* The connection is of no use any more: fail all that is under way on it. */
static void lose_connection(struct keyblob_agent *agent, int err, const char *why)
{
	size_t i;

	kb_disconnect(agent);
	for (i = 0; i < KB_BUCKETS; i++) {
		while (agent->table[i]) {
			struct kb_request *request = unlink_request(&agent->table[i]);

			request->result = err;
			snprintf(request->failure.text, sizeof(request->failure.text),
				 "keyblob agent at %s %s", agent->address.sun_path, why);
			enqueue_done(agent, request);
		}
	}
}

/* The agent's own words, on one line whatever they are. */
static void copy_reason(struct kb_failure *failure, const char *reason)
{
	char *c;

	snprintf(failure->text, sizeof(failure->text), "%s", reason);
	for (c = failure->text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
}

static int take_ready(struct kb_request *request, const struct kb_reply *reply)
{
	struct kb_failure *failure = &request->failure;
	struct keyblob_info *info;
	int err;

	info = kb_info_from_reply(reply);
	if (!info) {
		snprintf(failure->text, sizeof(failure->text), "no memory for the agent's reply");
		return -ENOMEM;
	}
	err = kb_import(request->fd, kb_reply_data(reply, KEYBLOB_A_BLOB_TX),
			kb_reply_data(reply, KEYBLOB_A_BLOB_RX),
			failure->text, sizeof(failure->text));
	if (err) {
		keyblob_info_free(info);
		return err;
	}
	request->info = info;
	return 0;
}

static int take_failed(struct kb_request *request, const struct kb_reply *reply)
{
	struct kb_failure *failure = &request->failure;
	const char *reason = kb_reply_string(reply, KEYBLOB_A_REASON);
	int err = kb_reply_u32(reply, KEYBLOB_A_ERRNO);

	errno = err;
	if (reason)
		copy_reason(failure, reason);
	else
		snprintf(failure->text, sizeof(failure->text), "the handshake failed: %m");

	if (kb_reply_has(reply, KEYBLOB_A_ALERT_SENT)) {
		failure->alert = kb_reply_u8(reply, KEYBLOB_A_ALERT_SENT);
		failure->alert_sent = true;
	} else if (kb_reply_has(reply, KEYBLOB_A_ALERT_RECEIVED)) {
		failure->alert = kb_reply_u8(reply, KEYBLOB_A_ALERT_RECEIVED);
	}
	return -err;
}

/*
 * Handle one packet of @len bytes. Replies to requests that are not under way
 * (any more) are dropped. Returns 0 or -EPROTO.
 */
static int handle_packet(struct keyblob_agent *agent, const union kb_reply_packet *packet,
			 size_t len)
{
	struct kb_request **link, *request;
	struct kb_reply reply;
	int err;

	err = kb_reply_header(packet, len, &reply);
	if (err)
		return err;
	link = find(agent, reply.seq);
	if (!link)
		return 0;

	if (reply.version != KEYBLOB_PROTO_VERSION) {
		request = unlink_request(link);
		request->result = -EPROTONOSUPPORT;
		snprintf(request->failure.text, sizeof(request->failure.text),
			 "keyblob agent at %s speaks version %u of the protocol, this program version %u",
			 agent->address.sun_path, reply.version, KEYBLOB_PROTO_VERSION);
		enqueue_done(agent, request);
		return 0;
	}

	err = kb_reply_attrs(packet, &reply);
	if (err)
		return err;
	request = unlink_request(link);
	request->result = reply.cmd == KEYBLOB_CMD_READY ? take_ready(request, &reply) :
							   take_failed(request, &reply);
	enqueue_done(agent, request);
	return 0;
}

/* Receive and handle what has come, if anything. Returns false if nothing had. */
static bool handle_next(struct keyblob_agent *agent)
{
	union kb_reply_packet *packet = &agent->packet;
	ssize_t len;
	int err;

	if (agent->socket < 0)
		return false;
	len = kb_receive(agent, packet);
	if (len == -EAGAIN)
		return false;
	if (len == 0) {
		lose_connection(agent, -EPIPE, "went away during the handshake");
		return true;
	}

	err = len < 0 ? len : handle_packet(agent, packet, len);
	explicit_bzero(packet, len < 0 ? sizeof(*packet) : (size_t)len);
	if (err)
		lose_connection(agent, -EPROTO, "sent a malformed reply");
	return true;
}

static bool is_gone(int err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -ENOTCONN;
}

static bool is_slow(int err)
{
	/* ETOOMANYREFS: this user has too many descriptors under way, see unix(7). */
	return err == -EAGAIN || err == -ETOOMANYREFS || err == -ENOBUFS;
}

/* Wait for the agent to take requests, and take replies so that it can. */
static int wait_to_send(struct keyblob_agent *agent, int reason, kb_deadline_t deadline)
{
	kb_deadline_t retry = kb_deadline(RETRY_MS);
	int err;

	if (reason == -EAGAIN)
		err = kb_wait(agent, POLLIN | POLLOUT, deadline);
	else
		err = kb_wait(agent, POLLIN, retry < deadline ? retry : deadline);
	if (err && kb_deadline(0) >= deadline)
		return kb_fail(agent, -ETIMEDOUT, "keyblob agent at %s takes no requests",
			       agent->address.sun_path);
	while (handle_next(agent))
		;
	return 0;
}

/*
 * Send a request, on a new connection if there is none or if it turns out to be
 * dead. Returns 0, or a negative errno and its text in @agent.
 */
static int send_request(struct keyblob_agent *agent, const union kb_packet *packet, int fd,
			kb_deadline_t deadline)
{
	bool again = false;
	int err;

	for (;;) {
		if (agent->socket < 0) {
			err = kb_connect(agent, deadline);
			if (err)
				return err;
		}
		err = kb_send(agent, packet, fd);
		if (!err)
			return 0;
		if (is_gone(err)) {
			/* Its last replies first. */
			while (handle_next(agent))
				;
			lose_connection(agent, -EPIPE, "went away during the handshake");
			if (again)
				return kb_fail(agent, -EPIPE,
					       "keyblob agent at %s closes the connection",
					       agent->address.sun_path);
			again = true;
		} else if (!is_slow(err)) {
			return kb_fail(agent, err, "cannot pass descriptor %d to the agent: %m",
				       fd);
		} else if (deadline == KB_NOWAIT) {
			return kb_fail(agent, -EAGAIN,
				       "keyblob agent at %s is slow to take requests",
				       agent->address.sun_path);
		} else {
			err = wait_to_send(agent, err, deadline);
			if (err)
				return err;
		}
	}
}

/* @name: whom to connect to, or NULL to accept. */
static int build(struct keyblob_agent *agent, union kb_packet *packet, uint32_t seq,
		 const char *name, const struct keyblob_options *options)
{
	int err = 0;

	kb_message_begin(packet, name ? KEYBLOB_CMD_CONNECT : KEYBLOB_CMD_ACCEPT, seq);
	if (name)
		err = kb_peer_name_put(agent, packet, name);
	return err ? err : kb_options_put(agent, packet, options);
}

static void note_deadline(struct keyblob_agent *agent, kb_deadline_t deadline)
{
	if (!agent->expiry || deadline < agent->expiry)
		agent->expiry = deadline;
}

/*
 * Pass the handshake on @fd to the agent; @wait until it takes it. On success *@result is
 * in the table.
 */
static int start(struct keyblob_agent *agent, int fd, const char *name,
		 const struct keyblob_options *options, void *data, bool wait,
		 struct kb_request **result)
{
	const unsigned int timeout = options->timeout_ms ? options->timeout_ms :
							   DEFAULT_TIMEOUT_MS;
	const kb_deadline_t deadline = kb_deadline(timeout) + GRACE_MS;
	struct kb_request *request;
	union kb_packet packet;
	uint32_t seq;
	int err;

	if (fd < 0)
		return kb_fail(agent, -EBADF, "descriptor %d: %m", fd);
	seq = new_seq(agent);
	err = build(agent, &packet, seq, name, options);
	if (err)
		return err;

	request = calloc(1, sizeof(*request));
	if (!request)
		return kb_fail(agent, -ENOMEM, "keyblob request: %m");
	request->deadline = deadline;
	request->seq = seq;
	request->fd = fd;
	request->data = data;
	request->failure.alert = KB_NO_ALERT;

	err = send_request(agent, &packet, fd, wait ? deadline : KB_NOWAIT);
	if (err) {
		free(request);
		return err;
	}
	note_deadline(agent, deadline);
	request->next = *bucket(agent, seq);
	*bucket(agent, seq) = request;
	*result = request;
	return 0;
}

/*
 * Take a request that is under way out of the table, and tell the agent. If that
 * cannot be told now, the agent ends the handshake at its timeout, and its reply is
 * dropped.
 */
static struct kb_request *withdraw(struct keyblob_agent *agent, struct kb_request **link)
{
	struct kb_request *request = unlink_request(link);
	union kb_packet packet;

	kb_message_begin(&packet, KEYBLOB_CMD_CANCEL, request->seq);
	kb_send(agent, &packet, -1);
	return request;
}

/*
 * Give up what is overdue: a worker of the agent may have died whose applications another
 * one serves, and nobody knows of the request any more.
 */
static void expire(struct keyblob_agent *agent)
{
	const kb_deadline_t now = kb_deadline(0);
	struct kb_request **link, *request;
	size_t i;

	if (!agent->expiry || now < agent->expiry)
		return;
	agent->expiry = 0;
	for (i = 0; i < KB_BUCKETS; i++) {
		link = &agent->table[i];
		while (*link) {
			if (now < (*link)->deadline) {
				note_deadline(agent, (*link)->deadline);
				link = &(*link)->next;
				continue;
			}
			request = withdraw(agent, link);
			request->result = -ETIMEDOUT;
			snprintf(request->failure.text, sizeof(request->failure.text),
				 "keyblob agent at %s does not answer", agent->address.sun_path);
			enqueue_done(agent, request);
		}
	}
}

/* Hand the outcome of a request, which is in no list any more, to the application. */
static int finish(struct keyblob_agent *agent, struct kb_request *request,
		  struct keyblob_info **info)
{
	int result = request->result;

	if (result)
		agent->failure = request->failure;
	*info = request->info;
	request->info = NULL;
	free_request(request);
	return result;
}

/* Wait for a request to be done and take it. Returns 0 or -ETIMEDOUT: given up. */
static int wait_for(struct keyblob_agent *agent, struct kb_request *request)
{
	struct kb_request **link;

	while (!request->done) {
		if (kb_wait(agent, POLLIN, request->deadline)) {
			free_request(withdraw(agent, find(agent, request->seq)));
			return kb_fail(agent, -ETIMEDOUT, "keyblob agent at %s does not answer",
				       agent->address.sun_path);
		}
		handle_next(agent);
	}
	for (link = &agent->done_head; *link != request; link = &(*link)->next)
		;
	dequeue_done(agent, link);
	return 0;
}

static int handshake(struct keyblob_agent *agent, int fd, const char *name,
		     const struct keyblob_options *from, struct keyblob_info **result)
{
	struct keyblob_info *info = NULL;
	struct keyblob_options options;
	struct kb_request *request;
	int err;

	if (result)
		*result = NULL;
	kb_agent_own(agent);
	err = kb_options_read(agent, from, &options);
	if (err)
		return err;

	err = start(agent, fd, name, &options, NULL, true, &request);
	if (!err)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): kb_fail() is never 0 */
		err = wait_for(agent, request);
	if (!err)
		err = finish(agent, request, &info);
	kb_agent_set_wake(agent);

	if (result)
		*result = info;
	else
		keyblob_info_free(info);
	return err;
}

static int handshake_start(struct keyblob_agent *agent, int fd, const char *name,
			   const struct keyblob_options *from, void *data)
{
	struct keyblob_options options;
	struct kb_request *request;
	int err;

	kb_agent_own(agent);
	err = kb_options_read(agent, from, &options);
	if (err)
		return err;
	err = start(agent, fd, name, &options, data, false, &request);
	agent->retry = err == -EAGAIN ? kb_deadline(RETRY_START_MS) : 0;
	kb_agent_set_wake(agent);
	return err;
}

int keyblob_accept(struct keyblob_agent *agent, int fd, const struct keyblob_options *options,
		   struct keyblob_info **info)
{
	return handshake(agent, fd, NULL, options, info);
}

int keyblob_accept_start(struct keyblob_agent *agent, int fd,
			 const struct keyblob_options *options, void *data)
{
	return handshake_start(agent, fd, NULL, options, data);
}

int keyblob_connect(struct keyblob_agent *agent, int fd, const char *name,
		    const struct keyblob_options *options, struct keyblob_info **info)
{
	return handshake(agent, fd, name ? name : "", options, info);
}

int keyblob_connect_start(struct keyblob_agent *agent, int fd, const char *name,
			  const struct keyblob_options *options, void *data)
{
	return handshake_start(agent, fd, name ? name : "", options, data);
}

int keyblob_complete(struct keyblob_agent *agent, struct keyblob_done *done)
{
	struct kb_request *request;

	kb_agent_own(agent);
	agent->retry = 0;
	while (!agent->done_head && handle_next(agent))
		;
	if (!agent->done_head)
		expire(agent);
	if (!agent->done_head) {
		kb_agent_set_wake(agent);
		return 0;
	}

	request = dequeue_done(agent, &agent->done_head);
	done->fd = request->fd;
	done->data = request->data;
	done->result = finish(agent, request, &done->info);
	kb_agent_set_wake(agent);
	return 1;
}

/* Whether @request is for @fd and came after @other. */
static bool is_later(const struct kb_request *request, int fd, struct kb_request *const *other)
{
	return request->fd == fd && (!other || (int32_t)(request->seq - (*other)->seq) > 0);
}

int keyblob_cancel(struct keyblob_agent *agent, int fd)
{
	struct kb_request **link, **latest = NULL;
	size_t i;

	kb_agent_own(agent);
	for (i = 0; i < KB_BUCKETS; i++) {
		for (link = &agent->table[i]; *link; link = &(*link)->next) {
			if (is_later(*link, fd, latest))
				latest = link;
		}
	}
	for (link = &agent->done_head; *link; link = &(*link)->next) {
		if (is_later(*link, fd, latest))
			latest = link;
	}
	if (!latest)
		return kb_fail(agent, -ENOENT, "no request for descriptor %d", fd);

	if ((*latest)->done)
		free_request(dequeue_done(agent, latest));
	else
		free_request(withdraw(agent, latest));
	kb_agent_set_wake(agent);
	return 0;
}
