/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel module, as the agent sees it.
 */
#ifndef KEYBLOBD_SEAL_H
#define KEYBLOBD_SEAL_H

#include <stdint.h>
#include <sys/socket.h>

#include <linux/keyblob.h>

/* Key material that the kernel turns into a blob in place. */
union seal {
	struct keyblob_key key;
	uint8_t blob[KEYBLOB_BLOB_SIZE];
};

/* Why the kernel refused, for a person. */
struct seal_error {
	char reason[160];
};

/*
 * Have the kernel load its module if it is not there: that wants CAP_NET_ADMIN, which
 * workers have not. Best effort; seal_attach() says what is missing.
 */
void seal_load(void);

/*
 * Make @fd, which has to be a connected TCP socket, a keyblob socket. Returns 0, or a
 * positive errno of the protocol with @error filled in. @peer: its other end, or AF_UNSPEC.
 */
int seal_attach(int fd, struct sockaddr_storage *peer, struct seal_error *error);

/* Replace @seal->key by the blob. On failure, as above, the key is still there. */
int seal_export(int fd, union seal *seal, struct seal_error *error);

/* Give @fd both its keys, as blobs of it. As above; the socket is of no use after a failure. */
int seal_import(int fd, const union seal *tx, const union seal *rx, struct seal_error *error);

#endif
