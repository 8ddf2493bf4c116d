// SPDX-License-Identifier: GPL-2.0-only
/*
 * One handshake: OpenSSL, driven by the readiness of the socket, a timer and the signer,
 * to the sealed keys or to a reason. Started by client.c and kernel_requests.c; owns the
 * descriptor, the SSL object and the secrets, all of which are gone before the result is
 * told. All that touches secrets runs in a fiber, which can wait for the signer and is wiped.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <openssl/err.h>

#include "bio.h"
#include "clock.h"
#include "counters.h"
#include "descriptor.h"
#include "fiber.h"
#include "handshake.h"
#include "keylog.h"
#include "log.h"
#include "memory.h"
#include "remote_key.h"
#include "seal.h"
#include "secrets.h"
#include "suite.h"
#include "verify.h"

struct handshake {
	const struct handshake_env *env;
	struct event io;
	struct event timer;
	short waiting_for;	/* EV_READ or EV_WRITE; 0: neither */
	struct fiber *fiber;
	bool greeted;		/* a client's hello was read */
	bool paused;		/* in the fiber, for the signer */
	bool over;		/* result says how */
	unsigned int timeout_ms;
	struct permission permission;
	enum role role;
	bool import;
	ssize_t identity;
	struct peer_name peer_name;	/* of clients */
	struct verification verification;
	bool channel_binding;		/* is asked for */
	struct sockaddr_storage peer;
	SSL *ssl;
	struct wire wire;
	struct secrets secrets;
	union seal tx, rx;
	uint8_t *alpn;
	size_t alpn_len;
	struct handshake_result result;
	handshake_done done;
	void *arg;
};

static void result_vfail(struct handshake_result *result, int error, const char *format,
			 va_list args)
{
	result->error = error;
	vsnprintf(result->reason, sizeof(result->reason), format, args);
}

void handshake_result_fail(struct handshake_result *result, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	result_vfail(result, error, format, args);
	va_end(args);
}

#define fail(h, error, ...) handshake_result_fail(&(h)->result, error, __VA_ARGS__)

static const char *peer_text(const struct sockaddr_storage *address)
{
	static char text[INET6_ADDRSTRLEN + 8];		/* "[IPv6 address]:port" */
	char host[INET6_ADDRSTRLEN];

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "%s:%u", host, ntohs(in->sin_port));
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		return "unknown peer";
	}
	return text;
}

/* "48 unknown_ca": the names of RFC 8446 section 6. */
static const char *alert_name(int alert)
{
	static char name[64];
	int n;

	n = snprintf(name, sizeof(name), "%d ", alert);
	snprintf(name + n, sizeof(name) - n, "%s", SSL_alert_desc_string_long(alert));
	for (char *p = name + n; *p; p++)
		*p = *p == ' ' ? '_' : tolower((unsigned char)*p);
	return name;
}

/*
 * What OpenSSL calls back with.
 */

/* Whose fiber runs: OpenSSL does not say for whom it derives. */
static struct handshake *running;

void handshake_take_secret(const struct derived *derived)
{
	struct handshake *h = running;

	if (!h)
		return;
	secrets_take(&h->secrets, &h->wire, h->ssl, derived);
	/* When the peer has finished, its tickets follow: after a resumption, one. */
	if (derived->which == SECRET_CLIENT && SSL_is_server(h->ssl))
		h->wire.last_records = SSL_session_reused(h->ssl) ? 1 :
								    SSL_get_num_tickets(h->ssl);
}

static void on_keylog(const SSL *ssl, const char *line)
{
	(void)ssl;
	keylog_line(line);
}

/* Other warnings, of TLS 1.2 as a rule, end nothing. */
static bool is_closure(int description)
{
	return description == SSL_AD_CLOSE_NOTIFY || description == SSL_AD_USER_CANCELLED;
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct handshake *h = SSL_get_app_data(ssl);

	if (!(where & SSL_CB_ALERT))
		return;
	if (where & SSL_CB_READ) {
		if (value >> 8 == SSL3_AL_FATAL || is_closure(value & 0xff))
			h->result.alert_received = value & 0xff;
	} else {
		h->result.alert_sent = value & 0xff;
	}
}

/* The first of ours that the client offers: the application's order counts. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *offered, unsigned int offered_len, void *arg)
{
	struct handshake *h = SSL_get_app_data(ssl);

	(void)arg;
	if (!h->alpn_len)
		return SSL_TLSEXT_ERR_NOACK;
	for (const uint8_t *ours = h->alpn; ours < h->alpn + h->alpn_len; ours += 1 + *ours) {
		for (unsigned int i = 0; i < offered_len; i += 1 + offered[i]) {
			if (offered[i] != *ours || memcmp(offered + i + 1, ours + 1, *ours))
				continue;
			*out = ours + 1;
			*out_len = *ours;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Names are reported to applications: printable ASCII, or it is as if there were none. */
