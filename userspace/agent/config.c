// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration as a whole: its defaults, what is wrong with it, its end. Called by
 * options.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "account.h"
#include "config.h"
#include "log.h"
#include "protocol.h"
#include "tickets.h"

#define WORKERS_DEFAULT_MAX	256	/* the most that the key takes, too */

int config_init(struct config *config)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*config = (struct config){
		.listen = strdup(KEYBLOB_AGENT_PATH),
		.mode = 0660,
		.workers = cpus < 1 ? 1 : cpus > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : cpus,
		.max_handshakes = 1000,
		.max_handshakes_per_user = 500,
		.worker_lifetime = 1000000,
		.kernel_requests = true,
		.timeout_ms = 10000,
		.log_target = LOG_TO_STDERR,
		.log_level = LEVEL_NOTICE,
		.min_tls = TLS1_2_VERSION,
		.max_tls = TLS1_3_VERSION,
		.tickets = true,
		.ticket_lifetime = 7200,
		.ticket_rotation = 3600,
		.servers.trust = {
			.value = strdup("system"), .name = "trust", .file = "default",
		},
	};
	if (config->listen && config->servers.trust.value)
		return 0;
	log_error("out of memory");
	return -1;
}

/* Passed over by config_fault(), up to the next attribute: RFC 7512 2.4. */
static const char pin_attribute[] = "pin-value=";

void config_fault(const struct setting *setting, const char *format, ...)
{
	const char *value = setting->value ? setting->value : "", *pin, *rest = "";
	const char *name = setting->name ? setting->name : "";
	char where[300] = "", reason[400];
	int shown = strlen(value);
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);

	pin = strstr(value, pin_attribute);
	if (pin) {
		shown = pin + strlen(pin_attribute) - value;
		rest = "...";
	} else if (shown > 80) {
		shown = 80;
		rest = "...";
	}
	if (setting->line)
		snprintf(where, sizeof(where), "%s:%u: ", setting->file, setting->line);
	else if (setting->file)
		snprintf(where, sizeof(where), "%s: ", setting->file);
	log_error("%s%s%s%s%.*s%s%s%s", where, setting->file || !*name ? "" : "--", name,
		  *name && shown ? " " : "", shown, value, rest, *name || shown ? ": " : "",
		  reason);
}

void config_forget_pin(struct setting *key)
{
	char *pin = key->value ? strstr(key->value, pin_attribute) : NULL;

	if (pin)
		explicit_bzero(pin, strlen(pin));
}

ssize_t config_find_identity(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_identities; i++)
		if (!strcmp(config->identities[i].name, name))
			return i;
	return -1;
}

/* Say that what @line opened is wrong; a heading, or an option of the command line. */
static int identity_fault(const struct config *config, const struct identity_config *id,
			  const char *reason)
{
	char heading[80];

	snprintf(heading, sizeof(heading), "[identity %s]", id->name);
	config_fault(&(struct setting){ .value = heading, .file = config->path, .line = id->line },
		     "%s", reason);
	return 1;
}

static int check_pair(const struct config *config, const struct identity_config *id)
{
	if (!id->line && !id->key.value) {
		config_fault(&id->certificate, "it has no key; give --key FILE after it");
		return 1;
	}
	if (!id->line && !id->certificate.value) {
		config_fault(&id->key, "it has no certificate; give --cert FILE with it");
		return 1;
	}
	if (!id->key.value)
		return identity_fault(config, id, "there is no key; give key = FILE");
	if (!id->certificate.value)
		return identity_fault(config, id, "there is no certificate; give "
				      "certificate = FILE");
	return 0;
}

static int check_client_auth(const struct config *config, const struct identity_config *id)
{
	const struct trust_config *clients = &id->clients;

	if (id->client_auth != CLIENT_AUTH_NONE)
		return clients->trust.value ? 0 :
			identity_fault(config, id, "nothing to check client-certificates against; "
				       "give trust = FILE");
	if (!clients->trust.value && !clients->crl.value)
		return 0;
	config_fault(clients->trust.value ? &clients->trust : &clients->crl,
		     "clients are not asked for certificates; give client-certificates too");
	return 1;
}

static int check_identities(const struct config *config)
{
	bool has_default = false;
	int faults = 0;

	for (size_t i = 0; i < config->n_identities; i++) {
		const struct identity_config *id = &config->identities[i];

		faults += check_pair(config, id) + check_client_auth(config, id);
		if (id->is_default && has_default)
			faults += identity_fault(config, id, "another identity is the default");
		has_default |= id->is_default;
	}
	return faults;
}

