// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec for the messages of protocol.h.
 *
 * A reply is checked completely, against the table of attributes below, before
 * anything of it is used; the accessors then cannot fail.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <linux/keyblob.h>

#include "message.h"

#define MESSAGE_HDRLEN	(NLMSG_HDRLEN + GENL_HDRLEN)

/* What an attribute of a reply holds. */
enum kind {
	KIND_NONE = 0,		/* none of a reply's: passed over */
	KIND_FLAG,
	KIND_U8,
	KIND_U16,
	KIND_U32,
	KIND_STRING,		/* ends in its only NUL */
	KIND_BLOB,
	KIND_BINDING,
	KIND_BYTES,		/* at least one */
	KIND_MASK = 0x7f,
	REPEATED = 0x80,
};

static const uint8_t kinds[KEYBLOB_A_MAX + 1] = {
	[KEYBLOB_A_BLOB_TX] = KIND_BLOB,
	[KEYBLOB_A_BLOB_RX] = KIND_BLOB,
	[KEYBLOB_A_TLS_VERSION] = KIND_U16,
	[KEYBLOB_A_CIPHER_SUITE] = KIND_U16,
	[KEYBLOB_A_CIPHER_NAME] = KIND_STRING,
	[KEYBLOB_A_GROUP] = KIND_STRING,
	[KEYBLOB_A_ALPN] = KIND_STRING,
	[KEYBLOB_A_SERVER_NAME] = KIND_STRING,
	[KEYBLOB_A_RESUMED] = KIND_FLAG,
	[KEYBLOB_A_ERRNO] = KIND_U32,
	[KEYBLOB_A_REASON] = KIND_STRING,
	[KEYBLOB_A_ALERT_SENT] = KIND_U8,
	[KEYBLOB_A_ALERT_RECEIVED] = KIND_U8,
	[KEYBLOB_A_PEER_NAME] = KIND_STRING | REPEATED,
	[KEYBLOB_A_PEER_CERT] = KIND_BYTES | REPEATED,
	[KEYBLOB_A_CHANNEL_BINDING] = KIND_BINDING,
};

void kb_message_begin(union kb_packet *packet, uint8_t cmd, uint32_t seq)
{
	const struct genlmsghdr genl = {
		.cmd = cmd,
		.version = KEYBLOB_PROTO_VERSION,
	};

	packet->header = (struct nlmsghdr){
		.nlmsg_len = MESSAGE_HDRLEN,
		.nlmsg_type = KEYBLOB_PROTO_TYPE,
		.nlmsg_flags = NLM_F_REQUEST,
		.nlmsg_seq = seq,
	};
	memcpy(packet->bytes + NLMSG_HDRLEN, &genl, sizeof(genl));
}

/*
 * Append an attribute with room for @len bytes, zeroed padding included. Returns
 * where its payload goes, or NULL if the packet is full.
 */
static unsigned char *reserve(union kb_packet *packet, uint16_t type, size_t len)
{
	size_t used = packet->header.nlmsg_len;
	struct nlattr attr = { .nla_type = type };
	size_t size;

	if (len > sizeof(packet->bytes))
		return NULL;
	size = NLA_HDRLEN + NLA_ALIGN(len);
	if (size > sizeof(packet->bytes) - used)
		return NULL;

	attr.nla_len = NLA_HDRLEN + len;
	memset(packet->bytes + used, 0, size);
	memcpy(packet->bytes + used, &attr, sizeof(attr));
	packet->header.nlmsg_len += size;
	return packet->bytes + used + NLA_HDRLEN;
}

/* Append an attribute. Returns 0, or -E2BIG if the packet is full. */
int kb_message_put(union kb_packet *packet, uint16_t type, const void *data, size_t len)
{
	unsigned char *payload = reserve(packet, type, len);

	if (!payload)
		return -E2BIG;
	memcpy(payload, data, len);
	return 0;
}

/*
 * Append KEYBLOB_A_ALPN_LIST: each protocol name, of 1 to 255 bytes, behind a
 * byte with its length (RFC 7301 section 3.1). An empty list is left out.
 * Returns 0, -EINVAL (a name's length) or -E2BIG (the list's).
 */
