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

static int put_number(const char *path, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#lx", value);
	return put(path, text);
}

/* KEYBLOB_FAULT_VERBOSE=2 has the kernel log each fault, with where it was. */
static int prepare(const char *kind)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/verbose", kind);
	return put(path, getenv("KEYBLOB_FAULT_VERBOSE") ?: "0");
}

const char *fault_missing(void)
{
	if (prepare("failslab") || put(DEBUGFS "failslab/ignore-gfp-wait", "N"))
		return "the kernel has no failslab";
	if (prepare("fail_page_alloc") || put(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N") ||
	    put(DEBUGFS "fail_page_alloc/min-order", "0"))
		return "the kernel has no fail_page_alloc";
	/* Not all kernels have it; fail-nth counts its calls among the others. */
	prepare("fail_usercopy");
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
	f->refused += f->hit && ret < 0;
}

void fault_report(struct fault *f, const char *what)
{
	dprintf(STDOUT_FILENO, "# %s: %u allocations failed, and %u calls because of it\n", what,
		f->nth - 1, f->refused);
	f->nth = 0;
	f->refused = 0;
}

/* The module's functions, from the first to the last. */
static int module_range(unsigned long *start, unsigned long *end)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], module[64], type;
	unsigned long at;

	if (!f)
		return -errno;
	*start = ~0UL;
	*end = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %c %*s [%63[^]]", &at, &type, module) != 3 ||
		    strcmp(module, "keyblob") || (type != 't' && type != 'T'))
			continue;
		if (at < *start)
			*start = at;
		if (at > *end)
			*end = at;
	}
	fclose(f);
	return *start < *end ? 0 : -ENOENT;
}

int fault_anywhere(unsigned int percent)
{
	unsigned long start = 0, end = 0;

	if (put(DEBUGFS "failslab/probability", "0"))
		return -EIO;
	if (!percent)
		return 0;
	if (module_range(&start, &end) || put_number(DEBUGFS "failslab/require-start", start) ||
	    put_number(DEBUGFS "failslab/require-end", end) ||
	    put_number(DEBUGFS "failslab/stacktrace-depth", 32) ||
	    put(DEBUGFS "failslab/task-filter", "N") || put(DEBUGFS "failslab/times", "-1") ||
	    put_number(DEBUGFS "failslab/probability", percent))
		return -EIO;
	return 0;
}

bool is_fault(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}
