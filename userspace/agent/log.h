/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line per event on stderr. Every part of the agent calls this; nothing
 * secret is ever passed to it.
 */
#ifndef KEYBLOBD_LOG_H
#define KEYBLOBD_LOG_H

enum log_level {
	LOG_ERROR,	/* the agent cannot do what it was started for */
	LOG_NOTICE,	/* a handshake failed, a worker was restarted, a stop */
	LOG_DETAIL,	/* -v: handshakes that succeeded, connections */
};

/* Lines above @level are dropped from now on. */
void log_set_level(enum log_level level);

/* Write "keyblobd[PID]: ..." and a newline, in one piece. Keeps errno. */
void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The line that says that the socket listens; whoever starts the agent may wait for it. */
void log_ready(const char *path, unsigned int workers);

#define log_error(...)	log_line(LOG_ERROR, __VA_ARGS__)
#define log_notice(...)	log_line(LOG_NOTICE, __VA_ARGS__)
#define log_detail(...)	log_line(LOG_DETAIL, __VA_ARGS__)

#endif
