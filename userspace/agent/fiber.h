/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * OpenSSL's handshake in a job of its own (ASYNC_start_job(3)), so that it can pause inside
 * a private-key operation while others go on.
 */
#ifndef KEYBLOBD_FIBER_H
#define KEYBLOBD_FIBER_H

#include <stdbool.h>

struct fiber;

/* What is run in a fiber. */
typedef void (*fiber_main)(void *arg);

/* Called from the event loop when a paused fiber may go on. */
typedef void (*fiber_wake)(void *arg);

enum fiber_state { FIBER_DONE, FIBER_PAUSED, FIBER_FAILED /* out of memory, nothing was run */ };

/* @wake(@arg) is called after fiber_ready(). NULL: out of memory. */
struct fiber *fiber_new(fiber_wake wake, void *arg);

/* No run of it may be paused, see fiber_abort(). */
void fiber_free(struct fiber *fiber);

/*
 * Run @main(@arg) in @fiber until it returns or pauses; if it is paused, let it go on
 * (@main and @arg are then those of before). Its stack is wiped when @main has returned.
 * Not to be called in a fiber. OpenSSL's error queue, one for all, is cleared first: what
 * is there afterwards is of @fiber alone.
 */
enum fiber_state fiber_run(struct fiber *fiber, fiber_main main, void *arg);

/* The fiber that the caller runs in; NULL: none. */
struct fiber *fiber_current(void);

/*
 * From inside: give way until fiber_run() is called again, for whatever reason: look
 * whether what was waited for has come. In a fiber that is being aborted, returns at once.
 */
void fiber_pause(void);

/* Whether the caller should give up what it wanted to pause for. */
bool fiber_is_aborted(const struct fiber *fiber);

/*
 * From outside, if @fiber is paused: have what it waits for fail, and run it to the end
 * of its main. A job of OpenSSL cannot be freed halfway.
 */
void fiber_abort(struct fiber *fiber);

/* From outside: what the paused @fiber waits for has come. */
void fiber_ready(struct fiber *fiber);

#endif
