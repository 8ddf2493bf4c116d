// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOAD for upstream's tls.c: what it asks of kTLS, it gets of keyblob. Attaching
 * "tls" attaches "keyblob", and setting a key exports it and imports the blob. All else
 * goes to the kernel as it is.
 */
#include <endian.h>
#include <linux/keyblob.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Every struct tls12_crypto_info_* is a head, then iv, key, salt, rec_seq. */
#define SUITE(name, secret_len) {		\
	TLS_CIPHER_##name,			\
	TLS_CIPHER_##name##_IV_SIZE,		\
	TLS_CIPHER_##name##_KEY_SIZE,		\
	TLS_CIPHER_##name##_SALT_SIZE,		\
	secret_len,				\
}

static const struct suite {
	unsigned short cipher;
	unsigned char iv, key, salt;
	unsigned char secret;		/* bytes of a TLS 1.3 traffic secret */
} suites[] = {
	SUITE(AES_GCM_128, 32),
	SUITE(AES_GCM_256, 48),
	SUITE(CHACHA20_POLY1305, 32),
};

static int kernel_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return syscall(SYS_setsockopt, fd, level, name, value, len);
}

/*
 * What becomes of the bytes of a key is all one, as both ends of tls.c have the same;
 * but not zeros, which tls.c uses and the module takes for a key that was forgotten.
 */
static void fold(unsigned char *to, size_t to_len, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i % to_len] += bytes[i] + 1;
}

/* False: the length is not the cipher's. What the module does not know is its to refuse. */
static int key_from(struct keyblob_key *key, const void *value, socklen_t len)
{
	const struct tls_crypto_info *info = value;
	const unsigned char *iv = (const unsigned char *)(info + 1);

	if (len < sizeof(*info))
		return 0;
	key->tls_version = info->version;
	key->cipher = info->cipher_type;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		const struct suite *s = &suites[i];
		const unsigned char *salt = iv + s->iv + s->key;

		if (s->cipher != info->cipher_type)
			continue;
		if (len != sizeof(*info) + s->iv + s->key + s->salt + sizeof(key->rec_seq))
			return 0;
		memcpy(&key->rec_seq, salt + s->salt, sizeof(key->rec_seq));
		key->rec_seq = be64toh(key->rec_seq);
		if (info->version == TLS_1_3_VERSION) {
			key->secret_len = s->secret;
			fold(key->secret, s->secret, iv, s->iv + s->key + s->salt);
		} else {
			fold(key->key, s->key, iv + s->iv, s->key);
			memcpy(key->iv, salt, s->salt);
			memcpy(key->iv + s->salt, iv, s->iv);
		}
		break;
	}
	return 1;
}

static int set_key(int fd, int name, const void *value, socklen_t value_len)
{
	const int tx = name == TLS_TX;
	union {
		struct keyblob_key key;
		unsigned char blob[KEYBLOB_BLOB_SIZE];
	} u = { .key = { .direction = tx ? KEYBLOB_DIR_TX : KEYBLOB_DIR_RX } };
	socklen_t len = sizeof(u);

	if (!key_from(&u.key, value, value_len))
		return kernel_setsockopt(fd, SOL_TLS, name, value, value_len);
	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, &u, &len))
		return -1;
	return kernel_setsockopt(fd, SOL_KEYBLOB, tx ? KEYBLOB_TX : KEYBLOB_RX, &u, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	static const char tls[] = "tls";

	if (level == IPPROTO_TCP && name == TCP_ULP && len == sizeof(tls) &&
	    !memcmp(value, tls, len))
		return kernel_setsockopt(fd, level, name, KEYBLOB_ULP_NAME,
					 sizeof(KEYBLOB_ULP_NAME) - 1);
	if (level == SOL_TLS && (name == TLS_TX || name == TLS_RX))
		return set_key(fd, name, value, len);
	return kernel_setsockopt(fd, level, name, value, len);
}
