// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec, on libnl's functions for messages and attributes. Called by
 * client.c. What arrives here was written by an application that may be hostile.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "message.h"

/* SCM_MAX_FD of the kernel: no message carries more. */
#define FDS_MAX 253

/* Enough for READY with all its strings. */
#define REPLY_SIZE 2048

static void take_descriptors(struct msghdr *msg, struct packet *packet)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		const unsigned char *data = CMSG_DATA(cmsg);
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
			if (packet->n_fds++)
				close(fd);
			else
				packet->fd = fd;
		}
	}
	if (packet->n_fds > 1) {
		close(packet->fd);
		packet->fd = -1;
	}
}

int message_receive(int fd, struct packet *packet)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec iov = { packet->data, sizeof(packet->data) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len;

	packet->fd = -1;
	packet->n_fds = 0;
	do {
		len = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;

	take_descriptors(&msg, packet);
	packet->len = len;
	packet->truncated = msg.msg_flags & MSG_TRUNC;
	packet->fds_lost = msg.msg_flags & MSG_CTRUNC;

	/* An empty packet looks the same, and is as good as the end. */
	if (!len && packet->fd >= 0)
		close(packet->fd);
	return len > 0;
}

/* RFC 7301 section 3.1; the names must fit the strings of KEYBLOB_A_ALPN. */
static bool valid_alpn(const uint8_t *list, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 1 + list[i])
		if (!list[i] || i + 1 + list[i] > len || memchr(list + i + 1, 0, list[i]))
			return false;
	return len > 0;
}

static enum message_status refuse(struct handshake_result *refusal, int error, const char *reason)
{
	handshake_result_fail(refusal, error, "%s", reason);
	return MESSAGE_REFUSED;
}

static enum message_status decode_attribute(struct nlattr *nla, struct message *message,
					    struct handshake_result *refusal)
{
	/* With the flag bits of netlink: those are not used here, so not known. */
	unsigned int type = nla->nla_type;

	switch (type) {
	case KEYBLOB_A_TIMEOUT:
		if (nla_len(nla) != sizeof(uint32_t))
			return refuse(refusal, EINVAL, "attribute TIMEOUT is not a u32");
		message->params.timeout_ms = nla_get_u32(nla);
		return MESSAGE_OK;
	case KEYBLOB_A_ALPN_LIST:
		if (!valid_alpn(nla_data(nla), nla_len(nla)))
			return refuse(refusal, EINVAL, "attribute ALPN_LIST is malformed");
		message->params.alpn = nla_data(nla);
		message->params.alpn_len = nla_len(nla);
		return MESSAGE_OK;
	}
	if (type >= 1 && type <= KEYBLOB_A_MAX) {
		handshake_result_fail(refusal, EINVAL, "attribute %u has no place in a request",
				      type);
		return MESSAGE_REFUSED;
	}
	if (type & KEYBLOB_A_OPTIONAL)
		return MESSAGE_OK;
	handshake_result_fail(refusal, EOPNOTSUPP, "unknown attribute %u", type);
	return MESSAGE_REFUSED;
}

static enum message_status decode_attributes(struct genlmsghdr *genl, struct message *message,
					     struct handshake_result *refusal)
{
	bool seen[KEYBLOB_A_MAX + 1] = { false };
	struct nlattr *nla;
	int rest;

	nla_for_each_attr(nla, genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), rest) {
		enum message_status status = decode_attribute(nla, message, refusal);
		unsigned int type = nla->nla_type;

		if (status != MESSAGE_OK)
			return status;
		if (type > KEYBLOB_A_MAX)
			continue;
		if (seen[type]) {
			handshake_result_fail(refusal, EINVAL, "attribute %u is given twice", type);
			return MESSAGE_REFUSED;
		}
		seen[type] = true;
	}
	if (rest > 0)
		return refuse(refusal, EINVAL, "the last attribute is cut short");
	return MESSAGE_OK;
}

