/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * No secret outlives its use: heap, stack, registers, core files, swap.
 */
#ifndef KEYBLOBD_MEMORY_H
#define KEYBLOBD_MEMORY_H

#include <stddef.h>

/*
 * Make OpenSSL allocate through the wiping allocator. To be called before
 * anything else of OpenSSL; -1 if that is too late.
 */
int memory_init(void);

/* No core file, no ptrace by the same user, for this process and its children. */
void memory_harden(void);

/* Keep this process out of swap, where the system lets it. */
void memory_lock(void);

/* Zeroed memory, or NULL; and its counterpart, which wipes before it frees. */
void *memory_zalloc(size_t size);
void memory_free(void *ptr);

/*
 * Wipe the stack below the caller, where functions that have returned (OpenSSL's)
 * left copies, and the registers that they used. To be called from as far up
 * the call chain as the secret may have been, with no secret of the caller's
 * own left in its frame.
 */
void memory_scrub_stack(void);

/* The same for a fiber's stack, which is smaller; see fiber.c. */
void memory_scrub_fiber(void);

#endif
