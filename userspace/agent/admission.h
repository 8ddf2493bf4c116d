/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a request is carried out: the same for all ways in.
 */
#ifndef KEYBLOBD_ADMISSION_H
#define KEYBLOBD_ADMISSION_H

#include <stdbool.h>

#include "worker.h"

/*
 * May @who, who is counted as @user, have the handshake @params as identity @identity (NULL:
 * none named)? Fills in what @params lacks for handshake_start(). That may end another
 * handshake, see flights_admit(). False: @refused says why, and it is counted and, where
 * the rules did not allow it, logged.
 */
bool admit(struct worker *worker, const struct credentials *who, struct user *user,
	   const char *identity, struct handshake_params *params,
	   struct handshake_result *refused);

#endif
