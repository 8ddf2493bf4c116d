// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of sections and keys, and what each key takes. Called by config_file.c and
 * options.c. Each setter says itself what is wrong, by config_fault(), and then has
 * changed nothing.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <openssl/ssl.h>

#include "config_section.h"
#include "log.h"
#include "tickets.h"

#define WORKERS_MAX	256
#define HANDSHAKES_MAX	100000
#define LIFETIME_MAX	1000000000	/* handshakes of a worker */
#define TIMEOUT_MAX	3600		/* s */
#define TICKET_MAX	604800		/* s; RFC 8446 4.6.1 */
#define ALPN_MAX	255		/* bytes; RFC 7301 3.1 */
#define NAME_MAX_LEN	253		/* of a host, without the last dot */

#define BLANKS	" \t"

struct word {
	const char *word;	/* NULL: the end */
	int value;
};

struct key {
	const char *name;
	size_t offset;		/* of what it sets, in where the section goes to */
	int (*set)(void *to, const struct key *key, const struct setting *given);
	unsigned int min, max;	/* set_number() */
	const struct word *words; /* set_word() */
	int (*check)(const char *word, const struct setting *given); /* set_list() */
};

static int out_of_memory(void)
{
	log_error("out of memory");
	return -1;
}

static int set_setting(void *to, const struct key *key, const struct setting *given)
{
	struct setting *setting = to;
	char *value;

	(void)key;
	if (!*given->value) {
		config_fault(given, "the value is empty");
		return -1;
	}
	value = strdup(given->value);
	if (!value)
		return out_of_memory();
	free(setting->value);
	*setting = *given;
	setting->value = value;
	return 0;
}

static int set_listen(void *to, const struct key *key, const struct setting *given)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	char **path = to, *copy;

	(void)key;
	if (!*given->value) {
		config_fault(given, "the path is empty");
		return -1;
	}
	if (strlen(given->value) > max) {
		config_fault(given, "longer than %zu bytes, choose a shorter path", max);
		return -1;
	}
	copy = strdup(given->value);
	if (!copy)
		return out_of_memory();
	free(*path);
	*path = copy;
	return 0;
}

static int set_number(void *to, const struct key *key, const struct setting *given)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(given->value, &end, 10);
	if (errno || !isdigit((unsigned char)*given->value) || *end || number < key->min ||
	    number > key->max) {
		config_fault(given, "give a number from %u to %u", key->min, key->max);
		return -1;
	}
	*(unsigned int *)to = number;
	return 0;
}

static int set_timeout(void *to, const struct key *key, const struct setting *given)
{
	double seconds;
	char *end;

	(void)key;
	seconds = strtod(given->value, &end);
	if (given->value[strspn(given->value, "0123456789.")] || *end ||
	    !(seconds >= 0.001 && seconds <= TIMEOUT_MAX)) {
		config_fault(given, "give seconds, from 0.001 to %d", TIMEOUT_MAX);
		return -1;
	}
	/* To the nearest: 1.001 is a little less in binary. */
	/* NOLINTNEXTLINE(bugprone-incorrect-roundings): positive, and small */
	*(unsigned int *)to = seconds * 1000 + 0.5;
	return 0;
}

static int set_mode(void *to, const struct key *key, const struct setting *given)
{
	unsigned long mode;
	char *end;

	(void)key;
	errno = 0;
	mode = strtoul(given->value, &end, 8);
	if (errno || !isdigit((unsigned char)*given->value) || *end || mode > 0777) {
		config_fault(given, "give octal permissions, such as 0660");
		return -1;
	}
	*(mode_t *)to = mode;
	return 0;
}

/* "a, b or c" */
static void list_words(const struct word *words, char *to, size_t size)
{
	*to = 0;
	for (size_t i = 0; words[i].word; i++) {
		const char *between = !i ? "" : words[i + 1].word ? ", " : " or ";

		strncat(to, between, size - strlen(to) - 1);
		strncat(to, words[i].word, size - strlen(to) - 1);
	}
}

static const struct word *find_word(const struct key *key, const char *value,
				    const struct setting *given)
{
	char accepted[100];

	for (const struct word *word = key->words; word->word; word++)
		if (!strcmp(value, word->word))
			return word;
	list_words(key->words, accepted, sizeof(accepted));
	config_fault(given, "give %s", accepted);
	return NULL;
}

static int set_word(void *to, const struct key *key, const struct setting *given)
{
	const struct word *word = find_word(key, given->value, given);

	if (!word)
		return -1;
	*(int *)to = word->value;
	return 0;
}

