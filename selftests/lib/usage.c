// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel has in use; see usage.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usage.h"

/* The number that follows @label in @path; -1: not there. */
static long read_number(const char *path, const char *label)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long value = -1;

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, label);

		if (at)
			value = strtol(at + strlen(label), NULL, 10);
	}
	fclose(f);
	return value;
}

struct usage usage(void)
{
	return (struct usage){
		.refs = read_number("/sys/module/keyblob/refcnt", ""),
		.tls_refs = read_number("/sys/module/tls/refcnt", ""),
		.sockets = read_number("/proc/net/sockstat", " alloc "),
		.orphans = read_number("/proc/net/sockstat", " orphan "),
		.files = read_number("/proc/sys/fs/file-nr", ""),
		.slab_kb = read_number("/proc/meminfo", "SUnreclaim:"),
		.percpu_kb = read_number("/proc/meminfo", "Percpu:"),
	};
}

struct usage usage_settled(const struct usage *before)
{
	struct usage now = usage();
	int i;

	for (i = 0; i < 200; i++) {
		if (now.refs <= before->refs && now.tls_refs <= before->tls_refs &&
		    now.sockets <= before->sockets && now.orphans <= before->orphans)
			break;
		usleep(50000);
		now = usage();
	}
	usleep(300000);
	return usage();
}
