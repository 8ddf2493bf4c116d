// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection of an application: its requests under way, and the replies
 * that it has not taken yet. Created by worker.c on accept. Memory is bounded: as
 * long as an application leaves REPLIES_MAX replies lying, none of its requests
 * are read, and handshakes in flight are limited, see flights.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "admission.h"
#include "client.h"
#include "counters.h"
#include "descriptor.h"
#include "log.h"
#include "memory.h"
#include "message.h"

#define REPLIES_MAX	64

/* Packets read from one application before others get their turn. */
#define BATCH		16

/*
 * Questions to the supervisor at a time: neither they nor the answers may fill the control
 * channel.
 */
#define QUESTIONS_MAX	64

struct request {
	LIST_ENTRY(request) link;
	struct flight flight;
	struct client *client;
	uint32_t seq;
};

struct reply {
	STAILQ_ENTRY(reply) link;
	struct nl_msg *msg;
};

struct client {
	LIST_ENTRY(client) link;
	struct worker *worker;
	struct credentials who;
	struct user *user;
	uint64_t question;	/* to the supervisor, not answered yet; 0: none */
	bool reloading;		/* the question is about a reload */
	uint32_t reload_seq;	/* of the request for it */
	int fd;
	bool busy;		/* in its callback, not to be freed */
	bool dead;		/* to be freed when its callback returns */
	bool known;		/* @who is complete: requests are read */
	bool handed_over;	/* requests are another worker's; replies are still ours */
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
	flights_leave(&worker->flights, &request->flight);
	free(request);
	worker_check_done(worker);
}

/* Whether nothing is left to do for @c but to read its requests. */
static bool is_idle(const struct client *c)
{
	return LIST_EMPTY(&c->requests) && STAILQ_EMPTY(&c->replies) && !c->reloading;
}

static void client_free(struct client *c)
{
	struct worker *worker = c->worker;
	bool unanswered = !is_idle(c);
	struct request *request;
	struct reply *reply;

	while ((request = LIST_FIRST(&c->requests))) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): request_free() unlinks the last one */
		handshake_cancel(request->flight.handshake);
		request_free(request);
	}
	while ((reply = STAILQ_FIRST(&c->replies))) {
		STAILQ_REMOVE_HEAD(&c->replies, link);
		nlmsg_free(reply->msg);
		free(reply);
	}
	event_del(&c->readable);
	event_del(&c->writable);
	/* Another worker has the connection, too, and does not know what is not answered. */
	if (c->handed_over && (c->dead || unanswered))
		shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	credentials_free(&c->who);
	flights_put_user(c->user);
	LIST_REMOVE(c, link);
	free(c);
	count_down(GAUGE_APPLICATIONS);
	worker_check_done(worker);
}

/* To be called at the end of each callback. */
static void settle(struct client *c)
{
	if (!c->busy && (c->dead || (c->handed_over && is_idle(c))))
		client_free(c);
}

