// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which name an address was asked for by, in a program that "keyblob run" runs. The name
 * decides whose certificate is good: as soon as an address has had two, none is told, and
 * one that is told was given. Input: a sequence of look-ups and questions.
 */
#include "../../userspace/preload/names.h"

/* So few that they do not suffice. */
#undef NAMES_MAX
#define NAMES_MAX	8

#include "../../userspace/preload/names.c"
#include "fuzz.h"

#define ADDRESSES	8

enum name { WWW, MAIL, LOCALHOST, ADDRESS, LONGEST, TOO_LONG, EMPTY, NAMES };

static char longest[NAME_SIZE], too_long[NAME_SIZE + 1];

/* The same one in two ways. */
static const char *const spelled[NAMES][2] = {
	[WWW] = { "www.example.org", "WWW.example.ORG." },
	[MAIL] = { "mail.example.org", "mail.example.org." },
	[LOCALHOST] = { "localhost", "LocalHost." },
	[ADDRESS] = { "192.0.2.1", "192.0.2.1." },
	[LONGEST] = { longest, longest },
	[TOO_LONG] = { too_long, too_long },
	[EMPTY] = { "", "." },
};

/* Names that an address was asked for by, as bits, ever. */
static unsigned int known[ADDRESSES];
static unsigned int pairs;	/* that were given */
static bool forgotten;		/* one may be: there are many, or much time has gone by */

static struct run_address address_of(uint8_t number)
{
	struct run_address address = { .bytes = { [15] = number } };

	if (number & 1)		/* 127.0.0.x */
		memcpy(address.bytes + 10, "\xff\xff\x7f", 3);
	return address;
}

static void look_up(uint8_t what, uint8_t addresses, uint64_t now)
{
	const enum name name = what % NAMES;
	struct run_address list[ADDRESSES];
	size_t n = 0;

	for (int i = 0; i < ADDRESSES; i++) {
		if (!(addresses & 1 << i))
			continue;
		list[n++] = address_of(i);
		forgotten |= ++pairs > NAMES_MAX;
		if (name != TOO_LONG && name != EMPTY)
			known[i] |= 1 << name;
	}
	names_add(spelled[name][what >> 7], list, n, now);
}

static void ask(uint8_t number)
{
	const struct run_address address = address_of(number);
	const unsigned int names = known[number];
	char name[NAME_SIZE];
	int found = names_find(&address, name);

	if (found != 1) {
		must(found ? found == -1 && names : forgotten || !names);
		return;
	}
	must(names && !(names & (names - 1)));
	must(!strncasecmp(name, spelled[__builtin_ctz(names)][0], NAME_SIZE) ||
	     !strncasecmp(name, spelled[__builtin_ctz(names)][1], strlen(name)));
	/* Somebody else's name makes a loopback address one of its own. */
	if (number & 1 && names & (1 << WWW | 1 << MAIL | 1 << LONGEST))
		must(names_has_other(&address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t now = 1000;

	memset(longest, 'x', NAME_SIZE - 1);
	memset(too_long, 'x', NAME_SIZE);
	memset(slots, 0, sizeof(slots));
	memset(gone, 0, sizeof(gone));
	memset(named_loopbacks, 0, sizeof(named_loopbacks));
	memset(known, 0, sizeof(known));
	forgotten = false;
	pairs = 0;
	while (in.left) {
		const uint8_t what = take_byte(&in);

		if (what & 0x40)
			ask(what % ADDRESSES);
		else
			look_up(what, take_byte(&in), now);
		if (what & 0x20)
			now += 50;
		forgotten |= what & 0x20;
	}
	return 0;
}
