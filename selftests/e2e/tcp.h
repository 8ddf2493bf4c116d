/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP on loopback, for the helpers of the end-to-end tests. Failures end the program.
 */
#ifndef E2E_TCP_H
#define E2E_TCP_H

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

static inline long long tcp_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline int tcp_connect(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(3, "port %d", port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* A port of 0 is replaced by the one that the system chose. */
static inline int tcp_listen(int *port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(*port) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		err(3, "cannot listen on port %d", *port);
	*port = ntohs(address.sin6_port);
	return fd;
}

static inline int tcp_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		err(3, "accept");
	return fd;
}

/* The port of one end, as asked for with getsockname(2) or getpeername(2). */
static inline int tcp_port(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);

	/* IPv4 and IPv6 have it at the same place. */
	get(fd, (struct sockaddr *)&address, &len);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

#endif
