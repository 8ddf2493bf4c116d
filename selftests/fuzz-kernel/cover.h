/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs reach: places in the module (KCOV, where the kernel has it), the steps from
 * one to the next, and results of calls. Kept by the process that starts programs.
 */
#ifndef FUZZ_COVER_H
#define FUZZ_COVER_H

#include <stdbool.h>

#include "calls.h"

/* Traces: one for each thread of a program, and one for each process that it forks. */
#define TRACES	(THREADS_MAX + FORKS_MAX)

/* cover_init() - false: no KCOV here, results of calls have to do */
bool cover_init(void);

/* cover_begin() - this thread is traced from here on, until it ends or cover_end() */
void cover_begin(unsigned int trace);
void cover_end(unsigned int trace);

/* cover_clear() - before a program runs */
void cover_clear(void);

/* cover_take() - after it: the number of things that no program before has reached */
unsigned int cover_take(const struct program *p, const struct report *report);

/* cover_places() - places in the module that have been reached so far */
unsigned int cover_places(void);

/*
 * cover_new() - how many of these are the last program's, and remembered by cover_keep();
 * cover_has() - does the last program reach all that is remembered?
 */
unsigned int cover_new(void);
void cover_keep(void);
bool cover_has(void);

#endif
