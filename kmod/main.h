/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_MAIN_H
#define KB_MAIN_H

#include <linux/types.h>

/* No blob lives longer, whoever asks. */
#define KB_LIFETIME_MAX_MS	(60 * 60 * 1000)

u32 kb_lifetime_ms(void);
u64 kb_records_max(void);
u32 kb_updates_in_row(void);
u32 kb_updates_per_second(void);
u32 kb_handshakes_max(void);
void kb_count_updates_refused(void);

#endif
