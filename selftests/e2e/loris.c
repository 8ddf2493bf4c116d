// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers that never finish: opens N connections to a port of this machine and keeps them,
 * each sending the beginning of a ClientHello, a byte every now and then.
 *
 *	loris N PORT
 *
 * Tells "connected" when all are there, and ends when its input does.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tcp.h"

/* A record header that promises 512 bytes, and as much of a ClientHello as there is time for. */
static const unsigned char hello[] = { 22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int n = argc == 3 ? atoi(argv[1]) : 0, *fds;
	unsigned char byte;

	if (n <= 0)
		errx(2, "usage: loris N PORT");
	fds = calloc(n, sizeof(*fds));
	if (!fds)
		err(3, "calloc");
	for (int i = 0; i < n; i++)
		fds[i] = tcp_connect(atoi(argv[2]));
	puts("connected");
	fflush(stdout);
	for (unsigned int round = 0; poll(&input, 1, 300) == 0; round++) {
		byte = round < sizeof(hello) ? hello[round] : 0;
		for (int i = 0; i < n; i++)
			send(fds[i], &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	free(fds);
	return 0;
}
