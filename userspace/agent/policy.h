/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which local user may use which identity in which role.
 */
#ifndef KEYBLOBD_POLICY_H
#define KEYBLOBD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config.h"

/* An application, as the kernel vouches for it: SO_PEERCRED, SO_PEERGROUPS. */
struct credentials {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* supplementary; owned */
	size_t n_groups;
	char *cgroup;		/* path of cgroup v2, "/system.slice/..."; NULL: not looked up */
};

enum role { ROLE_SERVER, ROLE_CLIENT };

/* The rules with their names looked up: users and groups as numbers. */
struct policy;

/* -1 (NULL) after a message: a user or group that does not exist. */
struct policy *policy_new(const struct config *config);
void policy_free(struct policy *policy);

/* Whether a rule looks at cgroups, so that credentials need one. */
bool policy_needs_cgroup(const struct policy *policy);

/*
 * The credentials of who is at the other end of UNIX socket @fd, without the cgroup. 0, or a
 * negative errno.
 */
int credentials_read(struct credentials *credentials, int fd);
void credentials_free(struct credentials *credentials);

/*
 * May @who take @role as identity number @identity (-1: a client without one)? On false,
 * *@rule names the rule that decided: that of a deny rule, or the default's text.
 */
bool policy_allows(const struct policy *policy, const struct credentials *who, enum role role,
		   ssize_t identity, const char **rule);

/* What an application may do, to be asked when it is known what it would need. */
struct permission {
	const struct policy *policy;
	const struct credentials *who;
};

/* May @who ask for a reload? Root and the agent's own user may. */
bool policy_allows_admin(const struct policy *policy, const struct credentials *who);

#endif
