// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races: threads of several processes make calls at random on one socket, round after
 * round (calls.c has the calls and what each may say), while its peer and agents do as they
 * like, and others try to unload the module. Needs the machine, and the module, for itself.
 *
 *   KEYBLOB_STRESS_SECONDS	for all tests together: 24
 *   KEYBLOB_STRESS_SEED	of the choices that are made: of the clock; it is printed
 *
 * Threads are scheduled as they are, so that a seed repeats what is done, not when.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "kselftest_harness.h"
#include "lib/module.h"
#include "lib/usage.h"
#include "race.h"

#define WILD_CALLS	60	/* of each worker */
#define HANG_MS		60000	/* of a round that should be over */
#define FOREVER		100000	/* s; rounds look after their time themselves */

static const struct timeval call_limit = { .tv_usec = 20000 };

void race_fail(struct race *r, const char *format, ...)
{
	const int n = r->failed++;
	va_list args;

	if (n >= FAILURES)
		return;
	va_start(args, format);
	vsnprintf(r->failures[n], sizeof(r->failures[n]), format, args);
	va_end(args);
}

/* ---- workers ---- */

static void work_on(struct worker *w)
{
	struct race *r = w->r;
	unsigned int n;

	for (n = 0; !r->stop && (r->mode != WILD || n < WILD_CALLS); n++) {
		const struct call *call;
		long ret;

		do {
			call = &calls[choose(&w->random, n_calls)];
		} while (!(call->modes & r->mode));
		r->at[w->number] = call->name;
		ret = call->make(w);
		if (!call_may_say(call, r->mode, ret))
			race_fail(r, "%s: %s", call->name, strerror(-ret));
	}
	r->at[w->number] = NULL;
}

static void *worker(void *arg)
{
	struct worker *w = arg;

	w->fd = dup(w->r->s.fd);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->fd < 0 || w->epoll < 0 || pipe2(w->pipe, O_CLOEXEC))
		race_fail(w->r, "no descriptors: %s", strerror(errno));
	else
		work_on(w);
	return NULL;
}

static void process(struct race *r, int first)
{
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];
	int i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < THREADS; i++) {
		workers[i].r = r;
		workers[i].number = first + i;
		workers[i].random = r->seed + 0x9e3779b9 * (first + i + 1);
		if (pthread_create(&threads[i], NULL, worker, &workers[i]))
			race_fail(r, "no thread");
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void begin_work(struct race *r, pid_t pids[PROCESSES])
{
	int i;

	for (i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (!pids[i])
			process(r, i * THREADS);
		if (pids[i] < 0)
			race_fail(r, "no process");
	}
}

/* Who hangs, and in what call; the kernel's log has where. */
static void report_hang(struct race *r)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC), i;
	char text[128] = "";

	for (i = 0; i < WORKERS; i++)
		if (r->at[i]) {
			strcat(text, " ");
			strncat(text, r->at[i], 15);
		}
	race_fail(r, "does not end:%s", text);
	if (fd < 0 || write(fd, "w", 1) < 0)
		race_fail(r, "no sysrq");
	close(fd);
}

static void end_work(struct race *r, pid_t pids[PROCESSES])
{
	const long began = now_ms();
	int left = PROCESSES, i;

	while (left) {
		for (i = 0; i < PROCESSES; i++)
			if (pids[i] > 0 && waitpid(pids[i], NULL, WNOHANG)) {
				pids[i] = 0;
				left--;
			}
		if (left && now_ms() - began > HANG_MS) {
			report_hang(r);
			for (i = 0; i < PROCESSES; i++)
				if (pids[i] > 0)
					kill(pids[i], SIGKILL);
			return;
		}
		sleep_ms(1);
	}
}

/* ---- the socket of a round ---- */

static int prepare_fd(struct race *r, int fd, bool nonblock)
{
	r->s.fd = fd;
	r->s.c.fd = fd;
	if (nonblock)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &call_limit, sizeof(call_limit)) ||
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &call_limit, sizeof(call_limit)) ? -errno : 0;
}

