// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Landlock ruleset without a rule: what it handles, it forbids. By its raw system calls:
 * the C library has no functions for them, and headers may be older than the kernel.
 * Called by confine.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "landlock.h"

/*
 * struct landlock_ruleset_attr of Linux 6.12, and how many rights of each kind there were
 * in 7.3. Not all that a later kernel may know: nobody has tried those.
 */
struct rights {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

#define FS_RIGHTS	17
#define NET_RIGHTS	4
#define SCOPED_RIGHTS	2

static int create_ruleset(const struct rights *rights)
{
	return syscall(SYS_landlock_create_ruleset, rights, sizeof(*rights), 0);
}

/* Set those of the first @count bits of @field, within @rights, that the kernel takes. */
static void add_known(struct rights *rights, uint64_t *field, unsigned int count)
{
	int fd;

	for (uint64_t bit = 1; bit < 1ULL << count; bit <<= 1) {
		*field |= bit;
		fd = create_ruleset(rights);
		if (fd < 0) {
			*field &= ~bit;
			return;
		}
		close(fd);
	}
}

bool landlock_available(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

int landlock_install(void)
{
	struct rights rights = { 0 };
	int fd, err;

	add_known(&rights, &rights.fs, FS_RIGHTS);
	add_known(&rights, &rights.net, NET_RIGHTS);
	add_known(&rights, &rights.scoped, SCOPED_RIGHTS);

	fd = create_ruleset(&rights);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_landlock_restrict_self, fd, 0) ? -errno : 0;
	close(fd);
	return err;
}
