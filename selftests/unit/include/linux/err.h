/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors as pointers, as the kernel has them. */
#include <errno.h>

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline int IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= -4095UL;
}
