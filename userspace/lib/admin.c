// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests about the agent itself: one at a time, blocking. Called by the keyblob
 * command.
 */
#include <errno.h>
#include <poll.h>

#include "admin.h"
#include "agent.h"

static int receive(struct keyblob_agent *agent, union kb_reply_packet *packet, kb_deadline_t deadline)
{
	ssize_t len;

	while ((len = kb_receive(agent, packet)) == -EAGAIN)
		if (kb_wait(agent, POLLIN, deadline))
			return kb_fail(agent, -ETIMEDOUT, "keyblob agent at %s does not answer",
				       agent->address.sun_path);
	if (len <= 0)
		return kb_fail(agent, -EPIPE, "keyblob agent at %s closes the connection",
			       agent->address.sun_path);
	return len;
}

int kb_admin_request(struct keyblob_agent *agent, uint8_t cmd, unsigned int timeout_ms,
		     union kb_reply_packet *packet, struct kb_reply *reply)
{
	union kb_packet request;
	int err, len;

	kb_message_begin(&request, cmd, ++agent->last_seq);
	err = kb_send(agent, &request, -1);
	if (err)
		return kb_fail(agent, err, "cannot ask the keyblob agent at %s: %m",
			       agent->address.sun_path);
	len = receive(agent, packet, kb_deadline(timeout_ms));
	if (len < 0)
		return len;
	if (kb_reply_header(packet, len, reply) || reply->seq != agent->last_seq ||
	    kb_reply_admin_attrs(packet, reply) ||
	    (reply->cmd != cmd && reply->cmd != KEYBLOB_CMD_FAILED))
		return kb_fail(agent, -EPROTO, "keyblob agent at %s sent a malformed reply",
			       agent->address.sun_path);
	return 0;
}
