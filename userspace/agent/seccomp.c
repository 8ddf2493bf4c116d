// SPDX-License-Identifier: GPL-2.0-only
/*
 * What system calls each kind of process may use once it serves. Workers and the signer of
 * files: those in a list, which comes from traces of them, errors included. Signers for
 * tokens, whose libraries do what they like: all but those in a list, by which a process
 * reaches others, the kernel's inside, or another program. Called by confine.c, as the
 * last step.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/keyblob.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>

#include "seccomp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A system call, on condition. */
struct rule {
	int call;
	unsigned int n_args;
	struct scmp_arg_cmp args[2];
};

/* The event loop, memory, time, log lines, abort() and exit(). */
static const int common_calls[] = {
	SCMP_SYS(brk), SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(close), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex),
	SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(gettid), SCMP_SYS(gettimeofday),
	SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(munmap), SCMP_SYS(nanosleep),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(read), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sysinfo), SCMP_SYS(time), SCMP_SYS(write),
	SCMP_SYS(writev),
};

/* Without MSG_FASTOPEN, which connects; a destination only where it can be seen: none. */
static const struct rule common_rules[] = {
	{ SCMP_SYS(mmap), 1, { SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) } },
	{ SCMP_SYS(mprotect), 1, { SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) } },
	{ SCMP_SYS(sendmsg), 1, { SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) } },
	{ SCMP_SYS(sendto), 2, { SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0),
				 SCMP_A4(SCMP_CMP_EQ, 0) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFD) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_SETFD) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_GETFL) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_SETFL) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC) } },
};

static const int worker_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
};

static const struct rule worker_rules[] = {
	{ SCMP_SYS(setsockopt), 2, { SCMP_A1(SCMP_CMP_EQ, SOL_TCP),
				     SCMP_A2(SCMP_CMP_EQ, TCP_ULP) } },
	{ SCMP_SYS(setitimer), 1, { SCMP_A0(SCMP_CMP_EQ, ITIMER_REAL) } },
	{ SCMP_SYS(setsockopt), 1, { SCMP_A1(SCMP_CMP_EQ, SOL_KEYBLOB) } },
};

/* What a token's library has no business with. */
static const int forbidden_calls[] = {
	/* other processes: those of the same user, the other signers, above all */
	SCMP_SYS(ioprio_set), SCMP_SYS(kcmp), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(process_madvise),
	SCMP_SYS(process_mrelease), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(ptrace), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr), SCMP_SYS(sched_setparam),
	SCMP_SYS(sched_setscheduler), SCMP_SYS(setpriority), SCMP_SYS(tkill),
	/* other programs */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(uselib), SCMP_SYS(vfork),
	/* another view of the file system */
	SCMP_SYS(chroot), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fsopen),
	SCMP_SYS(fspick), SCMP_SYS(mount), SCMP_SYS(mount_setattr), SCMP_SYS(move_mount),
	SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at), SCMP_SYS(open_tree),
	SCMP_SYS(pivot_root), SCMP_SYS(setns), SCMP_SYS(umount), SCMP_SYS(umount2),
	SCMP_SYS(unshare),
	/* the kernel's inside */
	SCMP_SYS(acct), SCMP_SYS(add_key), SCMP_SYS(bpf), SCMP_SYS(delete_module),
	SCMP_SYS(fanotify_init), SCMP_SYS(finit_module), SCMP_SYS(init_module),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(io_uring_setup),
	SCMP_SYS(ioperm), SCMP_SYS(iopl), SCMP_SYS(kexec_file_load), SCMP_SYS(kexec_load),
	SCMP_SYS(keyctl), SCMP_SYS(lookup_dcookie), SCMP_SYS(modify_ldt),
	SCMP_SYS(perf_event_open), SCMP_SYS(personality), SCMP_SYS(quotactl), SCMP_SYS(reboot),
	SCMP_SYS(request_key), SCMP_SYS(setdomainname), SCMP_SYS(sethostname),
	SCMP_SYS(swapoff), SCMP_SYS(swapon), SCMP_SYS(syslog), SCMP_SYS(userfaultfd),
	SCMP_SYS(vhangup),
};

/*
 * Processes are made without that flag, threads with it. A descriptor with an owner would
 * signal that one; limits are a process's own, called by 0.
 */
static const struct rule forbidden_rules[] = {
	{ SCMP_SYS(clone), 1, { SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_SETOWN) } },
	{ SCMP_SYS(fcntl), 1, { SCMP_A1(SCMP_CMP_EQ, F_SETOWN_EX) } },
	{ SCMP_SYS(ioctl), 1, { SCMP_A1(SCMP_CMP_EQ, FIOSETOWN) } },
	{ SCMP_SYS(ioctl), 1, { SCMP_A1(SCMP_CMP_EQ, SIOCSPGRP) } },
	{ SCMP_SYS(ioctl), 1, { SCMP_A1(SCMP_CMP_EQ, TIOCSTI) } },
	{ SCMP_SYS(prctl), 1, { SCMP_A0(SCMP_CMP_EQ, PR_SET_DUMPABLE) } },
	{ SCMP_SYS(prctl), 1, { SCMP_A0(SCMP_CMP_EQ, PR_SET_PTRACER) } },
	{ SCMP_SYS(prlimit64), 1, { SCMP_A0(SCMP_CMP_NE, 0) } },
};

static int add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n_calls,
	       const struct rule *rules, size_t n_rules)
{
	int err = 0;

	for (size_t i = 0; !err && i < n_calls; i++)
		err = seccomp_rule_add(filter, action, calls[i], 0);
	for (size_t i = 0; !err && i < n_rules; i++)
		err = seccomp_rule_add_array(filter, action, rules[i].call, rules[i].n_args,
					     rules[i].args);
	return err;
}

static int allow_listed(scmp_filter_ctx filter, enum confinement confinement)
{
	int err;

	err = add(filter, SCMP_ACT_ALLOW, common_calls, COUNT(common_calls), common_rules,
		  COUNT(common_rules));
	if (!err)	/* abort() */
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, getpid()));
	if (!err && confinement == CONFINE_WORKER)
		err = add(filter, SCMP_ACT_ALLOW, worker_calls, COUNT(worker_calls), worker_rules,
			  COUNT(worker_rules));
	return err;
}

static int forbid_listed(scmp_filter_ctx filter)
{
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	int err;

	err = add(filter, refuse, forbidden_calls, COUNT(forbidden_calls), forbidden_rules,
		  COUNT(forbidden_rules));
	if (!err)
		err = seccomp_rule_add(filter, refuse, SCMP_SYS(kill), 1,
				       SCMP_A0(SCMP_CMP_NE, getpid()));
	if (!err)
		err = seccomp_rule_add(filter, refuse, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_NE, getpid()));
	/* Its flags are out of a filter's sight. The C library goes back to clone(2). */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return err;
}

bool seccomp_available(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) && errno == EFAULT;
}

int seccomp_install(enum confinement confinement)
{
	const bool forbid = confinement == CONFINE_TOKEN_SIGNER;
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx filter;
	int err;

	filter = seccomp_init(forbid ? SCMP_ACT_ALLOW : refuse);
	if (!filter)
		return -ENOMEM;
	err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, refuse);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = forbid ? forbid_listed(filter) : allow_listed(filter, confinement);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
