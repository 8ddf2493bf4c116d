// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order in which a process gives up its powers: each step needs some of those that a
 * later one takes. Called by workers and signers when they have set up, before the first
 * byte from outside.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "confine.h"
#include "landlock.h"
#include "log.h"
#include "seccomp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct user {
	uid_t uid;
	gid_t gid;
	bool known;		/* the system knows it, and what groups it is in */
};

/* As whom to run: @setting, or if it is not given @name, or else @number. */
static int find_user(const struct setting *setting, const char *name, uid_t number,
		     struct user *user)
{
	const struct passwd *entry;

	user->uid = number;
	if (setting->value) {
		if (account_user(setting, &user->uid))
			return -1;
	} else {
		entry = getpwnam(name);
		if (entry)
			user->uid = entry->pw_uid;
	}
	entry = getpwuid(user->uid);
	user->known = entry;
	user->gid = entry ? entry->pw_gid : user->uid;
	return 0;
}

/*
 * What is allocated from now on will be locked, too (memory.h), and that would fail at the
 * limit once CAP_IPC_LOCK is gone: no limit, or no lock.
 */
static void lift_lock_limit(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &none) && !munlockall())
		log_detail("memory is not locked: RLIMIT_MEMLOCK is too low, and cannot be raised "
			   "without CAP_SYS_RESOURCE");
}

static int set_limits(enum confinement confinement)
{
	const struct rlimit none = { 0, 0 };
	struct stat st;

	if (setrlimit(RLIMIT_CORE, &none))
		return -1;
	if (confinement == CONFINE_TOKEN_SIGNER)
		return 0;
	if (setrlimit(RLIMIT_NPROC, &none))
		return -1;
	/* The log may be a file. */
	if (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode))
		return 0;
	return setrlimit(RLIMIT_FSIZE, &none);
}

static int enter(const char *directory)
{
	int fd, err;

	fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	err = rmdir(directory);
	if (fd < 0)
		return -1;
	if (!err)
		err = fchdir(fd) || chroot(".");
	close(fd);
	return err ? -1 : 0;
}

/* A directory that has been removed: it is empty, and nothing can be made in it. */
static int empty_root(void)
{
	static const char *const parents[] = { "/run", "/tmp", "/dev/shm" };
	char path[40];

	for (size_t i = 0; i < COUNT(parents); i++) {
		snprintf(path, sizeof(path), "%s/keyblobd.XXXXXX", parents[i]);
		if (mkdtemp(path))
			return enter(path);
	}
	return -1;
}

/* The bounding set and the secure bits want CAP_SETPCAP, which an ordinary user has not. */
static int drop_privileges(enum confinement confinement, const struct user *user)
{
	capng_flags_t groups = CAPNG_DROP_SUPP_GRP;

	capng_clear(CAPNG_SELECT_BOTH);
	if (!user)
		return capng_apply(CAPNG_SELECT_CAPS);

	/* By its groups, a token's user may get at the token. */
	if (confinement == CONFINE_TOKEN_SIGNER && user->known)
		groups = CAPNG_INIT_SUPP_GRP;
	if (capng_lock())
		return -1;
	return capng_change_id(user->uid, user->gid, groups | CAPNG_CLEAR_BOUNDING);
}

/* The kernel forgets both when the user changes. */
static int bind_to_parent(pid_t parent)
{
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -1;
	return getppid() == parent ? 0 : -1;
}

/* For a tail call. */
static int fail(const char *step, const char *remedy)
{
	log_error("cannot confine this process, %s: %m%s", step, remedy);
	return -1;
}

int confine(enum confinement confinement, const struct config *config)
{
	const bool files = confinement == CONFINE_TOKEN_SIGNER, root = !geteuid();
	const pid_t parent = getppid();
	struct user user;
	int err;

	if (root) {
		err = confinement == CONFINE_WORKER ?
			find_user(&config->worker_user, WORKER_USER, WORKER_UID, &user) :
			find_user(&config->signer_user, SIGNER_USER, SIGNER_UID, &user);
		if (err)
			return -1;
		lift_lock_limit();
	}
	if (set_limits(confinement))
		return fail("limits", "");
	if (root && !files && empty_root())
		return fail("empty root directory",
			    "; it wants CAP_SYS_CHROOT, and to write to /run, /tmp or /dev/shm");
	errno = 0;
	if (drop_privileges(confinement, root ? &user : NULL))
		return fail("user and capabilities",
			    "; it wants CAP_SETUID, CAP_SETGID and CAP_SETPCAP");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail("no new privileges", "");
	if (bind_to_parent(parent))
		return fail("parent", "; is the supervisor gone?");
	if (!files && landlock_available()) {
		errno = -landlock_install();
		if (errno)
			return fail("Landlock", "");
	}
	if (seccomp_available()) {
		errno = -seccomp_install(confinement);
		if (errno)
			return fail("system call filter", "");
	}
	return 0;
}

void confine_survey(void)
{
	if (!landlock_available())
		log_notice("this kernel has no Landlock, or has it switched off: one layer of "
			   "confinement less");
	if (!seccomp_available())
		log_notice("this kernel has no system call filters (seccomp): one layer of "
			   "confinement less");
	if (geteuid())
		log_detail("not started by root: all processes keep its user");
}
