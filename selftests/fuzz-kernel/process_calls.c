// SPDX-License-Identifier: GPL-2.0-only
/* Processes, their rights and namespaces, and descriptors on their way; see calls.h. */
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "lib/net.h"

/* The child goes on with the calls that follow, as the parent does. */
static long fork_here(struct world *w, const uint32_t *a)
{
	if (atomic_fetch_add(&w->report->forks, 1) >= FORKS_MAX)
		return -EAGAIN;
	return fork() < 0 ? -errno : 0;
}

static long die(struct world *w, const uint32_t *a)
{
	/* Seldom: it is the end of the program. */
	return a[0] % 8 ? 0 : result(kill(getpid(), SIGKILL));
}

/* A descriptor through a UNIX socket, into another slot. */
static long pass(struct world *w, const uint32_t *a)
{
	int fd;

	if (fd_send(w->unix_pair[0], world_fd(w, a[0])))
		return -errno;
	/* It stays on its way: perhaps it is the last reference. */
	if (a[2] % 8 == 1)
		return 0;
	fd = fd_recv(w->unix_pair[1]);
	return fd < 0 ? -errno : world_put(w, a[1], fd, link_of(w, fd));
}

static long enter(struct world *w, const uint32_t *a)
{
	return result(setns(netns[a[0] % NAMESPACES], CLONE_NEWNET));
}

static long leave(struct world *w, const uint32_t *a)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (a[0] % 8 > 1)
		return -EPERM;
	if (unshare(a[0] % 8 ? CLONE_NEWNET | CLONE_NEWUSER : CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return 0;
}

/* This thread's user alone: libc would make it all threads'. */
static long user(struct world *w, const uint32_t *a)
{
	return result(syscall(SYS_setresuid, -1, a[0] & 1 ? 65534 : 0, -1));
}

const struct call_type process_calls[] = {
	{ "fork", "", 2, fork_here },
	{ "die", "n", 1, die },
	{ "pass", "ssn", 2, pass },
	{ "enter", "n", 1, enter },
	{ "leave", "n", 1, leave },
	{ "user", "n", 1, user },
	{ NULL }
};
