/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much a peer may ask for without sending application data. A KeyUpdate costs the
 * receiver a key derivation: so many in a row, and so many a second, not counting as many
 * as this side has asked for. Other control
 * records (tickets, warnings, parts of messages) cost no more than data does, but a
 * reader who must not wait is held by them all the same.
 *
 * Counters stop at U16_MAX, which limits of that or more never see exceeded.
 */
#ifndef KB_LIMIT_H
#define KB_LIMIT_H

#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/types.h>

/* Control records in a row; no honest peer comes near it. */
#define KB_CONTROLS_MAX	256

struct kb_limit {
	u32 second;		/* jiffies when the second began */
	u16 updates_in_second;
	u16 updates;		/* in a row */
	u16 controls;		/* in a row, of any kind */
	u16 asked;		/* KeyUpdates that this side asked for and did not get yet */
};

static inline void kb_limit_count(u16 *counter)
{
	if (*counter < U16_MAX)
		++*counter;
}

/* kb_limit_asked() - a KeyUpdate will be asked for */
static inline void kb_limit_asked(struct kb_limit *l)
{
	kb_limit_count(&l->asked);
}

/* kb_limit_data() - application data came */
static inline void kb_limit_data(struct kb_limit *l)
{
	l->controls = 0;
	l->updates = 0;
}

/* kb_limit_control() - counts a control record; true: it is one too many */
static inline bool kb_limit_control(struct kb_limit *l)
{
	kb_limit_count(&l->controls);
	return l->controls > KB_CONTROLS_MAX;
}

/* kb_limit_update() - counts a KeyUpdate; true: it is one too many */
static inline bool kb_limit_update(struct kb_limit *l, bool requests, u32 row_max, u32 second_max)
{
	/* An answer requests nothing, RFC 8446 section 4.6.3. */
	if (!requests && l->asked) {
		l->asked--;
		return false;
	}
	if ((u32)jiffies - l->second > HZ) {
		l->second = jiffies;
		l->updates_in_second = 0;
	}
	kb_limit_count(&l->controls);
	kb_limit_count(&l->updates_in_second);
	kb_limit_count(&l->updates);
	return l->updates_in_second > second_max || l->updates > row_max;
}

#endif
