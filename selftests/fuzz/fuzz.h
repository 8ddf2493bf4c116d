/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzz targets have in common: promises, and input taken apart from its front.
 * A target is one file with one LLVMFuzzerTestOneInput(), see run.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that does not hold counts as a crash. */
#define must(condition)	do {							\
	if (!(condition)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
		abort();							\
	}									\
} while (0)

struct input {
	const uint8_t *at;
	size_t left;
};

/* Fills @to; with zeros where the input has ended. */
static inline void take(struct input *in, void *to, size_t size)
{
	const size_t n = size < in->left ? size : in->left;

	memset(to, 0, size);
	if (n)
		memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

static inline uint8_t take_byte(struct input *in)
{
	uint8_t byte;

	take(in, &byte, sizeof(byte));
	return byte;
}

/* All up to @end, or what there is, as a string in memory of its very size; to be freed. */
static inline char *take_string(struct input *in, char end)
{
	const uint8_t *stop = in->left ? memchr(in->at, end, in->left) : NULL;
	const size_t len = stop ? (size_t)(stop - in->at) : in->left;
	char *string = malloc(len + 1);

	must(string);
	take(in, string, len);
	string[len] = '\0';
	if (stop)
		take_byte(in);
	return string;
}

/* Fills a packet's buffer with what is left of the input; returns how much that is. */
static inline size_t take_packet(struct input *in, uint8_t *buffer, size_t size)
{
	const size_t len = in->left < size ? in->left : size;

	take(in, buffer, len);
	return len;
}

/* Of @buffer, what is behind @len is out of bounds until unfence(). */
static inline void fence(const uint8_t *buffer, size_t len, size_t size)
{
	ASAN_POISON_MEMORY_REGION(buffer + len, size - len);
}

static inline void unfence(const uint8_t *buffer, size_t size)
{
	ASAN_UNPOISON_MEMORY_REGION(buffer, size);
}

#endif
