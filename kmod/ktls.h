/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_KTLS_H
#define KB_KTLS_H

#include <linux/sockptr.h>
#include <net/sock.h>

#include "blob.h"
#include "suite.h"

struct crypto_aead;
struct kb_sock;
struct proto_ops;

/* A key that is ready to be put in; made where failure is still possible. */
struct kb_ktls_key {
	const struct kb_suite *suite;
	u16 tls_version;
	struct crypto_aead *aead;	/* owned */
	u8 nonce[KB_NONCE_SIZE];
	u64 rec_seq;
};

struct kb_sock *kb_ktls_new(void);
void kb_ktls_free(struct kb_sock *kb);
int kb_ktls_attach(struct sock *sk, const struct proto_ops **ops);
void kb_ktls_lock(struct sock *sk);
bool kb_ktls_in_use(const struct sock *sk);
struct proto *kb_ktls_below(const struct sock *sk);
void kb_ktls_set_below(struct sock *sk, struct proto *below);

struct crypto_aead *kb_ktls_cipher_new(const struct kb_suite *suite, const u8 *key);
void kb_ktls_cipher_free(struct crypto_aead *aead);
void kb_ktls_key_free(struct kb_ktls_key *key);
void kb_ktls_exit(void);

u64 kb_ktls_position(const struct sock *sk, u16 direction);
bool kb_ktls_offloads(struct sock *sk);
int kb_ktls_install(struct sock *sk, u16 direction, struct kb_ktls_key *key,
		    sockptr_t decoy, u64 position, bool *ready);
u64 kb_ktls_rec_seq(const struct sock *sk, u16 direction);
bool kb_ktls_is_sw(const struct sock *sk, u16 direction);
void kb_ktls_rekey(struct sock *sk, u16 direction, struct kb_ktls_key *key);

size_t kb_ktls_payload_max(const struct sock *sk);
bool kb_ktls_has_open_record(const struct sock *sk);
bool kb_ktls_has_unsent(const struct sock *sk);
bool kb_ktls_has_gap(const struct sock *sk);
bool kb_ktls_has_record(const struct sock *sk);
bool kb_ktls_is_stopped(const struct sock *sk);
bool kb_ktls_is_broken(const struct sock *sk);
bool kb_ktls_is_too_long(const struct sock *sk);
struct sk_buff *kb_ktls_control(struct sock *sk, u8 *type, int *offset, int *len);
void kb_ktls_control_done(struct sock *sk, struct sk_buff *skb);

#endif
