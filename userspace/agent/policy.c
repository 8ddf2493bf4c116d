// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules. Made from the configuration while names can still be looked up, before
 * the process is confined and its user changed; asked for each request.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account.h"
#include "log.h"
#include "policy.h"

struct rule {
	char *text;		/* "[deny NAME] at FILE:LINE" */
	uid_t *users;
	gid_t *groups;
	ssize_t *identities;
	size_t n_users, n_groups, n_identities;
	const struct settings *cgroups;
	bool role[2];		/* by enum role */
	bool deny;
};

struct policy {
	struct rule *rules;
	size_t count;
	uid_t own_user;
	gid_t group;		/* of the socket */
};

static const char default_text[] =
	"there are no rules, hence only root, the agent's user and the socket's group are served";
static const char no_rule_text[] = "no rule allows it";

static int look_up_users(struct rule *rule, const struct settings *names)
{
	int err = 0;

	rule->users = calloc(names->count + 1, sizeof(*rule->users));
	if (!rule->users)
		return -1;
	for (size_t i = 0; i < names->count; i++)
		err |= account_user(&names->list[i], &rule->users[rule->n_users++]);
	return err;
}

static int look_up_groups(struct rule *rule, const struct settings *names)
{
	int err = 0;

	rule->groups = calloc(names->count + 1, sizeof(*rule->groups));
	if (!rule->groups)
		return -1;
	for (size_t i = 0; i < names->count; i++)
		err |= account_group(&names->list[i], &rule->groups[rule->n_groups++]);
	return err;
}

static int look_up_identities(struct rule *rule, const struct config *config,
			      const struct settings *names)
{
	rule->identities = calloc(names->count + 1, sizeof(*rule->identities));
	if (!rule->identities)
		return -1;
	/* config_check() has seen to it that they exist. */
	for (size_t i = 0; i < names->count; i++)
		rule->identities[rule->n_identities++] =
			config_find_identity(config, names->list[i].value);
	return 0;
}

static int make_rule(struct rule *rule, const struct config *config,
		     const struct rule_config *from)
{
	int err;

	rule->cgroups = &from->cgroups;
	rule->role[ROLE_SERVER] = from->server;
	rule->role[ROLE_CLIENT] = from->client;
	rule->deny = from->deny;
	if (asprintf(&rule->text, "[%s %s] at %s:%u", from->deny ? "deny" : "allow", from->name,
		     basename(config->path), from->line) < 0) {
		rule->text = NULL;
		return -1;
	}
	err = look_up_users(rule, &from->users);
	err |= look_up_groups(rule, &from->groups);
	err |= look_up_identities(rule, config, &from->identities);
	return err;
}

struct policy *policy_new(const struct config *config)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int err = 0;

	if (!policy)
		goto err;
	policy->rules = calloc(config->n_rules + 1, sizeof(*policy->rules));
	if (!policy->rules)
		goto err;
	policy->own_user = geteuid();
	policy->group = getegid();
	if (config->group.value)
		err = account_group(&config->group, &policy->group);
	while (policy->count < config->n_rules) {
		size_t i = policy->count++;

		err |= make_rule(&policy->rules[i], config, &config->rules[i]);
	}
	if (!err)
		return policy;
err:
	log_error("the access rules cannot be used");
	policy_free(policy);
	return NULL;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->count; i++) {
		free(policy->rules[i].text);
		free(policy->rules[i].users);
		free(policy->rules[i].groups);
		free(policy->rules[i].identities);
	}
	free(policy->rules);
	free(policy);
}

bool policy_needs_cgroup(const struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++)
		if (policy->rules[i].cgroups->count)
			return true;
	return false;
}

int credentials_read(struct credentials *credentials, int fd)
{
	socklen_t len = sizeof(struct ucred);
	struct ucred peer;
	int err;

	*credentials = (struct credentials){ 0 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	credentials->pid = peer.pid;
	credentials->uid = peer.uid;
	credentials->gid = peer.gid;

	/* Told how much it takes, at first. */
	len = 0;
	while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, credentials->groups, &len)) {
		err = errno;
		free(credentials->groups);
		credentials->groups = NULL;
		if (err != ERANGE)
			return -err;
		credentials->groups = malloc(len);
		if (!credentials->groups)
			return -ENOMEM;
	}
	credentials->n_groups = len / sizeof(*credentials->groups);
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	free(credentials->groups);
	free(credentials->cgroup);
	*credentials = (struct credentials){ 0 };
}

static bool is_member(const struct credentials *who, gid_t group)
{
	if (who->gid == group)
		return true;
	for (size_t i = 0; i < who->n_groups; i++)
		if (who->groups[i] == group)
			return true;
	return false;
}

/* Of each list that is given, one must fit. */

static bool user_fits(const struct rule *rule, const struct credentials *who)
{
	for (size_t i = 0; i < rule->n_users; i++)
		if (rule->users[i] == who->uid)
			return true;
	return !rule->n_users;
}

static bool group_fits(const struct rule *rule, const struct credentials *who)
{
	for (size_t i = 0; i < rule->n_groups; i++)
		if (is_member(who, rule->groups[i]))
			return true;
	return !rule->n_groups;
}

static bool identity_fits(const struct rule *rule, ssize_t identity)
{
	for (size_t i = 0; i < rule->n_identities; i++)
		if (rule->identities[i] == identity)
			return true;
	return !rule->n_identities;
}

/* @path is @top or beneath it; a slash at the end of @top means nothing. */
static bool is_beneath(const char *path, const char *top)
{
	size_t len = strlen(top);

	while (len && top[len - 1] == '/')
		len--;
	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* Of whom no path is known, a rule that denies may mean, and one that allows does not. */
static bool cgroup_fits(const struct rule *rule, const char *cgroup)
{
	if (rule->cgroups->count && (!cgroup || !*cgroup))
		return rule->deny;
	for (size_t i = 0; i < rule->cgroups->count; i++)
		if (is_beneath(cgroup, rule->cgroups->list[i].value))
			return true;
	return !rule->cgroups->count;
}

static bool fits(const struct rule *rule, const struct credentials *who, enum role role,
		 ssize_t identity)
{
	return rule->role[role] && user_fits(rule, who) && group_fits(rule, who) &&
	       cgroup_fits(rule, who->cgroup) && identity_fits(rule, identity);
}

bool policy_allows(const struct policy *policy, const struct credentials *who, enum role role,
		   ssize_t identity, const char **rule)
{
	for (size_t i = 0; i < policy->count; i++) {
		if (!fits(&policy->rules[i], who, role, identity))
			continue;
		*rule = policy->rules[i].text;
		return !policy->rules[i].deny;
	}
	if (policy->count) {
		*rule = no_rule_text;
		return false;
	}
	*rule = default_text;
	return !who->uid || who->uid == policy->own_user || is_member(who, policy->group);
}

bool policy_allows_admin(const struct policy *policy, const struct credentials *who)
{
	return !who->uid || who->uid == policy->own_user;
}
