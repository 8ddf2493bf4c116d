// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/cgroup, cgroups(7). A process that connected and ended may have left its
 * number to another one: where the kernel gives a pidfd for the peer (6.5), that is
 * looked at after the file was read.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cgroup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* -ENOPROTOOPT: this kernel has none. -ESRCH: the peer is gone, its number may be another's. */
static int peer_pidfd(int fd)
{
	socklen_t len = sizeof(int);
	int pidfd;

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len))
		return pidfd;
	return errno == ENOPROTOOPT ? -ENOPROTOOPT : -ESRCH;
}

static int read_path(pid_t pid, char *path, size_t size)
{
	char name[32], line[4096];
	int err = -ENODATA;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	while (fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, "0::/", 4))
			continue;
		line[len] = 0;
		err = len - 3 < size ? 0 : -ENAMETOOLONG;
		if (!err)
			strcpy(path, line + 3);
		break;
	}
	fclose(file);
	return err;
}

int cgroup_of_peer(int fd, char *path, size_t size)
{
	struct pollfd pfd = { .fd = peer_pidfd(fd), .events = POLLIN };
	socklen_t len = sizeof(struct ucred);
	struct ucred peer;
	int err;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		err = -errno;
	} else if (pfd.fd < 0 && pfd.fd != -ENOPROTOOPT) {
		err = pfd.fd;
	} else {
		err = read_path(peer.pid, path, size);
		if (!err && pfd.fd >= 0 && poll(&pfd, 1, 0) > 0)
			err = -ESRCH;
	}
	if (pfd.fd >= 0)
		close(pfd.fd);
	return err;
}
