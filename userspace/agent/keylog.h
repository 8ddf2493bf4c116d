/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For debugging, and only where the agent was built with "make KEYLOG=1": the secrets of
 * every connection, written to the file that SSLKEYLOGFILE names, as Wireshark reads them.
 */
#ifndef KEYBLOBD_KEYLOG_H
#define KEYBLOBD_KEYLOG_H

#ifdef KEYBLOBD_KEYLOG

/* Open the file, before the process is confined. 0, or -1 after a message. */
int keylog_open(void);

/* Append @line, from OpenSSL's key log callback. */
void keylog_line(const char *line);

/* What it is written to, for children to keep; -1: nothing. */
int keylog_descriptor(void);

#else

static inline int keylog_open(void)
{
	return 0;
}

static inline void keylog_line(const char *line)
{
	(void)line;
}

static inline int keylog_descriptor(void)
{
	return -1;
}

#endif
#endif
