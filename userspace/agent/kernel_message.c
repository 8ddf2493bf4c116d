// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec, on libnl's functions. Called by kernel_requests.c. The kernel is trusted, but
 * not what an application had it pass on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "kernel_message.h"
#include "params.h"

/* Enough for DONE with all its strings. */
#define DONE_SIZE 2048

/* The kernel ends a request by itself and cannot say why: be a little earlier, in ms. */
#define HEAD_START_MS 100

/* What the kernel has room for, see struct keyblob_status; with the NUL. */
#define TEXT_SIZE sizeof(((struct keyblob_status *)0)->reason)

static struct nla_policy policy[KEYBLOB_A_GENL_MAX + 1] = {
	[KEYBLOB_A_GENL_ID] = { .type = NLA_U64 },
	[KEYBLOB_A_GENL_FD] = { .type = NLA_U32 },
	[KEYBLOB_A_GENL_ROLE] = { .type = NLA_U16 },
	[KEYBLOB_A_GENL_TIMEOUT] = { .type = NLA_U32 },
	[KEYBLOB_A_GENL_PEER_NAME] = { .type = NLA_STRING },
	[KEYBLOB_A_GENL_IDENTITY] = { .type = NLA_STRING },
	[KEYBLOB_A_GENL_PID] = { .type = NLA_U32 },
	[KEYBLOB_A_GENL_UID] = { .type = NLA_U32 },
	[KEYBLOB_A_GENL_GID] = { .type = NLA_U32 },
	[KEYBLOB_A_GENL_CGROUP] = { .type = NLA_STRING },
};

int kernel_receive(int fd, struct kernel_packet *packet)
{
	ssize_t len;

	do {
		len = recv(fd, packet->data, sizeof(packet->data), MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	packet->len = len;
	return 0;
}

static enum kernel_status refuse(struct handshake_result *refusal, const char *reason)
{
	handshake_result_fail(refusal, EINVAL, "%s", reason);
	return KERNEL_REFUSED;
}

static int decode_groups(struct credentials *who, struct nlattr *nla)
{
	_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "groups are u32");
	size_t len = nla ? nla_len(nla) : 0;

	if (!len)
		return 0;
	who->groups = malloc(len);
	if (!who->groups)
		return -1;
	memcpy(who->groups, nla_data(nla), len);
	who->n_groups = len / sizeof(*who->groups);
	return 0;
}

static int decode_credentials(struct credentials *who, struct nlattr **tb)
{
	struct nlattr *cgroup = tb[KEYBLOB_A_GENL_CGROUP];

	who->pid = tb[KEYBLOB_A_GENL_PID] ? nla_get_u32(tb[KEYBLOB_A_GENL_PID]) : 0;
	who->uid = nla_get_u32(tb[KEYBLOB_A_GENL_UID]);
	who->gid = nla_get_u32(tb[KEYBLOB_A_GENL_GID]);
	if (decode_groups(who, tb[KEYBLOB_A_GENL_GROUPS]))
		return -1;
	if (!cgroup)
		return 0;
	who->cgroup = strdup(nla_get_string(cgroup));
	return who->cgroup ? 0 : -1;
}

static unsigned int head_start(unsigned int ms)
{
	return ms > 2 * HEAD_START_MS ? ms - HEAD_START_MS : ms / 2 + 1;
}

static enum kernel_status decode_params(struct kernel_request *request, struct nlattr **tb,
					struct handshake_result *refusal)
{
	struct handshake_params *params = &request->params;
	struct nlattr *alpn = tb[KEYBLOB_A_GENL_ALPN], *name = tb[KEYBLOB_A_GENL_PEER_NAME];

	switch (nla_get_u16(tb[KEYBLOB_A_GENL_ROLE])) {
	case KEYBLOB_ROLE_SERVER:
		params->role = ROLE_SERVER;
		break;
	case KEYBLOB_ROLE_CLIENT:
		params->role = ROLE_CLIENT;
		break;
	default:
		return refuse(refusal, "the role is neither client nor server");
	}
	if (tb[KEYBLOB_A_GENL_TIMEOUT])
		params->timeout_ms = head_start(nla_get_u32(tb[KEYBLOB_A_GENL_TIMEOUT]));
	if (alpn && !params_set_alpn(params, nla_data(alpn), nla_len(alpn)))
		return refuse(refusal, "the list of protocols (ALPN) is malformed, or too long");
	if (tb[KEYBLOB_A_GENL_IDENTITY])
		request->identity = nla_get_string(tb[KEYBLOB_A_GENL_IDENTITY]);
	if (!name == (params->role == ROLE_CLIENT))
		return refuse(refusal, name ? "a name of the peer is for clients" :
			      "the name of the peer is missing: whom to connect to?");
	if (name && !params_set_peer(params, nla_get_string(name), refusal))
		return KERNEL_REFUSED;
	return KERNEL_REQUEST;
}

static enum kernel_status decode_request(struct nlmsghdr *hdr, struct kernel_request *request,
					 struct handshake_result *refusal)
{
	struct nlattr *tb[KEYBLOB_A_GENL_MAX + 1];

	*request = (struct kernel_request){ .fd = -1, .params.import = true };
	if (genlmsg_parse(hdr, 0, tb, KEYBLOB_A_GENL_MAX, policy) || !tb[KEYBLOB_A_GENL_ID] ||
	    !tb[KEYBLOB_A_GENL_FD] || !tb[KEYBLOB_A_GENL_ROLE] || !tb[KEYBLOB_A_GENL_UID] ||
	    !tb[KEYBLOB_A_GENL_GID])
		return KERNEL_NOISE;
	request->id = nla_get_u64(tb[KEYBLOB_A_GENL_ID]);
	request->fd = nla_get_u32(tb[KEYBLOB_A_GENL_FD]);
	if (decode_credentials(&request->who, tb)) {
		handshake_result_fail(refusal, ENOMEM, "the agent is out of memory");
		return KERNEL_REFUSED;
	}
	return decode_params(request, tb, refusal);
}

enum kernel_status kernel_decode(struct kernel_packet *packet, uint16_t family,
				 struct kernel_request *request,
				 struct handshake_result *refusal, uint32_t *seq, int *error)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)packet->data;

	if (!nlmsg_ok(hdr, packet->len))
		return KERNEL_NOISE;
	*seq = hdr->nlmsg_seq;
	if (hdr->nlmsg_type == NLMSG_ERROR &&
	    nlmsg_datalen(hdr) >= (int)sizeof(struct nlmsgerr)) {
		*error = ((struct nlmsgerr *)nlmsg_data(hdr))->error;
		return KERNEL_ERROR;
	}
	if (hdr->nlmsg_type != family || !genlmsg_valid_hdr(hdr, 0))
		return KERNEL_NOISE;
	switch (genlmsg_hdr(hdr)->cmd) {
	case KEYBLOB_GENL_READY:
		return KERNEL_READY;
	case KEYBLOB_GENL_ACCEPT:
		return decode_request(hdr, request, refusal);
	default:
		return KERNEL_NOISE;
	}
}