static const char *server_name(const SSL *ssl)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (!name || !*name)
		return NULL;
	for (const char *p = name; *p; p++)
		if (!isgraph((unsigned char)*p))
			return NULL;
	return name;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	(void)arg;
	return server_name(ssl) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The only name in a server_name extension (RFC 6066 section 3) that can be a host's. */
static bool name_in_hello(SSL *ssl, char *name, size_t size)
{
	const unsigned char *ext;
	size_t ext_len, len;

	/* Lengths of the list and of the name, and between them the type. */
	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &ext_len) ||
	    ext_len < 6 || ext[2] != TLSEXT_NAMETYPE_host_name)
		return false;
	len = ext[3] << 8 | ext[4];
	if (len != ext_len - 5 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph(ext[5 + i]))
			return false;
	memcpy(name, ext + 5, len);
	name[len] = 0;
	return true;
}

/* Before OpenSSL looks for a session to resume: what is asked of clients decides that, too. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct handshake *h = SSL_get_app_data(ssl);
	bool first = !h->greeted;
	char name[256];

	(void)arg;
	h->greeted = true;
	if (!identities_use_for_server(&h->env->identities, ssl, h->identity,
				       name_in_hello(ssl, name, sizeof(name)) ? name : NULL,
				       first, &h->permission, &h->verification))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = h->env->identities.count ? SSL_AD_INTERNAL_ERROR : SSL_AD_UNRECOGNIZED_NAME;
	return SSL_CLIENT_HELLO_ERROR;
}

void handshake_install(SSL_CTX *ctx)
{
	if (keylog_descriptor() >= 0)
		SSL_CTX_set_keylog_callback(ctx, on_keylog);
	SSL_CTX_set_info_callback(ctx, on_info);
	verify_install(ctx);
	/* Those below are of importance to servers alone. */
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
}

/*
 * Why it failed.
 */

static const struct {
	int code;
	const char *reason;
} explanations[] = {
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client shows no certificate, and must" },
	{ SSL_R_BAD_SIGNATURE, "the peer does not hold the key of its certificate" },
	{ SSL_R_HTTP_REQUEST, "the peer speaks plain HTTP, not TLS" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "the peer speaks to an HTTP proxy, not TLS" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "no TLS version in common" },
	{ SSL_R_VERSION_TOO_LOW, "no TLS version in common" },
	{ SSL_R_NO_SHARED_CIPHER, "no cipher in common" },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, "no key exchange group in common" },
	{ SSL_R_NO_SUITABLE_GROUPS, "no key exchange group in common" },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no signature algorithm in common" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	  "no signature algorithm in common that the certificate's key can make" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol (ALPN) in common" },
	{ SSL_R_CALLBACK_FAILED, "the agent has no identity for that" },
	{ SSL_R_INAPPROPRIATE_FALLBACK, "the peer fell back to an older TLS version" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record of the peer does not decrypt" },
};

static bool is_unverified(int reason)
{
	return reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || reason == SSL_R_BAD_SIGNATURE;
}

static bool is_first_record(const struct handshake *h)
{
	return SSL_is_server(h->ssl) ? !h->wire.tx.bytes :
				       h->wire.rx.bytes <= sizeof(h->wire.rx.header);
}

static void explain_tls_error(struct handshake *h)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	const char *text = remote_key_error();

	if (text) {
		fail(h, ECONNABORTED, "no signature: %s", text);
		return;
	}
	if (h->verification.failed) {
		fail(h, EKEYREJECTED, "%s", h->verification.reason);
		return;
	}
	/* The first record is none: so says OpenSSL 3.0, and later ones. */
	if (reason == SSL_R_WRONG_VERSION_NUMBER && is_first_record(h)) {
		fail(h, ECONNABORTED, "the peer does not speak TLS");
		return;
	}
	for (size_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]); i++) {
		if (reason == explanations[i].code) {
			fail(h, is_unverified(reason) ? EKEYREJECTED : ECONNABORTED, "%s",
			     explanations[i].reason);
			return;
		}
	}
	text = code ? ERR_reason_error_string(code) : NULL;
	fail(h, ECONNABORTED, "TLS handshake failed: %s", text ? text : "unknown error");
}