static int check_identity_name(const struct config *config, const struct setting *name)
{
	if (config_find_identity(config, name->value) >= 0)
		return 0;
	config_fault(name, "there is no section [identity %s]", name->value);
	return 1;
}

/* The oldest of the keys made in memory is to open the last ticket that it sealed. */
static int check_tickets(const struct config *config)
{
	const unsigned int longest = config->ticket_rotation * (TICKET_KEYS_MAX - 1);
	struct setting where = { .file = config->path, .line = config->ticket_line };

	if (!config->tickets || config->ticket_keys.count || config->ticket_lifetime <= longest)
		return 0;
	config_fault(&where, "tickets of %u s would outlive their keys; give a lifetime of at most "
		     "%u, or a longer rotation", config->ticket_lifetime, longest);
	return 1;
}

static int check_users(const struct settings *names)
{
	int faults = 0;
	uid_t uid;

	for (size_t i = 0; i < names->count; i++)
		faults += account_user(&names->list[i], &uid) ? 1 : 0;
	return faults;
}

static int check_groups(const struct settings *names)
{
	int faults = 0;
	gid_t gid;

	for (size_t i = 0; i < names->count; i++)
		faults += account_group(&names->list[i], &gid) ? 1 : 0;
	return faults;
}

static int check_accounts(const struct config *config)
{
	struct setting users[] = { config->worker_user, config->signer_user };
	struct setting group = config->group;
	int faults = 0;

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (users[i].value)
			faults += check_users(&(struct settings){ &users[i], 1 });
	if (group.value)
		faults += check_groups(&(struct settings){ &group, 1 });
	return faults;
}

static int check_rules(const struct config *config)
{
	int faults = 0;

	for (size_t i = 0; i < config->n_rules; i++) {
		const struct rule_config *rule = &config->rules[i];

		faults += check_users(&rule->users) + check_groups(&rule->groups);
		for (size_t j = 0; j < rule->identities.count; j++)
			faults += check_identity_name(config, &rule->identities.list[j]);
	}
	return faults;
}

int config_check(const struct config *config)
{
	int faults = check_identities(config) + check_rules(config) + check_tickets(config) +
		     check_accounts(config);

	if (config->client_identity.value)
		faults += check_identity_name(config, &config->client_identity);
	if (!config->path && !config->n_identities) {
		log_error("no certificate: give --cert FILE and --key FILE, or write %s",
			  CONFIG_PATH);
		faults++;
	}
	return faults ? -1 : 0;
}

static void free_setting(struct setting *setting)
{
	if (setting->value)
		explicit_bzero(setting->value, strlen(setting->value));
	free(setting->value);
	setting->value = NULL;
}

void settings_free(struct settings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free_setting(&list->list[i]);
	free(list->list);
	*list = (struct settings){ 0 };
}

static void free_trust(struct trust_config *trust)
{
	free_setting(&trust->trust);
	free_setting(&trust->crl);
}

void config_drop_identities(struct config *config)
{
	for (size_t i = 0; i < config->n_identities; i++) {
		struct identity_config *id = &config->identities[i];

		free(id->name);
		free_setting(&id->certificate);
		free_setting(&id->key);
		free_setting(&id->ocsp_response);
		settings_free(&id->names);
		free_trust(&id->clients);
	}
	free(config->identities);
	config->identities = NULL;
	config->n_identities = 0;
}

static void free_rule(struct rule_config *rule)
{
	free(rule->name);
	settings_free(&rule->users);
	settings_free(&rule->groups);
	settings_free(&rule->cgroups);
	settings_free(&rule->identities);
}

void config_free(struct config *config)
{
	struct setting *settings[] = {
		&config->group, &config->worker_user, &config->signer_user,
		&config->ciphersuites, &config->ciphers, &config->groups,
		&config->client_identity,
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		free_setting(settings[i]);
	settings_free(&config->alpn);
	settings_free(&config->ticket_keys);
	free_trust(&config->servers);
	config_drop_identities(config);
	for (size_t i = 0; i < config->n_rules; i++)
		free_rule(&config->rules[i]);
	free(config->rules);
	free(config->listen);
	free(config->path);
	*config = (struct config){ 0 };
}
