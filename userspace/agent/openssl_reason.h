/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * OpenSSL's last word, for messages.
 */
#ifndef KEYBLOBD_OPENSSL_REASON_H
#define KEYBLOBD_OPENSSL_REASON_H

#include <openssl/err.h>

/* Why its last call failed; never NULL. */
static inline const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	return reason ? reason : "unknown error";
}

#endif