struct nl_msg *kernel_encode(uint16_t family, uint32_t seq, uint8_t cmd)
{
	struct nl_msg *msg = nlmsg_alloc_size(DONE_SIZE);

	if (msg && genlmsg_put(msg, 0, seq, family, 0, NLM_F_REQUEST, cmd,
			       KEYBLOB_FAMILY_VERSION))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/* The kernel takes printable ASCII. */
static bool is_text(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return !*text;
}

/* "": none. What does not fit is none either: half a name would be another one. */
static int put_name(struct nl_msg *msg, int attribute, const char *name, size_t size)
{
	size_t len = name ? strlen(name) : 0;

	return len && len < size && is_text(name) ? nla_put_string(msg, attribute, name) : 0;
}

static int put_ready(struct nl_msg *msg, const struct handshake_result *r)
{
	const char *peer = sk_OPENSSL_STRING_num(r->peer.names) > 0 ?
			   sk_OPENSSL_STRING_value(r->peer.names, 0) : NULL;

	return nla_put_u16(msg, KEYBLOB_A_GENL_CIPHER_SUITE, r->cipher_suite) ||
	       (*r->alpn && is_text(r->alpn) &&
		nla_put(msg, KEYBLOB_A_GENL_ALPN, strlen(r->alpn), r->alpn)) ||
	       put_name(msg, KEYBLOB_A_GENL_GROUP, r->group, sizeof(r->group)) ||
	       put_name(msg, KEYBLOB_A_GENL_SERVER_NAME, r->server_name, TEXT_SIZE) ||
	       put_name(msg, KEYBLOB_A_GENL_PEER_NAME, peer, TEXT_SIZE) ||
	       (r->resumed && nla_put_flag(msg, KEYBLOB_A_GENL_RESUMED));
}

/* One: where there are both, ours ended it. */
static int put_alert(struct nl_msg *msg, const struct handshake_result *r)
{
	if (r->alert_sent != NO_ALERT)
		return nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_SENT, r->alert_sent);
	if (r->alert_received != NO_ALERT)
		return nla_put_u8(msg, KEYBLOB_A_GENL_ALERT_RECEIVED, r->alert_received);
	return 0;
}

static int put_failed(struct nl_msg *msg, const struct handshake_result *r)
{
	char reason[TEXT_SIZE];

	snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, r->reason);
	for (char *p = reason; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return nla_put_string(msg, KEYBLOB_A_GENL_REASON, reason) || put_alert(msg, r);
}

/* Those that the calls of an application have for a handshake under way are not its end. */
static uint32_t error_of(const struct handshake_result *result)
{
	switch (result->error) {
	case EAGAIN:
	case EALREADY:
	case EINPROGRESS:
	case EINTR:
	case EISCONN:
	case ESRCH:
		return ECONNABORTED;
	default:
		return result->error;
	}
}

struct nl_msg *kernel_encode_done(uint16_t family, uint32_t seq, uint64_t id,
				  const struct handshake_result *result)
{
	struct nl_msg *msg = kernel_encode(family, seq, KEYBLOB_GENL_DONE);

	if (!msg)
		return NULL;
	if (!nla_put_u64(msg, KEYBLOB_A_GENL_ID, id) &&
	    !nla_put_u32(msg, KEYBLOB_A_GENL_ERROR, error_of(result)) &&
	    !(result->error ? put_failed(msg, result) : put_ready(msg, result)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}
