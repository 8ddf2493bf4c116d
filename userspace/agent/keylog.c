// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key log, in the format of NSS. Not part of a normal build: see the Makefile.
 * Called by main, and by handshake.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keylog.h"
#include "log.h"

static int file = -1;

int keylog_open(void)
{
	const char *path = getenv("SSLKEYLOGFILE");

	if (!path || !*path)
		return 0;
	file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0) {
		log_error("SSLKEYLOGFILE: cannot open %s: %m", path);
		return -1;
	}
	log_error("SECRETS OF ALL CONNECTIONS ARE WRITTEN to %s: unset SSLKEYLOGFILE, or use a "
		  "build without KEYLOG", path);
	return 0;
}

int keylog_descriptor(void)
{
	return file;
}

void keylog_line(const char *line)
{
	char text[512];		/* one write(2), so that lines of several processes do not mix */
	int len;

	if (file < 0)
		return;
	len = snprintf(text, sizeof(text), "%s\n", line);
	if ((size_t)len < sizeof(text) && write(file, text, len) < 0)
		log_notice("SSLKEYLOGFILE: %m");
	explicit_bzero(text, sizeof(text));
}
