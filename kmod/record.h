/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_RECORD_H
#define KB_RECORD_H

#include <linux/types.h>

/* Content types, RFC 8446 section 5.1. */
#define KB_TYPE_ALERT		21
#define KB_TYPE_HANDSHAKE	22
#define KB_TYPE_DATA		23

/* Handshake types, RFC 8446 section 4. */
#define KB_HS_HELLO_REQUEST	0	/* RFC 5246 */
#define KB_HS_CLIENT_HELLO	1
#define KB_HS_NEW_SESSION_TICKET 4
#define KB_HS_KEY_UPDATE	24

/* Alerts, RFC 8446 section 6. */
#define KB_LEVEL_WARNING	1
#define KB_LEVEL_FATAL		2

#define KB_CLOSE_NOTIFY		0
#define KB_UNEXPECTED_MESSAGE	10
#define KB_BAD_RECORD_MAC	20
#define KB_RECORD_OVERFLOW	22
#define KB_ILLEGAL_PARAMETER	47
#define KB_DECODE_ERROR		50
#define KB_INTERNAL_ERROR	80
#define KB_USER_CANCELED	90
#define KB_NO_RENEGOTIATION	100

/* What a control record asks for. */
enum kb_event_kind {
	KB_EVENT_NONE,		/* nothing: a ticket, a warning, a part of a message */
	KB_EVENT_KEY_UPDATE,	/* new key for receiving; an answer if @requested */
	KB_EVENT_CLOSED,	/* close_notify */
	KB_EVENT_ALERT,		/* the peer sent the fatal @alert */
	KB_EVENT_ABORT,		/* the peer broke the protocol: send the fatal @alert */
};

struct kb_event {
	enum kb_event_kind kind;
	u8 alert;
	bool requested;
	u32 tickets;		/* session tickets that were complete */
};

/*
 * Where a stream of handshake messages stands between two records. Zeroed: at the
 * start of a message.
 */
struct kb_record {
	u8 head[4];		/* of the message: type, length */
	u32 have : 8;		/* bytes of head */
	u32 left : 24;		/* bytes of the body still to come */
};

/* One record on its way through kb_record_begin(), _feed() and _end(). */
struct kb_parse {
	struct kb_record at;	/* to be kept if the record is accepted */
	struct kb_event event;
	u16 tls_version;
	u16 role;		/* KEYBLOB_ROLE_* of this side */
	u8 type;
	u8 alert[2];
	u32 len;		/* bytes fed so far */
};

void kb_record_begin(struct kb_parse *p, const struct kb_record *at, u16 tls_version,
		     u16 role, u8 type);
void kb_record_feed(struct kb_parse *p, const u8 *data, size_t len);
void kb_record_end(struct kb_parse *p);

/* kb_record_is_partial() - does a handshake message go on in the next record? */
static inline bool kb_record_is_partial(const struct kb_record *at)
{
	return at->have;
}

#endif
