/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that holds private keys, and touches no byte from the network: it takes
 * digests to be signed from workers, and gives signatures back. One signer holds all keys
 * that are files; each key in hardware has a signer of its own, so that a token that is
 * slow, or a library for it that crashes, is nobody else's trouble.
 */
#ifndef KEYBLOBD_SIGNER_H
#define KEYBLOBD_SIGNER_H

#include <stdbool.h>

#include "config.h"

/* Signers are numbered from 0: the one of the files, then one per hardware key. */
unsigned int signer_count(const struct config *config);
unsigned int signer_of_identity(const struct config *config, size_t identity);

/*
 * Serve in a process forked for it, until its control channel ends. @control is a
 * SOCK_SEQPACKET socket: workers' channels come over it (CONTROL_CHANNEL), and
 * CONTROL_READY or CONTROL_FAULT is told over it. @lenient: go on if a key in hardware cannot
 * be opened now, answer requests with the reason, and exit soon to try anew.
 * Returns the exit status of the process.
 */
int signer_run(const struct config *config, unsigned int number, int control, bool lenient);

#endif
