// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be preloaded into test programs where the kernel checks all that it does, and is slow:
 * the harness, which counts seconds with alarm(2), has more patience.
 */
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE	10

unsigned int alarm(unsigned int seconds)
{
	const struct itimerval new = { .it_value.tv_sec = seconds * PATIENCE };
	struct itimerval old;

	setitimer(ITIMER_REAL, &new, &old);
	return old.it_value.tv_sec + !!old.it_value.tv_usec;
}
