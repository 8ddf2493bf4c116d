/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the keyblob command share: one file per subcommand, and the
 * table of them in keyblob.c.
 */
#ifndef KB_CLI_H
#define KB_CLI_H

#include <stdint.h>

/* Exit status; 0 is success. */
#define EXIT_FAILED	1
#define EXIT_USAGE	2

union kb_reply_packet;

/*
 * Have the agent at @path (NULL: the usual place) answer @cmd, in @packet. 0; or -1 after
 * telling why not, the agent's own reasons included.
 */
int ask_agent(const char *path, uint8_t cmd, unsigned int timeout_ms, union kb_reply_packet *packet);

/*
 * Subcommands. argv[0] is the subcommand's name; the exit status is returned.
 * EXIT_USAGE makes the caller print how it is used.
 */
int info_main(int argc, char **argv);
int reload_main(int argc, char **argv);
int run_main(int argc, char **argv);
int status_main(int argc, char **argv);

#endif /* KB_CLI_H */
