// SPDX-License-Identifier: GPL-2.0-only
/* The pool that calls work on, and the table of all calls; see calls.h. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "calls.h"

int netns[NAMESPACES];
int genl_family, genl_group;

static const struct call_type *const tables[] = {
	socket_calls, data_calls, option_calls, peer_calls, netlink_calls, process_calls,
};

static const struct call_type *types[128];
static unsigned int n_types;

unsigned int call_types(void)
{
	unsigned int i;
	const struct call_type *type;

	if (n_types)
		return n_types;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (type = tables[i]; type->name; type++)
			types[n_types++] = type;
	return n_types;
}

const struct call_type *call_type(unsigned int i)
{
	return types[i % call_types()];
}

int call_type_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < call_types(); i++)
		if (!strcmp(types[i]->name, name))
			return i;
	return -1;
}

bool world_init(struct world *w, struct report *report)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->report = report;
	for (i = 0; i < SLOTS; i++) {
		w->slots[i].fd = -1;
		pthread_mutex_init(&w->links[i].lock, NULL);
		w->links[i].stream.c.peer.fd = -1;
	}
	w->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	w->file = memfd_create("data", MFD_CLOEXEC);
	return w->shared != MAP_FAILED && w->file >= 0 && !ftruncate(w->file, 200000) &&
	       !pipe2(w->pipe, O_NONBLOCK | O_CLOEXEC) &&
	       !socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, w->unix_pair);
}

int world_fd(const struct world *w, uint32_t slot)
{
	return w->slots[slot % SLOTS].fd;
}

long world_put(struct world *w, uint32_t slot, int fd, struct link *link)
{
	struct slot *s = &w->slots[slot % SLOTS];
	const int err = -errno;
	const int old = s->fd;

	if (fd < 0)
		return err;
	s->fd = fd;
	s->link = link;
	if (old >= 0)
		close(old);
	return 0;
}

struct link *world_link(struct world *w, uint32_t slot)
{
	struct link *link = w->slots[slot % SLOTS].link;

	return link && !pthread_mutex_trylock(&link->lock) ? link : NULL;
}

void link_unlock(struct link *link)
{
	pthread_mutex_unlock(&link->lock);
}

void be_patient(int fd, unsigned int ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

struct link *link_make(struct world *w, uint32_t slot, int fd, int peer_fd, uint32_t suite,
		       uint16_t role)
{
	struct link *link = &w->links[slot % SLOTS];
	const struct tls_suite *s = &tls_suites[suite % 6];
	struct conn *c = &link->stream.c;

	if (pthread_mutex_trylock(&link->lock)) {
		close(peer_fd);
		return NULL;
	}
	if (c->peer.fd >= 0)
		close(c->peer.fd);
	tls_peer_free(&c->peer);
	memset(&link->stream, 0, sizeof(link->stream));
	c->fd = -1;
	c->peer.fd = peer_fd;
	key_random(&c->tx, KEYBLOB_DIR_TX, s->version, s->cipher);
	key_random(&c->rx, KEYBLOB_DIR_RX, s->version, s->cipher);
	c->tx.role = role;
	c->rx.role = role;
	be_patient(fd, 5);
	be_patient(peer_fd, 5);
	link->cookie = cookie_of(fd);
	conn_peer(c);
	link_unlock(link);
	return link;
}

struct link *link_of(struct world *w, int fd)
{
	const uint64_t cookie = cookie_of(fd);
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (cookie && w->links[i].cookie == cookie)
			return &w->links[i];
	return NULL;
}

long link_import(struct link *link, int fd, int direction)
{
	struct conn c = { .fd = fd, .tx = link->stream.c.tx, .rx = link->stream.c.rx };

	return conn_import_one(&c, direction);
}

void *memory(struct world *w, uint32_t kind, const void *data, size_t len)
{
	static _Thread_local uint8_t *good, *constant;
	uint8_t *at;

	if (!good) {
		good = mmap(NULL, MEMORY_MAX + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		constant = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (good == MAP_FAILED || constant == MAP_FAILED)
			abort();
		mprotect(good + MEMORY_MAX, 4096, PROT_NONE);
	}
	if (len > MEMORY_MAX)
		len = MEMORY_MAX;
	switch (kind) {
	case 0:
		return NULL;
	case 1:
		return good + MEMORY_MAX;
	case 2:
		return (void *)0xffff888000000000;
	case 3:
		return constant;
	case 4:
		at = w->shared;
		len = len > 4096 ? 4096 : len;
		break;
	case 5 ... 6:
		at = good + MEMORY_MAX - len / 2;
		len /= 2;
		break;
	default:
		/* What is after it cannot be read. */
		at = good + MEMORY_MAX - len;
	}
	if (data)
		memcpy(at, data, len);
	return at;
}

uint32_t size_of(uint32_t e, uint32_t exact)
{
	switch (e) {
	case 0:
		return exact;
	case 1:
		return 0;
	case 2:
		return exact - 1;
	case 3:
		return exact + 1;
	case 4:
		return exact + 64;
	case 5:
		return INT32_MAX;
	case 6:
		return UINT32_MAX;
	case 7:
		return 4;
	case 8:
		return 16;
	case 9:
		return 4096;
	case 10:
		return 4097;
	default:
		return e % (2 * exact + 1);
	}
}

void promise(struct world *w, bool kept, const char *format, ...)
{
	va_list args;

	if (kept || atomic_exchange(&w->report->failed, true))
		return;
	va_start(args, format);
	vsnprintf(w->report->failure, sizeof(w->report->failure), format, args);
	va_end(args);
}
