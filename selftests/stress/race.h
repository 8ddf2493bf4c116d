/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One round of the races: a keyblob socket on which the threads of several processes make
 * calls at random. It lives in memory that all of them share.
 */
#ifndef SELFTESTS_STRESS_RACE_H
#define SELFTESTS_STRESS_RACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"

#define PROCESSES	2
#define THREADS		3
#define WORKERS		(PROCESSES * THREADS)
#define FAILURES	4
#define CHUNK		20000			/* bytes that one call moves at most */
#define FILE_SIZE	(1 << 24)		/* after which pattern() begins anew */

/* What a round is about; which calls it makes, and which of their errors are right. */
enum {
	CALM = 1,	/* nothing that ends the stream: what is sent must arrive */
	WILD = 2,	/* anything */
	ASKED = 4,	/* a handshake, asked for by KEYBLOB_HANDSHAKE */
};

struct race {
	int mode;
	int number;			/* of the round */
	uint32_t seed;
	struct stream s;
	int file;			/* pattern(), FILE_SIZE bytes of it */
	int mail[2];			/* a socket pair, for descriptors */
	struct sockaddr_storage addr;	/* where the peer listens */
	socklen_t addr_len;
	bool tls12;

	/* the keys, by direction - 1; of no other socket the last blob */
	uint8_t blobs[3][KEYBLOB_BLOB_SIZE];
	uint8_t raw_key[2][KEYBLOB_KEY_MAX];
	uint8_t raw_iv[2][KEYBLOB_IV_SIZE];
	atomic_int imported[2];

	/* Who has the mutex sends, or receives, the next bytes of the stream. */
	pthread_mutex_t sending, receiving;
	uint64_t sent, received;

	atomic_uint verdict;		/* of the handshake; 0: none yet */
	atomic_bool stop, stop_peer;
	_Atomic(const char *) at[WORKERS];	/* the call that each is in */
	atomic_int failed;
	char failures[FAILURES][128];	/* the first of them */
};

struct worker {
	struct race *r;
	int number;
	int fd;				/* its own descriptor of the socket */
	int pipe[2];
	int epoll;
	uint32_t random;
	struct keyblob_status seen;	/* by the last KEYBLOB_INFO */
	uint8_t data[CHUNK], want[CHUNK];
};

/* A call returns its result or a negative errno: one of these, or the test fails. */
struct call {
	const char *name;
	int modes;
	long (*make)(struct worker *w);
	const int *calm;		/* errnos, ending with 0 */
	const int *wild;		/* more of them, in rounds that are not CALM */
};

extern const struct call calls[];
extern const unsigned int n_calls;

/* errno_among() - is it in a list that ends with 0? */
bool errno_among(const int *errnos, int error);

bool call_may_say(const struct call *call, int mode, long ret);

/* choose() - a number below @n */
uint32_t choose(uint32_t *random, uint32_t n);

/* race_fail() - this is wrong */
void race_fail(struct race *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* receive_on() - receive the next bytes of a CALM stream and compare; as recv() */
long receive_on(struct worker *w);

#endif
