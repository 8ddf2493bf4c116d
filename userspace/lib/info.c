// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a handshake negotiated, copied out of the agent's reply into one
 * allocation that the application owns.
 */
#include <stdlib.h>
#include <string.h>

#include "info.h"

struct keyblob_info {
	uint16_t version;
	uint16_t cipher;
	int resumed;
	const char *cipher_name;
	const char *group;
	const char *alpn;
	const char *server_name;
	char strings[];		/* what the pointers above point at */
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

/* @reply is KEYBLOB_CMD_READY, checked. Returns NULL if memory is short. */
struct keyblob_info *kb_info_from_reply(const struct kb_reply *reply)
{
	struct keyblob_info *info;
	char *to;

	info = malloc(sizeof(*info) +
		      string_size(reply, KEYBLOB_A_CIPHER_NAME) +
		      string_size(reply, KEYBLOB_A_GROUP) +
		      string_size(reply, KEYBLOB_A_ALPN) +
		      string_size(reply, KEYBLOB_A_SERVER_NAME));
	if (!info)
		return NULL;

	to = info->strings;
	info->version = kb_reply_u16(reply, KEYBLOB_A_TLS_VERSION);
	info->cipher = kb_reply_u16(reply, KEYBLOB_A_CIPHER_SUITE);
	info->resumed = kb_reply_has(reply, KEYBLOB_A_RESUMED);
	info->cipher_name = take_string(reply, KEYBLOB_A_CIPHER_NAME, &to);
	info->group = take_string(reply, KEYBLOB_A_GROUP, &to);
	info->alpn = take_string(reply, KEYBLOB_A_ALPN, &to);
	info->server_name = take_string(reply, KEYBLOB_A_SERVER_NAME, &to);
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

void keyblob_info_free(struct keyblob_info *info)
{
	free(info);
}
