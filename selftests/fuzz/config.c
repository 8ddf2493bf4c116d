// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent's configuration. A file that is taken means the same with other ends of lines,
 * and when what it means is written down and read again; a setting that is refused changes
 * nothing. Input: the file.
 */
#include <grp.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "fuzz.h"
#include "../../userspace/agent/config_section.h"
#include "../../userspace/agent/log.h"
#include "../../userspace/agent/policy.h"

#define LINES_MAX	40	/* that are tried one by one */

/* In libc's place: the same users everywhere. */
struct passwd *getpwnam(const char *name)
{
	static struct passwd user = { .pw_uid = 1000 };

	return strcmp(name, "alice") ? NULL : &user;
}

struct group *getgrnam(const char *name)
{
	static struct group group = { .gr_gid = 1001 };

	return strcmp(name, "users") ? NULL : &group;
}

/* What config_init() and config_read() say of a file of @text. */
static int read_text(struct config *config, const char *text, size_t len)
{
	static int fd = -1;
	char path[32];

	if (fd < 0)
		fd = memfd_create("config", MFD_CLOEXEC);
	must(!fchmod(fd, 0600) && !ftruncate(fd, 0) && pwrite(fd, text, len, 0) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(!config_init(config));
	return config_read(config, path);
}

/*
 * Writing it down.
 */

static void write_setting(FILE *to, const char *key, const struct setting *setting)
{
	if (setting->value)
		fprintf(to, "%s=%s\n", key, setting->value);
}

static void write_list(FILE *to, const char *key, const struct settings *list)
{
	for (size_t i = 0; i < list->count; i++)
		fprintf(to, "%s%s%s", i ? " " : key, i ? "" : "=", list->list[i].value);
	if (list->count)
		fputc('\n', to);
}

static const char *word(bool value)
{
	return value ? "yes" : "no";
}

static void write_identity(FILE *to, const struct identity_config *id)
{
	static const char *const auths[] = { "none", "request", "require" };

	fprintf(to, "[identity %s]\n", id->name);
	write_setting(to, "certificate", &id->certificate);
	write_setting(to, "key", &id->key);
	write_setting(to, "ocsp-response", &id->ocsp_response);
	write_list(to, "names", &id->names);
	fprintf(to, "default=%s\n", word(id->is_default));
	fprintf(to, "client-certificates=%s\n", auths[id->client_auth]);
	write_setting(to, "trust", &id->clients.trust);
	write_setting(to, "crl", &id->clients.crl);
}

static void write_rule(FILE *to, const struct rule_config *rule)
{
	fprintf(to, "[%s %s]\n", rule->deny ? "deny" : "allow", rule->name);
	write_list(to, "user", &rule->users);
	write_list(to, "group", &rule->groups);
	write_list(to, "cgroup", &rule->cgroups);
	write_list(to, "identity", &rule->identities);
	if (rule->server || rule->client)
		fprintf(to, "role=%s %s\n", rule->server ? "server" : "",
			rule->client ? "client" : "");
}

/* All that @config means, as a file; to be freed. */
static char *write_config(const struct config *config)
{
	static const char *const levels[] = { "error", "notice", "detail" };
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	must(to);
	fprintf(to, "[agent]\nlisten=%s\nmode=%o\n", config->listen, config->mode);
	write_setting(to, "group", &config->group);
	fprintf(to, "workers=%u\nhandshakes=%u\nhandshakes-per-user=%u\nworker-lifetime=%u\n",
		config->workers, config->max_handshakes, config->max_handshakes_per_user,
		config->worker_lifetime);
	fprintf(to, "timeout=%u.%03u\nkernel-requests=%s\n", config->timeout_ms / 1000,
		config->timeout_ms % 1000, word(config->kernel_requests));
	write_setting(to, "worker-user", &config->worker_user);
	write_setting(to, "signer-user", &config->signer_user);
	fprintf(to, "log=%s\nlog-level=%s\n",
		config->log_target == LOG_TO_SYSLOG ? "syslog" : "stderr", levels[config->log_level]);
	fprintf(to, "[tls]\nmin-version=%s\nmax-version=%s\n",
		config->min_tls == TLS1_2_VERSION ? "1.2" : "1.3",
		config->max_tls == TLS1_2_VERSION ? "1.2" : "1.3");
	write_setting(to, "ciphersuites", &config->ciphersuites);
	write_setting(to, "ciphers", &config->ciphers);
	write_setting(to, "groups", &config->groups);
	write_list(to, "alpn", &config->alpn);
	fprintf(to, "[client]\n");
	write_setting(to, "trust", &config->servers.trust);
	write_setting(to, "crl", &config->servers.crl);
	write_setting(to, "identity", &config->client_identity);
	fprintf(to, "[tickets]\nenabled=%s\nlifetime=%u\nrotation=%u\n", word(config->tickets),
		config->ticket_lifetime, config->ticket_rotation);
	write_list(to, "keys", &config->ticket_keys);
	for (size_t i = 0; i < config->n_identities; i++)
		write_identity(to, &config->identities[i]);
	for (size_t i = 0; i < config->n_rules; i++)
		write_rule(to, &config->rules[i]);
	fclose(to);
	return text;
}

/*
 * Promises.
 */

static void check_ranges(const struct config *config)
{
	must(config->mode <= 0777 && config->workers >= 1 && config->workers <= 256);
	must(config->max_handshakes && config->max_handshakes_per_user);
	must(config->timeout_ms >= 1 && config->timeout_ms <= 3600 * 1000);
	must(config->min_tls <= config->max_tls);
	must(strlen(config->listen) < 108 && config->ticket_keys.count <= 4);
	for (size_t i = 0; i < config->n_rules; i++) {
		const struct settings *cgroups = &config->rules[i].cgroups;

		for (size_t j = 0; j < cgroups->count; j++) {
			const char *end = strrchr(cgroups->list[j].value, '/');

			must(end && strcmp(end, "/..") && !strstr(cgroups->list[j].value, "/../"));
		}
	}
}

/* @text means what @meaning says. */
static void check_same(const char *text, size_t len, const char *meaning, int checked)
{
	struct config config;
	char *again;

	must(!read_text(&config, text, len));
	again = write_config(&config);
	must(!strcmp(again, meaning));
	must(config_check(&config) == checked);
	free(again);
	config_free(&config);
}

static void check_other_ends(const char *text, size_t len, const char *meaning, int checked)
{
	char *other = malloc(2 * len + 1), *to = other;

	must(other);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			*to++ = '\r';
		*to++ = text[i];
	}
	check_same(other, to - other, meaning, checked);
	free(other);
}

