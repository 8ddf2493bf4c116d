/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The service manager that started the agent: sd_notify(3), socket activation and
 * watchdog. All of it does nothing if there is none. For the supervisor alone.
 */
#ifndef KEYBLOBD_SERVICE_H
#define KEYBLOBD_SERVICE_H

/*
 * The one listening socket that the service manager passed (sd_listen_fds(3)), for
 * listener_adopt(). -ENOENT: none was passed. Another negative errno after a message.
 */
int service_listen_fd(void);

/* Serving; also after a reload, successful or not. */
void service_ready(void);

/* A reload begins: service_ready() ends it. */
void service_reloading(void);

void service_stopping(void);

/* One line for "systemctl status". */
void service_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often to call service_alive(), in ms: half of what the manager waits. 0: never. */
unsigned int service_watchdog_ms(void);
void service_alive(void);

#endif
