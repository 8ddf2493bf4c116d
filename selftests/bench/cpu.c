// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU time, see cpu.h.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

long long cpu_clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		err(3, "a process that is measured");
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void cpu_group_parse(struct cpu_group *group, const char *pids)
{
	char *end;

	for (pids += strspn(pids, ", "); *pids; pids = end + strspn(end, ", ")) {
		long pid = strtol(pids, &end, 10);

		if (end == pids || pid <= 0 || group->n == CPU_PROCESSES_MAX)
			errx(2, "not a list of processes: %s", pids);
		if (clock_getcpuclockid(pid, &group->clocks[group->n++]))
			errx(3, "no process %ld", pid);
	}
}

long long cpu_group_ns(const struct cpu_group *group)
{
	long long sum = 0;

	for (unsigned int i = 0; i < group->n; i++)
		sum += cpu_clock_ns(group->clocks[i]);
	return sum;
}

long long cpu_machine_ns(void)
{
	const struct timespec moment = { .tv_nsec = 1000 };
	long long sum = 0, ns;
	char line[4096];
	FILE *stat;

	nanosleep(&moment, NULL);
	stat = fopen("/proc/schedstat", "r");
	if (!stat)
		err(3, "/proc/schedstat");
	/* The seventh number of a CPU's line. */
	while (fgets(line, sizeof(line), stat)) {
		if (sscanf(line, "cpu%*d %*d %*d %*d %*d %*d %*d %lld", &ns) == 1)
			sum += ns;
	}
	fclose(stat);
	return sum;
}
