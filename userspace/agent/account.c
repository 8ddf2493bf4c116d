// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking up users and groups. Called before a process is confined, by whoever needs
 * their numbers.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "account.h"

/* The last number is no user's: (uid_t)-1. */
static int parse_number(const char *text, unsigned int *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || !isdigit((unsigned char)*text) || *end || value >= (uid_t)-1)
		return -1;
	*number = value;
	return 0;
}

int account_user(const struct setting *name, uid_t *uid)
{
	const struct passwd *user = getpwnam(name->value);

	if (user) {
		*uid = user->pw_uid;
		return 0;
	}
	if (!parse_number(name->value, uid))
		return 0;
	config_fault(name, "there is no user %s; create it, or name another", name->value);
	return -1;
}

int account_group(const struct setting *name, gid_t *gid)
{
	const struct group *group = getgrnam(name->value);

	if (group) {
		*gid = group->gr_gid;
		return 0;
	}
	if (!parse_number(name->value, gid))
		return 0;
	config_fault(name, "there is no group %s; create it, or name another", name->value);
	return -1;
}
