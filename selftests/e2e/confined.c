// SPDX-License-Identifier: GPL-2.0-only
/*
 * confined worker|signer|token-signer [WORKER-USER [SIGNER-USER]]: a process that is
 * confined as the agent's are, with what probe.c does; then it says "serving" and waits
 * for a signal. A user that is "-" is not given. Exit status 1: it was refused.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "log.h"

/* In place of the agent's. */
void config_fault(const struct setting *setting, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "fault: %s %s: ", setting->name, setting->value);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static enum confinement confinement_of(const char *name)
{
	if (!strcmp(name, "worker"))
		return CONFINE_WORKER;
	return strcmp(name, "signer") ? CONFINE_TOKEN_SIGNER : CONFINE_SIGNER;
}

static char *user_in(int argc, char **argv, int n)
{
	return n < argc && strcmp(argv[n], "-") ? argv[n] : NULL;
}

int main(int argc, char **argv)
{
	struct config config = {
		.worker_user = { .name = "worker_user", .value = user_in(argc, argv, 2) },
		.signer_user = { .name = "signer_user", .value = user_in(argc, argv, 3) },
	};

	if (argc < 2)
		return 2;
	if (confine(confinement_of(argv[1]), &config))
		return 1;
	log_notice("serving");
	return poll(NULL, 0, -1);
}
