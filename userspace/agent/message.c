// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec, on libnl's functions for messages and attributes. Called by
 * client.c. What arrives here was written by an application that may be hostile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "counters.h"
#include "descriptor.h"
#include "message.h"
#include "params.h"

/* SCM_MAX_FD of the kernel: no message carries more. */
#define FDS_MAX 253

/* Enough for READY with all its strings, but for those about the peer. */
#define REPLY_SIZE 2048

/* Of the reasons why a reload failed, as much as certainly fits. */
#define REASONS_MAX 6000
/* Of names of the peer, in bytes: what there is room for before its certificates. */
#define NAMES_MAX 16384

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
				descriptor_close(fd);
			else
				packet->fd = fd;
		}
	}
	if (packet->n_fds > 1) {
		descriptor_close(packet->fd);
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
		descriptor_close(packet->fd);
	return len > 0;
}

static enum message_status refuse(struct handshake_result *refusal, int error, const char *reason)
{
	handshake_result_fail(refusal, error, "%s", reason);
	return MESSAGE_REFUSED;
}

/* NULL: no string with its NUL at the end, and there alone, and something before it. */
static const char *string_of(const struct nlattr *nla)
{
	const char *string = nla_data(nla);
	int len = nla_len(nla);

	return len > 1 && memchr(string, 0, len) == string + len - 1 ? string : NULL;
}

static enum message_status decode_peer_name(const struct nlattr *nla, struct message *message,
					    struct handshake_result *refusal)
{
	const char *name = string_of(nla);

	if (message->cmd != KEYBLOB_CMD_CONNECT)
		return refuse(refusal, EINVAL, "attribute PEER_NAME is for clients");
	if (!name)
		return refuse(refusal, EINVAL, "attribute PEER_NAME is not a string, or empty");
	return params_set_peer(&message->params, name, refusal) ? MESSAGE_OK : MESSAGE_REFUSED;
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
		if (!params_set_alpn(&message->params, nla_data(nla), nla_len(nla)))
			return refuse(refusal, EINVAL, "attribute ALPN_LIST is malformed, or too long");
		return MESSAGE_OK;
	case KEYBLOB_A_CHANNEL_BINDING:
		if (nla_len(nla))
			return refuse(refusal, EINVAL, "attribute CHANNEL_BINDING is not a flag");
		message->params.channel_binding = true;
		return MESSAGE_OK;
	case KEYBLOB_A_PEER_NAME:
		return decode_peer_name(nla, message, refusal);
	case KEYBLOB_A_IDENTITY:
		message->identity = string_of(nla);
		if (!message->identity)
			return refuse(refusal, EINVAL,
				      "attribute IDENTITY is not a string, or empty");
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
	if (message->cmd == KEYBLOB_CMD_CONNECT && !seen[KEYBLOB_A_PEER_NAME])
		return refuse(refusal, EINVAL, "attribute PEER_NAME is missing: whom to connect to?");
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

/* A request that has nothing but its header. */
static enum message_status decode_bare(const struct packet *packet, struct genlmsghdr *genl,
				       struct handshake_result *refusal)
{
	struct nlattr *nla;
	int rest;

