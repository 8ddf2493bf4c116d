// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of the contract, used well and spoiled in every way, and the promises of
 * uapi/linux/keyblob.h that hold whatever a program does; see calls.h.
 */
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"

/* What any option may say: of memory, of what is no keyblob socket, of an end of waiting. */
static const int common_errors[] = {
	EFAULT, ENOMEM, ENOPROTOOPT, EBADF, ENOTSOCK, ENOTCONN, EINVAL, EOPNOTSUPP, EINTR, 0
};

static const int export_errors[] = { EBUSY, EALREADY, 0 };
static const int import_errors[] = {
	EBADMSG, EPROTONOSUPPORT, ESTALE, EKEYEXPIRED, EALREADY, EBUSY, ECONNABORTED, 0
};

/* A KeyUpdate meets what sending meets. */
static const int rekey_errors[] = {
	EBUSY, EAGAIN, EPIPE, ECONNRESET, ECONNABORTED, ETIMEDOUT, EBADMSG, EPROTO, EMSGSIZE, 0
};

static const int no_errors[] = { 0 };

static bool is_among(int err, const int *errors)
{
	while (*errors && *errors != err)
		errors++;
	return *errors;
}

static long check(struct world *w, const char *option, long ret, const int *errors)
{
	promise(w, ret >= 0 || is_among(-ret, common_errors) || is_among(-ret, errors),
		"%s says only what the contract says, not errno %ld", option, -ret);
	return ret;
}

static long attach(struct world *w, const uint32_t *a)
{
	static const char *const names[] = {
		"keyblob", "keyblob", "keyblob", "keyblob", "tls", "keyblo", "", "keyblob\0no",
	};
	const char *name = names[a[1] % 8];
	const uint32_t size = size_of(a[2], strlen(name));

	return result(setsockopt(world_fd(w, a[0]), SOL_TCP, TCP_ULP,
				 memory(w, a[3], name, strlen(name)), size));
}

/* Attached, and what @a[1] says of two directions sealed and imported. */
static long keys(struct world *w, const uint32_t *a)
{
	const int fd = world_fd(w, a[0]);
	struct link *link;
	long ret = 0;

	keyblob_attach(fd);
	link = world_link(w, a[0]);
	if (!link)
		return -ENOENT;
	if (a[1] % 8 != 1)
		ret = link_import(link, fd, KEYBLOB_DIR_TX);
	if (a[1] % 8 != 2)
		ret = link_import(link, fd, KEYBLOB_DIR_RX) ?: ret;
	link_unlock(link);
	return ret;
}

static void spoil(void *data, size_t size, uint32_t how)
{
	uint8_t *at = data;

	if (how)
		at[(how >> 8) % size] ^= how;
}

static long export(struct world *w, const uint32_t *a)
{
	uint8_t *blob = w->blobs[a[2] % BLOBS];
	struct keyblob_key key = { .direction = a[1] };
	struct link *link = world_link(w, a[0]);
	socklen_t len = size_of(a[4], KEYBLOB_BLOB_SIZE);
	void *at, *len_at = &len;
	long ret;

	if (link) {
		key = a[1] == KEYBLOB_DIR_RX ? link->stream.c.rx : link->stream.c.tx;
		link_unlock(link);
	}
	spoil(&key, sizeof(key), a[3]);
	at = memory(w, a[5], NULL, KEYBLOB_BLOB_SIZE);
	if (a[5] >= 4 && a[5] != 5 && a[5] != 6)
		memcpy(at, &key, sizeof(key));
	if (a[5] == 9)
		len_at = NULL;
	ret = check(w, "KEYBLOB_EXPORT",
		    result(getsockopt(world_fd(w, a[0]), SOL_KEYBLOB, KEYBLOB_EXPORT, at, len_at)),
		    export_errors);
	if (!ret)
		memcpy(blob, at, KEYBLOB_BLOB_SIZE);
	return ret;
}

static long import(struct world *w, const uint32_t *a)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	const int option = a[1] == KEYBLOB_RX || a[1] == KEYBLOB_TX ? a[1] : 2 + a[1] % 2;

	memcpy(blob, w->blobs[a[2] % BLOBS], sizeof(blob));
	spoil(blob, sizeof(blob), a[3]);
	return check(w, "an import",
		     result(setsockopt(world_fd(w, a[0]), SOL_KEYBLOB, option,
				       memory(w, a[5], blob, sizeof(blob)),
				       size_of(a[4], KEYBLOB_BLOB_SIZE))),
		     import_errors);
}

static long info(struct world *w, const uint32_t *a)
{
	socklen_t len = size_of(a[1], sizeof(struct keyblob_status));

	return check(w, "KEYBLOB_INFO",
		     result(getsockopt(world_fd(w, a[0]), SOL_KEYBLOB, KEYBLOB_INFO,
				       memory(w, a[2], NULL, len), &len)), no_errors);
}

static long rekey(struct world *w, const uint32_t *a)
{
	int value = a[1] < 6 ? a[1] & 1 : a[1];

	return check(w, "KEYBLOB_REKEY",
		     result(setsockopt(world_fd(w, a[0]), SOL_KEYBLOB, KEYBLOB_REKEY,
				       memory(w, a[3], &value, 4), size_of(a[2], 4))),
		     rekey_errors);
}

