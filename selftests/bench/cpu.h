/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU time: of processes, the kernel's work for them included, and of the whole machine.
 * Used by client.c at both ends of what it measures. Failures end the program.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <time.h>

#define CPU_PROCESSES_MAX 32

/* Processes whose times are added up; all threads, those that have ended included. */
struct cpu_group {
	clockid_t clocks[CPU_PROCESSES_MAX];
	unsigned int n;
};

/* Nanoseconds, since whenever. */
long long cpu_clock_ns(clockid_t clock);

/* @pids: process numbers between commas or blanks; may be empty. */
void cpu_group_parse(struct cpu_group *group, const char *pids);

long long cpu_group_ns(const struct cpu_group *group);

/*
 * What all tasks have run on all CPUs, those of the kernel's own included; not the idle
 * ones. Sleeps for a moment, for the caller's own time to be counted.
 */
long long cpu_machine_ns(void);

#endif
