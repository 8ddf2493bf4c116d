// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of ticket keys, and OpenSSL's use of it. The supervisor loads and rotates;
 * workers install.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "log.h"
#include "openssl_reason.h"
#include "tickets.h"

#define AES_BLOCK	16

/*
 * Keys.
 */

static int make_key(struct ticket_key *key)
{
	return getrandom(key, sizeof(*key), 0) == sizeof(*key) ? 0 : -errno;
}

static int check_file(const struct setting *file, const struct stat *st)
{
	if (!S_ISREG(st->st_mode)) {
		config_fault(file, "is no file");
		return -1;
	}
	if (st->st_mode & 0007) {
		config_fault(file, "others than its owner and group may use it: chmod o= %s",
			     file->value);
		return -1;
	}
	if (st->st_size != sizeof(struct ticket_key)) {
		config_fault(file, "has %lld bytes, not %zu; make a new one with "
			     "'openssl rand %zu > FILE'", (long long)st->st_size,
			     sizeof(struct ticket_key), sizeof(struct ticket_key));
		return -1;
	}
	return 0;
}

static int read_key(struct ticket_key *key, const struct setting *file)
{
	struct stat st;
	int fd, err;

	/* Should it be a pipe, do not wait for its writer. */
	fd = open(file->value, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		config_fault(file, "cannot be read: %s", strerror(errno));
		err = -1;
		goto out;
	}
	err = check_file(file, &st);
	if (!err && read(fd, key, sizeof(*key)) != sizeof(*key)) {
		config_fault(file, "cannot be read in full");
		err = -1;
	}
out:
	if (fd >= 0)
		close(fd);
	return err;
}

int tickets_load(struct ticket_keyring *ring, const struct config *config)
{
	const struct settings *files = &config->ticket_keys;
	int err = 0;

	memset(ring, 0, sizeof(*ring));
	if (!config->tickets)
		return 0;
	if (files->count > TICKET_KEYS_MAX) {
		config_fault(&files->list[TICKET_KEYS_MAX],
			     "one too many; give at most %u, the one that seals first",
			     TICKET_KEYS_MAX);
		return -1;
	}
	if (!files->count) {
		ring->count = 1;
		err = make_key(&ring->keys[0]);
		if (err)
			log_error("cannot make a key for tickets: %s", strerror(-err));
		return err ? -1 : 0;
	}
	for (size_t i = 0; i < files->count; i++)
		if (read_key(&ring->keys[i], &files->list[i]))
			err = -1;
	ring->count = files->count;
	return err;
}

int tickets_rotate(struct ticket_keyring *ring)
{
	struct ticket_key key;
	int err = make_key(&key);

	if (err)
		return err;
	memmove(&ring->keys[1], &ring->keys[0], sizeof(ring->keys) - sizeof(ring->keys[0]));
	ring->keys[0] = key;
	if (ring->count < TICKET_KEYS_MAX)
		ring->count++;
	explicit_bzero(&key, sizeof(key));
	return 0;
}

unsigned int tickets_rotation(const struct config *config)
{
	return config->tickets && !config->ticket_keys.count ? config->ticket_rotation : 0;
}

/*
 * Use.
 */

/* Where an SSL_CTX keeps its ring; -1: no room. */
static int ring_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static int set_mac_key(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac_key,
						  sizeof(key->hmac_key)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static const struct ticket_key *find_key(const struct ticket_keyring *ring, const uint8_t *name)
{
	for (uint32_t i = 0; i < ring->count; i++)
		if (!memcmp(ring->keys[i].name, name, sizeof(ring->keys[i].name)))
			return &ring->keys[i];
	return NULL;
}

static int seal(const struct ticket_key *key, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
		EVP_MAC_CTX *mac)
{
	if (RAND_bytes(iv, AES_BLOCK) != 1 ||
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes_key, iv) != 1 ||
	    set_mac_key(mac, key) != 1)
		return -1;
	memcpy(name, key->name, sizeof(key->name));
	return 1;
}

/* See SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int sealing)
{
	const struct ticket_keyring *ring =
		SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ring_index());
	const struct ticket_key *key;

	if (!ring || !ring->count)
		return 0;
	if (sealing)
		return seal(&ring->keys[0], name, iv, cipher, mac);

	key = find_key(ring, name);
	if (!key)
		return 0;	/* a full handshake, and a new ticket */
	if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes_key, iv) != 1 ||
	    set_mac_key(mac, key) != 1)
		return -1;
	/* 2: replace it, if it is of an older key; always where clients use each once, RFC 8446 C.4. */
	return key == &ring->keys[0] && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

int tickets_install(SSL_CTX *ctx, const struct config *config, const struct ticket_keyring *ring)
{
	if (!config->tickets) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return 0;
	}
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_timeout(ctx, config->ticket_lifetime);
	if (ring_index() < 0 || SSL_CTX_set_ex_data(ctx, ring_index(), (void *)ring) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1) {
		log_error("OpenSSL cannot be set up for tickets: %s",
			  openssl_reason());
		return -1;
	}
	return 0;
}
