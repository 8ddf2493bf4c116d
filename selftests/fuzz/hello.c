// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server's name in a client's hello, and the identity that it gets: the first that covers
 * the name, by a plain reading of RFC 9525 section 6.3, or else the default. Input: the names
 * of two identities, a line each as in the configuration; then the extension.
 */
#include <strings.h>

#include "../../userspace/agent/identity.c"
#include "../../userspace/agent/handshake.c"
#include "../../userspace/agent/config_section.h"
#include "fuzz.h"

#define IDENTITIES	2
#define FALLBACK	1	/* not the first one */

static const uint8_t *extension;
static size_t extension_len;

/* In libssl's place: what the client sent. */
int SSL_client_hello_get0_ext(SSL *ssl, unsigned int type, const unsigned char **out, size_t *len)
{
	*out = extension;
	*len = extension_len;
	return extension_len > 0;
}

void log_line(enum log_level level, const char *format, ...)
{
}

bool log_takes(enum log_level level)
{
	(void)level;
	return true;
}

/* A wildcard is the whole left-most label, and stands for one label. */
static bool covers(const struct settings *patterns, const char *name)
{
	const char *rest = strchr(name, '.');

	for (size_t i = 0; i < patterns->count; i++) {
		const char *pattern = patterns->list[i].value;

		if (!strcasecmp(pattern, name) ||
		    (!strncmp(pattern, "*.", 2) && rest && rest != name &&
		     !strcasecmp(pattern + 1, rest)))
			return true;
	}
	return false;
}

/* OpenSSL may be stricter about labels with hyphens, underscores, or nothing in them. */
static bool is_plain(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && (*p != '.' || p == name || p[-1] == '.'))
			return false;
	return *name && name[strlen(name) - 1] != '.';
}

static void check_choice(const struct identities *identities, const char *name)
{
	const struct permission permission = { .policy = policy_new(&(struct config){ 0 }),
					       .who = &(struct credentials){ 0 } };
	const ssize_t chosen = choose(identities, name, &permission);

	must(permission.policy && chosen >= 0 && chosen < (ssize_t)identities->count);
	must(chosen == FALLBACK || (name && covers(&identities->list[chosen].config->names, name)));
	if (name && is_plain(name) && covers(&identities->list[0].config->names, name))
		must(chosen == 0);
	policy_free((struct policy *)permission.policy);
}

static void check_name(const char *name)
{
	must(strlen(name) == extension_len - 5);
	must(!memcmp(name, extension + 5, strlen(name)));
	for (; *name; name++)
		must(*name > ' ' && *name <= '~');
}

/* False: none that the configuration takes. */
static bool take_names(struct input *in, struct config *config)
{
	const struct setting where = { .value = "identity", .line = 1 };
	struct section section = { 0 };
	struct setting given = where;
	char *line = take_string(in, '\n'), heading[16];
	bool taken;

	snprintf(heading, sizeof(heading), "identity %zu", config->n_identities);
	must(!section_begin(&section, config, heading, &where));
	given.value = line;
	taken = !section_set(&section, "names", &given);
	free(line);
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct identity list[IDENTITIES] = { 0 };
	const struct identities identities = { list, IDENTITIES, FALLBACK };
	struct input in = { data, size };
	struct config config = { 0 };
	char name[256];
	bool taken = true;

	for (size_t i = 0; i < IDENTITIES; i++)
		taken &= take_names(&in, &config);
	extension = malloc(in.left);
	extension_len = in.left;
	must(extension);
	take(&in, (void *)extension, extension_len);
	for (size_t i = 0; taken && i < IDENTITIES; i++) {
		list[i].config = &config.identities[i];
		list[i].names = certificate_of_names(&config.identities[i].names);
		must(list[i].names);
	}
	if (!name_in_hello(NULL, name, sizeof(name))) {
		if (taken)
			check_choice(&identities, NULL);
	} else {
		check_name(name);
		if (taken)
			check_choice(&identities, name);
	}
	for (size_t i = 0; i < IDENTITIES; i++)
		X509_free(list[i].names);
	free((void *)extension);
	config_free(&config);
	return 0;
}
