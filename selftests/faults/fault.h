/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations of the kernel that fail, one after the other, and copies from and to user
 * space: in a system call of this thread (fail-nth), or wherever the module has called for
 * them (failslab). See Documentation/fault-injection of the kernel.
 */
#ifndef SELFTESTS_FAULT_H
#define SELFTESTS_FAULT_H

#include <stdbool.h>

struct fault {
	int fd;			/* fail-nth of this thread */
	unsigned int nth;	/* which allocation of the call fails */
	unsigned int left;	/* how many more it would have taken */
	bool hit;		/* none: it failed */
	unsigned int refused;	/* calls that failed because of it */
};

/* fault_missing() - why no fault can be had here; NULL: they can, and are prepared */
const char *fault_missing(void);

/* fault_init() - for this thread; 0 or a negative errno */
int fault_init(struct fault *f);

/* fault_arm(), fault_disarm() - around a call that returned @ret: the next allocation */
void fault_arm(struct fault *f);
void fault_disarm(struct fault *f, long ret);

/* fault_call() - its value; with f->nth of 0 before the first one, until f->hit is false */
#define fault_call(f, call) ({			\
	long _ret;				\
						\
	fault_arm(f);				\
	_ret = (call);				\
	fault_disarm(f, _ret);			\
	_ret;					\
})

/* fault_report() - say how many there were, and begin anew */
void fault_report(struct fault *f, const char *what);

/*
 * fault_within() - from now on, count only what @function of the kernel has called for;
 * NULL: whatever the call does. 0 or a negative errno.
 */
int fault_within(const char *function);

/*
 * fault_anywhere() - of the allocations that have the module's code on their stack, in
 * any context, @percent fail from now on; 0: none. 0 or a negative errno.
 */
int fault_anywhere(unsigned int percent);

/* is_fault() - is this what a call says that has met a fault? */
bool is_fault(long ret);

#endif
