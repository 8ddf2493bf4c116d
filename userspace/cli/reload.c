// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob reload: has the agent read its configuration anew, and waits until it has.
 */
#include <unistd.h>

#include "admin.h"
#include "cli.h"

/* Keys in slow hardware are opened, too. */
#define TIMEOUT_MS	120000

int reload_main(int argc, char **argv)
{
	const char *path = NULL;
	union kb_reply_packet packet;
	int option;

	while ((option = getopt(argc, argv, "a:")) != -1) {
		if (option != 'a')
			return EXIT_USAGE;
		path = optarg;
	}
	if (optind < argc)
		return EXIT_USAGE;
	return ask_agent(path, KEYBLOB_CMD_RELOAD, TIMEOUT_MS, &packet) ? EXIT_FAILED : 0;
}