static void prepare_keys(struct race *r, int family)
{
	const struct tls_suite *suite = &tls_suites[choose(&r->seed, 6)];

	/* Who asks for a handshake may be answered with any suite; so be it with this one. */
	r->tls12 = suite->version == TLS_1_2_VERSION;
	key_random(&r->s.c.tx, KEYBLOB_DIR_TX, suite->version, suite->cipher);
	key_random(&r->s.c.rx, KEYBLOB_DIR_RX, suite->version, suite->cipher);
	r->s.c.tx.role = KEYBLOB_ROLE_CLIENT;
	r->s.c.rx.role = KEYBLOB_ROLE_CLIENT;
	tls_dir_keys(&r->s.c.tx, r->raw_key[0], r->raw_iv[0]);
	tls_dir_keys(&r->s.c.rx, r->raw_key[1], r->raw_iv[1]);
}

/* Connected and attached, with blobs that wait to be imported. */
static int open_connected(struct race *r, int family)
{
	int fds[2], err;

	if (tcp_pair(family, fds))
		return -errno;
	r->s.c.peer.fd = fds[1];
	err = prepare_fd(r, fds[0], choose(&r->seed, 3) == 0);
	r->addr_len = sizeof(r->addr);
	if (getpeername(fds[0], (struct sockaddr *)&r->addr, &r->addr_len))
		return -errno;
	err = err ?: keyblob_attach(fds[0]);
	err = err ?: keyblob_export(fds[0], &r->s.c.tx, r->blobs[0]);
	return err ?: keyblob_export(fds[0], &r->s.c.rx, r->blobs[1]);
}

/* Everything that the rounds of a test have in common. */
FIXTURE(race)
{
	struct race *r;
	struct conn anchor;		/* holds the module */
	int file;
	uint32_t seed;
	long ms;			/* for all tests */
	struct usage before;
	pthread_t unloader;
	atomic_bool done;
	atomic_int unloaded;		/* or another error than that it is in use */
	uint8_t foreign[KEYBLOB_BLOB_SIZE];
};

static int round_begin(FIXTURE_DATA(race) *self, int mode)
{
	struct race *r = self->r;
	const int number = r->number + 1;
	pthread_mutexattr_t attr;

	memset(r, 0, sizeof(*r));
	r->mode = mode;
	r->number = number;
	r->seed = self->seed + number * 2654435761u ?: 1;
	r->file = self->file;
	r->s.fd = r->s.c.fd = r->s.c.peer.fd = -1;
	r->s.level = r->s.description = -1;
	memcpy(r->blobs[2], self->foreign, sizeof(self->foreign));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&r->sending, &attr);
	pthread_mutex_init(&r->receiving, &attr);
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, r->mail))
		return -errno;
	return 0;
}

static void round_end(struct race *r)
{
	close(r->mail[0]);
	close(r->mail[1]);
	stream_close(&r->s);
}

static int open_for(FIXTURE_DATA(race) *self, int mode)
{
	struct race *r = self->r;
	const int family = r->number % 2 ? AF_INET : AF_INET6;
	int err = round_begin(self, mode);

	if (err)
		return err;
	prepare_keys(r, family);
	err = open_connected(r, family);
	return err ?: conn_peer(&r->s.c);
}

/* It must not go while there is a keyblob socket, whatever that is doing. */
static void *unloader(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	while (!self->done && !self->unloaded) {
		int err = module_unload();

		if (err != -EAGAIN)
			self->unloaded = err ?: 1;
		sleep_ms(3);
	}
	return NULL;
}

static int pattern_file(void)
{
	int fd = memfd_create("pattern", MFD_CLOEXEC);
	uint8_t data[1 << 16];
	uint64_t at;

	for (at = 0; at < FILE_SIZE; at += sizeof(data)) {
		pattern(data, at, sizeof(data));
		if (write(fd, data, sizeof(data)) != sizeof(data))
			return -1;
	}
	return fd;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoul(value, NULL, 0) : otherwise;
}