int kb_message_put_alpn(union kb_packet *packet, const char *const *protocols)
{
	const char *const *protocol;
	unsigned char *p;
	size_t total = 0;

	for (protocol = protocols; *protocol; protocol++) {
		size_t len = strlen(*protocol);

		if (!len || len > UINT8_MAX)
			return -EINVAL;
		total += 1 + len;
		if (total > sizeof(packet->bytes))
			return -E2BIG;
	}
	if (!total)
		return 0;

	p = reserve(packet, KEYBLOB_A_ALPN_LIST, total);
	if (!p)
		return -E2BIG;
	for (protocol = protocols; *protocol; protocol++) {
		size_t len = strlen(*protocol);

		*p++ = len;
		memcpy(p, *protocol, len);
		p += len;
	}
	return 0;
}

/*
 * Take the headers of a reply apart. @len is the packet's length as received.
 * Returns 0 or -EPROTO; then seq, cmd and version of @reply are set.
 */
int kb_reply_header(const union kb_reply_packet *packet, size_t len, struct kb_reply *reply)
{
	const struct nlmsghdr *header = &packet->header;
	struct genlmsghdr genl;

	memset(reply, 0, sizeof(*reply));

	if (len < MESSAGE_HDRLEN || len > sizeof(*packet))
		return -EPROTO;
	/* Padding may follow the last attribute, nothing else. */
	if (header->nlmsg_len < MESSAGE_HDRLEN || header->nlmsg_len > len ||
	    len > NLMSG_ALIGN(header->nlmsg_len))
		return -EPROTO;
	if (header->nlmsg_type != KEYBLOB_PROTO_TYPE || header->nlmsg_flags)
		return -EPROTO;

	memcpy(&genl, packet->bytes + NLMSG_HDRLEN, sizeof(genl));
	reply->seq = header->nlmsg_seq;
	reply->cmd = genl.cmd;
	reply->version = genl.version;
	return 0;
}

static bool payload_fits(const struct nlattr *attr)
{
	const char *payload = (const char *)attr + NLA_HDRLEN;
	size_t len = attr->nla_len - NLA_HDRLEN;

	switch (kinds[attr->nla_type] & KIND_MASK) {
	case KIND_FLAG:
		return !len;
	case KIND_U8:
		return len == sizeof(uint8_t);
	case KIND_U16:
		return len == sizeof(uint16_t);
	case KIND_U32:
		return len == sizeof(uint32_t);
	case KIND_STRING:
		return len && memchr(payload, '\0', len) == payload + len - 1;
	case KIND_BLOB:
		return len == KEYBLOB_BLOB_SIZE;
	case KIND_BINDING:
		return len == KEYBLOB_CHANNEL_BINDING_SIZE;
	case KIND_BYTES:
		return len > 0;
	default:
		return false;
	}
}

static bool ready_is_complete(const struct kb_reply *reply)
{
	return reply->attrs[KEYBLOB_A_BLOB_TX] && reply->attrs[KEYBLOB_A_BLOB_RX] &&
	       reply->attrs[KEYBLOB_A_TLS_VERSION] && reply->attrs[KEYBLOB_A_CIPHER_SUITE];
}

static bool failed_is_complete(const struct kb_reply *reply)
{
	uint32_t err;

	if (!reply->attrs[KEYBLOB_A_ERRNO])
		return false;
	err = kb_reply_u32(reply, KEYBLOB_A_ERRNO);
	return err && err < 4096;
}

/* The attribute at *@at, which then is where the next one is; NULL: none, or cut short. */
static const struct nlattr *next_attr(const union kb_reply_packet *packet, size_t *at)
{
	const struct nlattr *attr = (const void *)(packet->bytes + *at);
	size_t end = packet->header.nlmsg_len;

	if (*at + NLA_HDRLEN > end || attr->nla_len < NLA_HDRLEN || attr->nla_len > end - *at)
		return NULL;
	*at += NLA_ALIGN(attr->nla_len);
	return attr;
}

static int take_attrs(const union kb_reply_packet *packet, struct kb_reply *reply)
{
	size_t at = MESSAGE_HDRLEN;

	while (at < packet->header.nlmsg_len) {
		const struct nlattr *attr = next_attr(packet, &at);

		if (!attr)
			return -EPROTO;
		if (attr->nla_type > KEYBLOB_A_MAX || kinds[attr->nla_type] == KIND_NONE)
			continue;
		if (!payload_fits(attr))
			return -EPROTO;
		if (!reply->attrs[attr->nla_type])
			reply->attrs[attr->nla_type] = attr;
		else if (!(kinds[attr->nla_type] & REPEATED))
			return -EPROTO;
	}
	reply->end = packet->bytes + packet->header.nlmsg_len;
	return 0;
}

