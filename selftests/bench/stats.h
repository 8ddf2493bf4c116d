/* SPDX-License-Identifier: GPL-2.0-only */
/* Of many measurements of the same, for the programs here. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdlib.h>

static inline int stats_compare(const void *a, const void *b)
{
	const long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

/* Ascending; the median is values[n / 2]. */
static inline void stats_sort(long long *values, size_t n)
{
	qsort(values, n, sizeof(*values), stats_compare);
}

#endif
