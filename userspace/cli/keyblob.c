// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keyblob command: finds the subcommand, and helps.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#ifndef KEYBLOB_VERSION
#define KEYBLOB_VERSION "unreleased"
#endif

static int help_main(int argc, char **argv);

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *synopsis;
	const char *summary;
	const char *description;
} subcommands[] = {
	{ "info", info_main, "[PID [FD] | --fd FD]",
	  "Show the TLS state of live sockets",
	  "Without arguments, shows the keyblob sockets of all processes that this user may\n"
	  "look into; with PID those of one process, with FD just this one. --fd takes a\n"
	  "descriptor that keyblob itself was given, as in: keyblob info --fd 3 3<&$socket\n"
	  "Looking into another's process takes root, or CAP_SYS_PTRACE." },
	{ "status", status_main, "[--json | --prometheus] [-a SOCKET]",
	  "Show what the agent has done",
	  "Its counters since it was started: for people, as one JSON object, or in the text\n"
	  "format of Prometheus, version 0.0.4. -a names the agent's socket, if it is neither\n"
	  "$KEYBLOB_AGENT nor the usual one." },
	{ "reload", reload_main, "[-a SOCKET]",
	  "Have the agent read its configuration anew",
	  "Returns when the new configuration is in use; or says what is wrong with it, and\n"
	  "the old one stays. Root may do this, and the user that the agent was started by." },
	{ "run", run_main, "[--server IDENTITY] [--client] [--ports LIST] [--addresses LIST]\n"
	  "                   [--name NAME] [--alpn LIST] [--timeout SECONDS] [--inherited]\n"
	  "                   [--] PROGRAM [ARGUMENT]...",
	  "Run a program with TLS on its TCP sockets, unchanged",
	  "--server: what it listens on becomes TLS servers with the agent's identity of that name,\n"
	  "or - for the one that the client asks for. --client: what it connects to must be TLS\n"
	  "servers whose certificates are for the names that it looked up, or for NAME. Without\n"
	  "--ports and --addresses, clients leave alone loopback and port 53. --inherited: only\n"
	  "sockets that a service manager hands over; this works for every program. See keyblob(1)." },
	{ "help", help_main, "[SUBCOMMAND]",
	  "Explain a subcommand",
	  "Without an argument, lists all of them." },
};

#define SUBCOMMANDS	(sizeof(subcommands) / sizeof(subcommands[0]))

static const struct subcommand *find(const char *name)
{
	size_t i;

	for (i = 0; i < SUBCOMMANDS; i++) {
		if (!strcmp(subcommands[i].name, name))
			return &subcommands[i];
	}
	fprintf(stderr, "keyblob: no subcommand '%s'; see keyblob help\n", name);
	return NULL;
}

static void list(FILE *to)
{
	size_t i;

	fprintf(to, "Usage: keyblob SUBCOMMAND [ARGUMENTS]\n"
		    "       keyblob --help | --version\n\n");
	for (i = 0; i < SUBCOMMANDS; i++)
		fprintf(to, "  %-8s%s\n", subcommands[i].name, subcommands[i].summary);
}

static void explain(const struct subcommand *subcommand)
{
	printf("Usage: keyblob %s %s\n\n%s.\n\n%s\n", subcommand->name, subcommand->synopsis,
	       subcommand->summary, subcommand->description);
}

static int help_main(int argc, char **argv)
{
	const struct subcommand *subcommand;

	if (argc > 2)
		return EXIT_USAGE;
	if (argc < 2) {
		list(stdout);
		return 0;
	}
	subcommand = find(argv[1]);
	if (!subcommand)
		return EXIT_FAILED;
	explain(subcommand);
	return 0;
}

int main(int argc, char **argv)
{
	const struct subcommand *subcommand;
	int status;

	if (argc < 2) {
		list(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("keyblob %s\n", KEYBLOB_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		list(stdout);
		return 0;
	}

	subcommand = find(argv[1]);
	if (!subcommand)
		return EXIT_USAGE;
	if (argc == 3 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
		explain(subcommand);
		return 0;
	}
	status = subcommand->run(argc - 1, argv + 1);
	if (status == EXIT_USAGE)
		fprintf(stderr, "Usage: keyblob %s %s\n", subcommand->name, subcommand->synopsis);
	if (fflush(stdout) || ferror(stdout)) {
		perror("keyblob: output");
		return EXIT_FAILED;
	}
	return status;
}
