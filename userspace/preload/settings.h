/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What "keyblob run" was told: which connections become TLS, and how. The command reads it
 * from its options, the preloaded library from the environment that the command leaves; each
 * option has one variable, with the same value. Constant once read.
 */
#ifndef KEYBLOB_RUN_SETTINGS_H
#define KEYBLOB_RUN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/keyblob.h>

#define RUN_LIST_MAX	64

/* An IPv4 or IPv6 address, the former as IPv4-mapped (RFC 4291 section 2.5.5.2). */
struct run_address {
	uint8_t bytes[16];
};

struct run_settings {
	bool server;
	bool client;
	struct { uint16_t first, last; } ports[RUN_LIST_MAX];
	size_t n_ports;		/* 0: not given */
	struct { struct run_address address; unsigned int bits; } blocks[RUN_LIST_MAX];
	size_t n_blocks;	/* 0: not given */
	char identity[sizeof(((struct keyblob_handshake *)0)->identity)];
	char name[sizeof(((struct keyblob_handshake *)0)->peer_name)];	/* empty: as looked up */
	struct keyblob_handshake common;	/* what servers and clients have in common */
};

struct run_setting {
	const char *option;	/* without "--" */
	const char *variable;
	bool has_value;		/* else the variable's value is "1" */
	bool (*set)(struct run_settings *s, const char *value);
	const char *wanted;	/* what a good value is, after "give" */
};

/* All of them, in no order of importance; ends with an option that is NULL. */
extern const struct run_setting run_settings[];

/* Fill in @s from the environment. NULL, or the setting whose value is none. */
const struct run_setting *run_settings_read(struct run_settings *s);

/*
 * Take @sockaddr apart. False if it is no address of IPv4 or IPv6, or too short for one;
 * @port is in host byte order.
 */
bool run_address_of(const struct sockaddr *sockaddr, socklen_t len, struct run_address *address,
		    uint16_t *port);

/* Whether a TCP socket that listens on @port is to be a TLS server. */
bool run_selects_listener(const struct run_settings *s, uint16_t port);

/* Whether it is a loopback address, or the one that is none, which the kernel takes for it. */
bool run_is_loopback(const struct run_address *address);

/*
 * Whether a TCP connection to @address and @port is to be one of a TLS client. @named: see
 * names_has_other(). DNS may say that a name is at a loopback address: such a one is not exempt.
 */
bool run_selects_peer(const struct run_settings *s, const struct run_address *address,
		      uint16_t port, bool named);

/* The template for a listener. */
void run_server_template(const struct run_settings *s, struct keyblob_handshake *what);

/* That for a connection to who calls himself @name, at most 255 bytes. */
void run_client_template(const struct run_settings *s, const char *name,
			 struct keyblob_handshake *what);

#endif
