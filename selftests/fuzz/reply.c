// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an agent answers libkeyblob: the request that it is for ends, no other does, and
 * what the application is told is a copy of the packet's, in order. Input: how, then the
 * packet.
 */
#include <linux/keyblob.h>
#include <sys/socket.h>

#include "../../userspace/lib/request.c"
#include "fuzz.h"

#define MEND	1	/* the header is in order */
#define REFUSE	2	/* the kernel refuses the keys */

#define SEQ	7
#define FD	1000

static union kb_reply_packet packet;
static struct keyblob_agent agent;
static bool refuse;

/* In libc's place: the kernel. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	static uint8_t blob[KEYBLOB_BLOB_SIZE];

	must(fd == FD && level == SOL_KEYBLOB && len == sizeof(blob));
	must(name == KEYBLOB_TX || name == KEYBLOB_RX);
	memcpy(blob, value, len);
	errno = ESTALE;
	return refuse ? -1 : 0;
}

static void mend(size_t len)
{
	packet.header.nlmsg_len = len;
	packet.header.nlmsg_type = KEYBLOB_PROTO_TYPE;
	packet.header.nlmsg_flags = 0;
	packet.header.nlmsg_seq = SEQ;
	packet.bytes[NLMSG_HDRLEN + 1] = KEYBLOB_PROTO_VERSION;
}

static struct kb_request *begin(uint32_t seq)
{
	struct kb_request *request = calloc(1, sizeof(*request));

	must(request);
	request->seq = seq;
	request->fd = FD;
	request->failure.alert = KB_NO_ALERT;
	request->next = *bucket(&agent, seq);
	*bucket(&agent, seq) = request;
	return request;
}

static bool is_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static void check_string(const char *string)
{
	must(!string || *string);
}

/* @packet is out of bounds meanwhile: all of it is a copy. */
static void check_info(const struct keyblob_info *info)
{
	uint8_t binding[KEYBLOB_CHANNEL_BINDING_SIZE];
	volatile uint8_t last;
	const uint8_t *der;
	const char *name;
	size_t len;

	check_string(keyblob_info_cipher_name(info));
	check_string(keyblob_info_group(info));
	check_string(keyblob_info_alpn(info));
	check_string(keyblob_info_server_name(info));
	for (unsigned int i = 0; (name = keyblob_info_peer_name(info, i)); i++)
		must(strlen(name) < KEYBLOB_MSG_MAX);
	for (unsigned int i = 0; !keyblob_info_peer_cert(info, i, &der, &len); i++) {
		must(len && len < KEYBLOB_MSG_MAX);
		last = der[len - 1];
		(void)last;
	}
	keyblob_info_channel_binding(info, binding);
}

static void check_done(const struct kb_request *request)
{
	const int alert = request->failure.alert;

	must(request->result <= 0 && request->result > -4096);
	must(!request->result == (request->info != NULL));
	must(alert == KB_NO_ALERT || (request->result && alert >= 0 && alert <= UINT8_MAX));
	if (request->info)
		check_info(request->info);
	else
		must(*request->failure.text && is_line(request->failure.text));
}

/* A string ends in its only NUL: none hides behind another. */
static void check_strings(size_t len)
{
	static const enum keyblob_attr strings[] = {
		KEYBLOB_A_CIPHER_NAME, KEYBLOB_A_GROUP, KEYBLOB_A_ALPN, KEYBLOB_A_SERVER_NAME,
		KEYBLOB_A_REASON, KEYBLOB_A_PEER_NAME,
	};
	const struct nlattr *attr;
	struct kb_reply reply;

	if (kb_reply_header(&packet, len, &reply) || kb_reply_attrs(&packet, &reply))
		return;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		for (attr = reply.attrs[strings[i]]; attr; attr = kb_reply_next(&reply, attr))
			must(strlen(kb_attr_data(attr)) + 1 == kb_attr_len(attr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kb_request *request, *other;
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	const size_t len = take_packet(&in, packet.bytes, sizeof(packet));
	int err;

	if (how & MEND && len >= NLMSG_HDRLEN + GENL_HDRLEN)
		mend(len);
	refuse = how & REFUSE;
	memset(&agent, 0, sizeof(agent));
	agent.socket = agent.epoll = agent.timer = -1;
	agent.done_tail = &agent.done_head;
	request = begin(SEQ);
	other = begin(SEQ + KB_BUCKETS);

	fence(packet.bytes, len, sizeof(packet));
	check_strings(len);
	err = handle_packet(&agent, &packet, len);
	fence(packet.bytes, 0, sizeof(packet));
	must(!err || err == -EPROTO);
	must(!other->done || !request->done);
	must(find(&agent, SEQ) || request->done);
	must(find(&agent, SEQ + KB_BUCKETS) || other->done);
	if (err)
		must(!request->done && !other->done && !agent.done_head);
	if (agent.done_head)
		check_done(agent.done_head);
	unfence(packet.bytes, sizeof(packet));
	kb_requests_forget(&agent);
	return 0;
}
