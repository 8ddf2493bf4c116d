/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first process: it owns the configuration, the listening socket, the ticket keys and
 * all other processes, and never touches a byte from the network or from an application.
 */
#ifndef KEYBLOBD_SUPERVISOR_H
#define KEYBLOBD_SUPERVISOR_H

#include "options.h"

/*
 * Run until SIGTERM or SIGINT; SIGHUP reloads. With options->check, start everything but
 * serve nobody, say what is wrong, and stop. @config is the supervisor's from here on, and empty afterwards.
 * Returns the exit status of the process: EX_NOPERM of <sysexits.h> if a token refused its
 * PIN, so that whoever restarts services leaves this one alone.
 */
int supervisor_run(struct options *options, struct config *config);

#endif
