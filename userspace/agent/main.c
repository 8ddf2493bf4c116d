// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblobd: does TLS handshakes for applications and hands them sealed keys.
 * Only the order of start and stop is here.
 */
#include "keylog.h"
#include "log.h"
#include "memory.h"
#include "options.h"
#include "supervisor.h"

int main(int argc, char **argv)
{
	struct options options = { argc, argv, false };
	struct config config;
	int status;

	if (memory_init()) {
		log_error("OpenSSL was used before its allocator could be replaced");
		return 1;
	}
	memory_harden();
	log_open(LOG_TO_STDERR);

	status = options_parse(&options, &config);
	if (status < 0) {
		log_set_level(config.log_level);
		status = (!options.check && log_open(config.log_target)) || keylog_open() ? 1 :
			 supervisor_run(&options, &config);
	}
	config_free(&config);
	return status;
}
