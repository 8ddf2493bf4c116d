/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Closing descriptors that come from others.
 */
#ifndef KEYBLOBD_DESCRIPTOR_H
#define KEYBLOBD_DESCRIPTOR_H

/* For this process and those that it forks. 0 or a negative errno. */
int descriptor_init(void);

/*
 * Close @fd, and wait for nothing: with SO_LINGER, close(2) of the last descriptor of a TCP
 * socket waits for its peer, also if the socket is non-blocking. The kernel sends what is
 * left all the same. Keeps errno.
 */
void descriptor_close(int fd);

#endif