/* The last word where OpenSSL said none: possible while nothing was sent. */
static void send_alert(struct handshake *h, uint8_t alert)
{
	if (h->result.alert_sent == NO_ALERT && h->result.alert_received == NO_ALERT &&
	    bio_send_plain_alert(&h->wire, SSL3_AL_FATAL, alert))
		h->result.alert_sent = alert;
}

/* user_canceled is a warning, and close_notify follows: RFC 8446 section 6.1. */
static void send_canceled(struct handshake *h)
{
	if (h->result.alert_received == NO_ALERT &&
	    bio_send_plain_alert(&h->wire, SSL3_AL_WARNING, SSL_AD_USER_CANCELLED) &&
	    bio_send_plain_alert(&h->wire, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY))
		h->result.alert_sent = SSL_AD_USER_CANCELLED;
}

static void explain_failure(struct handshake *h, int ssl_error)
{
	struct wire *wire = &h->wire;

	if (h->result.alert_received != NO_ALERT) {
		fail(h, ECONNABORTED, "peer sent alert %s", alert_name(h->result.alert_received));
	} else if (ssl_error == SSL_ERROR_SSL &&
		   ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		explain_tls_error(h);
		send_alert(h, SSL_AD_UNEXPECTED_MESSAGE);
	} else if (h->import && (wire->error == ECANCELED || wire->error == ENOTCONN)) {
		fail(h, ECANCELED, "given up by the application");
	} else if (wire->error == ECONNRESET || wire->error == EPIPE) {
		fail(h, ECONNRESET, "peer reset the connection, having sent %" PRIu64 " bytes",
		     wire->rx.bytes);
	} else if (wire->error) {
		fail(h, ECONNRESET, "connection lost: %s", strerror(wire->error));
	} else if (wire->eof) {
		fail(h, ECONNRESET, "peer closed the connection during the handshake, "
		     "having sent %" PRIu64 " bytes", wire->rx.bytes);
	} else {
		fail(h, ECONNABORTED, "OpenSSL stopped for an unknown reason (%d)", ssl_error);
	}
}

static void explain_timeout(struct handshake *h)
{
	fail(h, ETIMEDOUT, "handshake timed out after %.1f s, peer sent %" PRIu64 " bytes",
	     h->timeout_ms / 1000.0, h->wire.rx.bytes);
	send_canceled(h);
}

/*
 * Success.
 */

/* Returns false, with the reason, if there is no telling. */
static bool describe(struct handshake *h)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(h->ssl);
	struct handshake_result *r = &h->result;
	const char *name = server_name(h->ssl);
	const char *group = SSL_group_to_name(h->ssl, SSL_get_negotiated_group(h->ssl));
	const unsigned char *alpn;
	unsigned int alpn_len;

	r->tls_version = SSL_version(h->ssl);
	r->cipher_suite = SSL_CIPHER_get_protocol_id(cipher);
	r->cipher_name = SSL_CIPHER_standard_name(cipher);
	r->resumed = SSL_session_reused(h->ssl);
	snprintf(r->group, sizeof(r->group), "%s", group ? group : "");
	snprintf(r->server_name, sizeof(r->server_name), "%s", name ? name : "");
	SSL_get0_alpn_selected(h->ssl, &alpn, &alpn_len);
	if (alpn_len)		/* at most 255 bytes; zeroed before */
		memcpy(r->alpn, alpn, alpn_len);
	if (h->channel_binding)
		peer_info_read_binding(&r->peer, h->ssl);
	if (peer_info_read(&r->peer, h->ssl,
			   SSL_is_server(h->ssl) ? NULL : h->peer_name.text)) {
		fail(h, ENOMEM, "the agent is out of memory");
		return false;
	}
	return true;
}

/*
 * Where OpenSSL stopped must be where the kernel starts: nothing read ahead,
 * nothing half sent. OpenSSL calls a handshake successful whose tickets could
 * not be sent any more.
 */
static bool check_boundary(struct handshake *h)
{
	const struct wire *wire = &h->wire;

	if (wire->error) {
		fail(h, ECONNRESET, "peer reset the connection at the end of the handshake");
		return false;
	}
	if (SSL_has_pending(h->ssl) || !record_stream_idle(&wire->rx) ||
	    !record_stream_idle(&wire->tx)) {
		fail(h, ECONNABORTED, "the peer sent more than the handshake in one record");
		return false;
	}
	return true;
}

