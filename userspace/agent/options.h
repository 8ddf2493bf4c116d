/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent is told to do. The command line fills this in; so may any
 * other source. Read-only once the supervisor runs.
 */
#ifndef KEYBLOBD_OPTIONS_H
#define KEYBLOBD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity_files {
	char *cert;			/* PEM: the certificate, then its chain */
	char *key;			/* PEM: its private key */
};

struct options {
	struct identity_files *identities; /* the first is the default */
	size_t n_identities;
	char *listen;			/* path of the UNIX socket */
	mode_t mode;			/* of the UNIX socket */
	unsigned int workers;
	unsigned int max_handshakes;	/* in flight, per worker */
	unsigned int timeout_ms;	/* for one handshake, at most */
	int min_tls;			/* TLS1_2_VERSION, TLS1_3_VERSION */
	bool verbose;
};

/*
 * Fill in @options from the command line. Returns -1 to go on, or the exit
 * status of the process: 0 after --help and --version, 2 after a mistake, which
 * has been explained on stderr.
 */
int options_parse(struct options *options, int argc, char **argv);

void options_free(struct options *options);

#endif
