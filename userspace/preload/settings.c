// SPDX-License-Identifier: GPL-2.0-only
/*
 * The settings of "keyblob run": their syntax and their meaning. Used by the command, which
 * refuses bad ones, and by the preloaded library; allocates nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

#define PORT_DNS	53
#define MAPPED_BITS	96	/* before the IPv4 address of a mapped one */

static const struct run_address mapped = { .bytes = { [10] = 0xff, [11] = 0xff } };

/*
 * The next of the items that commas separate, in @item, and *@list moved past it. False if
 * there is none; one that is empty, or does not fit, is an empty string.
 */
static bool next_item(const char **list, char *item, size_t size)
{
	size_t len;

	if (!*list)
		return false;
	len = strcspn(*list, ",");
	*item = '\0';
	if (len < size) {
		memcpy(item, *list, len);
		item[len] = '\0';
	}
	*list = (*list)[len] ? *list + len + 1 : NULL;
	return true;
}

/* A decimal number and what comes after it; -1: none, or above @max. */
static long read_number(const char *text, long max, char **end)
{
	long number;

	if (*text < '0' || *text > '9')
		return -1;
	number = strtol(text, end, 10);
	return number > max ? -1 : number;
}

static bool read_ports(const char *text, uint16_t *first, uint16_t *last)
{
	char *end;
	long number;

	number = read_number(text, UINT16_MAX, &end);
	if (number < 1)
		return false;
	*first = number;
	*last = number;
	if (*end == '-') {
		number = read_number(end + 1, UINT16_MAX, &end);
		if (number < *first)
			return false;
		*last = number;
	}
	return !*end;
}

static bool set_ports(struct run_settings *s, const char *value)
{
	char item[sizeof("65535-65535")];

	for (s->n_ports = 0; next_item(&value, item, sizeof(item)); s->n_ports++) {
		if (s->n_ports == RUN_LIST_MAX ||
		    !read_ports(item, &s->ports[s->n_ports].first, &s->ports[s->n_ports].last))
			return false;
	}
	return true;
}

static bool read_address(const char *text, struct run_address *address, unsigned int *max_bits)
{
	*address = mapped;
	*max_bits = 32;
	if (inet_pton(AF_INET, text, address->bytes + MAPPED_BITS / 8) == 1)
		return true;
	*max_bits = 128;
	return inet_pton(AF_INET6, text, address->bytes) == 1;
}

/* ADDRESS[/BITS]; @text is written to. */
static bool read_block(char *text, struct run_address *address, unsigned int *bits)
{
	char *slash = strchr(text, '/'), *end;
	unsigned int max;
	long number;

	if (slash)
		*slash = '\0';
	if (!read_address(text, address, &max))
		return false;
	number = max;
	if (slash) {
		number = read_number(slash + 1, max, &end);
		if (number < 0 || *end)
			return false;
	}
	*bits = number + (max == 32 ? MAPPED_BITS : 0);
	return true;
}

static bool set_addresses(struct run_settings *s, const char *value)
{
	char item[INET6_ADDRSTRLEN + sizeof("/128")];

	for (s->n_blocks = 0; next_item(&value, item, sizeof(item)); s->n_blocks++) {
		if (s->n_blocks == RUN_LIST_MAX ||
		    !read_block(item, &s->blocks[s->n_blocks].address, &s->blocks[s->n_blocks].bits))
			return false;
	}
	return true;
}

/* To ProtocolNameList, RFC 7301 section 3.1. */
static bool set_alpn(struct run_settings *s, const char *value)
{
	char item[UINT8_MAX + 1];
	size_t at = 0, len;

	while (next_item(&value, item, sizeof(item))) {
		len = strlen(item);
		if (!len || at + 1 + len > sizeof(s->common.alpn))
			return false;
		s->common.alpn[at++] = len;
		memcpy(s->common.alpn + at, item, len);
		at += len;
	}
	s->common.alpn_len = at;
	return true;
}

static bool set_timeout(struct run_settings *s, const char *value)
{
	char *end;
	long seconds;

	seconds = read_number(value, KEYBLOB_HANDSHAKE_MS_MAX / 1000, &end);
	if (seconds < 1 || *end)
		return false;
	s->common.timeout_ms = seconds * 1000;
	return true;
}

static bool set_server(struct run_settings *s, const char *value)
{
	if (!*value || strlen(value) >= sizeof(s->identity))
		return false;
	s->server = true;
	strcpy(s->identity, strcmp(value, "-") ? value : "");
	return true;
}

static bool set_client(struct run_settings *s, const char *value)
{
	s->client = !strcmp(value, "1");
	return s->client;
}

static bool set_name(struct run_settings *s, const char *value)
{
	if (!*value || strlen(value) >= sizeof(s->name))
		return false;
	strcpy(s->name, value);
	return true;
}

