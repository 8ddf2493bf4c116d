// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event loop of a worker: accepts applications, listens to the supervisor, and ends
 * when told to. Called by generation.c in the forked process; owns everything in it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "confine.h"
#include "context.h"
#include "identity.h"
#include "kernel_requests.h"
#include "log.h"
#include "memory.h"
#include "remote_key.h"
#include "signer_client.h"
#include "traffic_secrets.h"
#include "worker.h"

/* Out of descriptors: until some are free, do not look at the listening socket. */
static const struct timeval accept_pause = { 0, 100000 };

/* For what is already on its way to or from applications when all else is done. */
static const struct timeval stop_grace = { 0, 100000 };

/* Nobody takes the applications that are handed over: until the next try. */
static const struct timeval handover_pause = { 0, 10000 };

/* For applications to take their replies, beyond what handshakes in flight may take: ms. */
#define RETIRE_MS 3000

/* While stopping, connections taken from the backlog, to be told so. */
#define STOP_ACCEPT_MAX 1000

struct server {
	struct worker worker;
	struct ticket_keyring *tickets;
	struct signer_client *signers;
	int listen_fd, handover_fd;
	int signal_fd;
	bool full;		/* accept() failed last time for lack of something */
	struct event *acceptable, *resume, *signalled, *told, *handed, *retry;
	struct event *retired;	/* a worker that retires has had its time */
};

static void take_application(struct server *s, int fd)
{
	if (client_new(&s->worker, fd))
		log_notice("an application was turned away: out of memory, or its user has too many "
			   "connections");
}

/* Returns false if there is no (further) connection to take now. */
static bool accept_one(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		s->full = false;
		take_application(s, fd);
		return true;
	}
	/* EAGAIN: another worker was faster. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		if (!s->full)
			log_notice("cannot accept applications for the moment: %m");
		s->full = true;
		event_del(s->acceptable);
		event_add(s->resume, &accept_pause);
	}
	return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_one(arg);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd;
	(void)what;
	event_add(s->acceptable, NULL);
}

static void on_handed(evutil_socket_t fd, short what, void *arg)
{
	struct channel_message message;
	int passed;

	(void)what;
	if (channel_receive(fd, &message, &passed) == 1 && passed >= 0)
		take_application(arg, passed);
}

void worker_handshake_begun(struct worker *worker)
{
	worker->served++;
	/* Once more each lifetime: a replacement may have died before it was ready. */
	if (worker->config->worker_lifetime &&
	    worker->served % worker->config->worker_lifetime == 0)
		worker_ask(worker, CONTROL_RETIRE, 0, -1);
}

void worker_check_done(struct worker *worker)
{
	if (!kernel_requests_idle(worker))
		return;
	if (worker->stopping && !worker->flights.in_flight)
		event_base_loopexit(worker->env.base, &stop_grace);
	else if (worker->retiring && LIST_EMPTY(&worker->clients))
		event_base_loopexit(worker->env.base, NULL);
}

int worker_ask(struct worker *worker, uint32_t type, uint64_t id, int fd)
{
	const struct channel_message question = { .type = type, .id = id };

	return channel_send(worker->control, &question, fd);
}

/* No further application is this worker's business. */
static void stop_accepting(struct server *s)
{
	event_del(s->acceptable);
	event_del(s->resume);
	event_del(s->handed);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	s->listen_fd = -1;
}

static void hand_over(struct server *s)
{
	if (client_hand_over_all(&s->worker))
		event_add(s->retry, &handover_pause);
	worker_check_done(&s->worker);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	hand_over(arg);
}

/* Applications that leave their replies lying do not keep a worker alive. */
static void on_retired(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd;
	(void)what;
	log_notice("applications do not take their replies, dropping them");
	event_base_loopbreak(s->worker.env.base);
}

