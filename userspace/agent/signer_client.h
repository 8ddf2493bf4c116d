/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker's side of the signers: operations under way, and fibers that wait for them.
 */
#ifndef KEYBLOBD_SIGNER_CLIENT_H
#define KEYBLOBD_SIGNER_CLIENT_H

#include <event2/event.h>

#include "config.h"
#include "remote_key.h"

struct signer_client;

/* @config must outlive it. NULL: out of memory. */
struct signer_client *signer_client_new(struct event_base *base, const struct config *config);

/* No operation may be under way: fiber_abort() ends those of fibers. */
void signer_client_free(struct signer_client *client);

/*
 * Use @fd, a worker's end of a channel, owned from here on, for signer @number. What was
 * under way with a signer that died is asked again of the new one. 0 or a negative errno.
 */
int signer_client_connect(struct signer_client *client, unsigned int number, int fd);

/*
 * For remote_key_init(). In a fiber (see fiber.h) it pauses; elsewhere it blocks for up to
 * 5 s, which is for start-up alone. Fails with
 *	-EAGAIN		the signer is gone, for 2 s or longer
 *	-ECANCELED	the fiber was aborted
 *	-ETIMEDOUT	it did not answer to one that blocks
 *	others		what the signer said, see signature->reason
 */
int signer_client_sign(void *client, struct signature *signature);

#endif
