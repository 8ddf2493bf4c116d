/* SPDX-License-Identifier: GPL-2.0-only */
/* The ways to read from a socket that Linux has. */
#ifndef SELFTESTS_STREAM_READERS_H
#define SELFTESTS_STREAM_READERS_H

#include <stdbool.h>
#include <sys/types.h>

/* Each reads up to @len bytes and returns how many, or a negative errno. */
typedef ssize_t reader(int fd, void *data, size_t len);

reader get_read, get_readv, get_recv, get_recv_dontwait, get_recv_waitall, get_recv_peek;
reader get_recvmsg, get_recvmsg_control, get_recvmmsg, get_splice;
reader get_uring_read, get_uring_recv, get_uring_recvmsg;

#endif
