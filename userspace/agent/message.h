/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages from and to an application, see protocol.h.
 */
#ifndef KEYBLOBD_MESSAGE_H
#define KEYBLOBD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netlink/msg.h>

#include "handshake.h"
#include "protocol.h"

/* A packet as it came. */
struct packet {
	_Alignas(struct nlmsghdr) uint8_t data[KEYBLOB_REQUEST_MAX];
	size_t len;
	bool truncated;		/* longer than KEYBLOB_REQUEST_MAX */
	bool fds_lost;		/* this process had no room for the descriptors */
	unsigned int n_fds;	/* how many came with it */
	int fd;			/* the one that came; -1 if none or several */
};

/* A request, pointing into its packet. */
struct message {
	uint32_t seq;
	uint8_t cmd;
	struct handshake_params params;	/* identity: to be looked up */
	const char *identity;		/* its name; NULL: none given */
};

enum message_status {
	MESSAGE_OK,
	MESSAGE_REFUSED,	/* answer with the refusal */
	MESSAGE_BROKEN,		/* the same, then close the connection */
	MESSAGE_NOISE,		/* nothing to answer to: close the connection */
};

/*
 * Receive one packet without blocking. Returns 1; 0 at the end of the
 * connection; or a negative errno. Descriptors beyond the one in packet->fd, which
 * is the caller's to close, have been closed.
 */
int message_receive(int fd, struct packet *packet);

/* Parse; unless it returns MESSAGE_OK or MESSAGE_NOISE, @refusal says what is wrong. */
enum message_status message_decode(struct packet *packet, struct message *message,
				   struct handshake_result *refusal);

/* The reply to request @seq that tells @result. NULL: out of memory. */
struct nl_msg *message_encode(uint32_t seq, const struct handshake_result *result);

/* The reply to STATUS: all counters. NULL: out of memory. */
struct nl_msg *message_encode_status(uint32_t seq);

/*
 * The reply to RELOAD: done if @reasons is empty, else why not, one line per fault. NULL:
 * out of memory.
 */
struct nl_msg *message_encode_reload(uint32_t seq, const char *reasons);

/* Send without blocking; 0 or a negative errno. @msg stays the caller's. */
int message_send(int fd, struct nl_msg *msg);

#endif