static void retire(struct server *s)
{
	const struct timeval limit = ms_to_timeval(s->worker.config->timeout_ms + RETIRE_MS);

	if (s->worker.retiring || s->worker.stopping)
		return;
	s->worker.retiring = true;
	event_add(s->retired, &limit);
	stop_accepting(s);
	kernel_requests_retire(&s->worker);
	hand_over(s);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;
	struct server *s = arg;

	(void)what;
	if (read(fd, &info, sizeof(info)) != sizeof(info) || s->worker.stopping)
		return;

	/* Who waits in the backlog is told, rather than reset. */
	s->worker.stopping = true;
	for (int i = 0; s->listen_fd >= 0 && i < STOP_ACCEPT_MAX && accept_one(s); i++)
		;
	stop_accepting(s);
	kernel_requests_retire(&s->worker);
	event_del(s->retry);
	worker_check_done(&s->worker);
}

static void begin(struct server *s)
{
	if (s->worker.stopping || s->worker.retiring)
		return;
	event_add(s->handed, NULL);
	if (s->listen_fd >= 0)
		event_add(s->acceptable, NULL);
}

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct channel_message message;
	struct server *s = arg;
	int ret, passed;

	(void)what;
	ret = channel_receive(fd, &message, &passed);
	if (ret == -EAGAIN)
		return;
	if (ret <= 0) {
		event_base_loopbreak(s->worker.env.base);
		return;
	}
	switch (message.type) {
	case CONTROL_CHANNEL:
		if (passed < 0 || signer_client_connect(s->signers, message.id, passed)) {
			log_error("no connection to signer %u: out of descriptors or memory",
				  (unsigned int)message.id);
			event_base_loopbreak(s->worker.env.base);	/* to be replaced */
		}
		return;
	case CONTROL_SERVE:
		begin(s);
		break;
	case CONTROL_KERNEL:
		if (passed >= 0)
			kernel_requests_begin(&s->worker, passed, message.id);
		return;
	case CONTROL_TICKET_KEYS:
		if (message.len == sizeof(*s->tickets))
			memcpy(s->tickets, message.data, sizeof(*s->tickets));
		explicit_bzero(&message, sizeof(message));
		break;
	case CONTROL_RETIRE:
		retire(s);
		break;
	case CONTROL_ALIVE:
		worker_ask(&s->worker, CONTROL_ALIVE, 0, -1);
		break;
	default:
		client_answer(&s->worker, &message);
	}
	if (passed >= 0)
		close(passed);
}