/*
 * Take the attributes of a reply apart whose headers are in @reply. Unknown ones
 * are passed over. Returns 0, or -EPROTO: cut short, a known attribute of the
 * wrong size or given twice, none of the known replies, or one that lacks what
 * it must have.
 */
int kb_reply_attrs(const union kb_reply_packet *packet, struct kb_reply *reply)
{
	if (take_attrs(packet, reply))
		return -EPROTO;
	switch (reply->cmd) {
	case KEYBLOB_CMD_READY:
		return ready_is_complete(reply) ? 0 : -EPROTO;
	case KEYBLOB_CMD_FAILED:
		return failed_is_complete(reply) ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

static bool counter_fits(const struct nlattr *attr)
{
	const char *name = (const char *)attr + NLA_HDRLEN + sizeof(uint64_t);
	size_t len = attr->nla_len - NLA_HDRLEN;

	if (len < sizeof(uint64_t) + 2)
		return false;
	len -= sizeof(uint64_t) + 1;
	return !name[len] && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* The same for the replies to STATUS and RELOAD. */
int kb_reply_admin_attrs(const union kb_reply_packet *packet, struct kb_reply *reply)
{
	size_t at = MESSAGE_HDRLEN;
	const struct nlattr *attr;

	if (take_attrs(packet, reply))
		return -EPROTO;
	while ((attr = next_attr(packet, &at))) {
		if (attr->nla_type == KEYBLOB_A_COUNTER && !counter_fits(attr))
			return -EPROTO;
	}
	switch (reply->cmd) {
	case KEYBLOB_CMD_STATUS:
	case KEYBLOB_CMD_RELOAD:
		return 0;
	case KEYBLOB_CMD_FAILED:
		return failed_is_complete(reply) ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

/* The next one from *@at on, which is 0 at first. Returns 1, or 0: there is none. */
int kb_reply_next_counter(const union kb_reply_packet *packet, size_t *at, struct kb_counter *counter)
{
	const struct nlattr *attr;

	if (!*at)
		*at = MESSAGE_HDRLEN;
	while ((attr = next_attr(packet, at))) {
		const char *payload = (const char *)attr + NLA_HDRLEN;

		if (attr->nla_type != KEYBLOB_A_COUNTER)
			continue;
		memcpy(&counter->value, payload, sizeof(counter->value));
		counter->name = payload + sizeof(counter->value);
		return 1;
	}
	return 0;
}

int kb_reply_has(const struct kb_reply *reply, enum keyblob_attr type)
{
	return reply->attrs[type] != NULL;
}

const void *kb_attr_data(const struct nlattr *attr)
{
	return (const char *)attr + NLA_HDRLEN;
}

size_t kb_attr_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

/* The next one of the same type as @attr, or NULL. */
const struct nlattr *kb_reply_next(const struct kb_reply *reply, const struct nlattr *attr)
{
	const unsigned char *at = (const unsigned char *)attr;
	uint16_t type = attr->nla_type;

	while (reply->end - at > (ptrdiff_t)NLA_ALIGN(attr->nla_len)) {
		at += NLA_ALIGN(attr->nla_len);
		attr = (const void *)at;
		if (attr->nla_type == type)
			return attr;
	}
	return NULL;
}

const void *kb_reply_data(const struct kb_reply *reply, enum keyblob_attr type)
{
	return kb_attr_data(reply->attrs[type]);
}

/* The string, or NULL if it is absent or empty. */
const char *kb_reply_string(const struct kb_reply *reply, enum keyblob_attr type)
{
	const char *string;

	if (!kb_reply_has(reply, type))
		return NULL;
	string = kb_reply_data(reply, type);
	return *string ? string : NULL;
}

uint8_t kb_reply_u8(const struct kb_reply *reply, enum keyblob_attr type)
{
	return *(const uint8_t *)kb_reply_data(reply, type);
}

uint16_t kb_reply_u16(const struct kb_reply *reply, enum keyblob_attr type)
{
	return *(const uint16_t *)kb_reply_data(reply, type);
}

uint32_t kb_reply_u32(const struct kb_reply *reply, enum keyblob_attr type)
{
	return *(const uint32_t *)kb_reply_data(reply, type);
}
