/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The UNIX socket that applications connect to. Owned by the supervisor.
 */
#ifndef KEYBLOBD_LISTENER_H
#define KEYBLOBD_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int fd;			/* non-blocking, SOCK_SEQPACKET */
	const char *path;
	bool adopted;		/* the file is the service manager's, who removes it */
	dev_t dev;		/* which file is ours */
	ino_t ino;
};

/*
 * Listen at @path, which must stay valid, with permissions @mode, as @group's ((gid_t)-1:
 * the agent's own). The socket of an agent that died is replaced, that of a living one is
 * not. 0, or -1 after a message that says what to do.
 */
int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group);

/*
 * Listen on @fd, from service_listen_fd(), which belongs to the listener from here on. 0,
 * or -1 after a message: not such a socket.
 */
int listener_adopt(struct listener *listener, int fd);

/* Remove the socket from the file system, if it is still ours, and close it. */
void listener_close(struct listener *listener);

#endif
