// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BIO that never blocks and leaves the socket's O_NONBLOCK alone, because the
 * application shares it. Below OpenSSL's buffers, it sees exactly what went over
 * the wire, and counts records there: the sequence numbers at which the kernel
 * must go on. Used by handshake.c; a struct wire belongs to one handshake.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bio.h"

#define RECORD_CHANGE_CIPHER_SPEC 20

static void record_begins(struct record_stream *s)
{
	s->body_left = s->header[3] << 8 | s->header[4];
	s->nonce_len = 0;
	if (s->keyed) {
		s->keyed_records++;
	} else if (s->header[0] == RECORD_CHANGE_CIPHER_SPEC) {
		/*
		 * TLS 1.2 puts its keys in use with this record. In TLS 1.3 it means
		 * nothing, and record_stream_rekey() will set the count right.
		 */
		record_stream_rekey(s);
	}
}

static void record_stream_advance(struct record_stream *s, const uint8_t *data, size_t len)
{
	s->bytes += len;
	while (len) {
		size_t n, take;

		if (!s->body_left) {
			s->header[s->header_len++] = *data++;
			len--;
			if (s->header_len == sizeof(s->header)) {
				s->header_len = 0;
				record_begins(s);
			}
			continue;
		}
		n = len < s->body_left ? len : s->body_left;
		take = sizeof(s->nonce) - s->nonce_len;
		take = n < take ? n : take;
		memcpy(s->nonce + s->nonce_len, data, take);
		s->nonce_len += take;
		s->body_left -= n;
		data += n;
		len -= n;
	}
}

void record_stream_rekey(struct record_stream *stream)
{
	stream->keyed = true;
	stream->keyed_records = 0;
}

bool record_stream_idle(const struct record_stream *stream)
{
	return !stream->header_len && !stream->body_left;
}

/* Failures that pass; the socket will be polled. */
static bool is_transient(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

static int wire_read(BIO *bio, char *buf, int len)
{
	struct wire *wire = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	/* No peer answers that fast. */
	if (wire->asked) {
		wire->asked = false;
		BIO_set_retry_read(bio);
		return -1;
	}
	n = recv(wire->fd, buf, len, MSG_DONTWAIT);
	if (n > 0)
		record_stream_advance(&wire->rx, (uint8_t *)buf, n);
	else if (!n)
		wire->eof = true;
	else if (is_transient(errno))
		BIO_set_retry_read(bio);
	else if (!wire->error)
		wire->error = errno;
	return n;
}

/* Whether OpenSSL will send more without waiting for the peer, so that it is one segment. */
static bool more_follows(const struct wire *wire)
{
	return wire->tx.keyed && wire->tx.keyed_records + 1 < wire->last_records;
}

static int wire_write(BIO *bio, const char *buf, int len)
{
	struct wire *wire = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	n = send(wire->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL |
		 (more_follows(wire) ? MSG_MORE : 0));
	wire->asked = n == len;
	if (n >= 0)
		record_stream_advance(&wire->tx, (const uint8_t *)buf, n);
	else if (is_transient(errno))
		BIO_set_retry_write(bio);
	else if (!wire->error)
		wire->error = errno;
	return n;
}

static long wire_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	struct wire *wire = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return wire->eof;
	default:
		return 0;
	}
}

static BIO_METHOD *make_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (method) {
		BIO_meth_set_read(method, wire_read);
		BIO_meth_set_write(method, wire_write);
		BIO_meth_set_ctrl(method, wire_ctrl);
	}
	return method;
}

BIO *bio_new(struct wire *wire)
{
	static BIO_METHOD *method;	/* for the life of the process */
	BIO *bio;

	if (!method)
		method = make_method();
	bio = method ? BIO_new(method) : NULL;
	if (bio) {
		BIO_set_data(bio, wire);
		BIO_set_init(bio, 1);
	}
	return bio;
}

bool bio_send_plain_alert(struct wire *wire, uint8_t level, uint8_t description)
{
	const uint8_t record[] = { 21, 3, 3, 0, 2, level, description };

	if (wire->tx.bytes || wire->error)
		return false;
	return send(wire->fd, record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       sizeof(record);
}
