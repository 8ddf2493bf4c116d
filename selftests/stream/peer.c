// SPDX-License-Identifier: GPL-2.0-only
/* A stream and what its peer says; see peer.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

#define SECONDS_MAX	20	/* that the peer waits for anything */

int stream_open(struct stream *s, uint16_t version, uint16_t cipher, uint16_t role)
{
	const struct timeval wait = { .tv_sec = SECONDS_MAX };
	int err;

	memset(s, 0, sizeof(*s));
	s->level = -1;
	s->description = -1;
	err = conn_open(&s->c, AF_INET, version, cipher);
	if (err)
		return err;
	s->fd = s->c.fd;
	s->c.tx.role = role;
	s->c.rx.role = role;
	setsockopt(s->c.peer.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(s->c.peer.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	err = conn_import(&s->c);
	if (err)
		conn_close(&s->c);
	return err;
}

void stream_close(struct stream *s)
{
	s->c.fd = s->fd;
	conn_close(&s->c);
	s->fd = -1;
}

void stream_nonblock(struct stream *s)
{
	fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
}

int peer_raw(struct stream *s, const void *wire, size_t len)
{
	const uint8_t *at = wire;

	while (len) {
		ssize_t n = send(s->c.peer.fd, at, len, MSG_NOSIGNAL);

		if (n < 0)
			return -1;
		at += n;
		len -= n;
	}
	return 0;
}

int peer_data(struct stream *s, const char *text)
{
	return tls_peer_write(&s->c.peer, text, strlen(text));
}

int peer_handshake(struct stream *s, uint8_t type, const void *body, size_t len)
{
	uint8_t msg[TLS_RECORD_MAX] = { type, len >> 16, len >> 8, len };

	memcpy(msg + 4, body, len);
	return tls_peer_send(&s->c.peer, TLS_TYPE_HANDSHAKE, msg, 4 + len);
}

int peer_ticket(struct stream *s)
{
	uint8_t body[200];

	fill(body, sizeof(body), 1);
	return peer_handshake(s, HS_NEW_SESSION_TICKET, body, sizeof(body));
}

int peer_alert(struct stream *s, uint8_t level, uint8_t description)
{
	const uint8_t alert[] = { level, description };

	return tls_peer_send(&s->c.peer, TLS_TYPE_ALERT, alert, sizeof(alert));
}

/* RFC 8446 section 7.1, empty context, no more than one block. */
static int expand(const struct tls_suite *suite, const uint8_t *secret, const char *label,
		  uint8_t *out, size_t len)
{
	uint8_t block[EVP_MAX_MD_SIZE], info[64];
	size_t n = 0;

	info[n++] = len >> 8;
	info[n++] = len;
	info[n++] = 6 + strlen(label);
	n += sprintf((char *)info + n, "tls13 %s", label);
	info[n++] = 0;
	info[n++] = 1;
	if (!HMAC(EVP_get_digestbyname(suite->digest), secret, suite->hash_size, info, n,
		  block, NULL))
		return -1;
	memcpy(out, block, len);
	return 0;
}

/* RFC 8446 section 7.2 */
static int turn(struct tls_dir *dir, struct keyblob_key *key)
{
	const struct tls_suite *suite = dir->suite;
	uint8_t next[KEYBLOB_SECRET_MAX];

	if (expand(suite, key->secret, "traffic upd", next, suite->hash_size) ||
	    expand(suite, next, "key", dir->key, suite->key_size) ||
	    expand(suite, next, "iv", dir->iv, KEYBLOB_IV_SIZE))
		return -1;
	memcpy(key->secret, next, suite->hash_size);
	key->generation++;
	dir->seq = 0;
	return 0;
}

int peer_turn(struct stream *s)
{
	return turn(&s->c.peer.tx, &s->c.rx);
}

int peer_update(struct stream *s, bool request)
{
	const uint8_t body = request;

	if (peer_handshake(s, HS_KEY_UPDATE, &body, 1))
		return -1;
	return peer_turn(s);
}

ssize_t peer_next(struct stream *s, uint8_t *type, uint8_t *data)
{
	const uint64_t records = s->c.peer.rx.seq + 1;
	ssize_t n = tls_peer_recv(&s->c.peer, type, data);

	if (n <= 0)
		return n;
	if (records > s->longest)
		s->longest = records;
	switch (*type) {
	case TLS_TYPE_HANDSHAKE:
		if (n != 5 || data[0] != HS_KEY_UPDATE || data[1] || data[2] || data[3] != 1 ||
		    data[4] > 1)
			goto err;
		s->updates++;
		s->requests += data[4];
		if (turn(&s->c.peer.rx, &s->c.tx))
			goto err;
		break;
	case TLS_TYPE_ALERT:
		if (n != 2)
			goto err;
		s->level = data[0];
		s->description = data[1];
		break;
	}
	return n;
err:
	errno = EPROTO;
	return -1;
}

int peer_read(struct stream *s, void *data, size_t len)
{
	uint8_t record[TLS_RECORD_MAX + 1], type;
	uint8_t *at = data;

	while (len) {
		ssize_t n = peer_next(s, &type, record);

		if (n <= 0 || type == TLS_TYPE_ALERT)
			return -1;
		if (type != TLS_TYPE_DATA)
			continue;
		if (n > len)
			return -1;
		memcpy(at, record, n);
		at += n;
		len -= n;
	}
	return 0;
}

int peer_drain(struct stream *s)
{
	uint8_t record[TLS_RECORD_MAX + 1], want[TLS_RECORD_MAX], type;
	ssize_t n;

	while ((n = peer_next(s, &type, record)) > 0) {
		/* Nothing comes after the last word. */
		if (s->level >= 0 && type != TLS_TYPE_ALERT)
			break;
		if (type != TLS_TYPE_DATA)
			continue;
		pattern(want, s->bytes, n);
		if (memcmp(want, record, n))
			break;
		s->bytes += n;
	}
	if (n > 0)
		errno = EILSEQ;
	return n ? -1 : 0;
}

bool peer_sees_end(struct stream *s, int level, int description)
{
	uint8_t record[TLS_RECORD_MAX + 1], type;
	ssize_t n;

	while ((n = peer_next(s, &type, record)) > 0)
		;
	return !n && s->level == level && s->description == description;
}

void pattern(uint8_t *data, uint64_t offset, size_t len)
{
	for (; len; len--, offset++)
		*data++ = offset ^ offset >> 8 ^ offset >> 16;
}

int param_set(const char *name, unsigned long value)
{
	char path[128];
	FILE *f;
	int ret;

	snprintf(path, sizeof(path), "/sys/module/keyblob/parameters/%s", name);
	f = fopen(path, "w");
	if (!f)
		return -errno;
	ret = fprintf(f, "%lu", value) < 0;
	return fclose(f) || ret ? -EIO : 0;
}

long param_get(const char *name)
{
	char path[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/keyblob/parameters/%s", name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long ms(const struct timeval *t)
{
	return t->tv_sec * 1000 + t->tv_usec / 1000;
}

long cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return ms(&u.ru_utime) + ms(&u.ru_stime);
}