/* Both ends of the range are struct config's; one is set. */
static int set_version(void *to, const struct key *key, const struct setting *given)
{
	struct config *config = (struct config *)((char *)to - key->offset);
	const struct word *word = find_word(key, given->value, given);
	int min, max;

	if (!word)
		return -1;
	min = to == &config->min_tls ? word->value : config->min_tls;
	max = to == &config->max_tls ? word->value : config->max_tls;
	if (min > max) {
		config_fault(given, "the oldest version would be above the newest: none is left");
		return -1;
	}
	*(int *)to = word->value;
	return 0;
}

/* What these mean together is config_check()'s business. */
static int set_ticket_time(void *to, const struct key *key, const struct setting *given)
{
	struct config *config = (struct config *)((char *)to - key->offset);

	if (set_number(to, key, given))
		return -1;
	config->ticket_line = given->line;
	return 0;
}

static int set_bool(void *to, const struct key *key, const struct setting *given)
{
	const struct word *word = find_word(key, given->value, given);

	if (!word)
		return -1;
	*(bool *)to = word->value;
	return 0;
}

static int add_to_list(struct settings *list, const char *word, const struct setting *given)
{
	struct setting *more = reallocarray(list->list, list->count + 1, sizeof(*more));

	if (!more)
		return out_of_memory();
	list->list = more;
	more[list->count] = *given;
	more[list->count].value = strdup(word);
	return more[list->count++].value ? 0 : out_of_memory();
}

static int fill_list(struct settings *list, const struct key *key, char *words,
		     const struct setting *given)
{
	char *rest, *word;

	for (word = strtok_r(words, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
		if (key->check && key->check(word, given))
			return -1;
		if (key->max && list->count == key->max) {
			config_fault(given, "give at most %u", key->max);
			return -1;
		}
		if (add_to_list(list, word, given))
			return -1;
	}
	if (!list->count) {
		config_fault(given, "the value is empty");
		return -1;
	}
	return 0;
}

static int set_list(void *to, const struct key *key, const struct setting *given)
{
	char *words = strdup(given->value);
	struct settings list = { 0 };
	int err;

	err = words ? fill_list(&list, key, words, given) : out_of_memory();
	free(words);
	if (err) {
		settings_free(&list);
		return -1;
	}
	settings_free(to);
	*(struct settings *)to = list;
	return 0;
}

static int check_alpn(const char *word, const struct setting *given)
{
	if (strlen(word) <= ALPN_MAX)
		return 0;
	config_fault(given, "a protocol's name has at most %d bytes", ALPN_MAX);
	return -1;
}

/* As in a certificate: RFC 9525 6.3, a wildcard is the whole left-most label. */
static int check_host(const char *word, const struct setting *given)
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-_.";
	const char *name = strncmp(word, "*.", 2) ? word : word + 2;
	size_t len = strlen(name);

	if (name != word && !strchr(name, '.')) {
		config_fault(given, "%s covers too much: give a wildcard such as *.example.com",
			     word);
		return -1;
	}
	if (name[strspn(name, accepted)] || strlen(word) > NAME_MAX_LEN || !len ||
	    name[0] == '.' || name[len - 1] == '.' || strstr(name, "..")) {
		config_fault(given, "%s is no host name: give names such as www.example.com or "
			     "*.example.com, others than ASCII as xn--...", word);
		return -1;
	}
	return 0;
}

static int check_cgroup(const char *word, const struct setting *given)
{
	const char *last = strrchr(word, '/');

	if (*word == '/' && strcmp(last, "/..") && !strstr(word, "/../") && !strstr(word, "//"))
		return 0;
	config_fault(given, "give paths beneath the root of cgroup v2, such as "
		     "/system.slice/nginx.service");
	return -1;
}

/* Two neighbours: struct rule_config's server, client. */
static int set_roles(void *to, const struct key *key, const struct setting *given)
{
	bool roles[2] = { false, false };
	struct settings list = { 0 };
	const struct word *word = key->words;

	if (set_list(&list, &(struct key){ 0 }, given))
		return -1;
	for (size_t i = 0; word && i < list.count; i++) {
		word = find_word(key, list.list[i].value, given);
		if (word)
			roles[word->value] = true;
	}
	settings_free(&list);
	if (word)
		memcpy(to, roles, sizeof(roles));
	return word ? 0 : -1;
}

static_assert(offsetof(struct rule_config, client) ==
	      offsetof(struct rule_config, server) + sizeof(bool), "neighbours");

