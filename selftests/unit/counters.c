// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/counters.c: children that count, and die. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "kselftest_harness.h"

/* Run @child as process @number; returns its wait status. */
static int in_child(size_t number, void (*child)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		counters_use(number);
		child();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void count_three(void)
{
	for (int i = 0; i < 3; i++)
		count_up(COUNT_ACCEPTED);
	count_up(GAUGE_IN_FLIGHT);
	count_up(GAUGE_APPLICATIONS);
}

/* The page before that of process 1 is the supervisor's. */
static uint64_t *supervisors;

static void write_elsewhere(void)
{
	signal(SIGSEGV, SIG_DFL);	/* whatever a sanitizer does */
	*supervisors = 0;
}

TEST(without_shared_memory_a_process_counts_for_itself)
{
	count_up(COUNT_FAILED);
	EXPECT_EQ(counters_sum(COUNT_FAILED), 1);
}

TEST(sum_is_that_of_all_processes)
{
	ASSERT_EQ(counters_init(), 0);
	count_up(COUNT_ACCEPTED);
	EXPECT_EQ(in_child(1, count_three), 0);
	EXPECT_EQ(in_child(2, count_three), 0);
	EXPECT_EQ(counters_sum(COUNT_ACCEPTED), 7);
	EXPECT_EQ(counters_sum(GAUGE_IN_FLIGHT), 2);
}

TEST(successor_goes_on_counting)
{
	size_t page;

	ASSERT_EQ(counters_init(), 0);
	page = counters_reserve();
	EXPECT_EQ(in_child(page, count_three), 0);
	EXPECT_EQ(counters_sum(GAUGE_IN_FLIGHT), 1);
	EXPECT_EQ(counters_sum(GAUGE_APPLICATIONS), 1);
	counters_release(page);
	EXPECT_EQ(counters_sum(COUNT_ACCEPTED), 3);
	EXPECT_EQ(counters_sum(GAUGE_IN_FLIGHT), 0);
	EXPECT_EQ(counters_sum(GAUGE_APPLICATIONS), 0);

	ASSERT_EQ(page, counters_reserve());
	EXPECT_EQ(in_child(page, count_three), 0);
	EXPECT_EQ(counters_sum(COUNT_ACCEPTED), 6);
	EXPECT_EQ(counters_sum(GAUGE_IN_FLIGHT), 1);
}

TEST(living_processes_have_pages_of_their_own)
{
	size_t first, second;

	ASSERT_EQ(counters_init(), 0);
	first = counters_reserve();
	second = counters_reserve();
	EXPECT_NE(first, 0);
	EXPECT_NE(second, 0);
	EXPECT_NE(first, second);
	/* Not of one too many: those share the last. */
	for (int i = 0; i < 2000; i++)
		counters_reserve();
	EXPECT_EQ(in_child(counters_reserve(), count_three), 0);
	EXPECT_EQ(counters_sum(COUNT_ACCEPTED), 3);
}

/* The shared memory: "START-END rw-s ... /dev/zero"; the harness has some of one page. */
static uint64_t *find_pages(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end, found = 0;
	char line[256], mode[5];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 &&
		    !strcmp(mode, "rw-s") && strstr(line, "/dev/zero") &&
		    end - start > 2 * sysconf(_SC_PAGESIZE))
			found = start;
	if (maps)
		fclose(maps);
	return (uint64_t *)found;
}

TEST(child_cannot_write_to_the_pages_of_others)
{
	int status;

	ASSERT_EQ(counters_init(), 0);
	count_up(COUNT_ACCEPTED);
	supervisors = find_pages();
	ASSERT_NE(supervisors, NULL);
	ASSERT_EQ(supervisors[COUNT_ACCEPTED], 1);
	status = in_child(2, write_elsewhere);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	EXPECT_EQ(counters_sum(COUNT_ACCEPTED), 1);
}

TEST(gauge_goes_down_again)
{
	ASSERT_EQ(counters_init(), 0);
	count_up(GAUGE_IN_FLIGHT);
	count_up(GAUGE_IN_FLIGHT);
	count_down(GAUGE_IN_FLIGHT);
	EXPECT_EQ(counters_sum(GAUGE_IN_FLIGHT), 1);
}

TEST(each_counter_has_a_name_of_its_own)
{
	for (int i = 0; i < COUNTERS; i++) {
		ASSERT_NE(counter_name(i), NULL);
		for (int j = 0; j < i; j++)
			EXPECT_STRNE(counter_name(i), counter_name(j));
	}
}

TEST_HARNESS_MAIN
