// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an application sends the agent: a request that is taken is within its packet and
 * says what it must, and one that is not is answered so that libkeyblob understands it.
 * Input: what came with the packet, then the packet.
 */
#include <errno.h>

#include "agent.h"
#include "fuzz.h"
#include "../../userspace/agent/message.h"
#include "../../userspace/lib/message.h"

#define MEND		1	/* the header is in order */
#define TRUNCATED	2
#define FDS_LOST	4

static struct packet packet;

static void mend(void)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)packet.data;

	if (packet.len < NLMSG_HDRLEN + GENL_HDRLEN)
		return;
	hdr->nlmsg_len = packet.len;
	hdr->nlmsg_type = KEYBLOB_PROTO_TYPE;
	hdr->nlmsg_flags |= NLM_F_REQUEST;
	packet.data[NLMSG_HDRLEN + 1] = KEYBLOB_PROTO_VERSION;
}

static void check_taken(const struct message *message)
{
	const char *name = message->identity;
	const char *end = (const char *)packet.data + packet.len;

	must(packet.len >= NLMSG_HDRLEN + GENL_HDRLEN && !packet.truncated);
	switch (message->cmd) {
	case KEYBLOB_CMD_ACCEPT:
	case KEYBLOB_CMD_CONNECT:
		must(packet.n_fds == 1 && !packet.fds_lost);
		must((message->cmd == KEYBLOB_CMD_CONNECT) ==
		     (message->params.role == ROLE_CLIENT));
		agent_check_params(&message->params, packet.data, packet.len);
		must(!name || (name > (char *)packet.data && name < end && *name &&
			       memchr(name, 0, end - name)));
		break;
	case KEYBLOB_CMD_STATUS:
	case KEYBLOB_CMD_RELOAD:
		must(!packet.n_fds && !packet.fds_lost);
		break;
	default:
		must(message->cmd == KEYBLOB_CMD_CANCEL);
	}
}

static void check_refused(const struct message *message, const struct handshake_result *refusal)
{
	static union kb_reply_packet reply_packet;
	struct nl_msg *msg = message_encode(message->seq, refusal);
	struct kb_reply reply;
	size_t len;

	agent_check_refusal(refusal);
	must(msg);
	len = nlmsg_hdr(msg)->nlmsg_len;
	memcpy(&reply_packet, nlmsg_hdr(msg), len);
	nlmsg_free(msg);
	must(!kb_reply_header(&reply_packet, len, &reply));
	must(!kb_reply_attrs(&reply_packet, &reply));
	must(reply.seq == message->seq && reply.cmd == KEYBLOB_CMD_FAILED);
	must(kb_reply_u32(&reply, KEYBLOB_A_ERRNO) == (uint32_t)refusal->error);
	must(!strcmp(kb_reply_string(&reply, KEYBLOB_A_REASON), refusal->reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct handshake_result untouched = {
		.alert_sent = NO_ALERT, .alert_received = NO_ALERT,
	};
	struct handshake_result refusal = untouched;
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	enum message_status status;
	struct message message;

	packet.truncated = how & TRUNCATED || in.left > sizeof(packet.data);
	packet.fds_lost = how & FDS_LOST;
	packet.n_fds = how >> 6;
	packet.fd = packet.n_fds == 1 ? 3 : -1;
	packet.len = take_packet(&in, packet.data, sizeof(packet.data));
	if (how & MEND)
		mend();

	fence(packet.data, packet.len, sizeof(packet.data));
	status = message_decode(&packet, &message, &refusal);
	switch (status) {
	case MESSAGE_OK:
		check_taken(&message);
		/* fall through */
	case MESSAGE_NOISE:
		must(!memcmp(&refusal, &untouched, sizeof(refusal)));
		break;
	default:
		check_refused(&message, &refusal);
	}
	unfence(packet.data, sizeof(packet.data));
	return 0;
}
