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
 * More than the stack of a handshake: 13 KiB were measured with OpenSSL 3.0,
 * RSA-4096, ECDSA, P-521, X25519 and ffdhe2048; leave room for later versions
 * and their post-quantum groups.
 */
#define STACK_DEPTH (128 * 1024)

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
	if (!ptr)
		return;
	explicit_bzero(ptr, malloc_usable_size(ptr));
	free(ptr);
}

#if defined(__has_attribute) && __has_attribute(zero_call_used_regs)
__attribute__((zero_call_used_regs("all")))
#endif
__attribute__((noinline)) void memory_scrub_stack(void)
{
	unsigned char dead[STACK_DEPTH];

	explicit_bzero(dead, sizeof(dead));
}
