// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wiping allocator and the stack scrubber. SSL_free() does not cleanse the
 * SSL object, which holds the traffic secrets and IVs, and OpenSSL as a whole
 * cleanses what its authors thought of: therefore everything it frees is wiped.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "log.h"
#include "memory.h"

/*
 * Handshakes run in fibers: on the stack of the process, secrets are only freed, and asked
 * for and signed in a signer. 13 KiB were measured with OpenSSL 3.0 for whole handshakes.
 */
#define STACK_DEPTH (32 * 1024)

/* memset(3) does longer ones byte by byte, in one instruction, which not all CPUs do fast. */
#define WIPE_STEP 1024

/* OpenSSL's jobs have stacks of 32 KiB; the rest is for the frames above. */
#define FIBER_DEPTH (28 * 1024)

/* The longest block of the heap for which memset(3) is not worth the call. */
#define INLINE_MAX 256

_Static_assert(sizeof(size_t) == 8, "malloc_usable_size(3) says multiples of 8");

/*
 * Without a call, of memory that is aligned as malloc(3) aligns, and of a size that is
 * a multiple of 8.
 */
static inline void wipe_inline(void *ptr, size_t size)
{
	typedef long long pair __attribute__((vector_size(16), may_alias));
	typedef long long word __attribute__((may_alias));
	const size_t n = size / sizeof(pair);
	volatile pair *p = ptr;

#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++)
		p[i] = (pair){ 0 };
	if (size % sizeof(pair))
		*(volatile word *)(p + n) = 0;
}

static void wipe(void *ptr, size_t size)
{
	unsigned char *p = ptr;

	for (; size > WIPE_STEP; size -= WIPE_STEP, p += WIPE_STEP)
		explicit_bzero(p, WIPE_STEP);
	explicit_bzero(p, size);
}

static void *wiping_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void wiping_free(void *ptr, const char *file, int line)
{
	(void)file;
	(void)line;
	memory_free(ptr);
}

/* realloc(3) would leave the old copy behind when it moves. */
static void *wiping_realloc(void *old, size_t size, const char *file, int line)
{
	size_t old_size;
	void *new;

	(void)file;
	(void)line;
	if (!old)
		return malloc(size);
	if (!size) {
		memory_free(old);
		return NULL;
	}

	new = malloc(size);
	if (!new)
		return NULL;
	old_size = malloc_usable_size(old);
	memcpy(new, old, old_size < size ? old_size : size);
	memory_free(old);
	return new;
}

int memory_init(void)
{
	return CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free) ? 0 : -1;
}

void memory_harden(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}

void memory_lock(void)
{
	struct rlimit limit;

	/* Under a finite limit, allocations to come would fail instead. */
	if (geteuid() && (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY)) {
		log_detail("memory is not locked: RLIMIT_MEMLOCK is too low");
		return;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		log_detail("memory is not locked: %m");
}

void *memory_zalloc(size_t size)
{
	return calloc(1, size);
}

void memory_free(void *ptr)
{
	size_t size;

	if (!ptr)
		return;
	size = malloc_usable_size(ptr);
	if (size <= INLINE_MAX)
		wipe_inline(ptr, size);
	else
		wipe(ptr, size);
	free(ptr);
}

#if defined(__has_attribute) && __has_attribute(zero_call_used_regs)
#define SCRUBS __attribute__((noinline, zero_call_used_regs("all")))
#else
#define SCRUBS __attribute__((noinline))
#endif

SCRUBS void memory_scrub_stack(void)
{
	_Alignas(16) unsigned char dead[STACK_DEPTH];

	wipe_inline(dead, sizeof(dead));
}

/* No call: it may be the first, and the dynamic linker needs kilobytes to resolve it. */
SCRUBS void memory_scrub_fiber(void)
{
	_Alignas(16) unsigned char dead[FIBER_DEPTH];

	wipe_inline(dead, sizeof(dead));
	__asm__ volatile("" : : "r"(dead) : "memory");
}
