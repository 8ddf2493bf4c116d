/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * OpenSSL's way to the application's socket, and what went over it.
 */
#ifndef KEYBLOBD_BIO_H
#define KEYBLOBD_BIO_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/bio.h>

/* One direction of the socket, seen as TLS records. */
struct record_stream {
	uint64_t bytes;
	uint64_t keyed_records;	/* records since the keys in use now were put in use */
	bool keyed;
	uint16_t body_left;	/* of the record under way */
	uint8_t header_len;	/* bytes of it seen */
	uint8_t header[5];
	uint8_t nonce_len;	/* bytes of it seen */
	uint8_t nonce[8];	/* of the last record: its first bytes, TLS 1.2 explicit nonce */
};

struct wire {
	int fd;
	struct record_stream rx, tx;
	unsigned int last_records; /* how many go out under the application's key: together */
	bool asked;		/* all was sent, and nothing received since */
	bool eof;		/* the peer closed its side */
	int error;		/* errno of the first send or receive that failed */
};

/* A BIO over @wire, which must outlive it. NULL: out of memory. */
BIO *bio_new(struct wire *wire);

/* From the next record on, @stream is protected with the application's keys. */
void record_stream_rekey(struct record_stream *stream);

/* True if the last record is complete. */
bool record_stream_idle(const struct record_stream *stream);

/*
 * Send an alert without OpenSSL's help, which is possible as long as this
 * side has sent nothing. Best effort: returns true if it went out.
 */
bool bio_send_plain_alert(struct wire *wire, uint8_t level, uint8_t description);

#endif