static int open_signals(void)
{
	sigset_t set;

	/* SIGINT from a terminal reaches all of the group: the supervisor decides. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int set_up_events(struct server *s)
{
	struct event_base *base = s->worker.env.base;

	s->signal_fd = open_signals();
	if (s->signal_fd < 0)
		return -1;
	s->acceptable = event_new(base, s->listen_fd, EV_READ | EV_PERSIST, on_acceptable, s);
	s->resume = evtimer_new(base, on_resume, s);
	s->retry = evtimer_new(base, on_retry, s);
	s->retired = evtimer_new(base, on_retired, s);
	s->signalled = event_new(base, s->signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	s->told = event_new(base, s->worker.control, EV_READ | EV_PERSIST, on_told, s);
	s->handed = event_new(base, s->handover_fd, EV_READ | EV_PERSIST, on_handed, s);
	return !s->acceptable || !s->resume || !s->retry || !s->retired ||
	       !s->signalled || !s->told || !s->handed || event_add(s->signalled, NULL) ||
	       event_add(s->told, NULL) ? -1 : 0;
}

/* A ProtocolNameList (RFC 7301 section 3.1); that each name fits was checked before. */
static int set_up_alpn(struct handshake_env *env, const struct settings *names)
{
	uint8_t *to;

	for (size_t i = 0; i < names->count; i++)
		env->alpn_len += 1 + strlen(names->list[i].value);
	if (!env->alpn_len)
		return 0;
	env->alpn = malloc(env->alpn_len);
	if (!env->alpn)
		return -1;
	to = env->alpn;
	for (size_t i = 0; i < names->count; i++) {
		size_t len = strlen(names->list[i].value);

		*to++ = len;
		memcpy(to, names->list[i].value, len);
		to += len;
	}
	return 0;
}

static int set_up_tls(struct handshake_env *env, const struct config *config,
		      const struct ticket_keyring *tickets)
{
	/* All of it, so that all faults are told. */
	int err = identities_load(&env->identities, config);

	env->ctx = context_new(config, &env->identities, tickets);
	if (env->ctx)			/* else the same again would be told */
		env->client_ctx = context_new_client(config);
	env->servers = trust_store_new(&config->servers);
	env->client_identity = NO_IDENTITY;
	if (config->client_identity.value)
		env->client_identity = config_find_identity(config, config->client_identity.value);
	if (err || !env->ctx || !env->client_ctx || !env->servers ||
	    set_up_alpn(env, &config->alpn))
		return -1;
	handshake_install(env->ctx);
	handshake_install(env->client_ctx);
	return 0;
}

static int set_up(struct server *s)
{
	struct worker *worker = &s->worker;

	worker->env.base = event_base_new();
	worker->policy = policy_new(worker->config);
	if (!worker->env.base || !worker->policy)
		return -1;
	s->signers = signer_client_new(worker->env.base, worker->config);
	if (!s->signers || remote_key_init(signer_client_sign, s->signers) ||
	    traffic_secrets_init(handshake_take_secret)) {
		log_error("a worker cannot set up its OpenSSL providers");
		return -1;
	}
	if (set_up_tls(&worker->env, worker->config, s->tickets))
		return -1;
	if (set_up_events(s)) {
		log_error("a worker cannot start: %m");
		return -1;
	}
	return confine(CONFINE_WORKER, worker->config);
}

static void tell_supervisor(const struct worker *worker, uint32_t type, const char *text)
{
	struct channel_message message = { .type = type };

	channel_set_text(&message, text);
	channel_send(worker->control, &message, -1);
}

static void event_free_any(struct event *event)
{
	if (event)
		event_free(event);
}

static void tear_down(struct server *s)
{
	client_free_all(&s->worker);
	kernel_requests_end(&s->worker);
	event_free_any(s->acceptable);
	event_free_any(s->resume);
	event_free_any(s->retry);
	event_free_any(s->retired);
	event_free_any(s->signalled);
	event_free_any(s->told);
	event_free_any(s->handed);
	SSL_CTX_free(s->worker.env.ctx);
	SSL_CTX_free(s->worker.env.client_ctx);
	trust_store_free(s->worker.env.servers);
	free(s->worker.env.alpn);
	identities_free(&s->worker.env.identities);
	traffic_secrets_exit();
	remote_key_exit();
	if (s->signers)
		signer_client_free(s->signers);
	policy_free(s->worker.policy);
	if (s->worker.env.base)
		event_base_free(s->worker.env.base);
	libevent_global_shutdown();
	explicit_bzero(s->tickets, sizeof(*s->tickets));
}

int worker_run(const struct config *config, const struct worker_fds *fds,
	       struct ticket_keyring *tickets)
{
	struct server s = {
		.worker.env.timeout_ms = config->timeout_ms,
		.worker.config = config,
		.worker.control = fds->control,
		.worker.handover = fds->handover[0],
		.tickets = tickets,
		.listen_fd = fds->listen,
		.handover_fd = fds->handover[1],
		.signal_fd = -1,
	};
	char fault[1024] = "";
	int status = 1, err;

	LIST_INIT(&s.worker.clients);
	flights_init(&s.worker.flights, config);
	memory_lock();
	log_capture(fault, sizeof(fault));
	err = set_up(&s);
	log_capture(NULL, 0);
	tell_supervisor(&s.worker, err ? CONTROL_FAULT : CONTROL_READY, fault);
	if (!err) {
		event_base_dispatch(s.worker.env.base);
		status = s.worker.stopping || s.worker.retiring ? 0 : 1;
	}
	tear_down(&s);
	memory_scrub_stack();
	return status;
}
