// SPDX-License-Identifier: GPL-2.0-only
/*
 * The names that a program looked up. Each slot has a sequence number: odd while somebody
 * writes, another one afterwards. A slot whose writer another thread's fork(2) left behind
 * stays odd in the child: no name is found there any more. Called by interpose.c.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "names.h"

#define TRIES	1000	/* of a reader, with writers that are faster */
#define SPINS	10	/* of these, before somebody else is let run */

#define GONE_SIZE	16384
#define SEVERAL		UINT64_MAX
#define LOOPBACKS	1024

struct pair {
	uint64_t time;		/* of the last look-up; 0: the slot is free */
	struct run_address address;
	char name[NAME_SIZE];
};

#define WORDS	(sizeof(struct pair) / sizeof(uint64_t))
_Static_assert(sizeof(struct pair) % sizeof(uint64_t) == 0, "whole words are copied");

static struct slot {
	atomic_uint sequence;
	_Atomic uint64_t words[WORDS];
} slots[NAMES_MAX];

/*
 * By an address' hash: the hash of the name that it has had, but that was given up; 0: none, or
 * SEVERAL. Another name does not take its place unnoticed.
 */
static _Atomic uint64_t gone[GONE_SIZE];

/* By a loopback address' hash: whether it has been asked for by a name of somebody else's. */
static atomic_bool named_loopbacks[LOOPBACKS];

/* FNV-1a */
#define HASH_START	0xcbf29ce484222325
#define HASH_PRIME	0x100000001b3

static uint64_t hash_address(const struct run_address *address)
{
	uint64_t hash = HASH_START;
	size_t i;

	for (i = 0; i < sizeof(address->bytes); i++)
		hash = (hash ^ address->bytes[i]) * HASH_PRIME;
	/* The lowest bits depend on the bytes' lowest alone. */
	return hash ^ (hash >> 32);
}

static uint64_t hash_name(const char *name)
{
	uint64_t hash = HASH_START;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)tolower((unsigned char)*name)) * HASH_PRIME;
	return hash && hash != SEVERAL ? hash : 1;
}

static _Atomic uint64_t *gone_of(const struct run_address *address)
{
	return &gone[hash_address(address) % GONE_SIZE];
}

static atomic_bool *named_loopback(const struct run_address *address)
{
	return &named_loopbacks[hash_address(address) % LOOPBACKS];
}

/* Copy a slot. Returns its sequence number, which is odd if it cannot be had now. */
static unsigned int slot_read(struct slot *slot, struct pair *pair)
{
	uint64_t words[WORDS];
	unsigned int sequence;
	size_t i;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
		for (i = 0; i < WORDS; i++)
			words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (!(sequence & 1) &&
		    atomic_load_explicit(&slot->sequence, memory_order_relaxed) == sequence) {
			memcpy(pair, words, sizeof(*pair));
			return sequence;
		}
		if (tries > SPINS)
			sched_yield();
	}
	memset(pair, 0, sizeof(*pair));
	return 1;
}

/* Replace what slot_read() saw; false if somebody else has done so, or cannot be waited for. */
static bool slot_write(struct slot *slot, unsigned int seen, const struct pair *pair)
{
	uint64_t words[WORDS];
	size_t i;

	if ((seen & 1) || !atomic_compare_exchange_strong(&slot->sequence, &seen, seen + 1))
		return false;
	atomic_thread_fence(memory_order_release);
	memcpy(words, pair, sizeof(words));
	for (i = 0; i < WORDS; i++)
		atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&slot->sequence, seen + 2, memory_order_release);
	return true;
}

static bool is_at(const struct pair *pair, const struct run_address *address)
{
	return pair->time && !memcmp(&pair->address, address, sizeof(*address));
}

static bool is_of(const struct pair *pair, const char *name)
{
	return pair->time && !strcasecmp(pair->name, name);
}

static bool is_same(const struct pair *pair, const struct pair *other)
{
	return is_at(pair, &other->address) && is_of(pair, other->name);
}

