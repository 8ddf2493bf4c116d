// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fibers are jobs of OpenSSL, which keeps finished ones, with their stacks, for the next:
 * therefore the stack is wiped from inside, as the last thing that a job does.
 */
#include <openssl/async.h>
#include <openssl/err.h>

#include "fiber.h"
#include "memory.h"

struct fiber {
	ASYNC_JOB *job;		/* paused, or running; NULL: none */
	fiber_main main;
	void *main_arg;
	fiber_wake wake;
	void *wake_arg;
	bool aborted;
};

static struct fiber *current;

/* Jobs must have one. We wake by other means than descriptors, and all share it. */
static ASYNC_WAIT_CTX *wait_ctx;

struct fiber *fiber_new(fiber_wake wake, void *arg)
{
	struct fiber *fiber;

	if (!wait_ctx) {
		if (!ASYNC_is_capable())
			return NULL;
		wait_ctx = ASYNC_WAIT_CTX_new();
		if (!wait_ctx)
			return NULL;
	}
	fiber = memory_zalloc(sizeof(*fiber));
	if (!fiber)
		return NULL;
	fiber->wake = wake;
	fiber->wake_arg = arg;
	return fiber;
}

void fiber_free(struct fiber *fiber)
{
	memory_free(fiber);
}

static int run_job(void *arg)
{
	struct fiber *fiber = *(struct fiber **)arg;

	fiber->main(fiber->main_arg);
	memory_scrub_fiber();
	return 0;
}

enum fiber_state fiber_run(struct fiber *fiber, fiber_main main, void *arg)
{
	int status, ret;

	if (!fiber->job) {
		fiber->main = main;
		fiber->main_arg = arg;
		fiber->aborted = false;
	}
	ERR_clear_error();
	current = fiber;
	status = ASYNC_start_job(&fiber->job, wait_ctx, &ret, run_job, &fiber, sizeof(fiber));
	current = NULL;
	if (status == ASYNC_PAUSE)
		return FIBER_PAUSED;
	return status == ASYNC_FINISH ? FIBER_DONE : FIBER_FAILED;
}

struct fiber *fiber_current(void)
{
	return current;
}

void fiber_pause(void)
{
	if (!current->aborted)
		ASYNC_pause_job();
}

bool fiber_is_aborted(const struct fiber *fiber)
{
	return fiber->aborted;
}

void fiber_abort(struct fiber *fiber)
{
	if (!fiber->job)
		return;
	fiber->aborted = true;
	fiber_run(fiber, NULL, NULL);
}

void fiber_ready(struct fiber *fiber)
{
	fiber->wake(fiber->wake_arg);
}
