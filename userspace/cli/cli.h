/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the keyblob command share: one file per subcommand, and the
 * table of them in keyblob.c.
 */
#ifndef KB_CLI_H
#define KB_CLI_H

/* Exit status; 0 is success. */
#define EXIT_FAILED	1
#define EXIT_USAGE	2

/*
 * Subcommands. argv[0] is the subcommand's name; the exit status is returned.
 * EXIT_USAGE makes the caller print how it is used.
 */
int info_main(int argc, char **argv);

#endif /* KB_CLI_H */