/* Before the pair is gone, so that nobody sees a time without either. */
static void give_up(const struct pair *pair)
{
	const uint64_t name = hash_name(pair->name);
	uint64_t before = 0;

	if (pair->time && !atomic_compare_exchange_strong(gone_of(&pair->address), &before, name) &&
	    before != name)
		atomic_store(gone_of(&pair->address), SEVERAL);
}

/* The slot of that pair, else the one to give up for it; what it holds is in @old. */
static struct slot *choose_slot(const struct pair *wanted, struct pair *old, unsigned int *seen)
{
	struct slot *slot, *oldest = slots;
	uint64_t oldest_time = UINT64_MAX;
	unsigned int sequence;
	struct pair pair;

	memset(old, 0, sizeof(*old));
	*seen = 1;
	for (slot = slots; slot < slots + NAMES_MAX; slot++) {
		sequence = slot_read(slot, &pair);
		if (sequence & 1)
			continue;
		if (is_same(&pair, wanted)) {
			*old = pair;
			*seen = sequence;
			return slot;
		}
		if (pair.time < oldest_time) {
			oldest_time = pair.time;
			oldest = slot;
			*old = pair;
			*seen = sequence;
		}
	}
	return oldest;
}

static void add(const struct pair *pair)
{
	unsigned int seen;
	struct slot *slot;
	struct pair old;
	int tries;

	for (tries = 0; tries < NAMES_MAX; tries++) {
		slot = choose_slot(pair, &old, &seen);
		if (!is_same(&old, pair))
			give_up(&old);
		if (slot_write(slot, seen, pair))
			return;
	}
	give_up(pair);
}

static void forget_before(const char *name, uint64_t time)
{
	static const struct pair none;
	unsigned int seen;
	struct slot *slot;
	struct pair pair;

	for (slot = slots; slot < slots + NAMES_MAX; slot++) {
		seen = slot_read(slot, &pair);
		if (is_of(&pair, name) && pair.time < time) {
			give_up(&pair);
			slot_write(slot, seen, &none);
		}
	}
}

/* Names that no DNS is asked for: "localhost", and addresses. */
static bool is_own_name(const char *name)
{
	struct in6_addr address;

	return !strcasecmp(name, "localhost") || inet_pton(AF_INET, name, &address) == 1 ||
	       inet_pton(AF_INET6, name, &address) == 1;
}

void names_add(const char *name, const struct run_address *addresses, size_t n, uint64_t now)
{
	struct pair pair = { .time = now + 1 };
	size_t i, len = strlen(name);

	/* A dot at the end says that the name is complete. */
	if (len && name[len - 1] == '.')
		len--;
	if (!len || len >= NAME_SIZE)
		return;
	memcpy(pair.name, name, len);
	for (i = 0; i < n; i++) {
		pair.address = addresses[i];
		if (run_is_loopback(&pair.address) && !is_own_name(pair.name))
			atomic_store(named_loopback(&pair.address), true);
		add(&pair);
	}
	if (now > NAMES_GRACE)
		forget_before(pair.name, pair.time - NAMES_GRACE);
}

int names_find(const struct run_address *address, char name[NAME_SIZE])
{
	struct slot *slot;
	struct pair pair;
	uint64_t before;
	int found = 0;

	for (slot = slots; slot < slots + NAMES_MAX; slot++) {
		/* It may be another name of the address. */
		if (slot_read(slot, &pair) & 1)
			return -1;
		if (!is_at(&pair, address))
			continue;
		if (found && strcasecmp(name, pair.name))
			return -1;
		memcpy(name, pair.name, NAME_SIZE);
		found = 1;
	}
	before = atomic_load(gone_of(address));
	return found && before && before != hash_name(name) ? -1 : found;
}

bool names_has_other(const struct run_address *address)
{
	return run_is_loopback(address) && atomic_load(named_loopback(address));
}
