// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log lines. One write(2) each, so that lines of several processes do not mix;
 * no stdio, whose buffers would outlive the line. A line is lost rather than
 * waited for when nobody reads the other end.
 *
 * Not syslog(3): when the daemon restarts, that makes a new socket, which confined
 * processes may not. Here the supervisor alone connects anew; its children write to
 * stderr until others take their place.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define TEXT_MAX	600

/*
 * Peers decide how many handshakes fail; the disk is not theirs to fill. So each process
 * writes this many lines at once, and as many per second in the long run. Errors are not
 * counted.
 */
#define LINES_PER_SECOND 200
#define LINES_MAX	LINES_PER_SECOND

static enum log_level threshold = LEVEL_NOTICE;
static bool journal;		/* stderr ends in systemd's journal */
static int syslog_fd = -1;
static pid_t opener;		/* who may connect again */

/* What is left of log_capture()'s. */
static struct {
	char *text;
	size_t left;
} capture;

static struct {
	uint64_t refilled;	/* ns */
	double lines;		/* that may be written now */
	unsigned int suppressed;
} budget = { .lines = LINES_MAX };

static const int priorities[] = {
	[LEVEL_ERROR] = LOG_ERR,
	[LEVEL_NOTICE] = LOG_NOTICE,
	[LEVEL_DETAIL] = LOG_INFO,
};

/* sd-daemon(3): $JOURNAL_STREAM is "device:inode" of a stream that goes to the journal. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

static int connect_syslog(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int log_open(enum log_target target)
{
	int fd = -1;

	journal = stderr_is_journal();
	if (target == LOG_TO_SYSLOG) {
		fd = connect_syslog();
		if (fd < 0) {
			log_error("cannot log to syslog at " _PATH_LOG ": %m; start a syslog "
				  "daemon, or choose log = stderr");
			return -1;
		}
		tzset();	/* reads files, which is not possible later */
	}
	if (syslog_fd >= 0)
		close(syslog_fd);
	syslog_fd = fd;
	opener = getpid();
	return 0;
}

int log_descriptor(void)
{
	return syslog_fd;
}

void log_capture(char *text, size_t size)
{
	capture.text = text;
	capture.left = size;
}

static void copy_captured(const char *text)
{
	int n = snprintf(capture.text, capture.left, "%s\n", text);

	if (n < 0 || (size_t)n >= capture.left)
		n = strlen(capture.text);
	capture.text += n;
	capture.left -= n;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

bool log_takes(enum log_level level)
{
	return level <= threshold;
}

/* RFC 3164 section 4.1, as local daemons expect it: without the host name. */
static bool write_syslog(enum log_level level, const char *text)
{
	char line[TEXT_MAX + 64], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int len;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %T", &tm);
	len = snprintf(line, sizeof(line), "<%d>%s keyblobd[%d]: %s",
		       LOG_DAEMON | priorities[level], when, (int)getpid(), text);
	if (write(syslog_fd, line, len) == len || errno == EAGAIN)
		return true;

	/* The daemon went away; perhaps there is a new one. */
	if (getpid() == opener) {
		int fd = connect_syslog();

		if (fd >= 0) {
			close(syslog_fd);
			syslog_fd = fd;
			return write(syslog_fd, line, len) == len;
		}
	}
	return false;
}

static void write_stderr(enum log_level level, const char *text)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[TEXT_MAX + 64];
	int len;

	if (journal)
		len = snprintf(line, sizeof(line), "<%d>%s\n", priorities[level], text);
	else
		len = snprintf(line, sizeof(line), "keyblobd[%d]: %s\n", (int)getpid(), text);
	if (poll(&pfd, 1, 0) == 1 && write(STDERR_FILENO, line, len) < 0) {
		/* There is nowhere to complain. */
	}
}

static void write_text(enum log_level level, char *text)
{
	/* What the network sent may be quoted here: keep terminals safe. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	if (level == LEVEL_ERROR && capture.text)
		copy_captured(text);
	if (syslog_fd < 0 || !write_syslog(level, text))
		write_stderr(level, text);
}

/* A token bucket. */
static bool within_budget(void)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
	budget.lines += (now - budget.refilled) * 1e-9 * LINES_PER_SECOND;
	budget.refilled = now;
	if (budget.lines > LINES_MAX)
		budget.lines = LINES_MAX;
	if (budget.lines < 1) {
		budget.suppressed++;
		return false;
	}
	budget.lines--;
	return true;
}

static void tell_suppressed(void)
{
	char text[TEXT_MAX];

	if (!budget.suppressed)
		return;
	snprintf(text, sizeof(text), "%u messages suppressed, there were more than %d per second",
		 budget.suppressed, LINES_PER_SECOND);
	budget.suppressed = 0;
	write_text(LEVEL_NOTICE, text);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list args;

	if (!log_takes(level) || (level != LEVEL_ERROR && !within_budget())) {
		errno = saved;
		return;
	}
	errno = saved;		/* for %m */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell_suppressed();
	write_text(level, text);
	errno = saved;
}

void log_ready(const char *path, unsigned int workers)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "ready on %s, %u worker%s", path, workers,
		 workers == 1 ? "" : "s");
	write_text(LEVEL_NOTICE, text);
}