/* What passed config_check() can be used. */
static void check_policy(const struct config *config)
{
	struct credentials who = { .uid = 1000, .gid = 1001, .cgroup = "/a/b" };
	struct policy *policy = policy_new(config);
	const char *rule = NULL;

	must(policy);
	for (ssize_t identity = -1; identity < (ssize_t)config->n_identities; identity++) {
		for (enum role role = ROLE_SERVER; role <= ROLE_CLIENT; role++) {
			policy_allows(policy, &who, role, identity, &rule);
			must(rule && *rule);
		}
	}
	policy_free(policy);
}

/* Carries out line @line of a file. False: it was refused. */
static bool take_line(struct section *section, struct config *config, char *text, unsigned int line)
{
	struct setting given = { .value = text, .line = line };
	char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (end)
			*end = '\0';
		return !section_begin(section, config, text + 1, &given);
	}
	end = strchr(text, '=');
	if (!end || !section->type)
		return true;
	*end = '\0';
	given.value = end + 1;
	section->given = 0;	/* as on the command line: the last one counts */
	return !section_set(section, text, &given);
}

static void check_lines(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct section section = { 0 };
	struct config config;
	char *meaning;

	must(!config_init(&config));
	meaning = write_config(&config);
	for (unsigned int line = 1; in.left && line <= LINES_MAX; line++) {
		char *text = take_string(&in, '\n'), *now;
		const bool taken = take_line(&section, &config, text, line);

		now = write_config(&config);
		must(taken || !strcmp(now, meaning));
		check_ranges(&config);
		free(meaning);
		free(text);
		meaning = now;
	}
	free(meaning);
	config_free(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	char *meaning;
	int checked;

	agent_complaints = 0;
	if (read_text(&config, (const char *)data, size)) {
		must(agent_complaints);
	} else {
		must(!agent_complaints);
		check_ranges(&config);
		checked = config_check(&config);
		must(!checked == !agent_complaints);
		if (!checked)
			check_policy(&config);
		meaning = write_config(&config);
		check_same(meaning, strlen(meaning), meaning, checked);
		check_other_ends((const char *)data, size, meaning, checked);
		free(meaning);
	}
	config_free(&config);
	check_lines(data, size);
	return 0;
}
