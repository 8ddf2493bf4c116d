// SPDX-License-Identifier: GPL-2.0-only
/* Programs: made, altered, read and written; see program.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "calls.h"
#include "program.h"

uint32_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z >> 32;
}

uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint64_t)rng_next(rng) * n >> 32;
}

static bool one_in(struct rng *rng, uint32_t n)
{
	return !rng_below(rng, n);
}

/* Numbers at which things change. */
static uint32_t interesting(struct rng *rng)
{
	static const uint32_t numbers[] = {
		0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 47, 48, 64, 127, 128, 255, 256, 257, 512,
		1000, 4095, 4096, 16383, 16384, 16385, 32768, 65535, 65536, INT32_MAX,
		1U << 31, UINT32_MAX - 1, UINT32_MAX,
	};

	if (one_in(rng, 3))
		return rng_next(rng) >> rng_below(rng, 32);
	return numbers[rng_below(rng, sizeof(numbers) / sizeof(numbers[0]))];
}

/* Bits that are set more seldom than not. */
static uint32_t few_bits(struct rng *rng)
{
	uint32_t bits = 0;

	while (!one_in(rng, 3))
		bits |= 1U << rng_below(rng, 32);
	return bits;
}

/* A number for an argument of a kind; see struct call_type. */
static uint32_t number(struct rng *rng, char kind)
{
	switch (kind) {
	case 's':
		return rng_below(rng, one_in(rng, 3) ? SLOTS : 2);
	case 'a':
		return one_in(rng, 6) ? rng_below(rng, SLOTS) : AGENT_SLOT;
	case 'h':
		return one_in(rng, 3) ? rng_below(rng, SLOTS) : LISTENER_SLOT;
	case 'd':
		return one_in(rng, 20) ? rng_below(rng, 9) : 1 + rng_below(rng, 2);
	case 'r':
		return one_in(rng, 20) ? rng_next(rng) : rng_below(rng, 3);
	case 'l':
		return one_in(rng, 8) ? interesting(rng) & 0x3ffff :
					rng_next(rng) >> (16 + rng_below(rng, 16));
	case 'e':
		return one_in(rng, 6) ? rng_below(rng, 512) : 0;
	case 'M':
		return one_in(rng, 8) ? rng_below(rng, 256) : GOOD_MEMORY;
	case 'm':
		return one_in(rng, 2) ? MSG_DONTWAIT : one_in(rng, 2) ? 0 : few_bits(rng);
	case 'k':
		return one_in(rng, 4) ? rng_next(rng) : 0;
	case 'n':
		return rng_below(rng, 8);
	case 'b':
		return few_bits(rng);
	default:
		return interesting(rng);
	}
}

static unsigned int pick_type(struct rng *rng)
{
	static unsigned int total;
	unsigned int i, at;

	if (!total)
		for (i = 0; i < call_types(); i++)
			total += call_type(i)->weight;
	at = rng_below(rng, total);
	for (i = 0; at >= call_type(i)->weight; i++)
		at -= call_type(i)->weight;
	return i;
}

static void make_call(struct rng *rng, struct call *call, unsigned int type)
{
	const char *kinds = call_type(type)->args;
	unsigned int i;

	memset(call, 0, sizeof(*call));
	call->type = type;
	for (i = 0; kinds[i]; i++)
		call->args[i] = number(rng, kinds[i]);
}

static void append(struct rng *rng, struct program *p, const char *name, uint32_t slot)
{
	struct call *call = &p->calls[p->n++];

	make_call(rng, call, call_type_find(name));
	call->args[0] = slot;
}

static void append_listener(struct rng *rng, struct program *p)
{
	append(rng, p, "socket", LISTENER_SLOT);
	append(rng, p, "listen", LISTENER_SLOT);
	append(rng, p, "attach", LISTENER_SLOT);
	append(rng, p, "handshake", LISTENER_SLOT);
}

/* Most programs are about a connection, and many about one with keys or an agent. */
void program_generate(struct rng *rng, struct program *p)
{
	const unsigned int threads = one_in(rng, 3) ? 1 + rng_below(rng, THREADS_MAX) : 1;
	unsigned int n = 4 + rng_below(rng, CALLS_MAX - 16);
	unsigned int begin;

	memset(p, 0, sizeof(*p));
	if (!one_in(rng, 4))
		append(rng, p, "pair", 0);
	if (one_in(rng, 2))
		append(rng, p, "keys", 0);
	if (one_in(rng, 2)) {
		append(rng, p, "agent", AGENT_SLOT);
		append(rng, p, "handshake", rng_below(rng, 2));
	}
	if (one_in(rng, 4))
		append_listener(rng, p);
	begin = p->n + rng_below(rng, 4);
	for (; n--; p->n++) {
		make_call(rng, &p->calls[p->n], pick_type(rng));
		if (p->n >= begin)
			p->calls[p->n].thread = rng_below(rng, threads);
	}
}

