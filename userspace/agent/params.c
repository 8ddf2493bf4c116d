// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks of what applications ask for. Called by message.c and kernel_message.c; pure.
 */
#include <errno.h>
#include <string.h>

#include "params.h"

/* Each is compared with each of the peer's, of which there may be many thousands. */
#define ALPN_MAX 100

/* The names must fit strings. */
static bool valid_alpn(const uint8_t *list, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i += 1 + list[i])
		if (++n > ALPN_MAX || !list[i] || i + 1 + list[i] > len ||
		    memchr(list + i + 1, 0, list[i]))
			return false;
	return len > 0;
}

bool params_set_alpn(struct handshake_params *params, const uint8_t *list, size_t len)
{
	if (!valid_alpn(list, len))
		return false;
	params->alpn = list;
	params->alpn_len = len;
	return true;
}

bool params_set_peer(struct handshake_params *params, const char *name,
		     struct handshake_result *refusal)
{
	const char *why = peer_name_parse(&params->peer, name);

	if (why)
		handshake_result_fail(refusal, EINVAL, "name \"%.253s\" to connect to %s", name,
				      why);
	return !why;
}
