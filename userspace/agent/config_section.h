/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Setting one key at a time: what the configuration file and the command line share.
 * The table of all sections and keys is in config_section.c.
 */
#ifndef KEYBLOBD_CONFIG_SECTION_H
#define KEYBLOBD_CONFIG_SECTION_H

#include "config.h"

struct section_type;

/* Where keys go to at the moment. Begins as all zeros. */
struct section {
	const struct section_type *type; /* NULL: none, or one that was refused */
	void *to;			/* struct config, or the member of a list in it */
	unsigned int given;		/* bit N: key N of the type was */
	unsigned int seen;		/* bit N: section type N was, ever */
};

/*
 * Keys from here on are those of section @heading, "TYPE" or "TYPE NAME". @where is for
 * messages, and for the line. 0, or -1 after a message.
 */
int section_begin(struct section *section, struct config *config, const char *heading,
		  const struct setting *where);

/*
 * Set @key to @given, whose value is copied, and whose name, a static string, is the
 * option's; in a file it is the key's. As above.
 */
int section_set(struct section *section, const char *key, const struct setting *given);

#endif