void program_remove(struct program *p, unsigned int i)
{
	memmove(&p->calls[i], &p->calls[i + 1], (p->n - i - 1) * sizeof(p->calls[0]));
	p->n--;
}

static void insert(struct program *p, unsigned int i, const struct call *call)
{
	if (p->n == CALLS_MAX)
		p->n--;
	if (i > p->n)
		i = p->n;
	memmove(&p->calls[i + 1], &p->calls[i], (p->n - i) * sizeof(p->calls[0]));
	p->calls[i] = *call;
	p->n++;
}

static void alter(struct rng *rng, struct call *call)
{
	const char *kinds = call_type(call->type)->args;
	const size_t n = strlen(kinds);
	unsigned int i;

	if (!n)
		return;
	i = rng_below(rng, n);
	switch (rng_below(rng, 4)) {
	case 0:
		call->args[i] ^= 1U << rng_below(rng, 32);
		break;
	case 1:
		call->args[i] += rng_below(rng, 2) ? 1 : -1;
		break;
	default:
		call->args[i] = number(rng, kinds[i]);
	}
}

/* The beginning of @p and the end of @other. */
static void splice_programs(struct rng *rng, struct program *p, const struct program *other)
{
	unsigned int from = rng_below(rng, other->n);

	if (p->n)
		p->n = 1 + rng_below(rng, p->n);
	while (p->n < CALLS_MAX && from < other->n)
		p->calls[p->n++] = other->calls[from++];
}

void program_mutate(struct rng *rng, struct program *p, const struct program *other)
{
	unsigned int rounds = 1 + rng_below(rng, 4);
	struct call call;

	while (rounds--) {
		const unsigned int i = p->n ? rng_below(rng, p->n) : 0;

		switch (p->n ? rng_below(rng, 10) : 0) {
		case 0 ... 2:
			make_call(rng, &call, pick_type(rng));
			if (p->n)
				call.thread = p->calls[i].thread;
			insert(p, i + 1, &call);
			break;
		case 3:
			program_remove(p, i);
			break;
		case 4:
			p->calls[i].thread = rng_below(rng, THREADS_MAX);
			break;
		case 5:
			call = p->calls[i];
			insert(p, rng_below(rng, p->n + 1), &call);
			break;
		case 6:
			splice_programs(rng, p, other);
			break;
		default:
			alter(rng, &p->calls[i]);
		}
	}
}

void program_write(FILE *f, const struct program *p)
{
	unsigned int i, j;

	for (i = 0; i < p->n; i++) {
		const struct call_type *type = call_type(p->calls[i].type);

		fprintf(f, "%u %s", p->calls[i].thread, type->name);
		for (j = 0; type->args[j]; j++)
			fprintf(f, " %u", p->calls[i].args[j]);
		fputc('\n', f);
	}
}

static bool read_call(char *text, struct call *call)
{
	char *word = strtok(text, " \n");
	const char *kinds;
	unsigned int i;
	int type;

	memset(call, 0, sizeof(*call));
	call->thread = atoi(word) % THREADS_MAX;
	word = strtok(NULL, " \n");
	type = word ? call_type_find(word) : -1;
	if (type < 0)
		return false;
	call->type = type;
	kinds = call_type(type)->args;
	for (i = 0; kinds[i]; i++) {
		word = strtok(NULL, " \n");
		if (!word)
			return false;
		call->args[i] = strtoul(word, NULL, 0);
	}
	return !strtok(NULL, " \n");
}

bool program_read(FILE *f, struct program *p, unsigned int *line)
{
	char text[256];

	memset(p, 0, sizeof(*p));
	for (*line = 1; fgets(text, sizeof(text), f); (*line)++) {
		if (text[0] == '#' || text[0] == '\n')
			continue;
		if (p->n == CALLS_MAX || !read_call(text, &p->calls[p->n]))
			return false;
		p->n++;
	}
	return p->n;
}