FIXTURE_SETUP(race)
{
	self->seed = setting("KEYBLOB_STRESS_SEED", now_ms() | 1);
	self->ms = setting("KEYBLOB_STRESS_SECONDS", 24) * 1000;
	TH_LOG("KEYBLOB_STRESS_SEED=%u", self->seed);
	signal(SIGPIPE, SIG_IGN);
	param_set("records_max", 0);
	self->r = mmap(NULL, sizeof(*self->r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	ASSERT_NE(MAP_FAILED, self->r);
	self->file = pattern_file();
	ASSERT_LE(0, self->file);
	/* The first socket after a load makes what stays. */
	ASSERT_EQ(0, conn_open(&self->anchor, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
	conn_close(&self->anchor);
	self->before = usage();
	self->before = usage_settled(&self->before);
	ASSERT_EQ(0, conn_open(&self->anchor, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128));
	ASSERT_EQ(0, keyblob_export(self->anchor.fd, &self->anchor.tx, self->foreign));
	ASSERT_EQ(0, pthread_create(&self->unloader, NULL, unloader, self));
}

/* What every test ends with. */
#define EXPECT_CLEAN_END() do {							\
	struct usage _after;							\
	self->done = true;							\
	pthread_join(self->unloader, NULL);					\
	EXPECT_EQ(0, atomic_load(&self->unloaded));				\
	EXPECT_TRUE(conn_works_plain(&self->anchor));				\
	conn_close(&self->anchor);						\
	_after = usage_settled(&self->before);					\
	EXPECT_NOTHING_LEFT(self->before, _after);				\
	TH_LOG("%d rounds", self->r->number);					\
} while (0)

#define ASSERT_ROUND_WENT_WELL() do {						\
	for (int _i = 0; _i < FAILURES && _i < self->r->failed; _i++)		\
		TH_LOG("round %d: %s", self->r->number, self->r->failures[_i]);	\
	ASSERT_EQ(0, atomic_load(&self->r->failed));				\
} while (0)

FIXTURE_TEARDOWN(race)
{
}

/* ---- streams that stay whole ---- */

static void *calm_peer_sends(void *arg)
{
	struct race *r = arg;
	uint32_t random = r->seed;
	uint8_t data[CHUNK];
	uint64_t at = 0;

	while (!r->stop_peer) {
		size_t n = 1 + choose(&random, choose(&random, 3) ? 500 : CHUNK);

		pattern(data, at, n);
		if (tls_peer_write(&r->s.c.peer, data, n) ||
		    (!r->tls12 && !choose(&random, 8) && peer_update(&r->s, choose(&random, 2))) ||
		    (!r->tls12 && !choose(&random, 8) && peer_ticket(&r->s))) {
			race_fail(r, "the peer cannot send: %s", strerror(errno));
			return NULL;
		}
		at += n;
	}
	if (peer_alert(&r->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY))
		race_fail(r, "the peer cannot end: %s", strerror(errno));
	return (void *)at;
}

static void *peer_drains(void *arg)
{
	struct race *r = arg;

	if (peer_drain(&r->s))
		race_fail(r, "the peer received wrong bytes, at %llu: %s",
			  (unsigned long long)r->s.bytes, strerror(errno));
	return NULL;
}

/* What the workers may not have come to. */
static void import_rest(struct race *r)
{
	int i;

	for (i = 0; i < 2; i++)
		if (!r->imported[i] &&
		    keyblob_import(r->s.fd, i + 1, r->blobs[i], KEYBLOB_BLOB_SIZE))
			race_fail(r, "direction %d cannot be imported", i + 1);
}

/* The end as seen by both sides, after all that went before. */
static void calm_end(struct race *r, pthread_t peer[2])
{
	static struct worker w;
	struct keyblob_status status;
	void *peer_sent;
	long ret;

	import_rest(r);
	w = (struct worker){ .r = r, .fd = r->s.fd, .random = r->seed };
	if (pipe2(w.pipe, O_CLOEXEC) || shutdown(r->s.fd, SHUT_WR))
		race_fail(r, "shutdown: %s", strerror(errno));
	do {
		ret = receive_on(&w);
	} while (ret > 0 || ret == -EAGAIN);
	if (ret)
		race_fail(r, "the stream ends with %ld", ret);
	close(w.pipe[0]);
	close(w.pipe[1]);
	pthread_join(peer[0], &peer_sent);
	pthread_join(peer[1], NULL);
	if (r->received != (uint64_t)peer_sent)
		race_fail(r, "received %llu of %llu bytes", (unsigned long long)r->received,
			  (unsigned long long)peer_sent);
	if (r->s.bytes != r->sent)
		race_fail(r, "sent %llu bytes, of which %llu came", (unsigned long long)r->sent,
			  (unsigned long long)r->s.bytes);
	if (r->s.level != ALERT_WARNING || r->s.description != ALERT_CLOSE_NOTIFY)
		race_fail(r, "no close_notify");
	if (keyblob_info(r->s.fd, &status) || status.tx_generation != r->s.updates ||
	    status.rx_generation != r->s.c.rx.generation)
		race_fail(r, "generations %u and %u, of the peer %u and %u", status.tx_generation,
			  status.rx_generation, r->s.updates, r->s.c.rx.generation);
}

static void set_peer_limit(struct race *r, long ms)
{
	const struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(r->s.c.peer.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(r->s.c.peer.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

TEST_F_TIMEOUT(race, streams_stay_whole_whatever_is_done_beside, FOREVER)
{
	const long end = now_ms() + self->ms / 4;
	struct race *r = self->r;
	pid_t pids[PROCESSES];
	pthread_t peer[2];

	do {
		ASSERT_EQ(0, open_for(self, CALM));
		set_peer_limit(r, HANG_MS);
		ASSERT_EQ(0, pthread_create(&peer[0], NULL, calm_peer_sends, r));
		ASSERT_EQ(0, pthread_create(&peer[1], NULL, peer_drains, r));
		begin_work(r, pids);
		sleep_ms(200 + choose(&r->seed, 400));
		r->stop = true;
		end_work(r, pids);
		r->stop_peer = true;
		calm_end(r, peer);
		round_end(r);
		ASSERT_ROUND_WENT_WELL();
	} while (now_ms() < end);
	EXPECT_CLEAN_END();
}

/* ---- anything goes ---- */

static void peer_says(struct race *r, uint32_t *random)
{
	uint8_t data[CHUNK];
	uint32_t n = 1 + choose(random, CHUNK);

	switch (choose(random, 40)) {
	case 0:
		fill(data, n, *random);
		peer_raw(&r->s, data, n);
		break;
	case 1:
		peer_alert(&r->s, ALERT_FATAL, ALERT_HANDSHAKE_FAILURE);
		break;
	case 2:
		peer_alert(&r->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY);
		break;
	case 3:
		shutdown(r->s.c.peer.fd, SHUT_WR);
		break;
	case 4 ... 9:
		peer_update(&r->s, choose(random, 2));
		break;
	case 10 ... 12:
		peer_ticket(&r->s);
		break;
	case 13 ... 22:
		recv(r->s.c.peer.fd, data, sizeof(data), MSG_DONTWAIT);
		break;
	default:
		pattern(data, 0, n);
		tls_peer_write(&r->s.c.peer, data, n);
	}
}

static void *wild_peer(void *arg)
{
	struct race *r = arg;
	uint32_t random = r->seed;

	while (!r->stop) {
		peer_says(r, &random);
		sleep_ms(choose(&random, 3));
	}
	return NULL;
}

TEST_F_TIMEOUT(race, any_calls_at_once_say_what_the_contract_says, FOREVER)
{
	const long end = now_ms() + self->ms / 4;
	struct race *r = self->r;
	pid_t pids[PROCESSES];
	pthread_t peer;

	do {
		const struct linger reset = { .l_onoff = 1 };

		ASSERT_EQ(0, open_for(self, WILD));
		set_peer_limit(r, 10);
		ASSERT_EQ(0, pthread_create(&peer, NULL, wild_peer, r));
		begin_work(r, pids);
		if (choose(&r->seed, 4) == 0) {
			sleep_ms(choose(&r->seed, 60));
			kill(pids[0], SIGKILL);
		}
		end_work(r, pids);
		r->stop = true;
		pthread_join(peer, NULL);
		setsockopt(r->s.c.peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		round_end(r);
		ASSERT_ROUND_WENT_WELL();
	} while (now_ms() < end);
	EXPECT_CLEAN_END();
}

/* ---- handshakes ---- */

enum { ASKED_CONNECTED, ASKED_CONNECTING, ASKED_ACCEPTED, ASKED_KINDS };

static int ask(int fd, uint16_t role)
{
	struct keyblob_handshake what = { .role = role, .timeout_ms = 1500 };

	if (role == KEYBLOB_ROLE_CLIENT)
		strcpy(what.peer_name, "server.example");
	if (setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &what, sizeof(what)))
		return errno == EINPROGRESS ? 0 : -errno;
	return 0;
}

/* Handshake begun, or set on a socket that the workers connect; @listener is the peer's. */
static int open_asked(struct race *r, int family, int kind, int *listener)
{
	int fd, err;

	*listener = -1;
	if (kind == ASKED_CONNECTED) {
		err = open_connected(r, family);
		fcntl(r->s.fd, F_SETFL, O_NONBLOCK);
		err = err ?: ask(r->s.fd, KEYBLOB_ROLE_CLIENT);
		return err ?: fcntl(r->s.fd, F_SETFL, choose(&r->seed, 2) ? O_NONBLOCK : 0);
	}
	memcpy(r->blobs[0], r->blobs[2], sizeof(r->blobs[0]));
	memcpy(r->blobs[1], r->blobs[2], sizeof(r->blobs[1]));
	*listener = tcp_listen(family, &r->addr, &r->addr_len);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || fd < 0)
		return -errno;
	err = keyblob_attach(kind == ASKED_CONNECTING ? fd : *listener);
	if (kind == ASKED_CONNECTING) {
		err = err ?: ask(fd, KEYBLOB_ROLE_CLIENT);
		return err ?: prepare_fd(r, fd, choose(&r->seed, 2));
	}
	r->s.c.peer.fd = fd;
	err = err ?: ask(*listener, KEYBLOB_ROLE_SERVER);
	if (!err && connect(fd, (struct sockaddr *)&r->addr, r->addr_len))
		err = -errno;
	return err ?: prepare_fd(r, accept(*listener, NULL, NULL), choose(&r->seed, 2));
}

static int import_for(struct race *r, int fd, const struct keyblob_key *key)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	int err = keyblob_export(fd, key, blob);

	err = err ?: keyblob_import(fd, key->direction, blob, sizeof(blob));
	if (!err && atomic_fetch_add(&r->imported[key->direction - 1], 1))
		race_fail(r, "direction %d was imported twice", key->direction);
	return err;
}

static const int refusals[] = { EKEYREJECTED, ENOENT, ECONNABORTED, EACCES, 0 };

struct fake {
	struct race *r;
	struct agent a;
	uint32_t random;
	atomic_bool *stop;
};

/* An agent's errors: the request is over, or the answer cannot be. */
static void fake_done(struct fake *f, uint64_t id, int error)
{
	static _Thread_local struct answer answer;
	int err = agent_done(&f->a, id, error, &answer);

	if (err && err != -ENOENT && err != -EINVAL)
		race_fail(f->r, "DONE: %s", strerror(-err));
}

/* Deals with one request; false: the agent is to die of it. */
static bool serve(struct fake *f, const struct accepted *got)
{
	const struct keyblob_key *tx = &f->r->s.c.tx, *rx = &f->r->s.c.rx;
	const uint32_t how = choose(&f->random, 12);
	bool ready = false;

	if (how >= 5)
		ready = !import_for(f->r, got->fd, tx) && !import_for(f->r, got->fd, rx);
	else if (how == 4)
		import_for(f->r, got->fd, tx);
	close(got->fd);
	switch (how) {
	case 0:			/* before the end, and after it */
		fake_done(f, got->id, 0);
		fake_done(f, got->id, refusals[choose(&f->random, 4)]);
		fake_done(f, got->id, ETIMEDOUT);
		return true;
	case 1:
		return true;	/* forgotten */
	case 2:
	case 4:
		return false;
	case 3:
		sleep_ms(choose(&f->random, 30));
		fake_done(f, got->id, refusals[choose(&f->random, 4)]);
		return true;
	default:
		fake_done(f, got->id, ready ? 0 : ECONNABORTED);
		return true;
	}
}

static void *fake_agent(void *arg)
{
	static _Thread_local struct accepted got;
	struct fake *f = arg;
	int err = agent_new(&f->a);

	while (!err && !*f->stop) {
		agent_is_told(&f->a, 20);
		err = agent_accept(&f->a, &got);
		if (!err && !serve(f, &got)) {
			agent_close(&f->a);
			err = agent_new(&f->a);
		} else if (err == -EAGAIN) {
			err = 0;
		}
	}
	if (err)
		race_fail(f->r, "the agent: %s", strerror(-err));
	agent_close(&f->a);
	return NULL;
}

/* Waits for the end of what has begun. */
static int asked_end(struct race *r, struct keyblob_status *status)
{
	const long began = now_ms();

	do {
		if (keyblob_info(r->s.fd, status))
			return -errno;
		sleep_ms(5);
	} while (status->handshake == KEYBLOB_HANDSHAKE_UNDER_WAY && now_ms() - began < HANG_MS);
	return status->handshake == KEYBLOB_HANDSHAKE_UNDER_WAY ? -ETIME : 0;
}

/*
 * Nothing is carried before the agent has imported the key for it, and what is sent then is
 * TLS: all of it, unless the handshake failed in the end.
 */
static void check_asked(struct race *r, const struct keyblob_status *status)
{
	const bool done = status->handshake == KEYBLOB_HANDSHAKE_DONE;
	uint8_t byte;

	if (r->s.c.peer.fd < 0)
		return;
	set_peer_limit(r, HANG_MS);
	if (!r->imported[0]) {
		if (done || r->sent || recv(r->s.c.peer.fd, &byte, 1, MSG_DONTWAIT) > 0)
			race_fail(r, "%llu bytes were sent, handshake %u: %s %s",
				  (unsigned long long)r->sent, status->handshake,
				  strerror(status->error), status->reason);
		return;
	}
	if (!done) {
		if (conn_peer(&r->s.c) ||
		    (peer_drain(&r->s) && errno != ECONNRESET && errno != EPIPE) ||
		    r->s.bytes > r->sent)
			race_fail(r, "%llu bytes were sent before the end, and came as %llu: %s",
				  (unsigned long long)r->sent, (unsigned long long)r->s.bytes,
				  strerror(errno));
		return;
	}
	if (r->imported[0] != 1 || r->imported[1] != 1)
		race_fail(r, "done, with %d and %d imports", r->imported[0], r->imported[1]);
	if (conn_peer(&r->s.c) || shutdown(r->s.fd, SHUT_WR))
		race_fail(r, "no end: %s", strerror(errno));
	peer_drains(r);
	if (r->s.bytes != r->sent)
		race_fail(r, "sent %llu bytes, of which %llu came", (unsigned long long)r->sent,
			  (unsigned long long)r->s.bytes);
}

/* An agent may be faster than who asks it, and at this moment both may be dead. */
static bool may_fail(int err)
{
	return !err || err == -ESRCH || errno_among(refusals, -err);
}

/* The peer of a socket that the workers connect; they may not have come to it. */
static void meet(struct race *r, int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	if (poll(&p, 1, 0) == 1)
		r->s.c.peer.fd = accept(listener, NULL, NULL);
}

TEST_F_TIMEOUT(race, handshakes_end_once_and_nothing_goes_out_before, FOREVER)
{
	const long end = now_ms() + self->ms / 4;
	unsigned int ends[KEYBLOB_HANDSHAKE_FAILED + 1] = {};
	struct race *r = self->r;
	struct keyblob_status status;
	struct fake fakes[2] = {};
	atomic_bool stop = false;
	struct agent observer;
	pthread_t agents[2];
	pid_t pids[PROCESSES];
	uint32_t counts[3];
	int i;

	/* So that there is one when another dies. */
	ASSERT_EQ(0, agent_open(&observer));
	for (i = 0; i < 2; i++) {
		fakes[i] = (struct fake){ r, .random = self->seed + i, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&agents[i], NULL, fake_agent, &fakes[i]));
	}
	do {
		agent_status(&observer, counts);
		sleep_ms(5);
	} while (counts[0] < 2);
	do {
		const int kind = choose(&self->seed, ASKED_KINDS);
		int listener;

		ASSERT_EQ(0, round_begin(self, ASKED));
		prepare_keys(r, AF_INET);
		i = open_asked(r, r->number % 2 ? AF_INET : AF_INET6, kind, &listener);
		if (!may_fail(i))
			race_fail(r, "cannot ask: %s", strerror(-i));
		if (i)
			goto next;
		begin_work(r, pids);
		sleep_ms(50 + choose(&r->seed, 300));
		r->stop = true;
		end_work(r, pids);
		if (kind == ASKED_CONNECTING)
			meet(r, listener);
		ASSERT_EQ(0, asked_end(r, &status));
		ends[status.handshake]++;
		check_asked(r, &status);
next:
		close(listener);
		round_end(r);
		ASSERT_ROUND_WENT_WELL();
	} while (now_ms() < end);
	TH_LOG("%u never begun, %u done, %u failed", ends[KEYBLOB_HANDSHAKE_SET],
	       ends[KEYBLOB_HANDSHAKE_DONE], ends[KEYBLOB_HANDSHAKE_FAILED]);
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(agents[i], NULL);
	EXPECT_EQ(0, agent_status(&observer, counts));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, counts[i]);
	agent_close(&observer);
	EXPECT_CLEAN_END();
}

/* ---- the module ---- */

/* A life of a socket, from the attach to the close, whenever there is a module. */
static void *churner(void *arg)
{
	struct race *r = arg;
	struct conn c;
	int err;

	while (!r->stop) {
		err = conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
		if (err && err != -ENOENT)
			race_fail(r, "attach: %s", strerror(-err));
		if (err)
			continue;
		/* From here on the module stays. */
		if (conn_import(&c) || !conn_works(&c))
			race_fail(r, "the module went under a socket");
		conn_close(&c);
	}
	return NULL;
}

TEST_F_TIMEOUT(race, the_module_comes_and_goes_between_sockets, FOREVER)
{
	const long end = now_ms() + self->ms / 4;
	struct race *r = self->r;
	unsigned int gone = 0;
	pthread_t threads[3];
	int i, err;

	self->done = true;
	pthread_join(self->unloader, NULL);
	EXPECT_EQ(0, atomic_load(&self->unloaded));
	conn_close(&self->anchor);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churner, r));
	do {
		err = module_unload();
		EXPECT_TRUE(!err || err == -EAGAIN || err == -EBUSY);
		if (err)
			continue;
		gone++;
		EXPECT_EQ(-ENOENT, module_unload());
		EXPECT_EQ(0, module_load());
		sleep_ms(choose(&self->seed, 20));
	} while (now_ms() < end && !r->failed);
	r->stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ASSERT_ROUND_WENT_WELL();
	TH_LOG("unloaded %u times", gone);
	EXPECT_LT(0, gone);
	EXPECT_EQ(0, module_unload_patiently());
	EXPECT_EQ(0, module_load());
}

TEST_HARNESS_MAIN
