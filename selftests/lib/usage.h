/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel has in use, to compare: nothing may be left over. */
#ifndef SELFTESTS_USAGE_H
#define SELFTESTS_USAGE_H

struct usage {
	long refs;		/* of the module */
	long tls_refs;		/* of kTLS's, which we hold while we use it */
	long sockets;		/* of TCP, all states but TIME_WAIT */
	long orphans;
	long files;		/* open in the whole system */
	long slab_kb;		/* memory of the kernel's allocators */
	long percpu_kb;
};

struct usage usage(void);

/* usage_settled() - waits for what is freed late (orphans, RCU), no longer than 10 s */
struct usage usage_settled(const struct usage *before);

/* After kselftest_harness.h. */
#define EXPECT_NOTHING_LEFT(before, after) do {			\
	EXPECT_EQ((before).refs, (after).refs);			\
	EXPECT_EQ((before).tls_refs, (after).tls_refs);		\
	EXPECT_EQ((before).sockets, (after).sockets);		\
	EXPECT_EQ((before).orphans, (after).orphans);		\
} while (0)

#endif
