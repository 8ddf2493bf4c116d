/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages from and to the kernel module, see <linux/keyblob_netlink.h>.
 */
#ifndef KEYBLOBD_KERNEL_MESSAGE_H
#define KEYBLOBD_KERNEL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/keyblob_netlink.h>
#include <netlink/msg.h>

#include "handshake.h"

/* More than any message has that the module sends. */
#define KERNEL_PACKET_MAX (16 * 1024)

struct kernel_packet {
	_Alignas(struct nlmsghdr) uint8_t data[KERNEL_PACKET_MAX];
	size_t len;
};

/* A handshake that an application asked the kernel for; strings point into its packet. */
struct kernel_request {
	uint64_t id;
	int fd;
	struct handshake_params params;	/* identity: to be looked up */
	const char *identity;		/* its name; NULL: none given */
	struct credentials who;		/* to be credentials_free()d */
};

enum kernel_status {
	KERNEL_REQUEST,		/* @request is to be carried out */
	KERNEL_REFUSED,		/* @refusal is to be answered; @request has its id, fd and who */
	KERNEL_ERROR,		/* what was asked with sequence number *@seq failed */
	KERNEL_READY,		/* requests wait */
	KERNEL_NOISE,		/* nothing that was asked for */
};

/* Receive without blocking; 0 or a negative errno, -ENOBUFS: messages were lost. */
int kernel_receive(int fd, struct kernel_packet *packet);

/*
 * What @packet says, the module's family being @family. *@error: of KERNEL_ERROR, a
 * negative errno, 0: done.
 */
enum kernel_status kernel_decode(struct kernel_packet *packet, uint16_t family,
				 struct kernel_request *request,
				 struct handshake_result *refusal, uint32_t *seq, int *error);

/* A message of command @cmd without attributes. NULL: out of memory. */
struct nl_msg *kernel_encode(uint16_t family, uint32_t seq, uint8_t cmd);

/* DONE of request @id, which ended as @result says. NULL: out of memory. */
struct nl_msg *kernel_encode_done(uint16_t family, uint32_t seq, uint64_t id,
				  const struct handshake_result *result);

#endif
