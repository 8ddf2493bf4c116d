/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Landlock, see landlock(7).
 */
#ifndef KEYBLOBD_LANDLOCK_H
#define KEYBLOBD_LANDLOCK_H

#include <stdbool.h>

/* Whether this kernel has it, and has it switched on. */
bool landlock_available(void);

/*
 * For good: no file can be opened, made, removed or renamed, wherever it is, nor, as far as
 * this kernel can tell, a TCP port used or another process signalled. Wants no_new_privs.
 * 0, or a negative errno.
 */
int landlock_install(void);

#endif
