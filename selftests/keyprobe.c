// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyprobe [-q] PID: takes each keyblob socket of a process (pidfd_getfd(2), as root
 * may) and asks kTLS for its keys, in every form. Says what it was given; fails if
 * that was a key, or if there was no such socket. -q: by the exit status alone.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/keyblob.h>
#include <linux/tls.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static bool quiet;

/* Returns whether the kernel refused. */
static bool probe(int pid_fd, int fd, int option, const char *name)
{
	unsigned char key[64];
	socklen_t len;
	bool refused = true;

	for (len = sizeof(struct tls_crypto_info); len <= sizeof(key); len += 4) {
		socklen_t n = len;

		errno = 0;
		if (!getsockopt(fd, SOL_TLS, option, key, &n) || errno != EACCES)
			refused = false;
	}
	if (!quiet)
		printf("fd %d: %s: %s\n", pid_fd, name,
		       refused ? "Permission denied, whatever the length" : "NOT REFUSED");
	return refused;
}

int main(int argc, char **argv)
{
	char path[64];
	struct dirent *entry;
	int found = 0, given = 0, pid, pidfd;
	DIR *dir;

	quiet = argc == 3 && !strcmp(argv[1], "-q");
	if (argc != 2 + quiet) {
		fprintf(stderr, "usage: keyprobe [-q] PID\n");
		return 2;
	}
	pid = atoi(argv[argc - 1]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (pidfd < 0 || !dir) {
		fprintf(stderr, "keyprobe: %s: %s\n", argv[argc - 1], strerror(errno));
		return 2;
	}
	while ((entry = readdir(dir))) {
		struct keyblob_status status;
		socklen_t len = sizeof(status);
		int fd = syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);

		if (fd < 0)
			continue;
		if (!getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len)) {
			found++;
			given += !probe(atoi(entry->d_name), fd, TLS_TX, "TLS_TX");
			given += !probe(atoi(entry->d_name), fd, TLS_RX, "TLS_RX");
		}
		close(fd);
	}
	if (!found)
		fprintf(stderr, "keyprobe: process %d has no keyblob socket\n", pid);
	return !found || given;
}
