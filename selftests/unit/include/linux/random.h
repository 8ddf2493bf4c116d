/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_RANDOM_H
#define SHIM_RANDOM_H

#include <sodium.h>

static inline void get_random_bytes(void *p, size_t len)
{
	randombytes_buf(p, len);
}

static inline int get_random_bytes_wait(void *p, size_t len)
{
	randombytes_buf(p, len);
	return 0;
}

#endif
