/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_STRING_H
#define SHIM_STRING_H

#include <linux/types.h>
#include <string.h>

static inline void memzero_explicit(void *p, size_t len)
{
	explicit_bzero(p, len);
}

/* The first byte that is not @c; NULL: there is none. */
static inline void *memchr_inv(const void *p, int c, size_t len)
{
	const u8 *at = p;

	for (; len; at++, len--) {
		if (*at != (u8)c)
			return (void *)at;
	}
	return NULL;
}

#endif
