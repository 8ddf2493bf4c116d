/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program can call, and what it calls with: a small pool of sockets, connections,
 * blobs and requests in the process that runs it. Threads share the pool without locks,
 * connections' peers apart: whatever they find there, they use.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <errno.h>
#include <linux/keyblob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"
#include "stream/peer.h"

#define SLOTS		8
#define AGENT_SLOT	2	/* where programs have theirs, as a rule */
#define LISTENER_SLOT	3
#define BLOBS		4
#define IDS		4
#define NAMESPACES	2
#define FORKS_MAX	2	/* of a program */
#define MEMORY_MAX	65536

/* The kind of memory() that is as it should be. */
#define GOOD_MEMORY	8

/* What a process leaves for the one that started it; shared memory. */
struct report {
	int32_t results[CALLS_MAX];	/* of each call; INT32_MIN: not made */
	atomic_uint made;		/* calls that have begun */
	atomic_uint forks;
	atomic_bool failed;
	char failure[200];		/* the promise that was broken */
};

/* A connection, its keys, and the end that is not under test. */
struct link {
	pthread_mutex_t lock;
	struct stream stream;
	uint64_t cookie;		/* of the socket; 0: no connection */
};

struct slot {
	int fd;				/* -1: empty */
	struct link *link;		/* NULL: its peer is not ours */
};

struct world {
	struct slot slots[SLOTS];
	struct link links[SLOTS];
	uint8_t blobs[BLOBS][KEYBLOB_BLOB_SIZE];
	uint64_t ids[IDS];		/* of requests that were taken, the newest first */
	uint8_t *shared;		/* a page that every thread writes to */
	int pipe[2];
	int unix_pair[2];
	int file;
	struct report *report;
};

/* Made once, for all programs. */
extern int netns[NAMESPACES];		/* the first is the initial one */
extern int genl_family, genl_group;

/*
 * One kind of call. @args has a letter for each argument, from which number() in program.c
 * knows what numbers make sense: s slot, a that of an agent, h that of a listening socket,
 * d direction, r role, l length, e how far a size is from the right one, M kind of memory,
 * m flags of send and recv, k how to spoil what is passed (0: not at all), b bits, n 0 to
 * 7, x anything.
 */
struct call_type {
	const char *name;
	const char *args;
	unsigned int weight;		/* how often it is generated */
	long (*run)(struct world *w, const uint32_t *a);	/* result, or -errno */
};

/* The tables, each ending with a name of NULL. */
extern const struct call_type socket_calls[], data_calls[], option_calls[], peer_calls[],
			      netlink_calls[], process_calls[];

unsigned int call_types(void);
const struct call_type *call_type(unsigned int i);
int call_type_find(const char *name);	/* -1: none */

bool world_init(struct world *w, struct report *report);
int world_fd(const struct world *w, uint32_t slot);

/* world_put() - @fd goes to a slot, what was there is closed; returns 0, or -errno if -1 */
long world_put(struct world *w, uint32_t slot, int fd, struct link *link);

/* world_link() - the slot's connection, locked; NULL: none, or in use by another thread */
struct link *world_link(struct world *w, uint32_t slot);
void link_unlock(struct link *link);

/* link_make() - @fd and @peer_fd are connected; keys for both. Takes @peer_fd over. */
struct link *link_make(struct world *w, uint32_t slot, int fd, int peer_fd, uint32_t suite,
		       uint16_t role);

/* link_of() - the connection whose keyblob socket @fd is, NULL: none */
struct link *link_of(struct world *w, int fd);

/* link_import() - export and import a direction */
long link_import(struct link *link, int fd, int direction);

/* be_patient() - bounds for how long calls on a socket wait */
void be_patient(int fd, unsigned int ms);

/*
 * memory() - a pointer to a copy of @len bytes of @data (NULL: random ones), or to memory
 * where they are not, not all, or not to be written over. One a thread at a time; @len up to
 * MEMORY_MAX.
 */
void *memory(struct world *w, uint32_t kind, const void *data, size_t len);

/* size_of() - @exact, or another size */
uint32_t size_of(uint32_t e, uint32_t exact);

/* promise() - a promise of the contract; if it is broken, the run has failed */
void promise(struct world *w, bool kept, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* result() - what a system call returned, or -errno */
static inline long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

#endif
