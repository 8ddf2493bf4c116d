// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblobd: does TLS handshakes for applications and hands them sealed keys.
 * Only the order of start and stop is here.
 */
#include "log.h"
#include "memory.h"
#include "options.h"
#include "supervisor.h"

int main(int argc, char **argv)
{
	struct options options;
	int status;

	if (memory_init()) {
		log_error("OpenSSL was used before its allocator could be replaced");
		return 1;
	}
	memory_harden();

	status = options_parse(&options, argc, argv);
	if (status < 0) {
		log_set_level(options.verbose ? LOG_DETAIL : LOG_NOTICE);
		status = supervisor_run(&options);
	}
	options_free(&options);
	return status;
}
