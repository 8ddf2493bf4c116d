/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the helpers that use libkeyblob tell about a handshake, on one line:
 *
 *	result=OK version=0304 cipher=… group=… alpn=… sni=… names=…,… certs=N binding=HEX resumed=0
 *	result=ECONNABORTED alert=sent:70 error=TEXT
 *
 * An own field may come between result and the rest.
 */
#ifndef E2E_TELL_H
#define E2E_TELL_H

#include <errno.h>
#include <keyblob.h>
#include <stdio.h>
#include <string.h>

static inline const char *tell_name_of(int result)
{
	return result ? strerrorname_np(-result) : "OK";
}

static inline const char *tell_or_dash(const char *text)
{
	return text ? text : "-";
}

static inline void tell_failure(FILE *to, const struct keyblob_agent *agent)
{
	char alert[32] = "none";
	int sent, number = keyblob_agent_alert(agent, &sent);

	if (number >= 0)
		snprintf(alert, sizeof(alert), "%s:%d", sent ? "sent" : "received", number);
	fprintf(to, "alert=%s error=%s\n", alert, keyblob_agent_error(agent));
}

static inline void tell_peer(FILE *to, const struct keyblob_info *info)
{
	unsigned int i, certs = 0;
	uint8_t binding[32];
	const uint8_t *der;
	size_t len;

	fprintf(to, "names=%s", tell_or_dash(keyblob_info_peer_name(info, 0)));
	for (i = 1; keyblob_info_peer_name(info, i); i++)
		fprintf(to, ",%s", keyblob_info_peer_name(info, i));
	while (!keyblob_info_peer_cert(info, certs, &der, &len))
		certs++;
	fprintf(to, " certs=%u binding=", certs);
	if (keyblob_info_channel_binding(info, binding))
		fputc('-', to);
	else
		for (i = 0; i < sizeof(binding); i++)
			fprintf(to, "%02X", binding[i]);
}

static inline void tell_success(FILE *to, const struct keyblob_info *info)
{
	fprintf(to, "version=%04x cipher=%s group=%s alpn=%s sni=%s ", keyblob_info_version(info),
		tell_or_dash(keyblob_info_cipher_name(info)),
		tell_or_dash(keyblob_info_group(info)), tell_or_dash(keyblob_info_alpn(info)),
		tell_or_dash(keyblob_info_server_name(info)));
	tell_peer(to, info);
	fprintf(to, " resumed=%d\n", keyblob_info_resumed(info));
}

#endif
