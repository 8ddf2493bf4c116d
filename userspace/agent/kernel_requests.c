// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handshakes that the kernel module passes on: each is taken, admitted as one that came by
 * the UNIX socket, done with its keys put into the socket, and told the kernel. Called by
 * worker.c; owns the netlink socket, and what was taken by it.
 *
 * One ACCEPT is under way at a time, and its answer there as soon as it is sent, so that the
 * event loop sees to it that the applications at the UNIX socket get their turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "admission.h"
#include "counters.h"
#include "descriptor.h"
#include "kernel_message.h"
#include "kernel_requests.h"
#include "log.h"
#include "message.h"

/* Messages from the kernel before others get their turn. */
#define BATCH		16

/* No request can be taken for lack of something: until the next try. */
static const struct timeval pause_period = { 0, 100000 };

struct request {
	LIST_ENTRY(request) link;
	struct flight flight;
	struct kernel_requests *from;
	struct credentials who;
	struct user *user;
	uint64_t id;
};

struct kernel_requests {
	struct worker *worker;
	int fd;
	uint16_t family;
	uint32_t seq;		/* of the last message sent */
	uint32_t asked;		/* of the ACCEPT that is not answered yet; 0: none */
	bool ready;		/* told so after that ACCEPT was sent: it may have come too early */
	bool full;		/* no request could be taken last time */
	bool retired;
	struct event readable;
	struct event resume;
	LIST_HEAD(, request) requests;
};

/* 0: no memory, or the kernel does not take it. */
static uint32_t send_message(struct kernel_requests *k, struct nl_msg *msg)
{
	int err = msg ? message_send(k->fd, msg) : -ENOMEM;

	nlmsg_free(msg);
	if (err)
		log_error("cannot answer the kernel: %s", strerror(-err));
	return err ? 0 : k->seq;
}

static uint32_t next_seq(struct kernel_requests *k)
{
	if (!++k->seq)
		k->seq++;
	return k->seq;
}

static void ask(struct kernel_requests *k)
{
	if (k->asked || k->retired)
		return;
	k->ready = false;
	k->asked = send_message(k, kernel_encode(k->family, next_seq(k), KEYBLOB_GENL_ACCEPT));
	if (!k->asked)
		event_add(&k->resume, &pause_period);
}

static void tell(struct kernel_requests *k, uint64_t id, const struct handshake_result *result)
{
	send_message(k, kernel_encode_done(k->family, next_seq(k), id, result));
}

static void request_free(struct request *request)
{
	struct worker *worker = request->from->worker;

	LIST_REMOVE(request, link);
	flights_leave(&worker->flights, &request->flight);
	flights_put_user(request->user);
	credentials_free(&request->who);
	free(request);
	worker_check_done(worker);
}

static void on_handshake_done(void *arg, const struct handshake_result *result)
{
	struct request *request = arg;

	tell(request->from, request->id, result);
	request_free(request);
}

/* Of @from: its credentials are taken, and its descriptor. False: @refused says why not. */
static bool start(struct kernel_requests *k, struct kernel_request *from,
		  struct handshake_result *refused)
{
	struct worker *worker = k->worker;
	struct request *request = calloc(1, sizeof(*request));
	struct handshake *handshake;

	if (!request) {
		handshake_result_fail(refused, ENOMEM, "the agent is out of memory");
		descriptor_close(from->fd);
		return false;
	}
	request->from = k;
	request->id = from->id;
	request->who = from->who;
	from->who = (struct credentials){ 0 };
	request->user = flights_get_user(&worker->flights, request->who.uid);
	if (!request->user) {
		handshake_result_fail(refused, EBUSY, "user %u has too many connections to the agent",
				      (unsigned int)request->who.uid);
		goto err_close;
	}
	if (!admit(worker, &request->who, request->user, from->identity, &from->params, refused))
		goto err_close;
	handshake = handshake_start(&worker->env, from->fd, &from->params, on_handshake_done,
				    request, refused);
	if (!handshake)
		goto err_free;
	LIST_INSERT_HEAD(&k->requests, request, link);
	flights_enter(&worker->flights, &request->flight, request->user, handshake);
	worker_handshake_begun(worker);
	return true;

err_close:
	descriptor_close(from->fd);
err_free:
	if (request->user)
		flights_put_user(request->user);
	credentials_free(&request->who);
	free(request);
	return false;
}

