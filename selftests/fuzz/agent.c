// SPDX-License-Identifier: GPL-2.0-only
/* See agent.h. */
#include <stdarg.h>

#include "agent.h"
#include "fuzz.h"
#include "../../userspace/agent/log.h"

unsigned int agent_complaints;

/* In place of handshake.c's. */
void handshake_result_fail(struct handshake_result *result, int error, const char *format, ...)
{
	va_list args;

	result->error = error;
	va_start(args, format);
	vsnprintf(result->reason, sizeof(result->reason), format, args);
	va_end(args);
	agent_complaints++;
}

/* In place of log.c's. */
void log_line(enum log_level level, const char *format, ...)
{
	char line[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	agent_complaints++;
}

static void check_alpn(const struct handshake_params *params)
{
	const uint8_t *name = params->alpn, *end = name + params->alpn_len;

	must(name < end);
	for (; name < end; name += 1 + *name) {
		must(*name && *name < end - name);
		must(!memchr(name + 1, 0, *name));
	}
}

void agent_check_params(const struct handshake_params *params, const void *from, size_t len)
{
	const uint8_t *at = from;
	struct peer_name again;

	if (params->alpn) {
		must(params->alpn >= at && params->alpn + params->alpn_len <= at + len);
		check_alpn(params);
	}
	must((params->role == ROLE_CLIENT) == (*params->peer.text != '\0'));
	if (params->role == ROLE_CLIENT) {
		must(!peer_name_parse(&again, params->peer.text));
		must(!memcmp(&again, &params->peer, sizeof(again)));
	}
}

void agent_check_refusal(const struct handshake_result *refusal)
{
	must(refusal->error > 0 && refusal->error < 4096);
	must(*refusal->reason && memchr(refusal->reason, 0, sizeof(refusal->reason)));
}
