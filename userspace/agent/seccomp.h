/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System call filters.
 */
#ifndef KEYBLOBD_SECCOMP_H
#define KEYBLOBD_SECCOMP_H

#include <stdbool.h>

#include "confine.h"

/* Whether this kernel has them. */
bool seccomp_available(void);

/*
 * For good, for all threads of this process: what @confinement does not need fails with
 * EPERM. 0, or a negative errno.
 */
int seccomp_install(enum confinement confinement);

#endif