static enum message_status decode_header(const struct packet *packet, struct message *message,
					 struct handshake_result *refusal)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)packet->data;

	if (packet->len < sizeof(*hdr))
		return MESSAGE_NOISE;
	message->seq = hdr->nlmsg_seq;

	if (packet->truncated)
		refuse(refusal, EINVAL, "the message is too long");
	else if (hdr->nlmsg_type != KEYBLOB_PROTO_TYPE)
		refuse(refusal, EINVAL, "the message is of another type");
	else if (!(hdr->nlmsg_flags & NLM_F_REQUEST))
		refuse(refusal, EINVAL, "the message is no request");
	else if (!genlmsg_valid_hdr(hdr, 0) || hdr->nlmsg_len > packet->len ||
		 NLMSG_ALIGN(hdr->nlmsg_len) < packet->len)
		refuse(refusal, EINVAL, "the length in the header is not that of the message");
	else
		return MESSAGE_OK;
	return MESSAGE_BROKEN;
}

enum message_status message_decode(struct packet *packet, struct message *message,
				   struct handshake_result *refusal)
{
	struct genlmsghdr *genl;
	enum message_status status;

	*message = (struct message){ 0 };
	status = decode_header(packet, message, refusal);
	if (status != MESSAGE_OK)
		return status;

	genl = genlmsg_hdr((struct nlmsghdr *)packet->data);
	message->cmd = genl->cmd;
	if (genl->version != KEYBLOB_PROTO_VERSION) {
		handshake_result_fail(refusal, EPROTONOSUPPORT,
				      "version %u of the protocol is unknown, this agent speaks %u",
				      genl->version, KEYBLOB_PROTO_VERSION);
		return MESSAGE_REFUSED;
	}

	switch (genl->cmd) {
	case KEYBLOB_CMD_CANCEL:
		return MESSAGE_OK;
	case KEYBLOB_CMD_ACCEPT:
		break;
	default:
		handshake_result_fail(refusal, EOPNOTSUPP, "unknown command %u", genl->cmd);
		return MESSAGE_REFUSED;
	}

	status = decode_attributes(genl, message, refusal);
	if (status != MESSAGE_OK)
		return status;
	if (packet->fds_lost)
		return refuse(refusal, EMFILE, "the agent has no free descriptor");
	if (packet->n_fds != 1) {
		handshake_result_fail(refusal, EINVAL, "%u descriptors came with the request, "
				      "not the one of the TCP socket", packet->n_fds);
		return MESSAGE_REFUSED;
	}
	return MESSAGE_OK;
}

static int put_ready(struct nl_msg *msg, const struct handshake_result *r)
{
	return nla_put(msg, KEYBLOB_A_BLOB_TX, sizeof(r->blob_tx), r->blob_tx) ||
	       nla_put(msg, KEYBLOB_A_BLOB_RX, sizeof(r->blob_rx), r->blob_rx) ||
	       nla_put_u16(msg, KEYBLOB_A_TLS_VERSION, r->tls_version) ||
	       nla_put_u16(msg, KEYBLOB_A_CIPHER_SUITE, r->cipher_suite) ||
	       nla_put_string(msg, KEYBLOB_A_CIPHER_NAME, r->cipher_name) ||
	       (*r->group && nla_put_string(msg, KEYBLOB_A_GROUP, r->group)) ||
	       (*r->alpn && nla_put_string(msg, KEYBLOB_A_ALPN, r->alpn)) ||
	       (*r->server_name && nla_put_string(msg, KEYBLOB_A_SERVER_NAME, r->server_name)) ||
	       (r->resumed && nla_put_flag(msg, KEYBLOB_A_RESUMED));
}

static int put_failed(struct nl_msg *msg, const struct handshake_result *r)
{
	return nla_put_u32(msg, KEYBLOB_A_ERRNO, r->error) ||
	       nla_put_string(msg, KEYBLOB_A_REASON, r->reason) ||
	       (r->alert_sent != NO_ALERT &&
		nla_put_u8(msg, KEYBLOB_A_ALERT_SENT, r->alert_sent)) ||
	       (r->alert_received != NO_ALERT &&
		nla_put_u8(msg, KEYBLOB_A_ALERT_RECEIVED, r->alert_received));
}

struct nl_msg *message_encode(uint32_t seq, const struct handshake_result *result)
{
	struct nl_msg *msg = nlmsg_alloc_size(REPLY_SIZE);

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, 0, seq, KEYBLOB_PROTO_TYPE, 0, 0,
			 result->error ? KEYBLOB_CMD_FAILED : KEYBLOB_CMD_READY,
			 KEYBLOB_PROTO_VERSION) ||
	    (result->error ? put_failed(msg, result) : put_ready(msg, result))) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int message_send(int fd, struct nl_msg *msg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	while (send(fd, hdr, hdr->nlmsg_len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}
