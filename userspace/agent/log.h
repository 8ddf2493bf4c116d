/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line per event, on stderr or to syslog. Every part of the agent calls this;
 * nothing secret is ever passed to it.
 */
#ifndef KEYBLOBD_LOG_H
#define KEYBLOBD_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* Not LOG_...: those are <syslog.h>'s, and macros. */
enum log_level {
	LEVEL_ERROR,	/* the agent cannot do what it was started for */
	LEVEL_NOTICE,	/* a handshake failed, a worker was restarted, a stop */
	LEVEL_DETAIL,	/* -v: handshakes that succeeded, connections */
};

/*
 * Send lines to @target from here on, and those of children, which need nothing more
 * for it once they are confined. Lines that syslog does not take go to stderr. -1 after a
 * message: nothing listens at /dev/log, and all goes on as before.
 */
int log_open(enum log_target target);

/* A descriptor that lines go to, for children to keep; -1: they go to stderr. */
int log_descriptor(void);

/*
 * From here on, put errors into @text of @size bytes as well, a line each, for whoever
 * asked for what fails. NULL: no more.
 */
void log_capture(char *text, size_t size);

/* Lines above @level are dropped from now on. */
void log_set_level(enum log_level level);
bool log_takes(enum log_level level);

/*
 * Write "keyblobd[PID]: ..." and a newline, in one piece; under systemd's journal and
 * syslog, which know these, with a priority instead. A process that has much to say is
 * cut short: see log.c. Keeps errno.
 */
void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The line that says that the socket listens; whoever starts the agent may wait for it. */
void log_ready(const char *path, unsigned int workers);

#define log_error(...)	log_line(LEVEL_ERROR, __VA_ARGS__)
#define log_notice(...)	log_line(LEVEL_NOTICE, __VA_ARGS__)
#define log_detail(...)	log_line(LEVEL_DETAIL, __VA_ARGS__)

#endif
