/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time that only goes forward, and what libevent takes.
 */
#ifndef KEYBLOBD_CLOCK_H
#define KEYBLOBD_CLOCK_H

#include <sys/time.h>
#include <time.h>

/* CLOCK_MONOTONIC in ms. */
static inline long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static inline struct timeval ms_to_timeval(long long ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

#endif