static const struct word booleans[] = { { "yes", true }, { "no", false }, { 0 } };
static const struct word roles[] = { { "server", 0 }, { "client", 1 }, { 0 } };
static const struct word versions[] = {
	{ "1.2", TLS1_2_VERSION }, { "1.3", TLS1_3_VERSION }, { 0 }
};
static const struct word log_targets[] = {
	{ "stderr", LOG_TO_STDERR }, { "syslog", LOG_TO_SYSLOG }, { 0 }
};
static const struct word log_levels[] = {
	{ "error", LEVEL_ERROR }, { "notice", LEVEL_NOTICE }, { "detail", LEVEL_DETAIL }, { 0 }
};
static const struct word client_auths[] = {
	{ "none", CLIENT_AUTH_NONE }, { "request", CLIENT_AUTH_REQUEST },
	{ "require", CLIENT_AUTH_REQUIRE }, { 0 }
};

#define KEY(key, type, member)	.name = (key), .offset = offsetof(struct type, member)
#define AGENT(key, member)	KEY(key, config, member)
#define IDENTITY(key, member)	KEY(key, identity_config, member)
#define RULE(key, member)	KEY(key, rule_config, member)

static const struct key agent_keys[] = {
	{ AGENT("listen", listen), .set = set_listen },
	{ AGENT("mode", mode), .set = set_mode },
	{ AGENT("group", group), .set = set_setting },
	{ AGENT("workers", workers), .set = set_number, .min = 1, .max = WORKERS_MAX },
	{ AGENT("handshakes", max_handshakes), .set = set_number, .min = 1, .max = HANDSHAKES_MAX },
	{ AGENT("handshakes-per-user", max_handshakes_per_user), .set = set_number, .min = 1,
	  .max = HANDSHAKES_MAX },
	{ AGENT("worker-lifetime", worker_lifetime), .set = set_number, .max = LIFETIME_MAX },
	{ AGENT("timeout", timeout_ms), .set = set_timeout },
	{ AGENT("kernel-requests", kernel_requests), .set = set_bool, .words = booleans },
	{ AGENT("worker-user", worker_user), .set = set_setting },
	{ AGENT("signer-user", signer_user), .set = set_setting },
	{ AGENT("log", log_target), .set = set_word, .words = log_targets },
	{ AGENT("log-level", log_level), .set = set_word, .words = log_levels },
	{ 0 }
};

static const struct key tls_keys[] = {
	{ AGENT("min-version", min_tls), .set = set_version, .words = versions },
	{ AGENT("max-version", max_tls), .set = set_version, .words = versions },
	{ AGENT("ciphersuites", ciphersuites), .set = set_setting },
	{ AGENT("ciphers", ciphers), .set = set_setting },
	{ AGENT("groups", groups), .set = set_setting },
	{ AGENT("alpn", alpn), .set = set_list, .check = check_alpn },
	{ 0 }
};

static const struct key identity_keys[] = {
	{ IDENTITY("certificate", certificate), .set = set_setting },
	{ IDENTITY("key", key), .set = set_setting },
	{ IDENTITY("ocsp-response", ocsp_response), .set = set_setting },
	{ IDENTITY("names", names), .set = set_list, .check = check_host },
	{ IDENTITY("default", is_default), .set = set_bool, .words = booleans },
	{ IDENTITY("client-certificates", client_auth), .set = set_word, .words = client_auths },
	{ IDENTITY("trust", clients.trust), .set = set_setting },
	{ IDENTITY("crl", clients.crl), .set = set_setting },
	{ 0 }
};

static const struct key client_keys[] = {
	{ AGENT("trust", servers.trust), .set = set_setting },
	{ AGENT("crl", servers.crl), .set = set_setting },
	{ AGENT("identity", client_identity), .set = set_setting },
	{ 0 }
};

static const struct key ticket_keys[] = {
	{ AGENT("enabled", tickets), .set = set_bool, .words = booleans },
	{ AGENT("lifetime", ticket_lifetime), .set = set_ticket_time, .min = 1, .max = TICKET_MAX },
	{ AGENT("rotation", ticket_rotation), .set = set_ticket_time, .min = 1, .max = TICKET_MAX },
	{ AGENT("keys", ticket_keys), .set = set_list, .max = TICKET_KEYS_MAX },
	{ 0 }
};

static const struct key rule_keys[] = {
	{ RULE("user", users), .set = set_list },
	{ RULE("group", groups), .set = set_list },
	{ RULE("cgroup", cgroups), .set = set_list, .check = check_cgroup },
	{ RULE("role", server), .set = set_roles, .words = roles },
	{ RULE("identity", identities), .set = set_list },
	{ 0 }
};

