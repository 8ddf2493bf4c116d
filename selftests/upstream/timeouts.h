/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Read before upstream's tls.c. The harness gives a test 30 seconds; those in which up
 * to sixteen processes pass megabytes need more where the processor is emulated.
 */
#include <string.h>
#include "kselftest_harness.h"

#undef TEST_F
#define TEST_F(fixture_name, test_name)				\
	__TEST_F_IMPL(fixture_name, test_name, -1,		\
		      strncmp(#test_name, "mutliproc", 9) ? 30 : 300)
