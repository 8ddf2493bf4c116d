// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy: versions, cipher suites, tickets. Called by each worker, after the
 * fork. Only what kTLS can carry on may be negotiated here.
 */
#include <openssl/err.h>

#include "context.h"
#include "log.h"

/* AEAD with forward secrecy; see also suite.c. */
#define SUITES_TLS13 \
	"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define SUITES_TLS12 \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

static const unsigned char session_context[] = "keyblob";

static int set_policy(SSL_CTX *ctx, const struct options *options,
		      const struct ticket_keys *tickets)
{
	/* The system's openssl.cnf may have turned these on. */
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_KTLS | SSL_OP_NO_TICKET);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);

	/* Read a record header, then its body: nothing behind the handshake. */
	SSL_CTX_set_read_ahead(ctx, 0);

	/* No early data: it would be read before there is an application to read it. */
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);

	/* Sessions live in the client's ticket alone, not in this process. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);

	return SSL_CTX_set_min_proto_version(ctx, options->min_tls) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, SUITES_TLS13) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, SUITES_TLS12) == 1 &&
	       SSL_CTX_set_session_id_context(ctx, session_context,
					      sizeof(session_context) - 1) == 1 &&
	       SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)tickets->bytes,
					      sizeof(tickets->bytes)) == 1;
}

SSL_CTX *context_new(const struct options *options, struct identities *identities,
		     const struct ticket_keys *tickets)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || !set_policy(ctx, options, tickets)) {
		log_error("OpenSSL cannot be set up: %s",
			  ERR_reason_error_string(ERR_peek_last_error()));
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_cert_cb(ctx, identities_select, identities);
	return ctx;
}
