/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keyblob sockets before they are connected: see template.c.
 */
#ifndef KB_TEMPLATE_H
#define KB_TEMPLATE_H

#include <linux/net.h>
#include <net/sock.h>

#include "compat.h"
#include "handshake.h"

struct request_sock;

/* What was set, and by whom. */
struct kb_template {
	struct keyblob_handshake what;
	struct kb_asker who;
};

/* ---- for ulp.c ---- */
int kb_template_attach(struct sock *sk);
void kb_template_clone(const struct request_sock *req, struct sock *newsk,
		       const gfp_t priority);
void kb_template_drop(struct kb_sock *kb);
int kb_template_connect(struct socket *sock, struct kb_sockaddr *addr, int len, int flags);

/* ---- for sockopt.c ---- */
int kb_template_set(struct sock *sk, const struct keyblob_handshake *what);
int kb_template_promote(struct sock *sk);

#endif
