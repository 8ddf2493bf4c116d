/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time that only goes forward.
 */
#ifndef KEYBLOBD_CLOCK_H
#define KEYBLOBD_CLOCK_H

#include <time.h>

/* CLOCK_MONOTONIC in ms. */
static inline long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

#endif
