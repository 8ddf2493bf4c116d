// SPDX-License-Identifier: GPL-2.0-only
/* What the far end of a connection does: TLS as it should be, and as it should not. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"

static uint8_t content[TLS_RECORD_MAX + 512];

static long peer_sends(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	long ret;

	if (!link)
		return -ENOENT;
	ret = tls_peer_write(&link->stream.c.peer, content, a[1] % 50000 % sizeof(content));
	link_unlock(link);
	return ret;
}

/* A record of any type and content, under the right key. */
static long peer_sends_record(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	const size_t len = a[2] % (TLS_RECORD_MAX + 200);
	uint8_t data[sizeof(content)];
	long ret;

	if (!link)
		return -ENOENT;
	fill(data, len, a[3]);
	if (len && a[3] < 64)
		data[0] = a[3];
	ret = tls_peer_send(&link->stream.c.peer, a[1] < 8 ? 18 + a[1] : a[1], data, len);
	link_unlock(link);
	return ret;
}

/* KeyUpdates, as many in a row as may be too many. */
static long peer_updates(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	unsigned int n = 1 + (a[2] < 6 ? 0 : a[2] % 80);
	long ret = 0;

	if (!link)
		return -ENOENT;
	while (n-- && !ret)
		ret = peer_update(&link->stream, a[1] & 1);
	link_unlock(link);
	return ret;
}

static long peer_says_alert(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	long ret;

	if (!link)
		return -ENOENT;
	ret = peer_alert(&link->stream, a[1] % 4, a[2] < 8 ? 0 : a[2]);
	link_unlock(link);
	return ret;
}

/* A handshake message that says @a[2] of its length and has @a[3] of it, in one record. */
static long peer_says_message(struct world *w, const uint32_t *a)
{
	static const uint8_t kinds[] = {
		HS_HELLO_REQUEST, HS_CLIENT_HELLO, HS_NEW_SESSION_TICKET, HS_CERTIFICATE_REQUEST,
		HS_KEY_UPDATE, HS_NEW_SESSION_TICKET, HS_KEY_UPDATE,
	};
	const uint32_t said = a[2] & 0xffffff;
	uint8_t msg[TLS_RECORD_MAX] = {
		a[1] < 7 ? kinds[a[1]] : a[1], said >> 16, said >> 8, said
	};
	struct link *link = world_link(w, a[0]);
	size_t len = 4 + (a[3] ? a[3] % (sizeof(msg) - 4) : said % 1000);
	long ret;

	if (!link)
		return -ENOENT;
	msg[4] = a[3] & 1;
	ret = tls_peer_send(&link->stream.c.peer, TLS_TYPE_HANDSHAKE, msg, len);
	link_unlock(link);
	return ret;
}

/* A record in which one byte is not what it should be, or that ends too early. */
static long peer_errs(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	uint8_t wire[TLS_WIRE_MAX + 256];
	ssize_t len = -1;

	if (!link)
		return -ENOENT;
	if (link->stream.c.peer.tx.suite)
		len = tls_seal(&link->stream.c.peer.tx, TLS_TYPE_DATA, content,
			       a[1] % TLS_RECORD_MAX, wire);
	if (len > 0) {
		if (a[3] & 1)
			len = 1 + a[2] % len;
		else
			wire[a[2] % (a[3] & 2 ? 5 : len)] ^= 1 << (a[3] >> 2) % 8;
		len = peer_raw(&link->stream, wire, len);
	}
	link_unlock(link);
	return len;
}

/* Bytes that are no record of this connection's: plain text, or a header and no more. */
static long peer_says_bytes(struct world *w, const uint32_t *a)
{
	uint8_t bytes[4096] = { 20 + a[1] % 5, 3, a[1] & 8 ? 3 : 1, a[2] >> 8, a[2] };
	struct link *link = world_link(w, a[0]);
	long ret;

	if (!link)
		return -ENOENT;
	if (a[1] >> 4 & 1)
		fill(bytes, sizeof(bytes), a[2]);
	ret = peer_raw(&link->stream, bytes, a[3] ? a[3] % sizeof(bytes) : 5);
	link_unlock(link);
	return ret;
}

static long peer_reads(struct world *w, const uint32_t *a)
{
	struct link *link = world_link(w, a[0]);
	uint8_t data[TLS_RECORD_MAX + 1], type;
	unsigned int n = 1 + a[1] % 16;
	ssize_t ret = 1;

	if (!link)
		return -ENOENT;
	while (n-- && ret > 0 && link->stream.c.peer.rx.suite) {
		ret = result(recv(link->stream.c.peer.fd, data, 1, MSG_PEEK | MSG_DONTWAIT));
		if (ret > 0)
			ret = a[1] & 16 ? recv(link->stream.c.peer.fd, data, sizeof(data), 0) :
					  peer_next(&link->stream, &type, data);
	}
	link_unlock(link);
	return ret;
}

static long peer_ends(struct world *w, const uint32_t *a)
{
	const struct linger reset = { .l_onoff = 1 };
	struct link *link = world_link(w, a[0]);
	long ret = 0;
	int fd;

	if (!link)
		return -ENOENT;
	fd = link->stream.c.peer.fd;
	switch (a[1] % 4) {
	case 0:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		/* fall through */
	case 1:
		link->stream.c.peer.fd = -1;
		close(fd);
		break;
	case 2:
		ret = result(shutdown(fd, SHUT_WR));
		break;
	default:
		ret = result(send(fd, content, 1, MSG_OOB | MSG_NOSIGNAL));
	}
	link_unlock(link);
	return ret;
}

const struct call_type peer_calls[] = {
	{ "peersend", "sl", 5, peer_sends },
	{ "peerrecord", "snlx", 2, peer_sends_record },
	{ "peerupdate", "snn", 4, peer_updates },
	{ "peeralert", "snx", 2, peer_says_alert },
	{ "peermessage", "snlk", 3, peer_says_message },
	{ "peererr", "slxx", 2, peer_errs },
	{ "peerbytes", "sxlx", 2, peer_says_bytes },
	{ "peerread", "sx", 3, peer_reads },
	{ "peerend", "sn", 2, peer_ends },
	{ NULL }
};
