// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob run: a program whose TCP sockets become TLS without its knowledge. Sets templates on
 * the sockets that a service manager handed over, leaves the settings in the environment, has
 * the library preloaded that sets templates on the others (see ../preload), and becomes the
 * program.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../preload/settings.h"
#include "../preload/template.h"
#include "cli.h"
#include "program.h"

/* As a shell's: what was to be run cannot be, or is not there. */
#define EXIT_CANNOT_RUN	126
#define EXIT_NO_PROGRAM	127

#define LIBRARY		"libkeyblob-run.so"
#define FIRST_FD	3	/* sd_listen_fds(3) */
#define OPTIONS_MAX	16

static __attribute__((format(printf, 1, 2))) int cannot(const char *format, ...)
{
	va_list args;

	fputs("keyblob run: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_CANNOT_RUN;
}

/* What is needed of the command line, besides what goes to the environment. */
struct command {
	struct run_settings settings;
	bool inherited;		/* only the sockets that a service manager hands over */
	char **argv;		/* the program's */
};

/* Takes the option's value; the environment has it from here on. */
static int set(struct command *command, const struct run_setting *setting, const char *value)
{
	if (!setting->set(&command->settings, value)) {
		cannot("--%s: give %s", setting->option, setting->wanted);
		return -1;
	}
	return setenv(setting->variable, value, 1);
}

static int check_combination(const struct command *command)
{
	const struct run_settings *s = &command->settings;

	if (!s->server && !s->client)
		cannot("give --server, --client, or both");
	else if ((s->n_blocks || *s->name) && !s->client)
		cannot("--addresses and --name are for --client");
	else if (command->inherited && (s->client || !s->server))
		cannot("--inherited is for --server alone");
	else
		return 0;
	return -1;
}

/* Options of the settings' table, then our own. Returns 0, or -1: the reason has been told. */
static int parse(struct command *command, int argc, char **argv)
{
	struct option known[OPTIONS_MAX] = { { "inherited", no_argument, NULL, 'i' } };
	const struct run_setting *setting;
	int option, chosen, n = 1;

	/* What a keyblob run around this one has left does not count. */
	for (setting = run_settings; setting->option; setting++) {
		unsetenv(setting->variable);
		known[n++] = (struct option){
			.name = setting->option,
			.has_arg = setting->has_value ? required_argument : no_argument,
			.val = 's',
		};
	}
	while ((option = getopt_long(argc, argv, "+", known, &chosen)) != -1) {
		if (option == '?')
			return -1;
		if (option == 'i')
			command->inherited = true;
		else if (set(command, &run_settings[chosen - 1], optarg ? optarg : "1"))
			return -1;
	}
	if (optind == argc) {
		cannot("which program?");
		return -1;
	}
	command->argv = argv + optind;
	return check_combination(command);
}

/* Whether the kernel can do it at all, and takes the settings; tried on a socket of our own. */
static int check_kernel(const struct run_settings *s)
{
	struct keyblob_handshake what;
	int fd, err;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return cannot("no socket: %s", strerror(errno));
	if (s->server)
		run_server_template(s, &what);
	else
		run_client_template(s, *s->name ? s->name : "localhost", &what);
	err = run_template_set(fd, &what);
	close(fd);
	return err ? cannot("%s", run_explain(err)) : 0;
}

/* As sd_listen_fds(3): how many descriptors were handed to this process. */
static int count_inherited(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char *end;
	long n;

	if (!pid || !fds || strtol(pid, &end, 10) != getpid() || *end)
		return 0;
	n = strtol(fds, &end, 10);
	return *fds && !*end && n > 0 && n <= INT_MAX - FIRST_FD ? n : 0;
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) && listening;
}

/* Returns 1: @fd is a TLS server's now; 0: it is none of those that are selected; or -1. */
static int prepare_inherited(const struct run_settings *s, int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct keyblob_handshake what;
	struct run_address address;
	uint16_t port;
	int err;

	err = run_is_tcp(fd);
	if (!err || !is_listening(fd) || getsockname(fd, (struct sockaddr *)&name, &len) ||
	    !run_address_of((struct sockaddr *)&name, len, &address, &port) ||
	    !run_selects_listener(s, port))
		return 0;
	run_server_template(s, &what);
	if (err > 0)
		err = run_template_set(fd, &what);
	if (!err)
		return 1;
	cannot("descriptor %d, which listens on port %u, cannot serve TLS: %s", fd, port,
	       run_explain(err));
	return -1;
}

static int prepare_all_inherited(const struct command *command)
{
	const int n = count_inherited();
	int i, result, prepared = 0;

	for (i = 0; i < n; i++) {
		result = prepare_inherited(&command->settings, FIRST_FD + i);
		if (result < 0)
			return EXIT_CANNOT_RUN;
		prepared += result;
	}
	if (command->inherited && !prepared)
		return cannot("--inherited, but no service manager has handed over a listening TCP "
			      "socket that is selected");
	return 0;
}

/* Beside the keyblob command, as in the build directory, or else where it is installed. */
static int find_library(char path[PATH_MAX])
{
	ssize_t len;

	len = readlink("/proc/self/exe", path, PATH_MAX - sizeof(LIBRARY));
	if (len > 0) {
		path[len] = '\0';
		strcpy(strrchr(path, '/') + 1, LIBRARY);
		if (!access(path, R_OK))
			return 0;
	}
	snprintf(path, PATH_MAX, "%s/%s", KEYBLOB_RUN_DIR, LIBRARY);
	return access(path, R_OK);
}

/* Of the libraries in LD_PRELOAD, ld.so(8). */
#define SEPARATORS	": "

static bool is_first(const char *list, const char *path)
{
	const size_t len = strlen(path);

	return strcspn(list, SEPARATORS) == len && !strncmp(list, path, len);
}

/* Before what is preloaded already. */
static int preload(void)
{
	const char *others = getenv("LD_PRELOAD");
	char path[PATH_MAX], *list;
	int err;

	if (find_library(path))
		return cannot("cannot read %s: %s", path, strerror(errno));
	if (strpbrk(path, SEPARATORS "$"))
		return cannot("ld.so takes no path with a colon, a blank or a $: %s", path);
	if (!others || !*others)
		return setenv("LD_PRELOAD", path, 1) ? cannot("%s", strerror(errno)) : 0;
	if (is_first(others, path))
		return 0;
	if (asprintf(&list, "%s:%s", path, others) < 0)
		return cannot("out of memory");
	err = setenv("LD_PRELOAD", list, 1);
	free(list);
	return err ? cannot("%s", strerror(errno)) : 0;
}

/* What is looked at here is what is run. */
static int find_program(const struct command *command, char path[PATH_MAX])
{
	char why[PROGRAM_WHY_SIZE];
	int err;

	err = program_find(command->argv[0], path);
	if (err) {
		cannot("%s: %s", command->argv[0], strerror(err));
		return err == ENOENT ? EXIT_NO_PROGRAM : EXIT_CANNOT_RUN;
	}
	return !command->inherited && program_check(path, why) ? cannot("%s", why) : 0;
}

int run_main(int argc, char **argv)
{
	static struct command command;
	char path[PATH_MAX];
	int status;

	if (parse(&command, argc, argv))
		return EXIT_USAGE;
	status = find_program(&command, path);
	if (!status)
		status = check_kernel(&command.settings);
	if (!status)
		status = prepare_all_inherited(&command);
	if (!status && !command.inherited)
		status = preload();
	if (status)
		return status;
	execv(path, command.argv);
	return cannot("%s: %s", path, strerror(errno));
}
