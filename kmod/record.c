// SPDX-License-Identifier: GPL-2.0-only
/*
 * What control records say after the handshake: alerts, session tickets, KeyUpdate,
 * and all that may not come (RFC 8446 sections 4.6, 5.1 and 6; RFC 5246 for TLS
 * 1.2). A parser and no more: it touches no socket, keeps what is needed between
 * records in struct kb_record, and is built into the unit tests as well.
 */
#include <linux/keyblob.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/tls.h>

#include "record.h"

static void abort_with(struct kb_parse *p, u8 alert)
{
	if (p->event.kind == KB_EVENT_ABORT)
		return;
	p->event.kind = KB_EVENT_ABORT;
	p->event.alert = alert;
}

/* The head of a handshake message is complete: may it come, and how long is it? */
static void message_begin(struct kb_parse *p)
{
	const u8 *head = p->at.head;

	p->at.left = head[1] << 16 | head[2] << 8 | head[3];

	if (p->tls_version == TLS_1_2_VERSION) {
		/* Renegotiation is a thing of the past; RFC 9325 section 3.5. */
		if (head[0] == KB_HS_HELLO_REQUEST || head[0] == KB_HS_CLIENT_HELLO)
			abort_with(p, KB_NO_RENEGOTIATION);
		else
			abort_with(p, KB_UNEXPECTED_MESSAGE);
		return;
	}

	switch (head[0]) {
	case KB_HS_KEY_UPDATE:
		if (p->at.left != 1)
			abort_with(p, KB_DECODE_ERROR);
		break;
	case KB_HS_NEW_SESSION_TICKET:
		/* Servers send them, RFC 8446 section 4.6.1. */
		if (p->role == KEYBLOB_ROLE_SERVER)
			abort_with(p, KB_UNEXPECTED_MESSAGE);
		else if (!p->at.left)
			abort_with(p, KB_DECODE_ERROR);
		break;
	default:
		abort_with(p, KB_UNEXPECTED_MESSAGE);
	}
}

/* Consumes some of a message's body; returns how much. */
static size_t message_body(struct kb_parse *p, const u8 *data, size_t len)
{
	const size_t n = min_t(size_t, len, p->at.left);

	if (p->at.head[0] == KB_HS_KEY_UPDATE) {
		if (*data > 1)
			abort_with(p, KB_ILLEGAL_PARAMETER);
		p->event.kind = p->event.kind ?: KB_EVENT_KEY_UPDATE;
		p->event.requested = *data;
	}
	p->at.left -= n;
	if (!p->at.left) {
		p->event.tickets += p->at.head[0] == KB_HS_NEW_SESSION_TICKET;
		p->at.have = 0;
	}
	return n;
}

static void feed_handshake(struct kb_parse *p, const u8 *data, size_t len)
{
	while (len && p->event.kind != KB_EVENT_ABORT) {
		size_t n = 1;

		if (p->event.kind == KB_EVENT_KEY_UPDATE) {
			/* No message may span the change of keys, section 5.1. */
			abort_with(p, KB_UNEXPECTED_MESSAGE);
		} else if (p->at.have < sizeof(p->at.head)) {
			p->at.head[p->at.have++] = *data;
			if (p->at.have == sizeof(p->at.head))
				message_begin(p);
		} else {
			n = message_body(p, data, len);
		}
		data += n;
		len -= n;
	}
}

/* kb_record_begin() - start on a record of content type @type */
void kb_record_begin(struct kb_parse *p, const struct kb_record *at, u16 tls_version,
		     u16 role, u8 type)
{
	memset(p, 0, sizeof(*p));
	p->at = *at;
	p->tls_version = tls_version;
	p->role = role;
	p->type = type;
}

/* kb_record_feed() - the next bytes of the record's content */
void kb_record_feed(struct kb_parse *p, const u8 *data, size_t len)
{
	if (p->type == KB_TYPE_HANDSHAKE)
		feed_handshake(p, data, len);
	else if (p->type == KB_TYPE_ALERT && p->len < sizeof(p->alert))
		memcpy(p->alert + p->len, data, min_t(size_t, len, sizeof(p->alert) - p->len));
	p->len += len;
}

static void end_alert(struct kb_parse *p)
{
	const u8 level = p->alert[0], description = p->alert[1];
	bool ignored;

	/* One alert a record, whole, section 5.1. */
	if (p->len != sizeof(p->alert)) {
		abort_with(p, KB_DECODE_ERROR);
		return;
	}
	/* TLS 1.3 goes by the description alone, section 6. */
	if (p->tls_version == TLS_1_3_VERSION)
		ignored = description == KB_USER_CANCELED;
	else
		ignored = level == KB_LEVEL_WARNING;

	if (description == KB_CLOSE_NOTIFY) {
		p->event.kind = KB_EVENT_CLOSED;
	} else if (!ignored) {
		p->event.kind = KB_EVENT_ALERT;
		p->event.alert = description;
	}
}

/* kb_record_end() - the record is complete; p->event says what it asks for */
void kb_record_end(struct kb_parse *p)
{
	switch (p->type) {
	case KB_TYPE_ALERT:
		end_alert(p);
		break;
	case KB_TYPE_HANDSHAKE:
		if (!p->len)	/* section 5.1 */
			abort_with(p, KB_UNEXPECTED_MESSAGE);
		break;
	default:
		abort_with(p, KB_UNEXPECTED_MESSAGE);
	}
}
