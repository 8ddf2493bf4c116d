// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names to connect to: what is taken is a DNS name or an address, not both; is the same if
 * it is given again; and is what others take it for. Input: the name.
 */
#include <arpa/inet.h>

#include "fuzz.h"
#include "../../userspace/agent/peer_name.h"

static void check_address(const struct peer_name *name)
{
	const int family = name->address_len == 4 ? AF_INET : AF_INET6;
	char text[INET6_ADDRSTRLEN];
	struct peer_name again;

	must(name->address_len == 4 || name->address_len == 16);
	must(inet_ntop(family, name->address, text, sizeof(text)));
	must(!peer_name_parse(&again, text));
	must(again.address_len == name->address_len);
	must(!memcmp(again.address, name->address, sizeof(again.address)));
}

/* As RFC 1123 section 2.1 has it, with underscores. */
static void check_dns_name(const struct peer_name *name)
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-_";
	struct in_addr odd;
	size_t label = 0;

	for (const char *p = name->text;; p++) {
		if (*p && *p != '.') {
			must(strchr(accepted, *p));
			label++;
			continue;
		}
		must(label >= 1 && label <= 63);
		must(p[-1] != '-' && *(p - label) != '-');
		if (!*p)
			break;
		label = 0;
	}
	/* inet_aton(3) knows all the odd forms. */
	must(!inet_aton(name->text, &odd));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct peer_name name, again;
	char *text = take_string(&in, '\0');
	const char *why = peer_name_parse(&name, text);
	const size_t len = strlen(text);

	if (!why) {
		must(*name.text && strlen(name.text) <= 253);
		must(!strncmp(text, name.text, strlen(name.text)));
		must(len - strlen(name.text) == (len && text[len - 1] == '.'));
		must(!peer_name_parse(&again, name.text));
		must(!memcmp(&again, &name, sizeof(name)));
		name.address_len ? check_address(&name) : check_dns_name(&name);
	}
	free(text);
	return 0;
}
