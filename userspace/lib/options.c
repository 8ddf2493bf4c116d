// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a handshake is asked for: struct keyblob_options as programs of any age know it,
 * and its attributes. Called by request.c.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "agent.h"

/* The options as they were when @size was introduced. */
#define OPTIONS_SIZE_MIN	offsetof(struct keyblob_options, identity)

/* The caller's options in this library's terms. */
int kb_options_read(struct keyblob_agent *agent, const struct keyblob_options *from,
		    struct keyblob_options *options)
{
	const unsigned char *bytes = (const unsigned char *)from;
	size_t i;

	*options = (struct keyblob_options)KEYBLOB_OPTIONS_INIT;
	if (!from)
		return 0;
	if (from->size < OPTIONS_SIZE_MIN)
		return kb_fail(agent, -EINVAL, "options: begin with KEYBLOB_OPTIONS_INIT");
	for (i = sizeof(*options); i < from->size; i++) {
		if (bytes[i])
			return kb_fail(agent, -E2BIG, "options: made for a newer libkeyblob");
	}
	memcpy(options, from, from->size < sizeof(*options) ? from->size : sizeof(*options));
	if (options->flags & ~KEYBLOB_CHANNEL_BINDING)
		return kb_fail(agent, -EINVAL, "options: unknown flags 0x%x", options->flags);
	return 0;
}

static int put_string(struct keyblob_agent *agent, union kb_packet *packet, uint16_t type,
		      const char *string, const char *what)
{
	if (!*string)
		return kb_fail(agent, -EINVAL, "%s is empty", what);
	if (kb_message_put(packet, type, string, strlen(string) + 1))
		return kb_fail(agent, -E2BIG, "%s is too long", what);
	return 0;
}

/* Append @options to a request. Returns 0, or a negative errno and its text in @agent. */
int kb_options_put(struct keyblob_agent *agent, union kb_packet *packet,
		   const struct keyblob_options *options)
{
	uint32_t timeout = options->timeout_ms;
	int err = 0;

	if (timeout)
		kb_message_put(packet, KEYBLOB_A_TIMEOUT, &timeout, sizeof(timeout));
	if (options->flags & KEYBLOB_CHANNEL_BINDING)
		kb_message_put(packet, KEYBLOB_A_CHANNEL_BINDING, "", 0);
	if (options->identity)
		err = put_string(agent, packet, KEYBLOB_A_IDENTITY, options->identity,
				 "options: the name of the identity");
	if (err || !options->alpn)
		return err;
	err = kb_message_put_alpn(packet, options->alpn);
	if (err == -EINVAL)
		return kb_fail(agent, err, "options: an ALPN name is 1 to 255 bytes long");
	if (err)
		return kb_fail(agent, err, "options: too many ALPN names");
	return 0;
}

/* Likewise whom to connect to, which must be the first: there is room for it then. */
int kb_peer_name_put(struct keyblob_agent *agent, union kb_packet *packet, const char *name)
{
	return put_string(agent, packet, KEYBLOB_A_PEER_NAME, name,
			  "the name of the peer to connect to");
}
