/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first process: it owns the listening socket and the workers, and never
 * touches a byte from the network or from an application.
 */
#ifndef KEYBLOBD_SUPERVISOR_H
#define KEYBLOBD_SUPERVISOR_H

#include "options.h"

/* Run until SIGTERM or SIGINT. Returns the exit status of the process. */
int supervisor_run(const struct options *options);

#endif
