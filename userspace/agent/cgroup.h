/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which control group an application is in. Called by the supervisor, for workers, which
 * cannot open /proc.
 */
#ifndef KEYBLOBD_CGROUP_H
#define KEYBLOBD_CGROUP_H

#include <stddef.h>

/*
 * Put the cgroup v2 path of who is at the other end of UNIX socket @fd into @path. 0, or a
 * negative errno: -ESRCH if it is gone, -ENODATA without cgroup v2.
 */
int cgroup_of_peer(int fd, char *path, size_t size);

#endif
