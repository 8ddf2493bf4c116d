// SPDX-License-Identifier: GPL-2.0-only
/*
 * Identities, access rules and limits, in this order. Called by client.c and
 * kernel_requests.c for each request.
 */
#include <errno.h>

#include "admission.h"
#include "counters.h"
#include "log.h"

/* The identity named @name, if one is named. */
static bool find_identity(const struct worker *worker, const char *name,
			  struct handshake_params *params, struct handshake_result *refused)
{
	params->identity = NO_IDENTITY;
	if (name) {
		params->identity = config_find_identity(worker->config, name);
		if (params->identity == NO_IDENTITY) {
			handshake_result_fail(refused, ENOENT, "no identity is named \"%.200s\"",
					      name);
			return false;
		}
	} else if (params->role == ROLE_CLIENT) {
		params->identity = worker->env.client_identity;
	}
	return true;
}

/* What the policy says; a server that names no identity may be any that it may be. */
static bool is_allowed(const struct worker *worker, const struct credentials *who,
		       const struct handshake_params *params, const char **rule)
{
	const size_t count = params->role == ROLE_SERVER && params->identity == NO_IDENTITY ?
			     worker->env.identities.count : 0;

	for (size_t i = 0; i < count; i++)
		if (policy_allows(worker->policy, who, params->role, i, rule))
			return true;
	return !count && policy_allows(worker->policy, who, params->role, params->identity, rule);
}

static bool check_permission(const struct worker *worker, const struct credentials *who,
			     const char *identity, const struct handshake_params *params,
			     struct handshake_result *refused)
{
	const char *role = params->role == ROLE_SERVER ? "server" : "client";
	const char *rule = "";

	if (is_allowed(worker, who, params, &rule))
		return true;
	handshake_result_fail(refused, EACCES, "user %u may not be a TLS %s%s%.100s: %s",
			      (unsigned int)who->uid, role, identity ? " as " : "",
			      identity ? identity : "", rule);
	log_notice("process %d refused: %s", (int)who->pid, refused->reason);
	count_up(COUNT_REFUSED);
	return false;
}

bool admit(struct worker *worker, const struct credentials *who, struct user *user,
	   const char *identity, struct handshake_params *params,
	   struct handshake_result *refused)
{
	if (!find_identity(worker, identity, params, refused) ||
	    !check_permission(worker, who, identity, params, refused))
		return false;
	if (!flights_admit(&worker->flights, user, refused)) {
		count_up(COUNT_BUSY);
		return false;
	}
	params->permission = (struct permission){ worker->policy, who };
	return true;
}
