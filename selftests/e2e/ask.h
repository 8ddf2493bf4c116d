/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KEYBLOB_HANDSHAKE, for the helpers that play applications without a library.
 */
#ifndef E2E_ASK_H
#define E2E_ASK_H

#include <errno.h>
#include <linux/keyblob.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* 0 or a negative errno, as the kernel says it. */
static inline int ask_handshake(int fd, const struct keyblob_handshake *what)
{
	if (setsockopt(fd, SOL_TCP, TCP_ULP, KEYBLOB_ULP_NAME, sizeof(KEYBLOB_ULP_NAME) - 1) &&
	    errno != EEXIST)
		return -errno;
	return setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, what, sizeof(*what)) ? -errno : 0;
}

/* How one ended that was under way: 0 or a negative errno. */
static inline int ask_result(int fd)
{
	socklen_t len = sizeof(int);
	int result;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) ? -errno : -result;
}

/* What KEYBLOB_INFO says; all zero if it says nothing. */
static inline struct keyblob_status ask_status(int fd)
{
	struct keyblob_status status = { 0 };
	socklen_t len = sizeof(status);

	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len))
		memset(&status, 0, sizeof(status));
	return status;
}

#endif
