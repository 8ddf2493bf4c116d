/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many handshakes are in flight: for each local user, and in all. At a limit, the user
 * with the most of them gives up its oldest one, so that peers who never finish keep nobody
 * else out.
 */
#ifndef KEYBLOBD_FLIGHTS_H
#define KEYBLOBD_FLIGHTS_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "config.h"
#include "handshake.h"

/* A user whose applications are connected. */
struct user {
	LIST_ENTRY(user) link;
	uid_t uid;
	unsigned int clients;		/* connections */
	unsigned int in_flight;		/* handshakes */
};

/* A handshake that counts, part of what its owner keeps about it. */
struct flight {
	TAILQ_ENTRY(flight) age;
	struct user *user;
	struct handshake *handshake;
	long long began;		/* ms */
};

/* Of a worker. */
struct flights {
	const struct config *config;
	LIST_HEAD(, user) users;
	TAILQ_HEAD(, flight) all;	/* the oldest first */
	unsigned int in_flight;
	unsigned int max_clients;	/* connections of one user */
};

void flights_init(struct flights *flights, const struct config *config);

/*
 * The user @uid, for one more connection. NULL: out of memory, or the user, not being root,
 * has half of the descriptors that this process may have.
 */
struct user *flights_get_user(struct flights *flights, uid_t uid);
void flights_put_user(struct user *user);

/*
 * Is there room for one more handshake of @user? That may end another one, whose owner is
 * told by its handshake_done. If there is none, @refused says why.
 */
bool flights_admit(struct flights *flights, struct user *user, struct handshake_result *refused);

void flights_enter(struct flights *flights, struct flight *flight, struct user *user,
		  struct handshake *handshake);
void flights_leave(struct flights *flights, struct flight *flight);

#endif
