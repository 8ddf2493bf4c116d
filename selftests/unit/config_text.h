/* SPDX-License-Identifier: GPL-2.0-only */
/* For unit tests: the agent's configuration from text, by way of a file. */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

/* What config_init(), config_read() and config_check() said; without their messages. */
static inline int config_from(struct config *config, const char *text, size_t len)
{
	char path[] = "/tmp/keyblobd.conf.XXXXXX";
	int fd = mkstemp(path), saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	int err = -1;

	if (fd < 0 || saved < 0 || null < 0 || write(fd, text, len) != (ssize_t)len ||
	    config_init(config))
		exit(1);
	dup2(null, STDERR_FILENO);
	err = config_read(config, path);
	if (config_check(config))
		err = -1;
	dup2(saved, STDERR_FILENO);
	unlink(path);
	close(fd);
	close(saved);
	close(null);
	return err;
}

#endif
