/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened, in numbers: each process counts in a page of its own, all of which are
 * shared memory that the supervisor made; whoever answers "keyblob status" adds them up.
 */
#ifndef KEYBLOBD_COUNTERS_H
#define KEYBLOBD_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

enum counter {
	COUNT_ACCEPTED,		/* handshakes done, as server */
	COUNT_CONNECTED,	/* handshakes done, as client */
	COUNT_RESUMED,		/* of these, by a ticket */
	COUNT_TLS13,		/* of these, TLS 1.3 */
	COUNT_FAILED,		/* ended without keys, the next three included */
	COUNT_TIMED_OUT,
	COUNT_REFUSED,		/* by the policy */
	COUNT_BUSY,		/* turned away at a limit */
	COUNT_SIGNATURES,	/* made by signers */
	COUNT_SIGNATURES_FAILED,
	COUNT_APPLICATIONS,	/* connections of applications so far */
	COUNT_WORKERS_DIED,	/* the supervisor's */
	COUNT_RELOADS,		/* that succeeded */
	COUNT_RELOADS_FAILED,
	GAUGE_IN_FLIGHT,	/* handshakes now */
	GAUGE_APPLICATIONS,	/* connections now */
	COUNTERS
};

/*
 * Make the shared memory, for the caller, who counts in page 0, and as many children as
 * there may be. 0 or a negative errno. Without it, each process counts for itself.
 */
int counters_init(void);

/*
 * For the supervisor: a page for a child that is about to be forked, which no other living
 * process has; the last one for all children beyond. Its gauges are 0; the other counters
 * go on from a predecessor's, so that sums never fall.
 */
size_t counters_reserve(void);

/* For the supervisor: that child has ended. */
void counters_release(size_t page);

/* For a child: from here on it counts in @page, and cannot write to the others by mistake. */
void counters_use(size_t page);

void count_up(enum counter counter);
void count_down(enum counter gauge);

/* The sum over all processes. */
uint64_t counters_sum(enum counter counter);

/* The name in KEYBLOB_A_COUNTER. */
const char *counter_name(enum counter counter);

#endif
