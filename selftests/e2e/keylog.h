/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What OpenSSL's key log says, for the helpers of the end-to-end tests. Failures end the
 * program.
 */
#ifndef E2E_KEYLOG_H
#define E2E_KEYLOG_H

#include <err.h>
#include <stdio.h>

struct keylog {
	char label[64];
	unsigned char secret[64];
	size_t len;
};

/* A line: label, client random, secret. */
static inline void keylog_parse(const char *line, struct keylog *log)
{
	char hex[2 * sizeof(log->secret) + 1];

	if (sscanf(line, "%63s %*s %128s", log->label, hex) != 2)
		errx(3, "key log: %s", line);
	for (log->len = 0; hex[2 * log->len]; log->len++)
		sscanf(hex + 2 * log->len, "%2hhx", &log->secret[log->len]);
}

#endif
