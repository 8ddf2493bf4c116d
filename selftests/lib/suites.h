/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One FIXTURE_VARIANT for each suite that keyblob carries. The fixture's variant
 * has members version and cipher. After kselftest_harness.h.
 */
#ifndef SELFTESTS_SUITES_H
#define SELFTESTS_SUITES_H

#include <linux/tls.h>

#define SUITE_VARIANT(fixture, v, name)			\
	FIXTURE_VARIANT_ADD(fixture, v##_##name) {	\
		.version = TLS_##v##_VERSION,		\
		.cipher = TLS_CIPHER_##name,		\
	}

#define SUITE_VARIANTS(fixture)					\
	SUITE_VARIANT(fixture, 1_2, AES_GCM_128);		\
	SUITE_VARIANT(fixture, 1_2, AES_GCM_256);		\
	SUITE_VARIANT(fixture, 1_2, CHACHA20_POLY1305);		\
	SUITE_VARIANT(fixture, 1_3, AES_GCM_128);		\
	SUITE_VARIANT(fixture, 1_3, AES_GCM_256);		\
	SUITE_VARIANT(fixture, 1_3, CHACHA20_POLY1305)

#endif
