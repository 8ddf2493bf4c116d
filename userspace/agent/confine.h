/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a process gives up before it serves. Each of the layers would do for the promise
 * that a process that is taken over reaches nothing but what it holds; none of them is
 * relied upon alone.
 */
#ifndef KEYBLOBD_CONFINE_H
#define KEYBLOBD_CONFINE_H

#include "config.h"

enum confinement {
	CONFINE_WORKER,		/* sockets that it was given, nothing else */
	CONFINE_SIGNER,		/* pipes to workers, nothing else */
	CONFINE_TOKEN_SIGNER,	/* the same, and what a library for tokens needs: files,
				 * sockets, threads */
};

/*
 * Who they run as when the configuration does not say: these users if they exist, else
 * these numbers, which distributions give to nobody. A number that the system does not
 * know is its own group.
 */
#define WORKER_USER		"keyblob-worker"
#define SIGNER_USER		"keyblob-signer"
#define WORKER_UID		65520
#define SIGNER_UID		65521

/*
 * Confine this process for good: user, capabilities, file system, system calls, limits.
 * Everything that needs more has been done before. 0, or -1 after a message; then exit.
 *
 * A process that was not started by root keeps its user, and the root directory that it
 * has: there, the other layers have to do. A kernel without Landlock or system call
 * filters is put up with, see confine_survey().
 */
int confine(enum confinement confinement, const struct config *config);

/* For the supervisor, when it starts: log what this kernel lacks. */
void confine_survey(void);

#endif
