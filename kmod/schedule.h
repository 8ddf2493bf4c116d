/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_SCHEDULE_H
#define KB_SCHEDULE_H

#include "suite.h"

int kb_expand_label(enum kb_hash hash, const u8 *secret, size_t secret_len,
		    const char *label, u8 *out, size_t len);
int kb_schedule_keys(const struct kb_suite *suite, const u8 *secret,
		     struct kb_keys *keys);
int kb_schedule_update(const struct kb_suite *suite, const u8 *secret, u8 *next);

#endif
