// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settings of "keyblob run": what is taken is within its bounds, and when it is written
 * down and read again, the same. Input: which setting, then its value; and a socket address.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fuzz.h"
#include "../../userspace/preload/settings.h"

#define SETTINGS	7

static void put(char **to, const char *text)
{
	*to = stpcpy(*to, text);
}

static void write_ports(char *to, const struct run_settings *s)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		must(s->ports[i].first && s->ports[i].first <= s->ports[i].last);
		to += sprintf(to, "%s%u-%u", i ? "," : "", s->ports[i].first, s->ports[i].last);
	}
}

static void write_blocks(char *to, const struct run_settings *s)
{
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < s->n_blocks; i++) {
		const uint8_t *address = s->blocks[i].address.bytes;
		const bool v4 = s->blocks[i].bits >= 96 &&
				!memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);

		must(s->blocks[i].bits <= 128);
		inet_ntop(v4 ? AF_INET : AF_INET6, address + (v4 ? 12 : 0), text, sizeof(text));
		to += sprintf(to, "%s%s/%u", i ? "," : "", text, s->blocks[i].bits - (v4 ? 96 : 0));
	}
}

static void write_alpn(char *to, const struct run_settings *s)
{
	const uint8_t *name = s->common.alpn, *end = name + s->common.alpn_len;

	must(name < end && s->common.alpn_len <= sizeof(s->common.alpn));
	for (; name < end; name += 1 + *name) {
		must(*name && *name < end - name);
		to += sprintf(to, "%s%.*s", name > s->common.alpn ? "," : "", *name, name + 1);
	}
}

/* The value of @option that @s has; @to has room for whatever it is. */
static void write_value(char *to, const struct run_settings *s, const char *option)
{
	if (!strcmp(option, "ports"))
		write_ports(to, s);
	else if (!strcmp(option, "addresses"))
		write_blocks(to, s);
	else if (!strcmp(option, "alpn"))
		write_alpn(to, s);
	else if (!strcmp(option, "timeout"))
		sprintf(to, "%u", s->common.timeout_ms / 1000);
	else if (!strcmp(option, "client"))
		put(&to, s->client ? "1" : "0");
	else if (!strcmp(option, "name"))
		put(&to, s->name);
	else
		put(&to, *s->identity ? s->identity : "-");
}

static void check_templates(const struct run_settings *s)
{
	struct keyblob_handshake what;

	must(s->common.timeout_ms <= KEYBLOB_HANDSHAKE_MS_MAX);
	run_server_template(s, &what);
	must(what.role == KEYBLOB_ROLE_SERVER && memchr(what.identity, 0, sizeof(what.identity)));
	run_client_template(s, s->name, &what);
	must(what.role == KEYBLOB_ROLE_CLIENT && !strcmp(what.peer_name, s->name));
}

static void check_selection(const struct run_settings *s, struct input *in)
{
	const socklen_t len = in->left < 30 ? in->left : 30;
	struct sockaddr *sockaddr = malloc(len);
	struct run_address address;
	uint16_t port = 1;
	bool wanted = !s->n_ports;

	must(sockaddr);
	take(in, sockaddr, len);
	if (run_address_of(sockaddr, len, &address, &port)) {
		run_is_loopback(&address);
		must(!run_selects_peer(s, &address, port, true) || s->client);
	}
	for (size_t i = 0; i < s->n_ports; i++)
		wanted |= port >= s->ports[i].first && port <= s->ports[i].last;
	must(run_selects_listener(s, port) == (s->server && wanted));
	free(sockaddr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const struct run_setting *setting = &run_settings[take_byte(&in) % SETTINGS];
	static struct run_settings s, again;
	static char written[RUN_LIST_MAX * (INET6_ADDRSTRLEN + 5)];
	char *value = take_string(&in, '\0');

	memset(&s, 0, sizeof(s));
	memset(&again, 0, sizeof(again));
	if (setting->set(&s, value)) {
		write_value(written, &s, setting->option);
		must(setting->set(&again, written));
		must(!memcmp(&again, &s, sizeof(s)));
		check_templates(&s);
		s.client = true;
		check_selection(&s, &in);
	}
	free(value);
	return 0;
}
