// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions to signers. Each lives in the stack of the fiber that waits for it, in the
 * list of its signer until it is answered. Only a few are sent ahead: what waits here can
 * still be withdrawn, and a slow token does not work for those who have given up.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "clock.h"
#include "fiber.h"
#include "log.h"
#include "memory.h"
#include "signer.h"
#include "signer_client.h"
#include "signing.h"

/* Questions sent ahead: no answer has to wait for room in the channel (see signer.c). */
#define WINDOW 8

/* Signers that a question may see die before it is held to be the cause. */
#define DEATHS_MAX 3

/* Answers taken before the event loop has its turn again. */
#define BURST 32

#define BLOCK_MS 5000

/* For another signer to take the place of one that died. */
static const struct timeval patience = { 2, 0 };

struct question {
	TAILQ_ENTRY(question) entry;
	uint64_t id;
	struct signature *signature;
	struct fiber *fiber;	/* NULL: one that blocks */
	unsigned int deaths;
	bool sent;
	bool done;
	int result;
};

TAILQ_HEAD(question_list, question);

struct signer_link {
	struct signer_client *client;
	int fd;			/* -1: the signer is gone */
	bool given_up;		/* gone for too long */
	struct event *readable, *writable, *patience_over;
	struct question_list questions;	/* by age; the sent ones first */
	unsigned int sent;
};

struct signer_client {
	struct event_base *base;
	const struct config *config;
	uint64_t last_id;
	struct channel_message message;
	unsigned int n_links;
	struct signer_link links[];
};

static void finish(struct signer_link *link, struct question *q, int result)
{
	TAILQ_REMOVE(&link->questions, q, entry);
	link->sent -= q->sent;
	q->result = result;
	q->done = true;
}

static void fail(struct signer_link *link, struct question *q, int err, const char *reason)
{
	snprintf(q->signature->reason, sizeof(q->signature->reason), "%s", reason);
	finish(link, q, err);
}

/* The last that is done with @q: in a fiber, it may go on at once, and @q be gone. */
static void wake(struct question *q)
{
	if (q->fiber)
		fiber_ready(q->fiber);
}

/* What the caller has given up; if it was sent, its answer is still to come. */
static void withdraw(struct signer_link *link, struct question *q, int err, const char *reason)
{
	q->sent = false;
	fail(link, q, err, reason);
}

/* Send what may be sent. That the signer is gone is for on_readable() to find. */
static void flush(struct signer_link *link)
{
	struct channel_message *message = &link->client->message;
	struct question *q;
	int err;

	TAILQ_FOREACH(q, &link->questions, entry) {
		if (q->sent)
			continue;
		if (link->sent == WINDOW)
			return;
		signing_ask(message, q->signature);
		message->id = q->id;
		err = channel_send(link->fd, message, -1);
		if (err) {
			if (err != -EPIPE && err != -ECONNRESET)
				event_add(link->writable, NULL);
			return;
		}
		q->sent = true;
		link->sent++;
	}
}

