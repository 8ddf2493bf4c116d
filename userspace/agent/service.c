// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told to and asked of the service manager, by libsystemd. Called by the
 * supervisor.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "log.h"
#include "service.h"

int service_listen_fd(void)
{
	int n = sd_listen_fds(1);

	if (!n)
		return -ENOENT;
	if (n < 0) {
		errno = -n;
		log_error("cannot take the sockets of the service manager: %m");
		return n;
	}
	if (n > 1) {
		log_error("the service manager passed %d sockets; give the .socket unit one "
			  "ListenSequentialPacket= and nothing else", n);
		return -EINVAL;
	}
	return SD_LISTEN_FDS_START;
}

void service_ready(void)
{
	sd_notify(0, "READY=1");
}

void service_reloading(void)
{
	struct timespec ts;

	/* Type=notify-reload wants to know that this is no older one. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		   ts.tv_sec * UINT64_C(1000000) + ts.tv_nsec / 1000);
}

void service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void service_status(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sd_notifyf(0, "STATUS=%s", text);
}

unsigned int service_watchdog_ms(void)
{
	uint64_t us;

	if (sd_watchdog_enabled(0, &us) <= 0)
		return 0;
	return us < 2000 ? 1 : us / 2000;
}

void service_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}
