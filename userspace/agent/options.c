// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line. Called once by main; owns the strings in struct options.
 * Each value goes through a set_...() function that checks it and knows nothing
 * of where it came from.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "options.h"
#include "protocol.h"

#ifndef KEYBLOB_VERSION
#define KEYBLOB_VERSION "0.1"
#endif

#define WORKERS_MAX	256
#define HANDSHAKES_MAX	100000
#define TIMEOUT_MAX	3600	/* s */

static const char usage[] =
"Usage: keyblobd --cert FILE --key FILE [--cert FILE --key FILE]... [OPTION]...\n"
"\n"
"Do TLS handshakes for applications on this machine and give them sealed keys.\n"
"\n"
"  --cert FILE           certificate in PEM, followed by its chain; the first one is\n"
"                        the default, others are chosen by the name the client asks for\n"
"  --key FILE            its private key in PEM\n"
"  --listen PATH         socket that applications connect to\n"
"                        [" KEYBLOB_AGENT_PATH "]\n"
"  --mode OCTAL          permissions of that socket [0660]\n"
"  --workers N           processes that do handshakes [one per processor]\n"
"  --max-handshakes N    under way at once in each worker [1000]\n"
"  --timeout SECONDS     for one handshake [10]\n"
"  --min-tls 1.2|1.3     oldest version of TLS to accept [1.2]\n"
"  -v, --verbose         log handshakes that succeed, too\n"
"  --help, --version\n";

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *format, ...)
{
	va_list args;

	fputs("keyblobd: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry 'keyblobd --help'.\n", stderr);
	return -1;
}

static int set_string(char **to, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return complain("out of memory");
	free(*to);
	*to = copy;
	return 0;
}

static int set_number(unsigned int *to, const char *name, const char *value, unsigned int max)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *value < '0' || *value > '9' || *end || number < 1 || number > max)
		return complain("%s %s: give a number from 1 to %u", name, value, max);
	*to = number;
	return 0;
}

static int set_timeout(struct options *options, const char *value)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(value, &end);
	if (errno || end == value || *end || !(seconds >= 0.001 && seconds <= TIMEOUT_MAX))
		return complain("--timeout %s: give seconds, at most %d", value, TIMEOUT_MAX);
	options->timeout_ms = seconds * 1000;
	return 0;
}

static int set_mode(struct options *options, const char *value)
{
	unsigned long mode;
	char *end;

	errno = 0;
	mode = strtoul(value, &end, 8);
	if (errno || *value < '0' || *value > '7' || *end || mode > 0777)
		return complain("--mode %s: give octal permissions, such as 0660", value);
	options->mode = mode;
	return 0;
}

static int set_min_tls(struct options *options, const char *value)
{
	if (!strcmp(value, "1.2"))
		options->min_tls = TLS1_2_VERSION;
	else if (!strcmp(value, "1.3"))
		options->min_tls = TLS1_3_VERSION;
	else
		return complain("--min-tls %s: give 1.2 or 1.3", value);
	return 0;
}

static int set_listen(struct options *options, const char *value)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (!*value)
		return complain("--listen: the path is empty");
	if (strlen(value) > max)
		return complain("--listen %s: longer than %zu bytes, choose a shorter path",
				value, max);
	return set_string(&options->listen, value);
}

/* A pair is open while it has a certificate and no key, or the other way round. */
static int add_identity_file(struct options *options, const char *value, bool is_key)
{
	struct identity_files *last, *more;

	if (!*value)
		return complain("--%s: the file name is empty", is_key ? "key" : "cert");

	last = options->n_identities ? &options->identities[options->n_identities - 1] : NULL;
	if (!last || (last->cert && last->key)) {
		more = reallocarray(options->identities, options->n_identities + 1, sizeof(*more));
		if (!more)
			return complain("out of memory");
		options->identities = more;
		last = &more[options->n_identities++];
		*last = (struct identity_files){ 0 };
	}
	if (is_key ? last->key : last->cert)
		return complain("--%s %s: the --%s before it has no --%s yet; give them in pairs",
				is_key ? "key" : "cert", value, is_key ? "key" : "cert",
				is_key ? "cert" : "key");
	return set_string(is_key ? &last->key : &last->cert, value);
}

static int set_defaults(struct options *options)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*options = (struct options){
		.mode = 0660,
		.workers = cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : cpus,
		.max_handshakes = 1000,
		.timeout_ms = 10000,
		.min_tls = TLS1_2_VERSION,
	};
	return set_string(&options->listen, KEYBLOB_AGENT_PATH);
}

static int check_complete(const struct options *options)
{
	const struct identity_files *last;

	if (!options->n_identities)
		return complain("no certificate: give --cert FILE and --key FILE");
	last = &options->identities[options->n_identities - 1];
	if (!last->key)
		return complain("--cert %s has no key: give --key FILE after it", last->cert);
	if (!last->cert)
		return complain("--key %s has no certificate: give --cert FILE with it", last->key);
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	enum { CERT = 256, KEY, LISTEN, MODE, WORKERS, HANDSHAKES, TIMEOUT, MIN_TLS,
	       HELP, VERSION };
	static const struct option known[] = {
		{ "cert", required_argument, NULL, CERT },
		{ "key", required_argument, NULL, KEY },
		{ "listen", required_argument, NULL, LISTEN },
		{ "mode", required_argument, NULL, MODE },
		{ "workers", required_argument, NULL, WORKERS },
		{ "max-handshakes", required_argument, NULL, HANDSHAKES },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "min-tls", required_argument, NULL, MIN_TLS },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ 0 }
	};
	int option, err;

	err = set_defaults(options);
	while (!err && (option = getopt_long(argc, argv, "v", known, NULL)) != -1) {
		switch (option) {
		case CERT:
		case KEY:
			err = add_identity_file(options, optarg, option == KEY);
			break;
		case LISTEN:
			err = set_listen(options, optarg);
			break;
		case MODE:
			err = set_mode(options, optarg);
			break;
		case WORKERS:
			err = set_number(&options->workers, "--workers", optarg, WORKERS_MAX);
			break;
		case HANDSHAKES:
			err = set_number(&options->max_handshakes, "--max-handshakes", optarg,
					 HANDSHAKES_MAX);
			break;
		case TIMEOUT:
			err = set_timeout(options, optarg);
			break;
		case MIN_TLS:
			err = set_min_tls(options, optarg);
			break;
		case 'v':
			options->verbose = true;
			break;
		case HELP:
			fputs(usage, stdout);
			return 0;
		case VERSION:
			puts("keyblobd " KEYBLOB_VERSION);
			return 0;
		default:
			fputs("Try 'keyblobd --help'.\n", stderr);
			err = -1;
		}
	}
	if (!err && optind < argc)
		err = complain("%s: what is this for? Every argument begins with --", argv[optind]);
	if (!err)
		err = check_complete(options);
	return err ? 2 : -1;
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->n_identities; i++) {
		free(options->identities[i].cert);
		free(options->identities[i].key);
	}
	free(options->identities);
	free(options->listen);
	*options = (struct options){ 0 };
}
