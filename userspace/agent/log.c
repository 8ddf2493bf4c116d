// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log lines. One write(2) each, so that lines of several processes do not mix;
 * no stdio, whose buffers would outlive the line. A line is lost rather than
 * waited for when nobody reads the other end of a pipe.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

static enum log_level threshold = LOG_NOTICE;

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	int saved = errno, len, max;
	char line[600];
	va_list args;

	if (level > threshold)
		return;

	max = sizeof(line) - 1;
	len = snprintf(line, max, "keyblobd[%d]: ", (int)getpid());
	va_start(args, format);
	len += vsnprintf(line + len, max - len, format, args);
	va_end(args);
	if (len >= max)
		len = max - 1;

	/* What the network sent may be quoted here: keep terminals safe. */
	for (int i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')
			line[i] = '?';
	line[len++] = '\n';

	if (poll(&pfd, 1, 0) == 1 && write(STDERR_FILENO, line, len) < 0) {
		/* There is nowhere to complain. */
	}
	errno = saved;
}

void log_ready(const char *path, unsigned int workers)
{
	dprintf(STDERR_FILENO, "keyblobd: ready on %s, %u worker%s\n", path, workers,
		workers == 1 ? "" : "s");
}
