/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kind of program a file is: whether a preloaded library would see its calls.
 */
#ifndef KB_PROGRAM_H
#define KB_PROGRAM_H

#include <limits.h>
#include <stddef.h>

#define PROGRAM_WHY_SIZE	(2 * PATH_MAX)

/*
 * program_find() - the file that execvp(3) would run for @name
 *
 * 0; or the errno that says why there is none: ENOENT, or one of a file that cannot be run.
 */
int program_find(const char *name, char path[PATH_MAX]);

/*
 * program_check() - whether the program at @path can be helped by a preloaded library
 *
 * Scripts are looked through to their interpreters. 0; or -1 and a sentence in @why.
 */
int program_check(const char *path, char why[PROGRAM_WHY_SIZE]);

#endif
