// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a handshake negotiated, copied out of the agent's reply into one
 * allocation that the application owns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"

struct cert {
	const uint8_t *der;
	size_t len;
};

struct keyblob_info {
	uint16_t version;
	uint16_t cipher;
	int resumed;
	const char *cipher_name;
	const char *group;
	const char *alpn;
	const char *server_name;
	const uint8_t *channel_binding;
	const char **names;
	unsigned int n_names;
	unsigned int n_certs;
	struct cert certs[];	/* then what all the pointers point at */
};

static size_t string_size(const struct kb_reply *reply, enum keyblob_attr type)
{
	const char *string = kb_reply_string(reply, type);

	return string ? strlen(string) + 1 : 0;
}

/* Copy a string to *@to, which is advanced. Returns the copy. */
static const char *take_string(const struct kb_reply *reply, enum keyblob_attr type, char **to)
{
	size_t size = string_size(reply, type);
	char *copy = *to;

	if (!size)
		return NULL;
	memcpy(copy, kb_reply_string(reply, type), size);
	*to += size;
	return copy;
}

/* How many attributes of a type there are, and their bytes are added to *@size. */
static unsigned int count(const struct kb_reply *reply, enum keyblob_attr type, size_t *size)
{
	const struct nlattr *attr;
	unsigned int n = 0;

	for (attr = reply->attrs[type]; attr; attr = kb_reply_next(reply, attr)) {
		*size += kb_attr_len(attr);
		n++;
	}
	return n;
}

/* Copy the payload of @attr to *@to, which is advanced. Returns the copy. */
static const void *take(const struct nlattr *attr, char **to)
{
	void *copy = *to;

	memcpy(copy, kb_attr_data(attr), kb_attr_len(attr));
	*to += kb_attr_len(attr);
	return copy;
}

static void take_peer(struct keyblob_info *info, const struct kb_reply *reply, char **to)
{
	const struct nlattr *attr;

	for (attr = reply->attrs[KEYBLOB_A_PEER_NAME]; attr; attr = kb_reply_next(reply, attr))
		info->names[info->n_names++] = take(attr, to);
	for (attr = reply->attrs[KEYBLOB_A_PEER_CERT]; attr; attr = kb_reply_next(reply, attr)) {
		struct cert *cert = &info->certs[info->n_certs++];

		cert->len = kb_attr_len(attr);
		cert->der = take(attr, to);
	}
	if (kb_reply_has(reply, KEYBLOB_A_CHANNEL_BINDING))
		info->channel_binding = take(reply->attrs[KEYBLOB_A_CHANNEL_BINDING], to);
}

/* @reply is KEYBLOB_CMD_READY, checked. Returns NULL if memory is short. */
struct keyblob_info *kb_info_from_reply(const struct kb_reply *reply)
{
	struct keyblob_info *info;
	size_t bytes = string_size(reply, KEYBLOB_A_CIPHER_NAME) +
		       string_size(reply, KEYBLOB_A_GROUP) +
		       string_size(reply, KEYBLOB_A_ALPN) +
		       string_size(reply, KEYBLOB_A_SERVER_NAME);
	unsigned int names = count(reply, KEYBLOB_A_PEER_NAME, &bytes);
	unsigned int certs = count(reply, KEYBLOB_A_PEER_CERT, &bytes);
	char *to;

	count(reply, KEYBLOB_A_CHANNEL_BINDING, &bytes);
	bytes += certs * sizeof(info->certs[0]) + names * sizeof(info->names[0]);
	info = calloc(1, sizeof(*info) + bytes);
	if (!info)
		return NULL;

	info->names = (const char **)&info->certs[certs];
	to = (char *)&info->names[names];
	info->version = kb_reply_u16(reply, KEYBLOB_A_TLS_VERSION);
	info->cipher = kb_reply_u16(reply, KEYBLOB_A_CIPHER_SUITE);
	info->resumed = kb_reply_has(reply, KEYBLOB_A_RESUMED);
	info->cipher_name = take_string(reply, KEYBLOB_A_CIPHER_NAME, &to);
	info->group = take_string(reply, KEYBLOB_A_GROUP, &to);
	info->alpn = take_string(reply, KEYBLOB_A_ALPN, &to);
	info->server_name = take_string(reply, KEYBLOB_A_SERVER_NAME, &to);
	take_peer(info, reply, &to);
	return info;
}

uint16_t keyblob_info_version(const struct keyblob_info *info)
{
	return info->version;
}

uint16_t keyblob_info_cipher(const struct keyblob_info *info)
{
	return info->cipher;
}

const char *keyblob_info_cipher_name(const struct keyblob_info *info)
{
	return info->cipher_name;
}

const char *keyblob_info_group(const struct keyblob_info *info)
{
	return info->group;
}

const char *keyblob_info_alpn(const struct keyblob_info *info)
{
	return info->alpn;
}

const char *keyblob_info_server_name(const struct keyblob_info *info)
{
	return info->server_name;
}

int keyblob_info_resumed(const struct keyblob_info *info)
{
	return info->resumed;
}

int keyblob_info_peer_cert(const struct keyblob_info *info, unsigned int index,
			   const uint8_t **der, size_t *len)
{
	if (index >= info->n_certs)
		return -ENOENT;
	*der = info->certs[index].der;
	*len = info->certs[index].len;
	return 0;
}

const char *keyblob_info_peer_name(const struct keyblob_info *info, unsigned int index)
{
	return index < info->n_names ? info->names[index] : NULL;
}

int keyblob_info_channel_binding(const struct keyblob_info *info, uint8_t binding[32])
{
	if (!info->channel_binding)
		return -ENOENT;
	memcpy(binding, info->channel_binding, KEYBLOB_CHANNEL_BINDING_SIZE);
	return 0;
}

void keyblob_info_free(struct keyblob_info *info)
{
	free(info);
}
