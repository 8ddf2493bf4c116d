// SPDX-License-Identifier: GPL-2.0-only
/*
 * One question to the agent, for subcommands.
 */
#include <stdio.h>

#include "admin.h"
#include "cli.h"

/* A line each. Keep terminals safe. */
static void print_reasons(const char *text)
{
	fputs("keyblob: ", stderr);
	for (; *text; text++) {
		if (*text == '\n' && text[1])
			fputs("\nkeyblob: ", stderr);
		else if (*text != '\n')
			fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stderr);
	}
	fputc('\n', stderr);
}

int ask_agent(const char *path, uint8_t cmd, unsigned int timeout_ms, union kb_reply_packet *packet)
{
	struct keyblob_agent *agent;
	struct kb_reply reply;
	const char *reason;
	int err;

	if (keyblob_agent_open(path, &agent)) {
		print_reasons(keyblob_agent_error(NULL));
		return -1;
	}
	err = kb_admin_request(agent, cmd, timeout_ms, packet, &reply);
	if (err)
		print_reasons(keyblob_agent_error(agent));
	keyblob_agent_close(agent);
	if (err)
		return -1;
	if (reply.cmd == cmd)
		return 0;
	reason = kb_reply_string(&reply, KEYBLOB_A_REASON);
	print_reasons(reason ? reason : "the agent refuses, and does not say why");
	return -1;
}
