// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control records: however they are cut for kb_record_feed(), they mean the same; what a
 * client may accept in TLS 1.3 is what a plain reading of the stream says. Input: version
 * and role; of each record its type, the step, its length, and its bytes.
 */
#include <linux/keyblob.h>
#include <linux/tls.h>

#include "fuzz.h"
#include "record.h"

#define STREAM_MAX	4096

/* The handshake messages of all records that were accepted. */
static uint8_t stream[STREAM_MAX];
static size_t stream_len;

struct reading {
	u32 tickets, updates;
	bool partial;		/* the last message goes on */
	size_t end;		/* of the last one that is whole */
};

static struct reading read_stream(void)
{
	struct reading r = { 0 };

	while (r.end + 4 <= stream_len) {
		const uint8_t *head = stream + r.end;
		const size_t len = head[1] << 16 | head[2] << 8 | head[3];

		if (len > stream_len - r.end - 4)
			break;
		r.tickets += head[0] == KB_HS_NEW_SESSION_TICKET;
		r.updates += head[0] == KB_HS_KEY_UPDATE;
		r.end += 4 + len;
	}
	r.partial = r.end < stream_len;
	return r;
}

static void parse(struct kb_parse *p, const struct kb_record *at, u16 version, u16 role, u8 type,
		  const uint8_t *data, size_t len, size_t step)
{
	kb_record_begin(p, at, version, role, type);
	for (size_t from = 0, n; from < len; from += n) {
		n = step && step < len - from ? step : len - from;
		kb_record_feed(p, data + from, n);
	}
	kb_record_end(p);
}

static void check_accepted(const struct kb_parse *p, const uint8_t *data, size_t len)
{
	const struct reading before = read_stream();
	struct reading after;

	if (p->type != KB_TYPE_HANDSHAKE)
		return;
	memcpy(stream + stream_len, data, len);
	stream_len += len;
	after = read_stream();
	/* In TLS 1.2, no more than is needed to see what it is. */
	must(len && (p->tls_version == TLS_1_3_VERSION || stream_len < sizeof(p->at.head)));
	must(kb_record_is_partial(&p->at) == after.partial);
	must(p->event.tickets == after.tickets - before.tickets);
	must((p->event.kind == KB_EVENT_KEY_UPDATE) == (after.updates - before.updates == 1));
	must(after.updates - before.updates <= 1);
	/* The key changes where the record ends. */
	if (p->event.kind == KB_EVENT_KEY_UPDATE)
		must(!after.partial && p->event.requested == data[len - 1]);
	if (p->role == KEYBLOB_ROLE_SERVER)
		must(!after.tickets);
}

static void check_record(struct input *in, struct kb_record *at, u16 version, u16 role)
{
	const u8 type = KB_TYPE_ALERT + take_byte(in) % 4 - 1;
	const size_t step = take_byte(in);
	struct kb_parse p, whole;
	size_t len = take_byte(in);
	uint8_t *data;

	len = len < in->left ? len : in->left;
	len = len < STREAM_MAX - stream_len ? len : STREAM_MAX - stream_len;
	data = malloc(len);
	must(data);
	take(in, data, len);

	parse(&p, at, version, role, type, data, len, step);
	parse(&whole, at, version, role, type, data, len, 0);
	must(p.event.kind == whole.event.kind && p.event.alert == whole.event.alert);
	if (p.event.kind == KB_EVENT_ABORT) {
		must(p.event.alert);
	} else {
		must(!memcmp(&p.at, &whole.at, sizeof(p.at)));
		must(p.event.tickets == whole.event.tickets);
		must(p.at.have <= sizeof(p.at.head));
		check_accepted(&p, data, len);
		*at = p.at;
	}
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	struct kb_record at = { 0 };

	stream_len = 0;
	while (in.left)
		check_record(&in, &at, how & 1 ? TLS_1_2_VERSION : TLS_1_3_VERSION, how >> 1 & 3);
	return 0;
}
