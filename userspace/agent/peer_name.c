// SPDX-License-Identifier: GPL-2.0-only
/*
 * The syntax of names that applications ask to be connected to. Called by params.c, and by
 * peer_info.c; pure.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "peer_name.h"

#define LABEL_MAX 63

static bool is_label_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static bool is_label(const char *label, size_t len)
{
	if (!len || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_label_char(label[i]))
			return false;
	return true;
}

/* All digits, or 0x and hex digits: the last part of an address in one of its odd forms. */
static bool is_number(const char *label)
{
	size_t len = strlen(label);

	if (strspn(label, "0123456789") == len)
		return true;
	return label[0] == '0' && (label[1] == 'x' || label[1] == 'X') &&
	       strspn(label + 2, "0123456789abcdefABCDEF") == len - 2;
}

bool peer_name_ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');

	return is_number(dot ? dot + 1 : name);
}

static const char *check_dns_name(const char *text)
{
	const char *label = text, *dot;

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p > '~')
			return "is not ASCII; give internationalized names as A-labels (xn--...)";
	while ((dot = strchr(label, '.'))) {
		if (!is_label(label, dot - label))
			return "is neither a DNS name nor an IP address";
		label = dot + 1;
	}
	if (!is_label(label, strlen(label)))
		return "is neither a DNS name nor an IP address";
	if (peer_name_ends_in_number(text))
		return "is neither a DNS name nor an IP address in its usual form";
	return NULL;
}

const char *peer_name_parse(struct peer_name *name, const char *text)
{
	size_t len = strlen(text);

	*name = (struct peer_name){ 0 };
	if (len > 1 && text[len - 1] == '.')
		len--;
	if (!len)
		return "is empty";
	if (len >= sizeof(name->text))
		return "is longer than 253 characters";
	memcpy(name->text, text, len);

	if (inet_pton(AF_INET, text, name->address) == 1)
		name->address_len = 4;
	else if (inet_pton(AF_INET6, text, name->address) == 1)
		name->address_len = 16;
	else
		return check_dns_name(name->text);
	return NULL;
}
