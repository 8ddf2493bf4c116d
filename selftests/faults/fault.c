// SPDX-License-Identifier: GPL-2.0-only
/* Allocations that fail; see fault.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

#define DEBUGFS	"/sys/kernel/debug/"

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

static int put_for(const char *kind, const char *what, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, what);
	return put(path, value);
}

/* Only where code from @start to @end is on the stack, whatever makes it fail. */
static int filter(unsigned long start, unsigned long end)
{
	int i, err = 0;

	for (i = 0; i < 3; i++) {
		char from[32], to[32];

		snprintf(from, sizeof(from), "%#lx", start);
		snprintf(to, sizeof(to), "%#lx", end);
		/* Not all kernels have the last one. */
		if (put_for(kinds[i], "require-start", from) ||
		    put_for(kinds[i], "require-end", to) ||
		    put_for(kinds[i], "stacktrace-depth", "32"))
			err = i < 2 ? -EIO : err;
	}
	return err;
}

const char *fault_missing(void)
{
	/* KEYBLOB_FAULT_VERBOSE=2 has the kernel log each fault, with where it was. */
	const char *verbose = getenv("KEYBLOB_FAULT_VERBOSE") ?: "0";

	if (put_for("failslab", "verbose", verbose) ||
	    put_for("failslab", "ignore-gfp-wait", "N"))
		return "the kernel has no failslab";
	if (put_for("fail_page_alloc", "verbose", verbose) ||
	    put_for("fail_page_alloc", "ignore-gfp-wait", "N") ||
	    put_for("fail_page_alloc", "min-order", "0"))
		return "the kernel has no fail_page_alloc";
	put_for("fail_usercopy", "verbose", verbose);
	if (fault_anywhere(0))
		return "the kernel does not tell by the stack what is to fail";
	if (access("/proc/thread-self/fail-nth", W_OK))
		return "the kernel has no fail-nth";
	return NULL;
}

int fault_init(struct fault *f)
{
	memset(f, 0, sizeof(*f));
	f->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (f->fd < 0)
		return -errno;
	/* Page faults of its own are not what a call is to fail by. */
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

static void set(const struct fault *f, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	/* EFAULT: this is the call that the fault of before has met. */
	if (pwrite(f->fd, text, len, 0) != len && errno != EFAULT)
		abort();
}

void fault_arm(struct fault *f)
{
	set(f, ++f->nth);
}

void fault_disarm(struct fault *f, long ret)
{
	char left[16] = {};
	ssize_t n = pread(f->fd, left, sizeof(left) - 1, 0);

	if (n <= 0 && errno != EFAULT)
		abort();
	set(f, 0);
	f->left = n > 0 ? atoi(left) : 1;
	f->hit = !f->left;
	f->refused += f->hit && ret < 0 && ret != -EINPROGRESS;
}

void fault_report(struct fault *f, const char *what)
{
	dprintf(STDOUT_FILENO, "# %s: %u allocations failed, and %u calls because of it\n", what,
		f->nth - 1, f->refused);
	f->nth = 0;
	f->refused = 0;
}

/*
 * Where code is: the function @name of the kernel, or all of the module. 0 or a negative
 * errno.
 */
static int find_code(const char *name, unsigned long *start, unsigned long *end)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], symbol[256], module[64], type;
	unsigned long at;
	int n;

	if (!f)
		return -errno;
	*start = ~0UL;
	*end = 0;
	while (fgets(line, sizeof(line), f)) {
		n = sscanf(line, "%lx %c %255s [%63[^]]", &at, &type, symbol, module);
		if (name && n == 3 && !strcmp(symbol, name))
			*start = at;
		else if (name && n == 3 && at > *start && !*end)
			*end = at;
		if (name || n < 4 || strcmp(module, "keyblob") || (type != 't' && type != 'T'))
			continue;
		*start = at < *start ? at : *start;
		*end = at > *end ? at : *end;
	}
	fclose(f);
	return *start < *end ? 0 : -ENOENT;
}

int fault_within(const char *function)
{
	static unsigned long start, end;
	static const char *known;	/* to look for it takes seconds under emulation */
	int err;

	if (!function)
		return filter(0, ~0UL);
	if (function != known) {
		err = find_code(function, &start, &end);
		if (err)
			return err;
		known = function;
	}
	return filter(start, end);
}

int fault_anywhere(unsigned int percent)
{
	unsigned long start = 0, end = 0;
	char text[16];

	if (put_for("failslab", "probability", "0"))
		return -EIO;
	if (!percent)
		return filter(0, ~0UL);
	snprintf(text, sizeof(text), "%u", percent);
	if (find_code(NULL, &start, &end) || filter(start, end) ||
	    put_for("failslab", "task-filter", "N") || put_for("failslab", "times", "-1") ||
	    put_for("failslab", "probability", text))
		return -EIO;
	return 0;
}

bool is_fault(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}