#define SETTING(option, NAME)	option, "KEYBLOB_RUN_" NAME
const struct run_setting run_settings[] = {
	{ SETTING("server", "SERVER"), true, set_server,
	  "the name of an identity of the agent's, or - for its choice" },
	{ SETTING("client", "CLIENT"), false, set_client, "1" },
	{ SETTING("ports", "PORTS"), true, set_ports,
	  "at most 64 ports and ranges, such as 443,8000-8099" },
	{ SETTING("addresses", "ADDRESSES"), true, set_addresses,
	  "at most 64 addresses and blocks, such as 192.0.2.1,10.0.0.0/8,2001:db8::/32" },
	{ SETTING("name", "NAME"), true, set_name, "a host name or an address" },
	{ SETTING("alpn", "ALPN"), true, set_alpn, "protocols, such as h2,http/1.1; 256 bytes" },
	{ SETTING("timeout", "TIMEOUT"), true, set_timeout, "seconds, from 1 to 3600" },
	{ 0 }
};

const struct run_setting *run_settings_read(struct run_settings *s)
{
	const struct run_setting *setting;
	const char *value;

	memset(s, 0, sizeof(*s));
	for (setting = run_settings; setting->option; setting++) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment */
		value = getenv(setting->variable);
		if (value && !setting->set(s, value))
			return setting;
	}
	return NULL;
}

bool run_address_of(const struct sockaddr *sockaddr, socklen_t len, struct run_address *address,
		    uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6 = { 0 };

	if (!sockaddr || len < sizeof(sockaddr->sa_family))
		return false;
	if (sockaddr->sa_family == AF_INET && len >= sizeof(v4)) {
		memcpy(&v4, sockaddr, sizeof(v4));
		*address = mapped;
		memcpy(address->bytes + MAPPED_BITS / 8, &v4.sin_addr, sizeof(v4.sin_addr));
		*port = ntohs(v4.sin_port);
		return true;
	}
	/* The kernel takes them without a scope, too. */
	if (sockaddr->sa_family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memcpy(&v6, sockaddr, offsetof(struct sockaddr_in6, sin6_scope_id));
		memcpy(address->bytes, &v6.sin6_addr, sizeof(address->bytes));
		*port = ntohs(v6.sin6_port);
		return true;
	}
	return false;
}

static bool is_in_block(const struct run_address *address, const struct run_address *block,
			unsigned int bits)
{
	const unsigned int bytes = bits / 8, rest = bits % 8;

	return !memcmp(address->bytes, block->bytes, bytes) &&
	       (!rest || !((address->bytes[bytes] ^ block->bytes[bytes]) >> (8 - rest)));
}

bool run_is_loopback(const struct run_address *address)
{
	static const struct run_address any, loopback = { .bytes = { [15] = 1 } };
	static const uint8_t any4[4];
	const uint8_t *v4 = address->bytes + MAPPED_BITS / 8;

	if (is_in_block(address, &mapped, MAPPED_BITS))
		return v4[0] == 127 || !memcmp(v4, any4, sizeof(any4));
	return !memcmp(address, &any, sizeof(any)) || !memcmp(address, &loopback, sizeof(loopback));
}

static bool is_port_given(const struct run_settings *s, uint16_t port)
{
	size_t i;

	for (i = 0; i < s->n_ports; i++) {
		if (port >= s->ports[i].first && port <= s->ports[i].last)
			return true;
	}
	return !s->n_ports;
}

static bool is_address_given(const struct run_settings *s, const struct run_address *address)
{
	size_t i;

	for (i = 0; i < s->n_blocks; i++) {
		if (is_in_block(address, &s->blocks[i].address, s->blocks[i].bits))
			return true;
	}
	return !s->n_blocks;
}

bool run_selects_listener(const struct run_settings *s, uint16_t port)
{
	return s->server && is_port_given(s, port);
}

bool run_selects_peer(const struct run_settings *s, const struct run_address *address,
		      uint16_t port, bool named)
{
	if (!s->client)
		return false;
	if (!s->n_ports && !s->n_blocks)
		return port != PORT_DNS && (named || !run_is_loopback(address));
	return is_port_given(s, port) && is_address_given(s, address);
}

void run_server_template(const struct run_settings *s, struct keyblob_handshake *what)
{
	*what = s->common;
	what->role = KEYBLOB_ROLE_SERVER;
	memcpy(what->identity, s->identity, sizeof(what->identity));
}

void run_client_template(const struct run_settings *s, const char *name,
			 struct keyblob_handshake *what)
{
	*what = s->common;
	what->role = KEYBLOB_ROLE_CLIENT;
	memcpy(what->peer_name, name, strlen(name));
}
