// SPDX-License-Identifier: GPL-2.0-only
/* KCOV, and what is made of it; see cover.h. */
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cover.h"

#define TRACE_WORDS	(256 << 10)
#define MODULE_MAX	(1 << 20)	/* bytes of the module's text that are told apart */
#define SIGNALS		(1 << 20)
#define NEW_MAX		4096

static struct {
	int fd;
	unsigned long *words;		/* their number, then places */
} traces[TRACES];

static unsigned long base, size;	/* where the module is */
static uint32_t run;
static uint32_t last_run[MODULE_MAX];	/* that reached a place; 0: none */
static uint8_t signals[SIGNALS];
static unsigned int places;
static uint32_t new_places[NEW_MAX], kept_places[NEW_MAX];
static unsigned int n_new, n_kept;

static bool find_module(void)
{
	FILE *f = fopen("/proc/modules", "r");
	char line[512], name[64] = "";
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%63s %lu %*s %*s %*s %lx", name, &size, &base) == 3 &&
			!strcmp(name, "keyblob");
	if (f)
		fclose(f);
	return found && base;
}

static bool open_trace(unsigned int i)
{
	traces[i].fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (traces[i].fd < 0 || ioctl(traces[i].fd, KCOV_INIT_TRACE, TRACE_WORDS))
		return false;
	traces[i].words = mmap(NULL, TRACE_WORDS * sizeof(long), PROT_READ | PROT_WRITE,
			       MAP_SHARED, traces[i].fd, 0);
	return traces[i].words != MAP_FAILED;
}

bool cover_init(void)
{
	unsigned int i;

	for (i = 0; i < TRACES; i++) {
		if (!open_trace(i)) {
			size = 0;
			return false;
		}
	}
	return find_module();
}

void cover_begin(unsigned int trace)
{
	/* Fails where a forked process has it; that one's calls count then. */
	if (size && trace < TRACES)
		ioctl(traces[trace].fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

void cover_end(unsigned int trace)
{
	if (size && trace < TRACES)
		ioctl(traces[trace].fd, KCOV_DISABLE, 0);
}

void cover_clear(void)
{
	unsigned int i;

	for (i = 0; size && i < TRACES; i++)
		__atomic_store_n(traces[i].words, 0, __ATOMIC_RELAXED);
	run++;
	n_new = 0;
}

static unsigned int signal_new(uint64_t what)
{
	uint8_t *at = &signals[(what * 0x9e3779b97f4a7c15) >> 44];
	const bool is_new = !*at;

	*at = 1;
	return is_new;
}

static void reach(uint32_t place)
{
	if (!last_run[place]) {
		places++;
		if (n_new < NEW_MAX)
			new_places[n_new++] = place;
	}
	last_run[place] = run;
}

static unsigned int take_trace(const unsigned long *words)
{
	const unsigned long n = __atomic_load_n(words, __ATOMIC_RELAXED);
	unsigned long i, place, before = 0;
	unsigned int count = 0;

	for (i = 1; i <= n && i < TRACE_WORDS; i++) {
		place = words[i] - base;
		if (place >= size || place >= MODULE_MAX)
			continue;
		reach(place);
		count += signal_new(before << 32 | place);
		before = place;
	}
	return count;
}

unsigned int cover_take(const struct program *p, const struct report *report)
{
	unsigned int i, count = 0;

	for (i = 0; size && i < TRACES; i++)
		count += take_trace(traces[i].words);
	for (i = 0; i < p->n; i++)
		if (report->results[i] <= 0 && report->results[i] != INT32_MIN)
			count += signal_new(1ULL << 63 | (uint64_t)p->calls[i].type << 32 |
					    -report->results[i]);
	return count;
}

unsigned int cover_places(void)
{
	return places;
}

unsigned int cover_new(void)
{
	return n_new;
}

void cover_keep(void)
{
	memcpy(kept_places, new_places, sizeof(kept_places));
	n_kept = n_new;
}

bool cover_has(void)
{
	unsigned int i;

	for (i = 0; i < n_kept; i++)
		if (last_run[kept_places[i]] != run)
			return false;
	return true;
}
