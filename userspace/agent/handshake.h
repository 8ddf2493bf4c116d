/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One TLS handshake on one socket of an application.
 */
#ifndef KEYBLOBD_HANDSHAKE_H
#define KEYBLOBD_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <linux/keyblob.h>
#include <openssl/ssl.h>

#include "identity.h"
#include "peer_info.h"
#include "policy.h"
#include "traffic_secrets.h"

#define NO_ALERT (-1)

/* How it ended; what a reply is made of. Holds no secret. */
struct handshake_result {
	int error;		/* 0, or a positive errno of the protocol */
	char reason[320];	/* if @error: one line for a person */
	int alert_sent;		/* AlertDescription, or NO_ALERT */
	int alert_received;

	uint8_t blob_tx[KEYBLOB_BLOB_SIZE];
	uint8_t blob_rx[KEYBLOB_BLOB_SIZE];
	uint16_t tls_version;
	uint16_t cipher_suite;
	const char *cipher_name;
	char group[40];		/* "": unknown */
	char alpn[256];		/* "": none */
	char server_name[256];	/* "": none */
	bool resumed;
	struct peer_info peer;
};

/* What all handshakes of a worker share. */
struct handshake_env {
	struct event_base *base;
	SSL_CTX *ctx;			/* for servers */
	SSL_CTX *client_ctx;
	struct identities identities;
	ssize_t client_identity;	/* of clients that name none; or NO_IDENTITY */
	struct trust_store *servers;	/* whom clients trust */
	unsigned int timeout_ms;	/* the most that a handshake may take */
	uint8_t *alpn;			/* as below, of applications that name none; NULL: none */
	size_t alpn_len;
};

/* What one application asks for. */
struct handshake_params {
	enum role role;
	struct permission permission;	/* what it points to outlives the handshake */
	ssize_t identity;		/* NO_IDENTITY: by SNI, or the client's default */
	struct peer_name peer;		/* of clients: whom to connect to */
	unsigned int timeout_ms;	/* 0: as much as it may */
	const uint8_t *alpn;		/* ProtocolNameList without its outer length; copied */
	size_t alpn_len;
	bool import;			/* put the keys into the socket; the result has no blobs */
	bool channel_binding;		/* is to be told */
};

struct handshake;

/*
 * Called once, when the handshake has ended and its copy of the socket is closed
 * and its secrets are wiped. @result is valid during the call only.
 */
typedef void (*handshake_done)(void *arg, const struct handshake_result *result);

/* For traffic_secrets_init(): a secret of the handshake whose fiber runs. */
void handshake_take_secret(const struct derived *derived);

/* Set the callbacks that handshakes need on @ctx. */
void handshake_install(SSL_CTX *ctx);

/*
 * Begin. @fd belongs to the handshake from here on, failure included. Returns
 * NULL if it ended at once; then @refused says why, and @done is not called.
 */
struct handshake *handshake_start(const struct handshake_env *env, int fd,
				  const struct handshake_params *params,
				  handshake_done done, void *arg,
				  struct handshake_result *refused);

/* Give up and free; @done is not called. */
void handshake_cancel(struct handshake *handshake);

/* Give up for the reason told; @done is called. */
void handshake_end(struct handshake *handshake, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Make @result say that it failed. */
void handshake_result_fail(struct handshake_result *result, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
