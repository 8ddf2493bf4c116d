// SPDX-License-Identifier: GPL-2.0-only
/*
 * In place of the module, for run-programs.sh, where there is none: preloaded, it takes TCP_ULP
 * and KEYBLOB_HANDSHAKE from programs and writes down what was set, a line each in the file
 * that FAKE_LOG names. FAKE_ULP_ERRNO and FAKE_ERRNO are errors to return instead, the latter
 * to all programs but keyblob itself; FAKE_INFO_ERRNO is one to whoever asks for TCP_INFO.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/keyblob.h>

static int result(const char *variable)
{
	const char *text = getenv(variable);

	if (!text)
		return 0;
	errno = atoi(text);
	return -1;
}

static unsigned int port_of(int fd)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t len = sizeof(name);

	return getsockname(fd, (struct sockaddr *)&name, &len) ? 0 : ntohs(name.sin6_port);
}

static int is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
	return listening;
}

static void write_down(int fd, const struct keyblob_handshake *what)
{
	char line[1024];
	int log, len;

	len = snprintf(line, sizeof(line),
		       "by=%s role=%s listening=%d port=%u identity=%.64s name=%.256s alpn=%u timeout=%u\n",
		       program_invocation_short_name,
		       what->role == KEYBLOB_ROLE_SERVER ? "server" : "client", is_listening(fd),
		       port_of(fd), what->identity, what->peer_name, what->alpn_len, what->timeout_ms);
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): open(2) refuses NULL */
	log = open(getenv("FAKE_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (log < 0 || write(log, line, len) != len)
		abort();
	close(log);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int (*next)(int fd, int level, int name, const void *value, socklen_t len);

	if (level == IPPROTO_TCP && name == TCP_ULP)
		return result("FAKE_ULP_ERRNO");
	if (level == SOL_KEYBLOB && name == KEYBLOB_HANDSHAKE) {
		if (strcmp(program_invocation_short_name, "keyblob") && result("FAKE_ERRNO"))
			return -1;
		write_down(fd, value);
		return 0;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int (*next)(int fd, int level, int name, void *value, socklen_t *len);

	if (level == IPPROTO_TCP && name == TCP_INFO && result("FAKE_INFO_ERRNO"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "getsockopt");
	return next(fd, level, name, value, len);
}
