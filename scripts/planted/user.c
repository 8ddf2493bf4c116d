// SPDX-License-Identifier: GPL-2.0-only
/* Defects, so that scripts/lint sees each analyser of user space find one. Never run. */

#include <stdlib.h>
#include <string.h>

size_t planted_leak(const char *text);
int planted_null(int none);
int planted_uninitialized(int set);
void planted_overlap(char *text);

size_t planted_leak(const char *text)
{
	char *copy = strdup(text);

	return copy ? strlen(copy) : 0;
}

int planted_null(int none)
{
	int value = 1, *at = none ? NULL : &value;

	return *at;
}

int planted_uninitialized(int set)
{
	int value;

	if (set)
		value = 1;
	return value;
}

void planted_overlap(char *text)
{
	memcpy(text + 1, text, 8);
}
