/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The UNIX socket that applications connect to. Owned by the supervisor.
 */
#ifndef KEYBLOBD_LISTENER_H
#define KEYBLOBD_LISTENER_H

#include <sys/types.h>

struct listener {
	int fd;			/* non-blocking, SOCK_SEQPACKET */
	const char *path;
	dev_t dev;		/* which file is ours */
	ino_t ino;
};

/*
 * Listen at @path, which must stay valid, with permissions @mode. The socket of
 * an agent that died is replaced, that of a living one is not. 0, or -1 after a
 * message that says what to do.
 */
int listener_open(struct listener *listener, const char *path, mode_t mode);

/* Remove the socket from the file system, if it is still ours, and close it. */
void listener_close(struct listener *listener);

#endif
