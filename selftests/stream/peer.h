/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A keyblob socket that has its keys, and a peer that can say more than application
 * data: KeyUpdates, tickets, alerts, records of any kind. What the peer receives is
 * checked and counted. Keys of later generations are computed here, by OpenSSL's HMAC.
 */
#ifndef SELFTESTS_STREAM_PEER_H
#define SELFTESTS_STREAM_PEER_H

#include "lib/net.h"

enum {
	HS_HELLO_REQUEST = 0,
	HS_CLIENT_HELLO = 1,
	HS_NEW_SESSION_TICKET = 4,
	HS_CERTIFICATE_REQUEST = 13,
	HS_KEY_UPDATE = 24,
};

enum {
	ALERT_WARNING = 1,
	ALERT_FATAL = 2,
};

enum {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_DECODE_ERROR = 50,
	ALERT_USER_CANCELED = 90,
	ALERT_NO_RENEGOTIATION = 100,
};

/* Members below @fd: what the peer received. */
struct stream {
	struct conn c;
	int fd;			/* the keyblob socket */
	unsigned int updates;	/* KeyUpdates */
	unsigned int requests;	/* those of them that ask for one */
	uint64_t longest;	/* records of the longest generation, its KeyUpdate included */
	int level;		/* of the last alert; -1: none came */
	int description;
	uint64_t bytes;		/* of application data that peer_drain() checked */
};

/* stream_open() - over loopback, keys imported; 0 or a negative errno */
int stream_open(struct stream *s, uint16_t version, uint16_t cipher, uint16_t role);
void stream_close(struct stream *s);

/* stream_nonblock() - O_NONBLOCK for the keyblob socket */
void stream_nonblock(struct stream *s);

/* All that the peer sends: 0 or -1. */
int peer_raw(struct stream *s, const void *wire, size_t len);
int peer_data(struct stream *s, const char *text);
int peer_handshake(struct stream *s, uint8_t type, const void *body, size_t len);
int peer_ticket(struct stream *s);
int peer_alert(struct stream *s, uint8_t level, uint8_t description);

/* peer_update() - a KeyUpdate; what follows goes under the next key */
int peer_update(struct stream *s, bool request);

/* peer_turn() - only the change of the peer's sending key */
int peer_turn(struct stream *s);

/*
 * peer_next() - one record from the socket, KeyUpdates obeyed; the length of its
 * content, 0 at the end of TCP, or -1
 */
ssize_t peer_next(struct stream *s, uint8_t *type, uint8_t *data);

/* peer_read() - exactly @len bytes of data, with KeyUpdates between; 0 or -1 */
int peer_read(struct stream *s, void *data, size_t len);

/*
 * peer_drain() - everything up to the end of TCP; data must be that of pattern().
 * Returns 0, or -1 with errno (ECONNRESET: no orderly end).
 */
int peer_drain(struct stream *s);

/* peer_sees_end() - does the stream end with this very alert, and then a FIN? */
bool peer_sees_end(struct stream *s, int level, int description);

/* pattern() - bytes of a sequence that never comes back to itself, from @offset on */
void pattern(uint8_t *data, uint64_t offset, size_t len);

/* param_set(), param_get() - a parameter of the module */
int param_set(const char *name, unsigned long value);
long param_get(const char *name);

void sleep_ms(long ms);

/* now_ms(), cpu_ms() - a clock; CPU time of the calling thread */
long now_ms(void);
long cpu_ms(void);

#endif