static long truncation(struct world *w, const uint32_t *a)
{
	int value = a[1] < 6 ? a[1] & 1 : a[1];

	return check(w, "KEYBLOB_TRUNCATION",
		     result(setsockopt(world_fd(w, a[0]), SOL_KEYBLOB, KEYBLOB_TRUNCATION,
				       memory(w, a[3], &value, 4), size_of(a[2], 4))), no_errors);
}

/* What an agent says is why it failed, hence no list. Its tail, if it has one, is zero or not. */
static long handshake(struct world *w, const uint32_t *a)
{
	struct {
		struct keyblob_handshake what;
		uint8_t tail[4096];
	} arg = {};
	const uint32_t size = size_of(a[3], sizeof(arg.what));
	const uint32_t len = size < sizeof(arg) ? size : sizeof(arg);
	uint32_t role = a[1];
	long ret;

	if (role < 8)
		role = role & 1 ? KEYBLOB_ROLE_CLIENT : KEYBLOB_ROLE_SERVER;
	arg.what.role = role;
	if (role == KEYBLOB_ROLE_CLIENT)
		strcpy(arg.what.peer_name, "peer.example");
	if (a[2] & 1)
		strcpy(arg.what.identity, "identity");
	if (a[2] & 2) {
		arg.what.alpn_len = 6;
		memcpy(arg.what.alpn, "\2h2\2h3", 6);
	}
	if (a[2] & 4)
		arg.what.timeout_ms = 1 + a[2] % 64;
	if (a[4])
		spoil(&arg, a[4] & 1 && len ? len : 32, a[4]);
	ret = result(setsockopt(world_fd(w, a[0]), SOL_KEYBLOB, KEYBLOB_HANDSHAKE,
				memory(w, a[5], &arg, len), size));
	promise(w, ret >= -EHWPOISON, "KEYBLOB_HANDSHAKE says an errno, not %ld", -ret);
	return ret;
}

/* An option of any number, at a level of ours or of kTLS's. */
static long set_any(struct world *w, const uint32_t *a)
{
	const uint32_t size = size_of(a[3], 40);

	return result(setsockopt(world_fd(w, a[0]), a[1] & 1 ? SOL_KEYBLOB : SOL_TLS, a[2] % 12,
				 memory(w, a[4], NULL, size < 4096 ? size : 4096), size));
}

static long get_any(struct world *w, const uint32_t *a)
{
	static const int levels[] = { SOL_KEYBLOB, SOL_TLS, SOL_TCP, SOL_SOCKET };
	socklen_t len = size_of(a[3], 40);

	return result(getsockopt(world_fd(w, a[0]), levels[a[1] % 4], a[2] % 64,
				 memory(w, a[4], NULL, len < 4096 ? len : 4096), &len));
}

static bool is_keyblob(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !getsockopt(fd, SOL_TCP, TCP_ULP, name, &len) && !strcmp(name, KEYBLOB_ULP_NAME);
}

/* The keys of kTLS: never to be had, nor to be set, past the module. */
static long take_keys(struct world *w, const uint32_t *a)
{
	/* A descriptor of our own: nobody closes it meanwhile. */
	const int fd = dup(world_fd(w, a[0]));
	const int option = 1 + (a[1] & 1);
	struct tls12_crypto_info_aes_gcm_256 info = {
		.info.version = a[1] & 2 ? TLS_1_2_VERSION : TLS_1_3_VERSION,
		.info.cipher_type = a[1] & 4 ? TLS_CIPHER_AES_GCM_128 : TLS_CIPHER_AES_GCM_256,
	};
	socklen_t len = a[1] & 4 ? sizeof(struct tls12_crypto_info_aes_gcm_128) : sizeof(info);
	const bool keyblob = is_keyblob(fd);
	long ret;

	if (a[2] & 1)
		ret = result(getsockopt(fd, SOL_TLS, option, &info, &len));
	else
		ret = result(setsockopt(fd, SOL_TLS, option, &info, len));
	promise(w, !keyblob || ret < 0, "no %s of a keyblob socket by %s",
		option == TLS_TX ? "TLS_TX" : "TLS_RX", a[2] & 1 ? "getsockopt" : "setsockopt");
	close(fd);
	return ret;
}

/* Bytes that another thread's call may be reading at this moment. */
static long scribble(struct world *w, const uint32_t *a)
{
	unsigned int n = a[2] % 1000;

	while (n--)
		w->shared[4095 - (a[0] + n * (a[1] & 1)) % 300] ^= a[1];
	return 0;
}

const struct call_type option_calls[] = {
	{ "attach", "sneM", 4, attach },
	{ "keys", "sn", 6, keys },
	{ "export", "sdnkeM", 4, export },
	{ "import", "sdnkeM", 5, import },
	{ "info", "seM", 2, info },
	{ "rekey", "sneM", 4, rekey },
	{ "truncation", "sneM", 1, truncation },
	{ "handshake", "snbekM", 5, handshake },
	{ "set", "snneM", 2, set_any },
	{ "get", "snxeM", 2, get_any },
	{ "takekeys", "snn", 2, take_keys },
	{ "scribble", "xxx", 1, scribble },
	{ NULL }
};
