// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection of an application: its requests under way, and the replies
 * that it has not taken yet. Created by worker.c on accept. Memory is bounded: as
 * long as an application leaves REPLIES_MAX replies lying, none of its requests
 * are read, and handshakes in flight are limited by the worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "client.h"
#include "log.h"
#include "memory.h"
#include "message.h"

#define REPLIES_MAX	64

/* Packets read from one application before others get their turn. */
#define BATCH		16

struct request {
	LIST_ENTRY(request) link;
	struct client *client;
	uint32_t seq;
	struct handshake *handshake;
};

struct reply {
	STAILQ_ENTRY(reply) link;
	struct nl_msg *msg;
};

struct client {
	LIST_ENTRY(client) link;
	struct worker *worker;
	int fd;
	bool dead;		/* to be freed when its callback returns */
	struct event readable;
	struct event writable;
	LIST_HEAD(, request) requests;
	STAILQ_HEAD(, reply) replies;
	unsigned int n_replies;
};

static void request_free(struct request *request)
{
	struct worker *worker = request->client->worker;

	LIST_REMOVE(request, link);
	free(request);
	worker->in_flight--;
	worker_handshake_ended(worker);
}

static void client_free(struct client *c)
{
	struct request *request;
	struct reply *reply;

	while ((request = LIST_FIRST(&c->requests))) {
		handshake_cancel(request->handshake);
		request_free(request);
	}
	while ((reply = STAILQ_FIRST(&c->replies))) {
		STAILQ_REMOVE_HEAD(&c->replies, link);
		nlmsg_free(reply->msg);
		free(reply);
	}
	event_del(&c->readable);
	event_del(&c->writable);
	close(c->fd);
	LIST_REMOVE(c, link);
	free(c);
}

/* Keep @msg, which is owned from here on, until the application takes it. */
static void queue_reply(struct client *c, struct nl_msg *msg)
{
	struct reply *reply = malloc(sizeof(*reply));

	if (!reply || event_add(&c->writable, NULL)) {
		free(reply);
		nlmsg_free(msg);
		c->dead = true;
		return;
	}
	reply->msg = msg;
	STAILQ_INSERT_TAIL(&c->replies, reply, link);
	if (++c->n_replies == REPLIES_MAX)
		event_del(&c->readable);
}

static void send_reply(struct client *c, uint32_t seq, const struct handshake_result *result)
{
	struct nl_msg *msg;
	int err;

	if (c->dead)
		return;
	msg = message_encode(seq, result);
	if (!msg) {
		c->dead = true;		/* better than an answer that never comes */
		return;
	}
	err = STAILQ_EMPTY(&c->replies) ? message_send(c->fd, msg) : -EAGAIN;
	if (err == -EAGAIN) {
		queue_reply(c, msg);
		return;
	}
	if (err)
		c->dead = true;
	nlmsg_free(msg);
}

static void on_handshake_done(void *arg, const struct handshake_result *result)
{
	struct request *request = arg;
	struct client *c = request->client;

	send_reply(c, request->seq, result);
	request_free(request);
	if (c->dead)
		client_free(c);
}

static struct request *find_request(struct client *c, uint32_t seq)
{
	struct request *request;

	LIST_FOREACH(request, &c->requests, link) {
		if (request->seq == seq)
			return request;
	}
	return NULL;
}

/* Returns false if it ended at once, with @refused saying why. */
static bool start_request(struct client *c, const struct message *message, int fd,
			  struct handshake_result *refused)
{
	struct worker *worker = c->worker;
	struct request *request;

	if (worker->stopping) {
		handshake_result_fail(refused, ESHUTDOWN, "the agent is being stopped");
		goto err_close;
	}
	if (worker->in_flight >= worker->max_in_flight) {
		handshake_result_fail(refused, EBUSY,
				      "%u handshakes are in flight, the limit of this worker",
				      worker->in_flight);
		goto err_close;
	}
	if (find_request(c, message->seq)) {
		handshake_result_fail(refused, EINVAL, "a request with the number %u is under way",
				      message->seq);
		goto err_close;
	}
	request = calloc(1, sizeof(*request));
	if (!request) {
		handshake_result_fail(refused, ENOMEM, "the agent is out of memory");
		goto err_close;
	}

	request->client = c;
	request->seq = message->seq;
	request->handshake = handshake_start(&worker->env, fd, &message->params,
					     on_handshake_done, request, refused);
	if (!request->handshake) {
		free(request);
		return false;
	}
	LIST_INSERT_HEAD(&c->requests, request, link);
	worker->in_flight++;
	return true;

err_close:
	close(fd);
	return false;
}

static void cancel_request(struct client *c, uint32_t seq)
{
	struct request *request = find_request(c, seq);

	if (request) {		/* else the reply is already on its way */
		handshake_cancel(request->handshake);
		request_free(request);
	}
}

static void handle_packet(struct client *c, struct packet *packet)
{
	struct handshake_result refusal = {
		.alert_sent = NO_ALERT,
		.alert_received = NO_ALERT,
	};
	enum message_status status;
	struct message message;

	status = message_decode(packet, &message, &refusal);
	if (status == MESSAGE_OK && message.cmd == KEYBLOB_CMD_ACCEPT) {
		int fd = packet->fd;

		packet->fd = -1;
		if (start_request(c, &message, fd, &refusal))
			return;
		status = MESSAGE_REFUSED;
	}
	if (packet->fd >= 0)
		close(packet->fd);

	if (status == MESSAGE_OK) {
		cancel_request(c, message.seq);
		return;
	}
	if (status != MESSAGE_NOISE) {
		log_detail("request refused: %s", refusal.reason);
		send_reply(c, message.seq, &refusal);
	}
	if (status == MESSAGE_BROKEN || status == MESSAGE_NOISE) {
		log_notice("an application sent no valid message, dropping it");
		c->dead = true;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static struct packet packet;
	struct client *c = arg;

	(void)what;
	for (int i = 0; i < BATCH && !c->dead && c->n_replies < REPLIES_MAX; i++) {
		int ret = message_receive(fd, &packet);

		if (ret == -EAGAIN)
			break;
		if (ret <= 0)
			c->dead = true;
		else
			handle_packet(c, &packet);
	}
	if (c->dead)
		client_free(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct reply *reply;
	int err;

	(void)what;
	while (!c->dead && (reply = STAILQ_FIRST(&c->replies))) {
		err = message_send(fd, reply->msg);
		if (err == -EAGAIN)
			return;
		if (err)
			c->dead = true;
		STAILQ_REMOVE_HEAD(&c->replies, link);
		nlmsg_free(reply->msg);
		free(reply);
		if (c->n_replies-- == REPLIES_MAX && event_add(&c->readable, NULL))
			c->dead = true;
	}
	event_del(&c->writable);
	if (c->dead)
		client_free(c);
}

int client_new(struct worker *worker, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return -1;
	}
	c->worker = worker;
	c->fd = fd;
	LIST_INIT(&c->requests);
	STAILQ_INIT(&c->replies);
	LIST_INSERT_HEAD(&worker->clients, c, link);
	event_assign(&c->readable, worker->env.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, worker->env.base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (event_add(&c->readable, NULL)) {
		client_free(c);
		return -1;
	}
	return 0;
}

void client_free_all(struct worker *worker)
{
	struct client *c;

	while ((c = LIST_FIRST(&worker->clients)))
		client_free(c);
}