static const struct section_type {
	const char *name;
	const struct key *keys;
	enum { ONE, IDENTITIES, RULES } list;	/* what a section adds to; ONE has no name */
	bool deny;
} types[] = {
	{ .name = "agent", .keys = agent_keys },
	{ .name = "tls", .keys = tls_keys },
	{ .name = "identity", .keys = identity_keys, .list = IDENTITIES },
	{ .name = "client", .keys = client_keys },
	{ .name = "tickets", .keys = ticket_keys },
	{ .name = "allow", .keys = rule_keys, .list = RULES },
	{ .name = "deny", .keys = rule_keys, .list = RULES, .deny = true },
};

/* NULL: out of memory. */
static struct identity_config *add_identity(struct config *config, const char *name,
					    unsigned int line)
{
	struct identity_config *more, *last;

	more = reallocarray(config->identities, config->n_identities + 1, sizeof(*more));
	if (!more)
		return NULL;
	config->identities = more;
	last = &more[config->n_identities];
	*last = (struct identity_config){ .name = strdup(name), .line = line };
	if (!last->name)
		return NULL;
	config->n_identities++;
	return last;
}

static struct rule_config *add_rule(struct config *config, const char *name, unsigned int line,
				    bool deny)
{
	struct rule_config *more, *last;

	more = reallocarray(config->rules, config->n_rules + 1, sizeof(*more));
	if (!more)
		return NULL;
	config->rules = more;
	last = &more[config->n_rules];
	*last = (struct rule_config){
		.name = strdup(name), .line = line, .deny = deny, .server = true, .client = true,
	};
	if (!last->name)
		return NULL;
	config->n_rules++;
	return last;
}

static bool has_rule(const struct config *config, const char *name, bool deny)
{
	for (size_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].deny == deny && !strcmp(config->rules[i].name, name))
			return true;
	return false;
}

static bool was_there(const struct section *section, const struct config *config,
		      const struct section_type *type, const char *name)
{
	switch (type->list) {
	case IDENTITIES:
		return config_find_identity(config, name) >= 0;
	case RULES:
		return has_rule(config, name, type->deny);
	default:
		return section->seen & 1U << (type - types);
	}
}

static const struct section_type *find_type(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].name) == len && !memcmp(types[i].name, name, len))
			return &types[i];
	return NULL;
}

static int check_heading(const struct section *section, const struct config *config,
			 const struct section_type *type, const char *name,
			 const struct setting *where)
{
	if (!type) {
		config_fault(where, "unknown section; there are [agent], [tls], [identity NAME], "
			     "[client], [tickets], [allow NAME] and [deny NAME]");
		return -1;
	}
	/* An identity of the command line has none. */
	if (!where->line)
		return 0;
	if (type->list == ONE && *name) {
		config_fault(where, "this section takes no name: write [%s]", type->name);
		return -1;
	}
	if (type->list != ONE && (!*name || name[strcspn(name, BLANKS)])) {
		config_fault(where, "give it a name without blanks: [%s NAME]", type->name);
		return -1;
	}
	if (was_there(section, config, type, name)) {
		config_fault(where, "this section was there before; put all its keys into one");
		return -1;
	}
	return 0;
}

int section_begin(struct section *section, struct config *config, const char *heading,
		  const struct setting *where)
{
	size_t len = strcspn(heading, BLANKS);
	const struct section_type *type = find_type(heading, len);
	const char *name = heading + len + strspn(heading + len, BLANKS);

	section->type = NULL;
	section->given = 0;
	if (check_heading(section, config, type, name, where))
		return -1;
	if (type->list == IDENTITIES)
		section->to = add_identity(config, name, where->line);
	else if (type->list == RULES)
		section->to = add_rule(config, name, where->line, type->deny);
	else
		section->to = config;
	if (!section->to)
		return out_of_memory();
	section->type = type;
	section->seen |= 1U << (type - types);
	return 0;
}

static void list_keys(const struct key *keys, char *to, size_t size)
{
	*to = 0;
	for (; keys->name; keys++) {
		strncat(to, *to ? ", " : "", size - strlen(to) - 1);
		strncat(to, keys->name, size - strlen(to) - 1);
	}
}

int section_set(struct section *section, const char *name, const struct setting *given)
{
	const struct key *key = section->type->keys;
	struct setting named;
	char known[200];
	unsigned int bit;

	while (key->name && strcmp(key->name, name))
		key++;
	if (!key->name) {
		list_keys(section->type->keys, known, sizeof(known));
		config_fault(given, "unknown key; [%s] has %s", section->type->name, known);
		return -1;
	}
	/* On the command line the last one counts. */
	bit = 1U << (key - section->type->keys);
	if (given->line && section->given & bit) {
		config_fault(given, "given before in this section");
		return -1;
	}
	section->given |= bit;
	named = *given;
	if (given->line)
		named.name = key->name;
	return key->set((char *)section->to + key->offset, key, &named);
}