	nla_for_each_attr(nla, genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), rest) {
		if (nla->nla_type & KEYBLOB_A_OPTIONAL)
			continue;
		handshake_result_fail(refusal, nla->nla_type > KEYBLOB_A_MAX ? EOPNOTSUPP : EINVAL,
				      "attribute %u has no place in this request", nla->nla_type);
		return MESSAGE_REFUSED;
	}
	if (rest > 0)
		return refuse(refusal, EINVAL, "the last attribute is cut short");
	if (packet->n_fds || packet->fds_lost)
		return refuse(refusal, EINVAL, "a descriptor has no place in this request");
	return MESSAGE_OK;
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
	case KEYBLOB_CMD_STATUS:
	case KEYBLOB_CMD_RELOAD:
		return decode_bare(packet, genl, refusal);
	case KEYBLOB_CMD_ACCEPT:
		message->params.role = ROLE_SERVER;
		break;
	case KEYBLOB_CMD_CONNECT:
		message->params.role = ROLE_CLIENT;
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

static size_t names_size(const struct peer_info *peer)
{
	size_t size = 0;

	for (int i = 0; i < sk_OPENSSL_STRING_num(peer->names); i++)
		size += nla_total_size(strlen(sk_OPENSSL_STRING_value(peer->names, i)) + 1);
	return size < NAMES_MAX ? size : NAMES_MAX;
}

static size_t chain_size(const struct peer_info *peer)
{
	size_t size = 0;

	for (int i = 0; i < sk_X509_num(peer->chain); i++)
		size += nla_total_size(i2d_X509(sk_X509_value(peer->chain, i), NULL));
	return size;
}

static size_t reply_size(const struct handshake_result *r)
{
	size_t size = REPLY_SIZE + names_size(&r->peer) + chain_size(&r->peer);

	return size < KEYBLOB_MSG_MAX ? size : KEYBLOB_MSG_MAX;
}

static int put_names(struct nl_msg *msg, const struct peer_info *peer)
{
	size_t size = 0;

	for (int i = 0; i < sk_OPENSSL_STRING_num(peer->names); i++) {
		const char *name = sk_OPENSSL_STRING_value(peer->names, i);

		size += nla_total_size(strlen(name) + 1);
		if (size > NAMES_MAX)
			break;
		if (nla_put_string(msg, KEYBLOB_A_PEER_NAME, name))
			return -1;
	}
	return 0;
}

/* As many as there is room for, but no gap. */
static int put_chain(struct nl_msg *msg, const struct peer_info *peer)
{
	for (int i = 0; i < sk_X509_num(peer->chain); i++) {
		X509 *cert = sk_X509_value(peer->chain, i);
		int len = i2d_X509(cert, NULL);
		struct nlattr *nla;
		unsigned char *to;

		if (len <= 0)
			return -1;
		if (len > UINT16_MAX - NLA_HDRLEN)
			break;
		nla = nla_reserve(msg, KEYBLOB_A_PEER_CERT, len);
		if (!nla)
			break;
		to = nla_data(nla);
		i2d_X509(cert, &to);
	}
	return 0;
}

static int put_peer(struct nl_msg *msg, const struct peer_info *peer)
{
	return (peer->bound && nla_put(msg, KEYBLOB_A_CHANNEL_BINDING,
				       sizeof(peer->channel_binding), peer->channel_binding)) ||
	       put_names(msg, peer) || put_chain(msg, peer);
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
	       (r->resumed && nla_put_flag(msg, KEYBLOB_A_RESUMED)) ||
	       put_peer(msg, &r->peer);
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
	struct nl_msg *msg = nlmsg_alloc_size(reply_size(result));

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

static int put_counter(struct nl_msg *msg, enum counter counter)
{
	const char *name = counter_name(counter);
	uint64_t value = counters_sum(counter);
	struct nlattr *nla = nla_reserve(msg, KEYBLOB_A_COUNTER, sizeof(value) + strlen(name) + 1);

	if (!nla)
		return -1;
	memcpy(nla_data(nla), &value, sizeof(value));
	strcpy((char *)nla_data(nla) + sizeof(value), name);
	return 0;
}

struct nl_msg *message_encode_status(uint32_t seq)
{
	struct nl_msg *msg = nlmsg_alloc_size(REPLY_SIZE);
	int err;

	if (!msg)
		return NULL;
	err = !genlmsg_put(msg, 0, seq, KEYBLOB_PROTO_TYPE, 0, 0, KEYBLOB_CMD_STATUS,
			   KEYBLOB_PROTO_VERSION);
	for (int i = 0; !err && i < COUNTERS; i++)
		err = put_counter(msg, i);
	if (err) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

struct nl_msg *message_encode_reload(uint32_t seq, const char *reasons)
{
	uint8_t cmd = *reasons ? KEYBLOB_CMD_FAILED : KEYBLOB_CMD_RELOAD;
	struct nl_msg *msg = nlmsg_alloc_size(KEYBLOB_MSG_MAX);
	char text[REASONS_MAX];

	if (!msg)
		return NULL;
	snprintf(text, sizeof(text), "%s", reasons);
	if (!genlmsg_put(msg, 0, seq, KEYBLOB_PROTO_TYPE, 0, 0, cmd, KEYBLOB_PROTO_VERSION) ||
	    (*reasons && (nla_put_u32(msg, KEYBLOB_A_ERRNO, EINVAL) ||
			  nla_put_string(msg, KEYBLOB_A_REASON, text)))) {
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