static int read_on(struct client *c)
{
	return c->known && !c->handed_over ? event_add(&c->readable, NULL) : 0;
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

/* @msg is owned from here on; NULL: there was no memory for it. */
static void send_message(struct client *c, struct nl_msg *msg)
{
	int err;

	if (c->dead || !msg) {
		c->dead = true;		/* better than an answer that never comes */
		nlmsg_free(msg);
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

static void send_reply(struct client *c, uint32_t seq, const struct handshake_result *result)
{
	if (!c->dead)
		send_message(c, message_encode(seq, result));
}

static void on_handshake_done(void *arg, const struct handshake_result *result)
{
	struct request *request = arg;
	struct client *c = request->client;

	send_reply(c, request->seq, result);
	request_free(request);
	settle(c);
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
static bool start_request(struct client *c, struct message *message, int fd,
			  struct handshake_result *refused)
{
	struct worker *worker = c->worker;
	struct handshake *handshake;
	struct request *request;

	if (worker->stopping) {
		handshake_result_fail(refused, ESHUTDOWN, "the agent is being stopped");
		goto err_close;
	}
	if (find_request(c, message->seq)) {
		handshake_result_fail(refused, EINVAL, "a request with the number %u is under way",
				      message->seq);
		goto err_close;
	}
	if (!admit(worker, &c->who, c->user, message->identity, &message->params, refused))
		goto err_close;
	request = calloc(1, sizeof(*request));
	if (!request) {
		handshake_result_fail(refused, ENOMEM, "the agent is out of memory");
		goto err_close;
	}
	handshake = handshake_start(&worker->env, fd, &message->params, on_handshake_done, request,
				    refused);
	if (!handshake) {
		free(request);
		return false;
	}
	request->client = c;
	request->seq = message->seq;
	LIST_INSERT_HEAD(&c->requests, request, link);
	flights_enter(&worker->flights, &request->flight, c->user, handshake);
	worker_handshake_begun(worker);
	return true;

err_close:
	descriptor_close(fd);
	return false;
}

static void cancel_request(struct client *c, uint32_t seq)
{
	struct request *request = find_request(c, seq);

	if (request) {		/* else the reply is already on its way */
		handshake_cancel(request->flight.handshake);
		request_free(request);
	}
}

/* The number of a question to the supervisor. */
static uint64_t next_question(void)
{
	static uint64_t last;

	return ++last;
}

/* Returns false if it ended at once, with @refused saying why. */
static bool start_reload(struct client *c, uint32_t seq, struct handshake_result *refused)
{
	int err;

	if (!policy_allows_admin(c->worker->policy, &c->who)) {
		handshake_result_fail(refused, EPERM, "only root and the agent's own user may "
				      "reload the configuration");
		return false;
	}
	if (c->question) {
		handshake_result_fail(refused, EBUSY, "a reload is under way");
		return false;
	}
	c->question = next_question();
	err = worker_ask(c->worker, CONTROL_RELOAD, c->question, -1);
	if (err) {
		c->question = 0;
		handshake_result_fail(refused, -err, "the configuration cannot be reloaded now: %s",
				      strerror(-err));
		return false;
	}
	c->reloading = true;
	c->reload_seq = seq;
	return true;
}

static void tell_reload(struct client *c, const struct channel_message *answer)
{
	char *faults = strndup((const char *)answer->data, answer->len);

	c->question = 0;
	c->reloading = false;
	send_message(c, faults ? message_encode_reload(c->reload_seq, faults) : NULL);
	free(faults);
	settle(c);
}

/*
 * Carry out what @message asks for, with @fd, which is owned from here on. MESSAGE_REFUSED:
 * @refusal says why.
 */
static enum message_status handle_message(struct client *c, struct message *message, int fd,
					  struct handshake_result *refusal)
{
	switch (message->cmd) {
	case KEYBLOB_CMD_ACCEPT:
	case KEYBLOB_CMD_CONNECT:
		if (start_request(c, message, fd, refusal))
			return MESSAGE_OK;
		count_up(COUNT_FAILED);
		return MESSAGE_REFUSED;
	case KEYBLOB_CMD_STATUS:
		send_message(c, message_encode_status(message->seq));
		return MESSAGE_OK;
	case KEYBLOB_CMD_RELOAD:
		return start_reload(c, message->seq, refusal) ? MESSAGE_OK : MESSAGE_REFUSED;
	default:
		if (fd >= 0)
			descriptor_close(fd);
		cancel_request(c, message->seq);
		return MESSAGE_OK;
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
	if (status == MESSAGE_OK)
		status = handle_message(c, &message, packet->fd, &refusal);
	else if (packet->fd >= 0)
		descriptor_close(packet->fd);
	packet->fd = -1;
	if (status == MESSAGE_OK)
		return;
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
	c->busy = true;
	for (int i = 0; i < BATCH && !c->dead && c->n_replies < REPLIES_MAX; i++) {
		int ret = message_receive(fd, &packet);

		if (ret == -EAGAIN)
			break;
		if (ret <= 0)
			c->dead = true;
		else
			handle_packet(c, &packet);
	}
	c->busy = false;
	settle(c);
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
		if (c->n_replies-- == REPLIES_MAX && read_on(c))
			c->dead = true;
	}
	event_del(&c->writable);
	settle(c);
}

/*
 * Coming and going.
 */

/*
 * Rules about cgroups: the supervisor looks. Requests wait in the socket, and questions, if
 * there are many, for ask_next().
 */
static int ask_cgroup(struct client *c)
{
	int err;

	if (c->worker->questions == QUESTIONS_MAX)
		return 0;
	c->question = next_question();
	err = worker_ask(c->worker, CONTROL_CGROUP, c->question, c->fd);
	if (!err)
		c->worker->questions++;
	return err;
}

static void ask_next(struct worker *worker)
{
	struct client *c;

	LIST_FOREACH(c, &worker->clients, link)
		if (!c->known && !c->question)
			break;
	if (!c)
		return;
	c->dead = ask_cgroup(c);
	settle(c);
}

int client_new(struct worker *worker, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		goto err_close;
	if (credentials_read(&c->who, fd))
		goto err_free;
	c->user = flights_get_user(&worker->flights, c->who.uid);
	if (!c->user)
		goto err_free;
	c->worker = worker;
	c->fd = fd;
	LIST_INIT(&c->requests);
	STAILQ_INIT(&c->replies);
	LIST_INSERT_HEAD(&worker->clients, c, link);
	event_assign(&c->readable, worker->env.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, worker->env.base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	count_up(COUNT_APPLICATIONS);
	count_up(GAUGE_APPLICATIONS);
	c->known = !policy_needs_cgroup(worker->policy);
	if (c->known ? read_on(c) : ask_cgroup(c)) {
		client_free(c);
		return -1;
	}
	return 0;

err_free:
	credentials_free(&c->who);
	free(c);
err_close:
	close(fd);
	return -1;
}

static void learn_cgroup(struct client *c, const struct channel_message *answer)
{
	c->question = 0;
	c->who.cgroup = strndup((const char *)answer->data, answer->len);
	c->known = c->who.cgroup;
	if (!c->known || read_on(c))
		c->dead = true;
	settle(c);
}

void client_answer(struct worker *worker, const struct channel_message *answer)
{
	struct client *c;

	LIST_FOREACH(c, &worker->clients, link)
		if (c->question && c->question == answer->id)
			break;
	/* It may have left meanwhile. */
	if (c && answer->type == CONTROL_CGROUP)
		learn_cgroup(c, answer);
	else if (c && answer->type == CONTROL_RELOAD)
		tell_reload(c, answer);
	if (answer->type != CONTROL_CGROUP)
		return;
	worker->questions--;
	ask_next(worker);
}

int client_hand_over_all(struct worker *worker)
{
	const struct channel_message message = { 0 };
	struct client *c, *next;

	for (c = LIST_FIRST(&worker->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->handed_over)
			continue;
		if (channel_send(worker->handover, &message, c->fd))
			return -1;
		c->handed_over = true;
		event_del(&c->readable);
		settle(c);
	}
	return 0;
}

void client_free_all(struct worker *worker)
{
	struct client *c;

	while ((c = LIST_FIRST(&worker->clients)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it unlinks the last one */
		client_free(c);
}
