/* SPDX-License-Identifier: GPL-2.0-only */
/* What the contract says of an altered blob, for the codec's tests and the option's. */
#ifndef SELFTESTS_BLOB_ERROR_H
#define SELFTESTS_BLOB_ERROR_H

#include <errno.h>
#include <linux/keyblob.h>
#include <stddef.h>

/* Which error a change of byte @i makes. */
static inline int error_of(size_t i)
{
	if (i < offsetof(struct keyblob_head, version))
		return -EINVAL;
	if (i < offsetof(struct keyblob_head, size))
		return -EPROTONOSUPPORT;
	if (i < sizeof(struct keyblob_head))
		return -EINVAL;
	return -EBADMSG;
}

#endif
