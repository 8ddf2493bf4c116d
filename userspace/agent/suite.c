// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of suites, RFC 8446 B.4, RFC 5289, RFC 7905.
 */
#include <linux/tls.h>
#include <string.h>

#include "suite.h"

static const struct suite suites[] = {
	{ 0x1301, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 16, 0, 32,
	  "TLS_AES_128_GCM_SHA256" },
	{ 0x1302, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256, 32, 0, 48,
	  "TLS_AES_256_GCM_SHA384" },
	{ 0x1303, TLS_1_3_VERSION, TLS_CIPHER_CHACHA20_POLY1305, 32, 0, 32,
	  "TLS_CHACHA20_POLY1305_SHA256" },
	{ 0xc02b, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 16, 4, 32,
	  "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ 0xc02c, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256, 32, 4, 48,
	  "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ 0xc02f, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 16, 4, 32,
	  "ECDHE-RSA-AES128-GCM-SHA256" },
	{ 0xc030, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256, 32, 4, 48,
	  "ECDHE-RSA-AES256-GCM-SHA384" },
	{ 0xcca8, TLS_1_2_VERSION, TLS_CIPHER_CHACHA20_POLY1305, 32, 12, 32,
	  "ECDHE-RSA-CHACHA20-POLY1305" },
	{ 0xcca9, TLS_1_2_VERSION, TLS_CIPHER_CHACHA20_POLY1305, 32, 12, 32,
	  "ECDHE-ECDSA-CHACHA20-POLY1305" },
};

const struct suite *suite_find_name(uint16_t version, const char *name)
{
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].version == version && !strcmp(suites[i].name, name))
			return &suites[i];
	return NULL;
}

const struct suite *suite_find(uint16_t id)
{
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}
