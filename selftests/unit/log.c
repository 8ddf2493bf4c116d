// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of userspace/agent/log.c: what arrives on stderr. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "log.h"

/* Stderr is a file while a test runs; the harness's own output goes to stdout. */
FIXTURE(log) {
	FILE *file;
	char text[100000];
};

FIXTURE_SETUP(log)
{
	self->file = tmpfile();
	ASSERT_NE(self->file, NULL);
	ASSERT_EQ(dup2(fileno(self->file), STDERR_FILENO), STDERR_FILENO);
}

FIXTURE_TEARDOWN(log)
{
	fclose(self->file);
}

static const char *read_back(FIXTURE_DATA(log) *self)
{
	ssize_t n = pread(fileno(self->file), self->text, sizeof(self->text) - 1, 0);

	self->text[n < 0 ? 0 : n] = 0;
	return self->text;
}

static unsigned int lines(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* Set JOURNAL_STREAM to stderr, or to something next to it. */
static void set_journal(int off)
{
	char value[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + off);
	setenv("JOURNAL_STREAM", value, 1);
	log_open(LOG_TO_STDERR);
}

TEST_F(log, line_tells_the_process)
{
	char expected[64];

	errno = ENOENT;
	log_error("cannot: %m");
	EXPECT_EQ(errno, ENOENT);
	snprintf(expected, sizeof(expected), "keyblobd[%d]: cannot: No such file or directory\n",
		 getpid());
	EXPECT_STREQ(read_back(self), expected);
}

TEST_F(log, journal_is_told_priorities)
{
	set_journal(0);
	log_set_level(LEVEL_DETAIL);
	log_error("one");
	log_notice("two");
	log_detail("three");
	EXPECT_STREQ(read_back(self), "<3>one\n<5>two\n<6>three\n");
}

TEST_F(log, journal_of_another_stream_is_not_taken_for_it)
{
	set_journal(1);
	log_error("one");
	EXPECT_EQ(lines(read_back(self), "keyblobd["), 1);
	EXPECT_EQ(lines(self->text, "<3>"), 0);
}

TEST_F(log, lines_above_the_level_are_dropped)
{
	log_detail("dropped");
	log_notice("kept");
	EXPECT_EQ(lines(read_back(self), "dropped"), 0);
	EXPECT_EQ(lines(self->text, "kept"), 1);
}

TEST_F(log, control_characters_stay_out)
{
	log_notice("%s", "a\033[31mb\nc\177d");
	EXPECT_NE(strstr(read_back(self), "a?[31mb?c?d\n"), NULL);
	EXPECT_EQ(lines(self->text, "\n"), 1);
}

TEST_F(log, long_line_is_cut)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	log_notice("%s", text);
	EXPECT_EQ(lines(read_back(self), "\n"), 1);
	EXPECT_LT(strlen(self->text), 700);
}

TEST_F(log, flood_is_cut_short_and_told)
{
	unsigned int n, told = 0;
	const char *said;

	for (int i = 0; i < 2000; i++)
		log_notice("flood");
	n = lines(read_back(self), "flood\n");
	EXPECT_GE(n, 200);
	EXPECT_LT(n, 1000);
	EXPECT_EQ(lines(self->text, "suppressed"), 0);

	/* Errors are never suppressed. */
	for (int i = 0; i < 300; i++)
		log_error("trouble");
	EXPECT_EQ(lines(read_back(self), "trouble\n"), 300);

	usleep(100000);
	log_notice("later");
	said = strstr(read_back(self), "]: ");
	for (; said; said = strstr(said + 1, "]: ")) {
		unsigned int more;

		if (sscanf(said, "]: %u messages suppressed", &more) == 1)
			told += more;
	}
	EXPECT_EQ(lines(self->text, "later\n"), 1);
	EXPECT_EQ(n + told, 2000);
}

TEST_HARNESS_MAIN
