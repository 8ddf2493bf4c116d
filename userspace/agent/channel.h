/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets between the agent's own processes: a SOCK_SEQPACKET pair, one message per
 * packet, with a descriptor or without.
 */
#ifndef KEYBLOBD_CHANNEL_H
#define KEYBLOBD_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_DATA_MAX 8192

struct channel_message {
	uint32_t type;		/* enum control_type, or the signers' own */
	uint32_t len;		/* bytes of @data in use */
	uint64_t id;		/* of an answer: that of the question */
	uint8_t data[CHANNEL_DATA_MAX];
};

/* Between the supervisor and its children, both ways. */
enum control_type {
	CONTROL_READY = 1,	/* child: set up and confined */
	CONTROL_FAULT,		/* child: cannot; data: why, lines of text; id: EKEYREJECTED if
				 * another try would harm, else 0 */
	CONTROL_CHANNEL,	/* to a signer: descriptor of a worker's channel; to a worker: of
				 * signer number id */
	CONTROL_SERVE,		/* to a worker that is ready: begin */
	CONTROL_KERNEL,		/* to a worker that serves: socket to take the kernel's requests
				 * from; id: of the netlink family */
	CONTROL_TICKET_KEYS,	/* to a worker: struct ticket_keyring */
	CONTROL_CGROUP,		/* worker: descriptor of an application; answer: its path */
	CONTROL_RELOAD,		/* worker: asked for by an application; answer: data is the
				 * reason why not, or empty */
	CONTROL_RETIRE,		/* worker: has served enough; to a worker: hand over and end */
	CONTROL_ALIVE,		/* to a worker: is its event loop alive? answer: the same */
};

/* A pair of non-blocking, close-on-exec SOCK_SEQPACKET sockets; 0 or a negative errno. */
int channel_pair(int fds[2]);

/* Make @text the data of @message, without its NUL; what does not fit is cut off. */
void channel_set_text(struct channel_message *message, const char *text);

/* Send without blocking; @fd -1: none. Stays the caller's. 0 or a negative errno. */
int channel_send(int channel, const struct channel_message *message, int fd);

/*
 * Receive without blocking: 1; 0 at the end; or a negative errno, -EBADMSG for what is no
 * message. *@fd: -1 or the caller's. @fd NULL: a descriptor is not wanted, and is dropped.
 */
int channel_receive(int channel, struct channel_message *message, int *fd);

#endif
