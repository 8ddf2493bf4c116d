/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom a client wants to talk to: the reference identity of RFC 9525.
 */
#ifndef KEYBLOBD_PEER_NAME_H
#define KEYBLOBD_PEER_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_NAME_SIZE	254	/* a DNS name in text, RFC 1035 2.3.4, and its NUL */

struct peer_name {
	char text[PEER_NAME_SIZE];	/* without a trailing dot */
	uint8_t address[16];		/* in network byte order */
	size_t address_len;		/* 4, 16; 0: a DNS name */
};

/*
 * Take @text for an IPv4 or IPv6 address, else for a DNS name: labels of letters, digits,
 * hyphens and underscores; internationalized ones as A-labels (RFC 5890). One dot at the
 * end is dropped: it is neither in certificates nor in SNI (RFC 6066 section 3). What other
 * programs might take for an address (127.1, 0x7f.0.0.1) is no name. NULL, or why it is
 * none.
 */
const char *peer_name_parse(struct peer_name *name, const char *text);

/* Whether what comes after the last dot is a number, or nothing: such a name is none. */
bool peer_name_ends_in_number(const char *name);

#endif