static void seal_keys(struct handshake *h)
{
	const struct suite *suite = suite_find(h->result.cipher_suite);
	struct seal_error error;
	int err;

	if (!suite) {
		fail(h, EOPNOTSUPP, "the kernel cannot carry %s", h->result.cipher_name);
		return;
	}
	if (secrets_derive(&h->secrets, &h->wire, h->ssl, suite, &h->tx.key, &h->rx.key)) {
		fail(h, ECONNABORTED, "OpenSSL did not give the keys of the connection");
		return;
	}
	err = seal_export(h->wire.fd, &h->tx, &error);
	if (!err)
		err = seal_export(h->wire.fd, &h->rx, &error);
	if (!err && h->import)
		err = seal_import(h->wire.fd, &h->tx, &h->rx, &error);
	if (err) {
		fail(h, err, "%s", error.reason);
		return;
	}
	if (h->import)
		return;
	memcpy(h->result.blob_tx, h->tx.blob, sizeof(h->result.blob_tx));
	memcpy(h->result.blob_rx, h->rx.blob, sizeof(h->result.blob_rx));
}

/*
 * The course of events.
 */

static void on_io(evutil_socket_t fd, short what, void *arg);

static int wait_for(struct handshake *h, short what)
{
	if (h->waiting_for == what)
		return 0;
	if (h->waiting_for)
		event_del(&h->io);
	h->waiting_for = what;
	if (!what)
		return 0;
	event_assign(&h->io, h->env->base, h->wire.fd, what | EV_PERSIST, on_io, h);
	return event_add(&h->io, NULL);
}

/* In the fiber: go as far as the socket allows. */
static void advance(void *arg)
{
	struct handshake *h = arg;
	int ret, error;

	ret = SSL_do_handshake(h->ssl);
	if (ret == 1) {
		if (describe(h) && check_boundary(h))
			seal_keys(h);
		h->over = true;
		return;
	}
	error = SSL_get_error(h->ssl, ret);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		if (!wait_for(h, error == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE))
			return;
		fail(h, ENOMEM, "the agent is out of memory");
	} else {
		explain_failure(h, error);
	}
	h->over = true;
}

/* Whatever the fiber waits for: no more. */
static void give_up(struct handshake *h)
{
	if (h->paused)
		fiber_abort(h->fiber);
	h->paused = false;
}

/*
 * Let go of everything but the result. The socket must leave the event loop
 * before it is closed: the application's copy would keep it there.
 */
static __attribute__((noinline)) void release(struct handshake *h)
{
	event_del(&h->timer);
	if (h->waiting_for)
		event_del(&h->io);
	SSL_free(h->ssl);
	h->ssl = NULL;
	fiber_free(h->fiber);
	h->fiber = NULL;
	descriptor_close(h->wire.fd);
	explicit_bzero(&h->secrets, sizeof(h->secrets));
	explicit_bzero(&h->tx, sizeof(h->tx));
	explicit_bzero(&h->rx, sizeof(h->rx));
}

static void destroy(struct handshake *h)
{
	peer_info_free(&h->result.peer);
	memory_free(h->alpn);
	memory_free(h);
}

static void count(const struct handshake_result *r, enum role role)
{
	if (r->error) {
		count_up(COUNT_FAILED);
		if (r->error == ETIMEDOUT)
			count_up(COUNT_TIMED_OUT);
		else if (r->error == EBUSY)
			count_up(COUNT_BUSY);
		return;
	}
	count_up(role == ROLE_SERVER ? COUNT_ACCEPTED : COUNT_CONNECTED);
	if (r->resumed)
		count_up(COUNT_RESUMED);
	if (r->tls_version == TLS1_3_VERSION)
		count_up(COUNT_TLS13);
}

static void conclude(struct handshake *h)
{
	const struct handshake_result *r = &h->result;

	release(h);
	memory_scrub_stack();

	count(r, h->role);
	if (r->error)
		log_notice("handshake with %s failed: %s", peer_text(&h->peer), r->reason);
	else if (log_takes(LEVEL_DETAIL))
		log_detail("handshake with %s: TLS 1.%d, %s, name \"%s\"%s",
			   peer_text(&h->peer), (r->tls_version & 0xff) - 1, r->cipher_name,
			   r->server_name, r->resumed ? ", resumed" : "");
	h->done(h->arg, r);
	destroy(h);
}

static void step(struct handshake *h)
{
	enum fiber_state state;

	h->paused = false;
	running = h;
	state = fiber_run(h->fiber, advance, h);
	running = NULL;
	switch (state) {
	case FIBER_PAUSED:
		h->paused = true;
		break;
	case FIBER_FAILED:
		fail(h, ENOMEM, "the agent is out of memory");
		h->over = true;
		break;
	case FIBER_DONE:
		break;
	}
	if (h->over)
		conclude(h);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct handshake *h = arg;

	(void)fd;
	(void)what;
	if (!h->paused)
		step(h);
	else	/* the peer has to wait, too */
		wait_for(h, 0);
}