static void disconnect(struct signer_link *link)
{
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	link->readable = link->writable = NULL;
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

static struct question *find_culprit(struct signer_link *link)
{
	struct question *q;

	TAILQ_FOREACH(q, &link->questions, entry)
		if (q->deaths >= DEATHS_MAX)
			break;
	return q;
}

/* Have everything asked again of the next one, but what has seen too many die. */
static void lose(struct signer_link *link)
{
	struct question *q;

	disconnect(link);
	link->sent = 0;
	event_add(link->patience_over, &patience);
	TAILQ_FOREACH(q, &link->questions, entry) {
		q->deaths += q->sent;
		q->sent = false;
	}
	while ((q = find_culprit(link))) {
		fail(link, q, -EIO, "the signer died of it");
		wake(q);
	}
}

/* 0, or a negative errno if there was no answer. */
static int receive(struct signer_link *link)
{
	struct channel_message *message = &link->client->message;
	struct question *q;
	int err;

	err = channel_receive(link->fd, message, NULL);
	if (err <= 0)
		return err ? err : -EPIPE;
	/* In order, but for those that were withdrawn: the first one, or there is none. */
	TAILQ_FOREACH(q, &link->questions, entry)
		if (q->id == message->id)
			break;
	if (q) {
		finish(link, q, signing_result(message, q->signature));
		wake(q);
	} else if (link->sent) {
		link->sent--;
	}
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct signer_link *link = arg;
	int err, n = 0;

	(void)what;
	do {
		err = receive(link);
	} while (!err && link->sent && link->fd == fd && ++n < BURST);
	/* Whoever was woken may have had the signer replaced. */
	if (link->fd != fd)
		return;
	if (err && err != -EAGAIN)
		lose(link);
	else
		flush(link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

static void on_patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct signer_link *link = arg;
	struct question *q;

	(void)fd;
	(void)what;
	link->given_up = true;
	while ((q = TAILQ_FIRST(&link->questions))) {
		fail(link, q, -EAGAIN, "the signer is not available");
		wake(q);
	}
}

int signer_client_connect(struct signer_client *client, unsigned int number, int fd)
{
	struct signer_link *link;

	if (number >= client->n_links) {
		close(fd);
		return -EINVAL;
	}
	link = &client->links[number];
	if (link->fd >= 0)
		lose(link);
	link->fd = fd;
	link->readable = event_new(client->base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(client->base, fd, EV_WRITE, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL)) {
		lose(link);
		return -ENOMEM;
	}
	event_del(link->patience_over);
	link->given_up = false;
	flush(link);
	return 0;
}

static int wait_in_fiber(struct signer_link *link, struct question *q)
{
	while (!q->done && !fiber_is_aborted(q->fiber))
		fiber_pause();
	if (!q->done)
		withdraw(link, q, -ECANCELED, "given up");
	return q->result;
}

/* Nobody brings another signer meanwhile. */
static int wait_blocking(struct signer_link *link, struct question *q)
{
	long long end = now_ms() + BLOCK_MS, left;
	struct pollfd poll_fd = { .events = POLLIN };

	while (!q->done && link->fd >= 0) {
		poll_fd.fd = link->fd;
		left = end - now_ms();
		if (left <= 0)
			break;
		if (poll(&poll_fd, 1, left) > 0)
			on_readable(link->fd, EV_READ, link);
	}
	if (!q->done && link->fd >= 0)
		withdraw(link, q, -ETIMEDOUT, "the signer does not answer");
	else if (!q->done)
		fail(link, q, -EAGAIN, "the signer is not available");
	return q->result;
}

int signer_client_sign(void *arg, struct signature *signature)
{
	struct signer_client *client = arg;
	unsigned int number = signer_of_identity(client->config, signature->key);
	struct signer_link *link = &client->links[number];
	struct question q = {
		.id = ++client->last_id,
		.signature = signature,
		.fiber = fiber_current(),
	};

	if (link->given_up) {
		snprintf(signature->reason, sizeof(signature->reason),
			 "the signer is not available");
		return -EAGAIN;
	}
	TAILQ_INSERT_TAIL(&link->questions, &q, entry);
	if (link->fd >= 0)
		flush(link);
	return q.fiber ? wait_in_fiber(link, &q) : wait_blocking(link, &q);
}

struct signer_client *signer_client_new(struct event_base *base, const struct config *config)
{
	unsigned int n = signer_count(config);
	struct signer_client *client = memory_zalloc(sizeof(*client) + n * sizeof(*client->links));

	if (!client)
		return NULL;
	client->base = base;
	client->config = config;
	client->n_links = n;
	for (unsigned int i = 0; i < n; i++) {
		struct signer_link *link = &client->links[i];

		link->client = client;
		link->fd = -1;
		TAILQ_INIT(&link->questions);
		link->patience_over = evtimer_new(base, on_patience_over, link);
		if (!link->patience_over || event_add(link->patience_over, &patience)) {
			signer_client_free(client);
			return NULL;
		}
	}
	return client;
}

void signer_client_free(struct signer_client *client)
{
	if (!client)
		return;
	for (unsigned int i = 0; i < client->n_links; i++) {
		struct signer_link *link = &client->links[i];

		if (!link->client)
			break;
		disconnect(link);
		if (link->patience_over)
			event_free(link->patience_over);
	}
	memory_free(client);
}
