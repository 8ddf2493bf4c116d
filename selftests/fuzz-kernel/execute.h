/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs a program in a process of its own, with bounds. */
#ifndef FUZZ_EXECUTE_H
#define FUZZ_EXECUTE_H

#include "calls.h"

extern unsigned int n_killed;		/* programs that did not end by themselves in time */

/* execute_init() - once, in the process that will start programs; false: no memory */
bool execute_init(void);

/*
 * execute() - run @p; its report is valid until the next one runs
 *
 * false: a process of it did not die, though killed; the kernel's log says where it is.
 */
bool execute(const struct program *p, const struct report **report);

#endif
