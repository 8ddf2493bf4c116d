/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The application: a process with the socket, which makes one call after the other as it
 * is told, so that a test sees whether a call has returned.
 */
#ifndef SELFTESTS_HANDSHAKE_APP_H
#define SELFTESTS_HANDSHAKE_APP_H

#include <linux/keyblob.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

enum app_op {
	APP_HANDSHAKE,
	APP_READ,
	APP_WRITE,		/* "hello" */
	APP_SPLICE,		/* to read */
	APP_SENDFILE,		/* "hello" */
	APP_POLL,		/* for 0 ms; ret: revents */
	APP_POLL_WAIT,		/* for 3 s */
	APP_SO_ERROR,		/* ret */
	APP_NONBLOCK,
	APP_TIMEOUT,		/* SO_RCVTIMEO and SO_SNDTIMEO, 200 ms */
	APP_SIGNALS,		/* catch SIGUSR1, arg: sa_flags */
	APP_CLOSE,
	APP_CONNECT,		/* to address; arg 1: to none, AF_UNSPEC */
	APP_ACCEPT,		/* and go on with the socket that it returns; ret: 0 */
};

struct app_result {
	long ret;		/* or a negative errno */
	char data[16];		/* of APP_READ, APP_SPLICE */
	int signals;		/* that were caught so far */
};

struct app {
	pid_t pid;
	int channel;
	int fd;			/* in its process */
	struct keyblob_handshake what;
	struct sockaddr_storage address;
};

/*
 * app_start() - a process with @fd alone, of user @uid, and unless that is root of groups
 * 4242 and 4243; 0 or -1. @fd stays open here.
 */
int app_start(struct app *app, int fd, uid_t uid);

/* app_call() - begin a call, and app_end() - its result, if it returns within @ms */
int app_call(struct app *app, enum app_op op, int arg);
bool app_end(struct app *app, struct app_result *result, int ms);

/* app_do() - both; what it returned, or -ETIME */
long app_do(struct app *app, enum app_op op, int arg);

/* app_dup() - the application's socket, for this process as well; or a negative errno */
int app_dup(const struct app *app);

void app_kill(struct app *app);

#endif
