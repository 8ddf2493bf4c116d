// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users and their handshakes, in lists: there are few users, and a limit is reached
 * rarely. Called by client.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "clock.h"
#include "counters.h"
#include "flights.h"

/* A handshake is not given up for another one before it has had so long. */
#define PATIENCE_MS	500

void flights_init(struct flights *flights, const struct config *config)
{
	struct rlimit limit;

	flights->config = config;
	flights->max_clients = UINT_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 2 < UINT_MAX)
		flights->max_clients = limit.rlim_cur / 2;
	LIST_INIT(&flights->users);
	TAILQ_INIT(&flights->all);
}

struct user *flights_get_user(struct flights *flights, uid_t uid)
{
	struct user *user;

	LIST_FOREACH(user, &flights->users, link)
		if (user->uid == uid)
			break;
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		LIST_INSERT_HEAD(&flights->users, user, link);
	}
	if (user->uid && user->clients >= flights->max_clients)
		return NULL;
	user->clients++;
	return user;
}

void flights_put_user(struct user *user)
{
	if (--user->clients)
		return;
	LIST_REMOVE(user, link);
	free(user);
}

static struct user *heaviest(const struct flights *flights)
{
	struct user *user, *found = NULL;

	LIST_FOREACH(user, &flights->users, link)
		if (!found || user->in_flight > found->in_flight)
			found = user;
	return found;
}

/* What each user may have who has handshakes in flight, or is about to. */
static unsigned int fair_share(const struct flights *flights, const struct user *one_more)
{
	const struct user *user;
	unsigned int n = 1;

	LIST_FOREACH(user, &flights->users, link)
		n += user != one_more && user->in_flight;
	return flights->config->max_handshakes / n;
}

static struct flight *oldest_of(const struct flights *flights, const struct user *user)
{
	struct flight *flight;

	TAILQ_FOREACH(flight, &flights->all, age)
		if (flight->user == user)
			return flight;
	return NULL;
}

/* Make room for one more of @user at the cost of @from. False: it would be too early. */
static bool make_room(struct flights *flights, const struct user *user, const struct user *from)
{
	struct flight *oldest = oldest_of(flights, from);
	bool below_share = from != user && user->in_flight < fair_share(flights, user);
	long long age;

	if (!oldest)
		return false;
	age = now_ms() - oldest->began;
	/* Who has less than a fair share need not wait for those who have more. */
	if (age < PATIENCE_MS && !below_share)
		return false;
	handshake_end(oldest->handshake, EBUSY,
		      "given up for another one after %.1f s, at the limit of handshakes in flight",
		      age / 1000.0);
	return true;
}

bool flights_admit(struct flights *flights, struct user *user, struct handshake_result *refused)
{
	const struct config *config = flights->config;

	if (user->in_flight >= config->max_handshakes_per_user &&
	    !make_room(flights, user, user)) {
		handshake_result_fail(refused, EBUSY,
				      "user %u has %u handshakes in flight, the limit for one user",
				      (unsigned int)user->uid, user->in_flight);
		return false;
	}
	if (flights->in_flight >= config->max_handshakes &&
	    !make_room(flights, user, heaviest(flights))) {
		handshake_result_fail(refused, EBUSY,
				      "%u handshakes are in flight, the limit of this worker",
				      flights->in_flight);
		return false;
	}
	return true;
}

void flights_enter(struct flights *flights, struct flight *flight, struct user *user,
		  struct handshake *handshake)
{
	flight->user = user;
	flight->handshake = handshake;
	flight->began = now_ms();
	TAILQ_INSERT_TAIL(&flights->all, flight, age);
	user->in_flight++;
	flights->in_flight++;
	count_up(GAUGE_IN_FLIGHT);
}

void flights_leave(struct flights *flights, struct flight *flight)
{
	TAILQ_REMOVE(&flights->all, flight, age);
	flight->user->in_flight--;
	flights->in_flight--;
	count_down(GAUGE_IN_FLIGHT);
}
