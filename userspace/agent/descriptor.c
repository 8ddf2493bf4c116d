// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal keeps close(2) from waiting. To turn SO_LINGER off would not do: the socket may
 * still be the application's, with its options. Called by workers for sockets of
 * applications, and by the supervisor for what workers pass.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "descriptor.h"

static void on_alarm(int signal)
{
	(void)signal;
}

int descriptor_init(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };

	return sigaction(SIGALRM, &action, NULL) ? -errno : 0;
}

static bool lingers(int fd)
{
	struct linger linger;
	socklen_t len = sizeof(linger);

	return !getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) && linger.l_onoff;
}

void descriptor_close(int fd)
{
	/* Again and again: the first one may come before close() is called. */
	const struct itimerval soon = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	const int saved = errno;
	const bool wait = lingers(fd);

	if (wait)
		setitimer(ITIMER_REAL, &soon, NULL);
	close(fd);
	if (wait)
		setitimer(ITIMER_REAL, &never, NULL);
	errno = saved;
}