static void on_signer(void *arg)
{
	step(arg);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct handshake *h = arg;

	(void)fd;
	(void)what;
	give_up(h);
	explain_timeout(h);
	conclude(h);
}

static int set_up_server(struct handshake *h)
{
	SSL_set_accept_state(h->ssl);
	return wait_for(h, EV_READ);
}

/* A client speaks first. */
static int set_up_client(struct handshake *h)
{
	const struct handshake_env *env = h->env;
	ssize_t identity = h->identity == NO_IDENTITY ? env->client_identity : h->identity;

	SSL_set_connect_state(h->ssl);
	if (identities_use_for_client(&env->identities, h->ssl, identity) ||
	    verify_server(h->ssl, env->servers, &h->peer_name, &h->verification) ||
	    (h->alpn_len && SSL_set_alpn_protos(h->ssl, h->alpn, h->alpn_len)))
		return -1;
	return wait_for(h, EV_WRITE);
}

static int set_up(struct handshake *h, enum role role)
{
	const struct timeval timeout = ms_to_timeval(h->timeout_ms);
	BIO *bio;

	h->ssl = SSL_new(role == ROLE_CLIENT ? h->env->client_ctx : h->env->ctx);
	h->fiber = fiber_new(on_signer, h);
	bio = bio_new(&h->wire);
	if (!h->ssl || !h->fiber || !bio) {
		BIO_free(bio);
		return -1;
	}
	SSL_set_bio(h->ssl, bio, bio);
	SSL_set_app_data(h->ssl, h);
	if (event_add(&h->timer, &timeout))
		return -1;
	return role == ROLE_CLIENT ? set_up_client(h) : set_up_server(h);
}

static int set_alpn(struct handshake *h, const uint8_t *alpn, size_t len)
{
	if (!len)
		return 0;
	h->alpn = memory_zalloc(len);
	if (!h->alpn)
		return -1;
	memcpy(h->alpn, alpn, len);
	h->alpn_len = len;
	return 0;
}

struct handshake *handshake_start(const struct handshake_env *env, int fd,
				  const struct handshake_params *params,
				  handshake_done done, void *arg,
				  struct handshake_result *refused)
{
	struct sockaddr_storage peer;
	struct seal_error error;
	struct handshake *h;
	int err;

	err = seal_attach(fd, &peer, &error);
	if (err) {
		handshake_result_fail(refused, err, "%s", error.reason);
		/* What is the application's own mistake is for it to complain about. */
		log_line(err == EINVAL ? LEVEL_DETAIL : LEVEL_NOTICE,
			 "handshake with %s refused: %s", peer_text(&peer), error.reason);
		goto err_close;
	}

	h = memory_zalloc(sizeof(*h));
	if (!h)
		goto err_memory;
	*h = (struct handshake){
		.env = env,
		.timeout_ms = env->timeout_ms,
		.permission = params->permission,
		.role = params->role,
		.import = params->import,
		.identity = params->identity,
		.peer_name = params->peer,
		.channel_binding = params->channel_binding,
		.peer = peer,
		.wire.fd = fd,
		.result.alert_sent = NO_ALERT,
		.result.alert_received = NO_ALERT,
		.done = done,
		.arg = arg,
	};
	if (params->timeout_ms && params->timeout_ms < h->timeout_ms)
		h->timeout_ms = params->timeout_ms;
	if (set_alpn(h, params->alpn_len ? params->alpn : env->alpn,
		     params->alpn_len ? params->alpn_len : env->alpn_len))
		goto err_free;
	evtimer_assign(&h->timer, env->base, on_timeout, h);

	if (!set_up(h, params->role))
		return h;

	release(h);
	destroy(h);
	handshake_result_fail(refused, ENOMEM, "the agent is out of memory");
	return NULL;

err_free:
	memory_free(h);
err_memory:
	handshake_result_fail(refused, ENOMEM, "the agent is out of memory");
err_close:
	descriptor_close(fd);
	return NULL;
}

void handshake_cancel(struct handshake *handshake)
{
	give_up(handshake);
	release(handshake);
	memory_scrub_stack();
	destroy(handshake);
}

void handshake_end(struct handshake *handshake, int error, const char *format, ...)
{
	va_list args;

	give_up(handshake);
	va_start(args, format);
	result_vfail(&handshake->result, error, format, args);
	va_end(args);
	send_canceled(handshake);
	conclude(handshake);
}
