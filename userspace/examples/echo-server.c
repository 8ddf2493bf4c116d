// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TLS echo server with libc alone: two options on the listening socket make it TLS. One
 * process per connection.
 *
 *	cc -o echo-server echo-server.c		# in the source tree: with -I../../uapi
 *	keyblobd --cert cert.pem --key key.pem &
 *	./echo-server 8443
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/keyblob.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int echo(int fd)
{
	struct keyblob_status status = { 0 };
	socklen_t len = sizeof(status);
	char data[16384];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		if (send(fd, data, n, MSG_NOSIGNAL) != n)
			return 1;
	}
	if (n < 0 && !getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len) && status.error)
		errx(1, "handshake failed: %s: %s", strerror(status.error),
		     status.error == ESRCH ? "is keyblobd running?" : status.reason);
	return n < 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };	/* and IPv4 */
	struct keyblob_handshake tls = { .role = KEYBLOB_ROLE_SERVER };
	int listener = socket(AF_INET6, SOCK_STREAM, 0), fd, on = 1;

	if (argc != 2)
		errx(2, "usage: echo-server PORT");
	address.sin6_port = htons(atoi(argv[1]));
	if (setsockopt(listener, SOL_TCP, TCP_ULP, "keyblob", strlen("keyblob")) < 0)
		err(1, "no TLS (try \"modprobe keyblob\")");
	if (setsockopt(listener, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &tls, sizeof(tls)) < 0)
		err(1, "KEYBLOB_HANDSHAKE");
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 512) < 0)
		err(1, "port %s", argv[1]);

	signal(SIGCHLD, SIG_IGN);	/* children need no waiting for */
	for (;; close(fd)) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
			return echo(fd);
	}
}
