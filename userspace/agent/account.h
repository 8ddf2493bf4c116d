/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users and groups by name, or by number.
 */
#ifndef KEYBLOBD_ACCOUNT_H
#define KEYBLOBD_ACCOUNT_H

#include <sys/types.h>

#include "config.h"

/* What @name names. 0, or -1 after a message: there is none. Reads files; may ask NSS. */
int account_user(const struct setting *name, uid_t *uid);
int account_group(const struct setting *name, gid_t *gid);

#endif
