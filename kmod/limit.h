/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many KeyUpdates a peer may send: so many in a row without application data
 * between them, and so many a second. Each costs the receiver a key derivation, which
 * a peer must not be able to ask for without end.
 */
#ifndef KB_LIMIT_H
#define KB_LIMIT_H

#include <linux/jiffies.h>
#include <linux/types.h>

struct kb_limit {
	unsigned long second;	/* jiffies when the second began */
	u32 in_second;
	u32 in_row;
};

/* kb_limit_data() - application data came */
static inline void kb_limit_data(struct kb_limit *l)
{
	l->in_row = 0;
}

/* kb_limit_exceeded() - counts one more; true: it is one too many */
static inline bool kb_limit_exceeded(struct kb_limit *l, u32 row_max, u32 second_max)
{
	if (time_after(jiffies, l->second + HZ) || !l->second) {
		l->second = jiffies;
		l->in_second = 0;
	}
	return ++l->in_second > second_max || ++l->in_row > row_max;
}

#endif
