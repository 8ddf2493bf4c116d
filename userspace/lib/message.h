/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec for the messages of protocol.h: build requests, take replies apart.
 * Pure functions on the caller's buffers; replies are not trusted.
 */
#ifndef KB_MESSAGE_H
#define KB_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "protocol.h"

/* A request, and whatever comes back, aligned as their headers need it. */
union kb_packet {
	struct nlmsghdr header;
	unsigned char bytes[KEYBLOB_REQUEST_MAX];
};

union kb_reply_packet {		/* too large for a stack */
	struct nlmsghdr header;
	unsigned char bytes[KEYBLOB_MSG_MAX];
};

/* A reply taken apart; what the attributes point at is the packet. */
struct kb_reply {
	uint32_t seq;
	uint8_t cmd;
	uint8_t version;
	const struct nlattr *attrs[KEYBLOB_A_MAX + 1];	/* the first; NULL: absent */
	const unsigned char *end;			/* of all attributes */
};

void kb_message_begin(union kb_packet *packet, uint8_t cmd, uint32_t seq);
int kb_message_put(union kb_packet *packet, uint16_t type, const void *data, size_t len);
int kb_message_put_alpn(union kb_packet *packet, const char *const *protocols);

int kb_reply_header(const union kb_reply_packet *packet, size_t len, struct kb_reply *reply);
int kb_reply_attrs(const union kb_reply_packet *packet, struct kb_reply *reply);

int kb_reply_admin_attrs(const union kb_reply_packet *packet, struct kb_reply *reply);

/* One KEYBLOB_A_COUNTER of a reply that kb_reply_admin_attrs() has checked. */
struct kb_counter {
	uint64_t value;
	const char *name;	/* of the characters a to z, 0 to 9, and _ */
};

int kb_reply_next_counter(const union kb_reply_packet *packet, size_t *at,
			  struct kb_counter *counter);

int kb_reply_has(const struct kb_reply *reply, enum keyblob_attr type);
const void *kb_reply_data(const struct kb_reply *reply, enum keyblob_attr type);
const char *kb_reply_string(const struct kb_reply *reply, enum keyblob_attr type);

/* Attributes that may be there several times: begin with attrs[type], end with NULL. */
const struct nlattr *kb_reply_next(const struct kb_reply *reply, const struct nlattr *attr);
const void *kb_attr_data(const struct nlattr *attr);
size_t kb_attr_len(const struct nlattr *attr);

uint8_t kb_reply_u8(const struct kb_reply *reply, enum keyblob_attr type);
uint16_t kb_reply_u16(const struct kb_reply *reply, enum keyblob_attr type);
uint32_t kb_reply_u32(const struct kb_reply *reply, enum keyblob_attr type);

#endif /* KB_MESSAGE_H */
