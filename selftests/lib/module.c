// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading the module; see module.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "module.h"

int module_unload(void)
{
	return syscall(SYS_delete_module, "keyblob", O_NONBLOCK) ? -errno : 0;
}

int module_unload_patiently(void)
{
	int i, err = -EAGAIN;

	for (i = 0; i < 100 && err; i++) {
		err = module_unload();
		if (err)
			usleep(50000);
	}
	return err;
}

int module_load(void)
{
	int fd = open(getenv("KEYBLOB_KO") ?: "keyblob.ko", O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}
