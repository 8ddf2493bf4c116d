/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line, and with it the whole configuration: what it says overrides the file.
 */
#ifndef KEYBLOBD_OPTIONS_H
#define KEYBLOBD_OPTIONS_H

#include <stdbool.h>

#include "config.h"

struct options {
	int argc;
	char **argv;
	bool check;		/* check the configuration in full, and nothing else */
};

/*
 * Fill in options->check, and @config, which is to be config_free()d in any case: with the
 * defaults, the configuration file, and the command line. May be called anew to reload.
 * Returns -1 to go on, or the exit status of the process: 0 after --help and --version, 1
 * after faults in the configuration, 2 after wrong usage, each of which has been told.
 */
int options_parse(struct options *options, struct config *config);

#endif
