/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program: a sequence of calls, each with numbers for arguments. Every number is valid for
 * every argument; what it means is the call's affair (calls.h). As text, a line a call:
 *
 *	THREAD NAME NUMBER...
 *
 * Calls run one after another up to the first that is not thread 0's; from there on each
 * thread runs its own, at the same time. Lines that begin with '#' are skipped.
 */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CALLS_MAX	40
#define ARGS_MAX	6
#define THREADS_MAX	3

struct call {
	uint8_t thread;
	uint8_t type;		/* index for call_type() */
	uint32_t args[ARGS_MAX];
};

struct program {
	unsigned int n;
	struct call calls[CALLS_MAX];
};

/* A sequence of numbers that the seed determines. */
struct rng {
	uint64_t state;
};

uint32_t rng_next(struct rng *rng);

/* rng_below() - 0 to @n - 1 */
uint32_t rng_below(struct rng *rng, uint32_t n);

/* program_generate() - a new one */
void program_generate(struct rng *rng, struct program *p);

/* program_mutate() - alter @p a little, with calls of @other perhaps */
void program_mutate(struct rng *rng, struct program *p, const struct program *other);

/* program_remove() - take call @i out */
void program_remove(struct program *p, unsigned int i);

/* program_write() - as text; program_read() - false: it is none, @line says where */
void program_write(FILE *f, const struct program *p);
bool program_read(FILE *f, struct program *p, unsigned int *line);

#endif
