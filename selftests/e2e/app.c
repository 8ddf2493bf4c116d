// SPDX-License-Identifier: GPL-2.0-only
/*
 * An application: accepts TCP connections, has the agent make TLS of them, and
 * echoes. Tells, a line each, how the handshake and the stream ended, by the
 * peer's port:
 *
 *	peer=PORT result=… ms=N … (see tell.h)
 *	peer=PORT end=OK bytes=N
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcp.h"
#include "tell.h"

static const char *agent_path;
static struct keyblob_options options = KEYBLOB_OPTIONS_INIT;

static void echo(int port, int fd)
{
	long long bytes = 0;
	char data[16384];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		bytes += n;
		if (send(fd, data, n, MSG_NOSIGNAL) != n)
			break;
	}
	printf("peer=%d end=%s bytes=%lld\n", port, tell_name_of(n < 0 ? -errno : 0), bytes);
}

static void *serve(void *arg)
{
	int fd = (intptr_t)arg, port = tcp_port(fd, getpeername), result;
	long long began = tcp_now_ms();
	struct keyblob_info *info = NULL;
	struct keyblob_agent *agent;

	result = keyblob_agent_open(agent_path, &agent);
	if (result) {
		printf("peer=%d result=%s ms=0 alert=none error=%s\n", port, tell_name_of(result),
		       keyblob_agent_error(NULL));
		close(fd);
		return NULL;
	}
	result = keyblob_accept(agent, fd, &options, &info);
	flockfile(stdout);
	printf("peer=%d result=%s ms=%lld ", port, tell_name_of(result), tcp_now_ms() - began);
	if (result)
		tell_failure(stdout, agent);
	else
		tell_success(stdout, info);
	funlockfile(stdout);
	keyblob_agent_close(agent);
	keyblob_info_free(info);
	if (!result)
		echo(port, fd);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	int option, port = 0, listener, n_alpn = 0;
	const char *alpn[17] = { NULL };
	pthread_attr_t attr;
	pthread_t thread;

	while ((option = getopt(argc, argv, "a:bI:l:p:t:")) != -1) {
		switch (option) {
		case 'a':
			agent_path = optarg;
			break;
		case 'b':
			options.flags = KEYBLOB_CHANNEL_BINDING;
			break;
		case 'I':
			options.identity = optarg;
			break;
		case 'l':
			if (n_alpn < 16)
				alpn[n_alpn++] = optarg;
			options.alpn = alpn;
			break;
		case 'p':
			port = atoi(optarg);
			break;
		case 't':
			options.timeout_ms = atoi(optarg);
			break;
		default:
			errx(2, "usage: app [-a AGENT] [-b] [-I IDENTITY] [-l ALPN]... [-p PORT] [-t MS]");
		}
	}
	/* Small, for those who look through the memory. */
	mallopt(M_ARENA_MAX, 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	setlinebuf(stdout);
	signal(SIGPIPE, SIG_IGN);
	listener = tcp_listen(&port);
	printf("listening on port %d\n", port);
	for (;;) {
		intptr_t fd = tcp_accept(listener);

		if (pthread_create(&thread, &attr, serve, (void *)fd))
			errx(3, "pthread_create");
		pthread_detach(thread);
	}
}
