// SPDX-License-Identifier: GPL-2.0-only
/* The application of the tests; see app.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"

struct call {
	enum app_op op;
	int arg;
	struct keyblob_handshake what;
	struct sockaddr_storage address;
};

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static long errno_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

static long catch_signals(int flags)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	return errno_of(sigaction(SIGUSR1, &action, NULL));
}

static long wait_ready(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };
	int n = poll(&pfd, 1, ms);

	return n < 0 ? -errno : pfd.revents;
}

static long splice_in(int fd, char *data, size_t size)
{
	int ends[2];
	long ret;

	if (pipe(ends))
		return -errno;
	ret = errno_of(splice(fd, NULL, ends[1], NULL, size, 0));
	if (ret > 0)
		ret = errno_of(read(ends[0], data, size));
	close(ends[0]);
	close(ends[1]);
	return ret;
}

static long sendfile_out(int fd)
{
	int file = memfd_create("data", MFD_CLOEXEC);
	off_t from = 0;
	long ret;

	if (file < 0 || write(file, "hello", 5) != 5)
		return -EIO;
	ret = errno_of(sendfile(fd, file, &from, 5));
	close(file);
	return ret;
}

static long set_timeout(int fd)
{
	const struct timeval time = { .tv_usec = 200000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)))
		return -errno;
	return 0;
}

static long connect_to(int fd, const struct call *call)
{
	const struct sockaddr_storage none = { .ss_family = AF_UNSPEC };
	const struct sockaddr_storage *to = call->arg ? &none : &call->address;

	return errno_of(connect(fd, (const struct sockaddr *)to, sizeof(*to)));
}

static long accept_one(int fd)
{
	int accepted = accept(fd, NULL, NULL);
	long ret = errno_of(accepted < 0 ? -1 : dup2(accepted, fd) - fd);

	if (accepted >= 0)
		close(accepted);
	return ret;
}

static long make(int fd, const struct call *call, struct app_result *result)
{
	socklen_t len = sizeof(int);
	int error = 0;

	switch (call->op) {
	case APP_HANDSHAKE:
		return errno_of(setsockopt(fd, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &call->what,
					   call->arg ? call->arg : (int)sizeof(call->what)));
	case APP_READ:
		return errno_of(recv(fd, result->data, sizeof(result->data), call->arg));
	case APP_WRITE:
		return errno_of(send(fd, "hello", 5, MSG_NOSIGNAL | call->arg));
	case APP_SPLICE:
		return splice_in(fd, result->data, sizeof(result->data));
	case APP_SENDFILE:
		return sendfile_out(fd);
	case APP_POLL:
		return wait_ready(fd, 0);
	case APP_POLL_WAIT:
		return wait_ready(fd, 3000);
	case APP_SO_ERROR:
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? -errno : error;
	case APP_NONBLOCK:
		return errno_of(fcntl(fd, F_SETFL, O_NONBLOCK));
	case APP_TIMEOUT:
		return set_timeout(fd);
	case APP_SIGNALS:
		return catch_signals(call->arg);
	case APP_CLOSE:
		return errno_of(close(fd));
	case APP_CONNECT:
		return connect_to(fd, call);
	case APP_ACCEPT:
		return accept_one(fd);
	}
	return -ENOSYS;
}

static void serve(int channel, int fd)
{
	struct call call;

	while (recv(channel, &call, sizeof(call), 0) == sizeof(call)) {
		struct app_result result = {};

		result.ret = make(fd, &call, &result);
		result.signals = signals;
		if (send(channel, &result, sizeof(result), 0) != sizeof(result))
			break;
	}
	_exit(0);
}

int app_start(struct app *app, int fd, uid_t uid)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	app->fd = fd;
	app->what = (struct keyblob_handshake){ .role = KEYBLOB_ROLE_SERVER };
	app->pid = fork();
	if (app->pid < 0)
		return -1;
	if (!app->pid) {
		const gid_t groups[2] = { 4242, 4243 };
		const int keep = fcntl(ends[1], F_DUPFD, 1000);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		/* What others have, sockets of agents above all, it does not have. */
		for (int other = 3; other < 1000; other++)
			if (other != fd)
				close(other);
		if (uid && (setgroups(2, groups) || setgid(uid) || setuid(uid)))
			_exit(1);
		serve(keep, fd);
	}
	close(ends[1]);
	app->channel = ends[0];
	return 0;
}

int app_call(struct app *app, enum app_op op, int arg)
{
	const struct call call = { op, arg, app->what, app->address };

	return send(app->channel, &call, sizeof(call), MSG_NOSIGNAL) == sizeof(call) ? 0 : -1;
}

bool app_end(struct app *app, struct app_result *result, int ms)
{
	struct pollfd pfd = { .fd = app->channel, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 &&
	       recv(app->channel, result, sizeof(*result), 0) == sizeof(*result);
}

long app_do(struct app *app, enum app_op op, int arg)
{
	struct app_result result;

	if (app_call(app, op, arg) || !app_end(app, &result, 5000))
		return -ETIME;
	return result.ret;
}

int app_dup(const struct app *app)
{
	int process = syscall(SYS_pidfd_open, app->pid, 0);
	int fd = process < 0 ? -1 : syscall(SYS_pidfd_getfd, process, app->fd, 0);
	int err = errno;

	if (process >= 0)
		close(process);
	return fd < 0 ? -err : fd;
}

void app_kill(struct app *app)
{
	if (app->pid <= 0)
		return;
	kill(app->pid, SIGKILL);
	waitpid(app->pid, NULL, 0);
	close(app->channel);
	app->pid = 0;
}
