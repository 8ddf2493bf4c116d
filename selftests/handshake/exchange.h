/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A handshake between the application and the agent of a test, in place of which keys are
 * made up: @c is the connection, its fd the agent's copy of the socket.
 */
#ifndef SELFTESTS_HANDSHAKE_EXCHANGE_H
#define SELFTESTS_HANDSHAKE_EXCHANGE_H

#include "agent.h"
#include "app.h"
#include "lib/net.h"

struct exchange {
	struct agent a;
	struct app app;
	struct conn c;
};

/* exchange_init() - a registered agent, and keys; the connection is the caller's to make */
int exchange_init(struct exchange *x);

/* exchange_take() - the agent takes the request; 0 or a negative errno */
int exchange_take(struct exchange *x, struct accepted *got);

/* exchange_succeed(), exchange_fail() - and ends it; 0 or a negative errno */
int exchange_succeed(struct exchange *x, const struct accepted *got);
int exchange_fail(struct exchange *x, const struct accepted *got, int error);

/* exchange_works() - does data flow between the application and the peer, under TLS? */
bool exchange_works(struct exchange *x);

#endif
