/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests about the agent itself, for the keyblob command, which links the static
 * library. Not part of what libkeyblob offers to others.
 */
#ifndef KB_ADMIN_H
#define KB_ADMIN_H

#include "keyblob.h"
#include "message.h"

/*
 * Send @cmd, which carries nothing, and wait for the answer, at most @timeout_ms. Nothing
 * else may be under way on @agent. Returns 0: @reply, which points into @packet, is of @cmd
 * or of KEYBLOB_CMD_FAILED; or a negative errno, and keyblob_agent_error() says what is
 * wrong.
 */
int kb_admin_request(struct keyblob_agent *agent, uint8_t cmd, unsigned int timeout_ms,
		     union kb_reply_packet *packet, struct kb_reply *reply);

#endif /* KB_ADMIN_H */