static void take(struct kernel_requests *k, struct kernel_request *request,
		 enum kernel_status status, struct handshake_result *refusal)
{
	if (status == KERNEL_REFUSED)
		descriptor_close(request->fd);
	else if (start(k, request, refusal))
		return;
	log_detail("request refused: %s", refusal->reason);
	count_up(COUNT_FAILED);
	tell(k, request->id, refusal);
	credentials_free(&request->who);
}

static void not_taken(struct kernel_requests *k, int error)
{
	/* None waits; or the module is gone, or a new one does not know this socket. */
	const bool none = error == -EAGAIN || error == -ENOENT || error == -EPERM;

	if (!none && !k->full)
		log_notice("cannot take handshakes from the kernel for the moment: %s",
			   strerror(-error));
	k->full = !none;
	k->asked = 0;
	if (k->ready)
		ask(k);
	else if (k->full && !k->retired)
		event_add(&k->resume, &pause_period);
	worker_check_done(k->worker);
}

static void handle_packet(struct kernel_requests *k, struct kernel_packet *packet)
{
	struct handshake_result refusal = {
		.alert_sent = NO_ALERT,
		.alert_received = NO_ALERT,
	};
	struct kernel_request request;
	enum kernel_status status;
	uint32_t seq;
	int error;

	status = kernel_decode(packet, k->family, &request, &refusal, &seq, &error);
	switch (status) {
	case KERNEL_REQUEST:
	case KERNEL_REFUSED:
		k->asked = 0;
		k->full = false;
		take(k, &request, status, &refusal);
		ask(k);
		worker_check_done(k->worker);
		break;
	case KERNEL_ERROR:
		if (seq == k->asked)
			not_taken(k, error);
		else if (error && error != -ENOENT)	/* ENOENT: nobody waits for it any more */
			log_error("the kernel does not take an answer: %s", strerror(-error));
		break;
	case KERNEL_READY:
		k->ready = true;
		ask(k);
		break;
	case KERNEL_NOISE:
		log_error("the kernel sent what the agent does not understand: module and agent do "
			  "not belong together");
		break;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static struct kernel_packet packet;
	struct kernel_requests *k = arg;

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		int err = kernel_receive(fd, &packet);

		if (err == -EAGAIN)
			break;
		if (!err) {
			handle_packet(k, &packet);
		} else {	/* messages were lost: one may have been an answer, or READY */
			k->asked = 0;
			ask(k);
			worker_check_done(k->worker);
		}
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask(arg);
}

void kernel_requests_begin(struct worker *worker, int fd, uint16_t family)
{
	struct kernel_requests *k;

	kernel_requests_end(worker);	/* of a module that was unloaded */
	if (worker->retiring || worker->stopping)
		goto err_close;
	k = calloc(1, sizeof(*k));
	if (!k)
		goto err_tell;
	k->worker = worker;
	k->fd = fd;
	k->family = family;
	LIST_INIT(&k->requests);
	event_assign(&k->readable, worker->env.base, fd, EV_READ | EV_PERSIST, on_readable, k);
	evtimer_assign(&k->resume, worker->env.base, on_resume, k);
	if (event_add(&k->readable, NULL)) {
		free(k);
		goto err_tell;
	}
	worker->kernel = k;
	ask(k);
	return;

err_tell:
	log_error("a worker does not serve the kernel: out of memory");
err_close:
	close(fd);
}

void kernel_requests_retire(struct worker *worker)
{
	struct kernel_requests *k = worker->kernel;

	if (!k || k->retired)
		return;
	k->retired = true;
	event_del(&k->resume);
	send_message(k, kernel_encode(k->family, next_seq(k), KEYBLOB_GENL_AGENT_RETIRE));
}

bool kernel_requests_idle(const struct worker *worker)
{
	const struct kernel_requests *k = worker->kernel;

	return !k || (LIST_EMPTY(&k->requests) && !k->asked);
}

void kernel_requests_end(struct worker *worker)
{
	struct kernel_requests *k = worker->kernel;
	struct request *request;

	if (!k)
		return;
	while ((request = LIST_FIRST(&k->requests))) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): request_free() unlinks the last one */
		handshake_cancel(request->flight.handshake);
		request_free(request);
	}
	event_del(&k->readable);
	event_del(&k->resume);
	close(k->fd);
	worker->kernel = NULL;
	free(k);
}
