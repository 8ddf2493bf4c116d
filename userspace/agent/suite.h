/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cipher suites that kTLS can carry on.
 */
#ifndef KEYBLOBD_SUITE_H
#define KEYBLOBD_SUITE_H

#include <stddef.h>
#include <stdint.h>

struct suite {
	uint16_t id;		/* IANA number */
	uint16_t version;	/* TLS_1_2_VERSION, TLS_1_3_VERSION of <linux/tls.h> */
	uint16_t cipher;	/* TLS_CIPHER_* of <linux/tls.h> */
	uint8_t key_len;
	uint8_t fixed_iv_len;	/* TLS 1.2: what the key block gives; the rest of 12 is explicit */
	uint8_t hash_len;
	const char *name;	/* OpenSSL's */
};

/* NULL: none of ours. */
const struct suite *suite_find(uint16_t id);
const struct suite *suite_find_name(uint16_t version, const char *name);

#endif
