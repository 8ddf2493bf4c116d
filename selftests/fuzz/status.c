// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "keyblob status" and "keyblob reload" show of an agent's answer: plain lines, be it
 * as it may, and JSON that is JSON. Input: how, then the packet.
 */
#include <errno.h>

#include "../../userspace/cli/ask.c"
#include "../../userspace/cli/status.c"
#include "fuzz.h"

#define MEND	1	/* the header is in order */

static union kb_reply_packet packet;
static char *shown;
static size_t shown_len;

/* What @print writes to *@stream, which is stdout or stderr. */
static void show(FILE **stream, void (*print)(const union kb_reply_packet *), const char *reason)
{
	FILE *saved = *stream, *memory = open_memstream(&shown, &shown_len);

	must(memory);
	*stream = memory;
	if (print)
		print(&packet);
	else
		print_reasons(reason);
	*stream = saved;
	fclose(memory);
	for (size_t i = 0; i < shown_len; i++)
		must(shown[i] == '\n' || ((unsigned char)shown[i] >= ' ' && shown[i] != 0x7f));
}

static void check_json(void)
{
	const char *at = shown + 1;
	char name[2];

	must(*shown == '{');
	for (; strcmp(at, "\n}\n"); at += *at == ',') {
		must(sscanf(at, "\n  \"%1[a-z0-9_]", name) == 1);
		at = strchr(at, '"') + 1;
		at += strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");
		must(!strncmp(at, "\": ", 3) && strspn(at + 3, "0123456789"));
		at += 3 + strspn(at + 3, "0123456789");
		must(*at == ',' || !strcmp(at, "\n}\n"));
	}
}

static void check_shown(const struct kb_reply *reply)
{
	const char *reason = kb_reply_string(reply, KEYBLOB_A_REASON);

	if (reply->cmd == KEYBLOB_CMD_STATUS) {
		show(&stdout, print_table, NULL);
		free(shown);
		show(&stdout, print_prometheus, NULL);
		free(shown);
		show(&stdout, print_json, NULL);
		check_json();
		free(shown);
	} else if (reply->cmd == KEYBLOB_CMD_FAILED) {
		show(&stderr, NULL, reason ? reason : "");
		free(shown);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	const size_t len = take_packet(&in, packet.bytes, sizeof(packet));
	struct kb_reply reply;
	int err;

	if (how & MEND && len >= NLMSG_HDRLEN + GENL_HDRLEN) {
		packet.header.nlmsg_len = len;
		packet.header.nlmsg_type = KEYBLOB_PROTO_TYPE;
		packet.header.nlmsg_flags = 0;
	}
	fence(packet.bytes, len, sizeof(packet));
	err = kb_reply_header(&packet, len, &reply);
	must(!err || err == -EPROTO);
	if (!err && !kb_reply_admin_attrs(&packet, &reply))
		check_shown(&reply);
	unfence(packet.bytes, sizeof(packet));
	return 0;
}
