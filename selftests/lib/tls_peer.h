/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The far end of a TLS connection, in user space: a record layer on OpenSSL's
 * ciphers that shares no code with the kernel's. It begins where a handshake ends,
 * from the same struct keyblob_key that is sealed for the kernel's side.
 */
#ifndef SELFTESTS_TLS_PEER_H
#define SELFTESTS_TLS_PEER_H

#include <linux/keyblob.h>
#include <linux/tls.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_RECORD_MAX		16384		/* plaintext bytes of a record */
#define TLS_WIRE_MAX		(5 + TLS_RECORD_MAX + 256)

enum {
	TLS_TYPE_CHANGE_CIPHER_SPEC = 20,
	TLS_TYPE_ALERT = 21,
	TLS_TYPE_HANDSHAKE = 22,
	TLS_TYPE_DATA = 23,
};

struct tls_suite {
	const char *name;
	uint16_t version;
	uint16_t cipher;
	uint8_t key_size;
	uint8_t hash_size;	/* of a TLS 1.3 traffic secret */
	const char *digest;	/* as OpenSSL names it */
	const EVP_CIPHER *(*evp)(void);
};

/* The six suites that keyblob carries, and the end of the table: name NULL. */
extern const struct tls_suite tls_suites[];

/* tls_suite_find() - NULL: none of the six */
const struct tls_suite *tls_suite_find(uint16_t version, uint16_t cipher);

/* One direction. @seq and, in TLS 1.2 GCM, @explicit_nonce are of the next record. */
struct tls_dir {
	const struct tls_suite *suite;
	EVP_CIPHER_CTX *evp;
	uint8_t key[KEYBLOB_KEY_MAX];
	uint8_t iv[KEYBLOB_IV_SIZE];
	uint64_t seq;
	uint64_t explicit_nonce;
};

/*
 * @rest holds the part of a record's plaintext that tls_peer_read() has not given
 * out yet.
 */
struct tls_peer {
	int fd;
	struct tls_dir tx;
	struct tls_dir rx;
	uint8_t rest[TLS_RECORD_MAX + 1];
	size_t rest_at;
	size_t rest_len;
};

/* tls_dir_keys() - write key and IV that follow from @key, computed by OpenSSL */
int tls_dir_keys(const struct keyblob_key *key, uint8_t out_key[KEYBLOB_KEY_MAX],
		 uint8_t out_iv[KEYBLOB_IV_SIZE]);

/*
 * tls_peer_init() - the peer of a socket that receives by @rx and sends by @tx
 *
 * Either may be NULL. The peer's directions are the socket's, crossed.
 */
int tls_peer_init(struct tls_peer *peer, int fd, const struct keyblob_key *tx,
		  const struct keyblob_key *rx);
void tls_peer_free(struct tls_peer *peer);

/* tls_seal() - make one record; returns its length on the wire, or -1 */
ssize_t tls_seal(struct tls_dir *dir, uint8_t type, const void *data, size_t len,
		 uint8_t *wire);

/* tls_open() - open one record; returns the length of its content, or -1 */
ssize_t tls_open(struct tls_dir *dir, const uint8_t *wire, size_t len, uint8_t *type,
		 uint8_t *data);

/* tls_peer_send() - send one record; 0 or -1 */
int tls_peer_send(struct tls_peer *peer, uint8_t type, const void *data, size_t len);

/* tls_peer_recv() - receive one record; length, 0 at the end of the stream, -1 */
ssize_t tls_peer_recv(struct tls_peer *peer, uint8_t *type, uint8_t *data);

/* tls_peer_write() - send application data as full records; 0 or -1 */
int tls_peer_write(struct tls_peer *peer, const void *data, size_t len);

/* tls_peer_read() - receive exactly @len bytes of application data; 0 or -1 */
int tls_peer_read(struct tls_peer *peer, void *data, size_t len);

#endif
