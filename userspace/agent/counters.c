// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of counters. Made by the supervisor before it forks; every process writes
 * to its own and reads all.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "counters.h"

static uint64_t own_counts[COUNTERS];

/* Of generations that end and one that begins. */
#define PAGES		1024

static struct {
	unsigned char *pages;
	size_t page_size;
	uint64_t *mine;
	bool reserved[PAGES];
} counters = { .mine = own_counts };

static const char *const names[COUNTERS] = {
	[COUNT_ACCEPTED] = "handshakes_accepted",
	[COUNT_CONNECTED] = "handshakes_connected",
	[COUNT_RESUMED] = "handshakes_resumed",
	[COUNT_TLS13] = "handshakes_tls13",
	[COUNT_FAILED] = "handshakes_failed",
	[COUNT_TIMED_OUT] = "handshakes_timed_out",
	[COUNT_REFUSED] = "handshakes_refused",
	[COUNT_BUSY] = "handshakes_busy",
	[COUNT_SIGNATURES] = "signatures",
	[COUNT_SIGNATURES_FAILED] = "signatures_failed",
	[COUNT_APPLICATIONS] = "applications",
	[COUNT_WORKERS_DIED] = "workers_died",
	[COUNT_RELOADS] = "reloads",
	[COUNT_RELOADS_FAILED] = "reloads_failed",
	[GAUGE_IN_FLIGHT] = "handshakes_in_flight",
	[GAUGE_APPLICATIONS] = "applications_connected",
};

static uint64_t *page(size_t number)
{
	return (uint64_t *)(counters.pages + number * counters.page_size);
}

int counters_init(void)
{
	size_t page_size = sysconf(_SC_PAGESIZE);
	void *pages;

	pages = mmap(NULL, PAGES * page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (pages == MAP_FAILED)
		return -errno;
	counters.pages = pages;
	counters.page_size = page_size;
	counters.mine = page(0);
	return 0;
}

size_t counters_reserve(void)
{
	size_t number = 1;

	while (number < PAGES - 1 && counters.reserved[number])
		number++;
	counters.reserved[number] = true;
	return number;
}

void counters_release(size_t number)
{
	uint64_t *counts = page(number);

	counters.reserved[number] = false;
	__atomic_store_n(&counts[GAUGE_IN_FLIGHT], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&counts[GAUGE_APPLICATIONS], 0, __ATOMIC_RELAXED);
}

void counters_use(size_t number)
{
	counters.mine = page(number);
	mprotect(counters.pages, PAGES * counters.page_size, PROT_READ);
	mprotect(counters.mine, counters.page_size, PROT_READ | PROT_WRITE);
}

void count_up(enum counter counter)
{
	__atomic_fetch_add(&counters.mine[counter], 1, __ATOMIC_RELAXED);
}

void count_down(enum counter gauge)
{
	__atomic_fetch_sub(&counters.mine[gauge], 1, __ATOMIC_RELAXED);
}

uint64_t counters_sum(enum counter counter)
{
	uint64_t sum = 0;

	if (!counters.pages)
		return own_counts[counter];
	for (size_t i = 0; i < PAGES; i++)
		sum += __atomic_load_n(&page(i)[counter], __ATOMIC_RELAXED);
	return sum;
}

const char *counter_name(enum counter counter)
{
	return names[counter];
}
