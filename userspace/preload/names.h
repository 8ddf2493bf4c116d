/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which name a program asked for when it was given an address: that name is what the peer's
 * certificate has to be for. A table of bounded size without locks, so that threads, fork(2)
 * and signals do it no harm.
 */
#ifndef KEYBLOB_RUN_NAMES_H
#define KEYBLOB_RUN_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "settings.h"

#define NAMES_MAX	256	/* pairs; the one not asked for longest goes */
#define NAME_SIZE	256

/* After as many seconds, a name that is looked up again loses the addresses not given again. */
#define NAMES_GRACE	60

/*
 * Remember that @name was said to be at each of @addresses. @now: seconds, of any clock. For
 * what is an address already, @name is its text.
 */
void names_add(const char *name, const struct run_address *addresses, size_t n, uint64_t now);

/*
 * names_find() - the name that @address was asked for by
 *
 * 1, and @name; 0: nobody asked; or -1: it was asked for by several, some of them maybe
 * forgotten since, and which of them is meant now cannot be told. Forgotten names are kept as
 * hashes: now and then, an address is taken for another one that has lost its name.
 */
int names_find(const struct run_address *address, char name[NAME_SIZE]);

/*
 * Whether @address is a loopback address that was asked for, at any time, by a name that is
 * neither "localhost" nor an address.
 */
bool names_has_other(const struct run_address *address);

#endif
