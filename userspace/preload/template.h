/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets that are to become TLS by themselves: KEYBLOB_HANDSHAKE on one that listens or is
 * not connected yet. All of this may be called between fork(2) and execve(2).
 */
#ifndef KEYBLOB_RUN_TEMPLATE_H
#define KEYBLOB_RUN_TEMPLATE_H

#include <stddef.h>

#include <linux/keyblob.h>

/*
 * What @fd is: 1 a TCP socket, 0 anything else, -EPROTONOSUPPORT: something like TCP that cannot
 * be helped, or another negative errno: that cannot be told.
 */
int run_is_tcp(int fd);

/* Set the template. 0, or a negative errno; the socket is not to be used then. */
int run_template_set(int fd, const struct keyblob_handshake *what);

/* KEYBLOB_HANDSHAKE_* of @fd; @status, if not NULL, is filled in unless that is _NONE. */
int run_handshake_state(int fd, struct keyblob_status *status);

/* What the error @err (negative) of a template or a handshake means, and what to do. */
const char *run_explain(int err);

#endif
