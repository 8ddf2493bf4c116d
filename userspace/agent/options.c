// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line. Called by main. An option is another name for a key of the
 * configuration file, and goes the same way.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_section.h"
#include "options.h"
#include "protocol.h"

#ifndef KEYBLOB_VERSION
#define KEYBLOB_VERSION "0.1"
#endif

static const char usage[] =
"Usage: keyblobd [OPTION]...\n"
"\n"
"Do TLS handshakes for applications on this machine and give them sealed keys.\n"
"\n"
"  --config FILE         configuration, see keyblobd.conf(5)\n"
"                        [" CONFIG_PATH ", if it exists and there is no --cert]\n"
"  --check               check the configuration, certificates and keys; serve nobody\n"
"\n"
"What follows overrides the configuration:\n"
"\n"
"  --cert FILE           certificate in PEM, followed by its chain; the first one is\n"
"                        the default, others are chosen by the name the client asks for\n"
"  --key FILE            its private key: PEM, pkcs11:... or handle:0x81...\n"
"  --listen PATH         socket that applications connect to\n"
"                        [" KEYBLOB_AGENT_PATH "]\n"
"  --mode OCTAL          permissions of that socket [0660]\n"
"  --workers N           processes that do handshakes [one per processor]\n"
"  --max-handshakes N    under way at once in each worker [1000]\n"
"  --timeout SECONDS     for one handshake [10]\n"
"  --min-tls 1.2|1.3     oldest version of TLS to accept [1.2]\n"
"  -v, --verbose         log handshakes that succeed, too\n"
"  --help, --version\n";

enum { CONFIG = 256, CHECK, CERT, KEY, LISTEN, MODE, WORKERS, HANDSHAKES, TIMEOUT, MIN_TLS,
       LOG, HELP, VERSION };

static const struct option known[] = {
	{ "config", required_argument, NULL, CONFIG },
	{ "check", no_argument, NULL, CHECK },
	{ "cert", required_argument, NULL, CERT },
	{ "key", required_argument, NULL, KEY },
	{ "listen", required_argument, NULL, LISTEN },
	{ "mode", required_argument, NULL, MODE },
	{ "workers", required_argument, NULL, WORKERS },
	{ "max-handshakes", required_argument, NULL, HANDSHAKES },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "min-tls", required_argument, NULL, MIN_TLS },
	{ "log", required_argument, NULL, LOG },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ 0 }
};

/* The keys that options stand for. */
static const struct {
	int option;
	const char *name, *section, *key;
} meanings[] = {
	{ LISTEN, "listen", "agent", "listen" },
	{ MODE, "mode", "agent", "mode" },
	{ WORKERS, "workers", "agent", "workers" },
	{ HANDSHAKES, "max-handshakes", "agent", "handshakes" },
	{ TIMEOUT, "timeout", "agent", "timeout" },
	{ MIN_TLS, "min-tls", "tls", "min-version" },
	{ LOG, "log", "agent", "log" },
	{ 'v', "verbose", "agent", "log-level" },
};

static int wrong_usage(void)
{
	fputs("Try 'keyblobd --help'.\n", stderr);
	return 2;
}

/* What decides about the rest: the file comes before what overrides it. */
struct first_look {
	const char *config;
	bool check, cert;
};

static int look_first(struct first_look *look, int argc, char **argv)
{
	int option;

	*look = (struct first_look){ 0 };
	optind = 0;
	while ((option = getopt_long(argc, argv, "v", known, NULL)) != -1) {
		switch (option) {
		case CONFIG:
			look->config = optarg;
			break;
		case CHECK:
			look->check = true;
			break;
		case CERT:
		case KEY:
			look->cert = true;
			break;
		case HELP:
			fputs(usage, stdout);
			return 0;
		case VERSION:
			puts("keyblobd " KEYBLOB_VERSION);
			return 0;
		case '?':
			return wrong_usage();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "keyblobd: %s: what is this for? Every argument begins with --\n",
			argv[optind]);
		return wrong_usage();
	}
	return -1;
}

/* A pair is open while it has a certificate and no key, or the other way round. */
static int add_identity_file(struct config *config, struct section *section,
			     const struct setting *file, bool is_key)
{
	struct identity_config *last = NULL;

	if (config->n_identities)
		last = &config->identities[config->n_identities - 1];
	if (!last || (last->certificate.value && last->key.value)) {
		if (section_begin(section, config, "identity", file))
			return -1;
		last = section->to;
	}
	if (is_key ? last->key.value : last->certificate.value) {
		config_fault(file, "the --%s before it has no --%s yet; give them in pairs",
			     is_key ? "key" : "cert", is_key ? "cert" : "key");
		return -1;
	}
	return section_set(section, is_key ? "key" : "certificate", file);
}

static int set_meaning(struct config *config, int option, const char *value)
{
	struct section section = { 0 };
	struct setting given;
	size_t i = 0;

	while (meanings[i].option != option)
		i++;
	given = (struct setting){ .name = meanings[i].name, .value = (char *)value };
	if (section_begin(&section, config, meanings[i].section, &given))
		return -1;
	return section_set(&section, meanings[i].key, &given);
}

static int override(struct config *config, int argc, char **argv)
{
	struct section identity = { 0 };
	struct setting file;
	int option, err = 0;

	optind = 0;
	while (!err && (option = getopt_long(argc, argv, "v", known, NULL)) != -1) {
		switch (option) {
		case CONFIG:
		case CHECK:
			break;
		case CERT:
		case KEY:
			file = (struct setting){
				.name = option == KEY ? "key" : "cert", .value = optarg,
			};
			err = add_identity_file(config, &identity, &file, option == KEY);
			break;
		default:
			err = set_meaning(config, option, option == 'v' ? "detail" : optarg);
		}
	}
	return err ? wrong_usage() : -1;
}

int options_parse(struct options *options, struct config *config)
{
	struct first_look look;
	const char *path;
	int status, err;

	err = config_init(config);
	status = look_first(&look, options->argc, options->argv);
	if (err || status >= 0)
		return err ? 1 : status;
	options->check = look.check;

	path = look.config;
	if (!path && !look.cert && !access(CONFIG_PATH, F_OK))
		path = CONFIG_PATH;
	err = path ? config_read(config, path) : 0;

	/* Those of the command line are instead of those of the file. */
	if (look.cert)
		config_drop_identities(config);
	status = override(config, options->argc, options->argv);
	if (status < 0 && (config_check(config) || err))
		status = 1;
	return status;
}
