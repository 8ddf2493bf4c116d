// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel passes on of an application's request: its parts are in the packet or
 * copies, and what is refused can be told the kernel. Input: how, then the packet.
 */
#include <netlink/genl/genl.h>

#include "agent.h"
#include "fuzz.h"
#include "../../userspace/agent/kernel_message.h"

#define FAMILY	0x21
#define MEND	1	/* the header is in order */

static struct kernel_packet packet;

static void mend(void)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)packet.data;

	if (packet.len < NLMSG_HDRLEN + GENL_HDRLEN)
		return;
	hdr->nlmsg_len = packet.len;
	hdr->nlmsg_type = FAMILY;
}

/* Printable, and as long as the kernel has room for. */
static void check_text(struct nlattr *nla)
{
	const char *text = nla ? nla_data(nla) : "";

	must(!nla || nla_len(nla) <= 256);
	must(!nla || memchr(text, 0, nla_len(nla)) == text + nla_len(nla) - 1);
	for (; *text; text++)
		must(*text >= ' ' && *text <= '~');
}

/* Answers, with @text wherever there is some in it. */
static void check_answer(uint64_t id, int error, const char *text)
{
	struct handshake_result result = {
		.error = error, .alert_sent = NO_ALERT, .alert_received = NO_ALERT,
	};
	struct nlattr *tb[KEYBLOB_A_GENL_MAX + 1];
	struct nl_msg *msg;

	snprintf(result.reason, sizeof(result.reason), "%s", text);
	snprintf(result.alpn, sizeof(result.alpn), "%s", text);
	snprintf(result.server_name, sizeof(result.server_name), "%s", text);
	result.peer.names = sk_OPENSSL_STRING_new_null();
	must(sk_OPENSSL_STRING_push(result.peer.names, (char *)text));
	msg = kernel_encode_done(FAMILY, 3, id, &result);
	sk_OPENSSL_STRING_free(result.peer.names);
	must(msg);
	must(!genlmsg_parse(nlmsg_hdr(msg), 0, tb, KEYBLOB_A_GENL_MAX, NULL));
	must(nla_get_u64(tb[KEYBLOB_A_GENL_ID]) == id);
	must(!nla_get_u32(tb[KEYBLOB_A_GENL_ERROR]) == !error);
	check_text(tb[KEYBLOB_A_GENL_REASON]);
	check_text(tb[KEYBLOB_A_GENL_SERVER_NAME]);
	check_text(tb[KEYBLOB_A_GENL_PEER_NAME]);
	nlmsg_free(msg);
}

static void check_request(enum kernel_status status, const struct kernel_request *request,
			  const struct handshake_result *refusal)
{
	const char *name = request->identity, *end = (const char *)packet.data + packet.len;

	must(request->who.groups || !request->who.n_groups);
	if (status == KERNEL_REQUEST) {
		must(request->params.import);
		must(!name || (name > (char *)packet.data && memchr(name, 0, end - name)));
		agent_check_params(&request->params, packet.data, packet.len);
		check_answer(request->id, 0, name ? name : "");
	} else {
		agent_check_refusal(refusal);
		check_answer(request->id, refusal->error, refusal->reason);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handshake_result refusal = { .alert_sent = NO_ALERT, .alert_received = NO_ALERT };
	struct kernel_request request = { .fd = -1 };
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	enum kernel_status status;
	int error = 1;
	uint32_t seq;

	packet.len = take_packet(&in, packet.data, sizeof(packet.data));
	if (how & MEND)
		mend();
	fence(packet.data, packet.len, sizeof(packet.data));
	status = kernel_decode(&packet, FAMILY, &request, &refusal, &seq, &error);
	if (status == KERNEL_REQUEST || status == KERNEL_REFUSED)
		check_request(status, &request, &refusal);
	else
		must(!request.who.groups && !request.who.cgroup && !refusal.error);
	must(status == KERNEL_ERROR || error == 1);
	credentials_free(&request.who);
	unfence(packet.data, sizeof(packet.data));
	return 0;
}
