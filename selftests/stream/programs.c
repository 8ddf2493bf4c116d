// SPDX-License-Identifier: GPL-2.0-only
/* Programs that know nothing of TLS, with such a socket as their input and output. */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "peer.h"

#define SIZE	300000

FIXTURE(programs)
{
	struct stream s;
	uint8_t *data;
	pthread_t thread;
};

FIXTURE_SETUP(programs)
{
	self->data = malloc(SIZE);
	ASSERT_NE(NULL, self->data);
	pattern(self->data, 0, SIZE);
	ASSERT_EQ(0, stream_open(&self->s, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128,
				 KEYBLOB_ROLE_CLIENT));
}

FIXTURE_TEARDOWN(programs)
{
	stream_close(&self->s);
	free(self->data);
}

/* Sends pattern() with all that may come between, and says good-bye. */
static void *peer_sends(void *arg)
{
	struct stream *s = arg;
	uint8_t data[7000];
	size_t at, n;

	peer_ticket(s);
	peer_ticket(s);
	for (at = 0; at < SIZE; at += n) {
		n = SIZE - at < sizeof(data) ? SIZE - at : sizeof(data);
		pattern(data, at, n);
		if (tls_peer_write(&s->c.peer, data, n) || peer_update(s, at / 7000 % 2) ||
		    peer_ticket(s))
			return s;
	}
	return peer_alert(s, ALERT_WARNING, ALERT_CLOSE_NOTIFY) ? s : NULL;
}

/* Runs a command of the shell; -1 leaves a stream as it is. The socket is given away. */
static pid_t run(struct stream *s, int in, int out, const char *command)
{
	pid_t child = fork();

	if (!child) {
		if (in >= 0)
			dup2(in, 0);
		if (out >= 0)
			dup2(out, 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(s->fd);
	s->fd = -1;
	return child;
}

static int result_of(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

/* What the command makes of the peer's data. */
#define RUN_AS_READER(command, out, len) do {					\
	int _pipe[2];								\
	pid_t _child;								\
	size_t _have = 0;							\
	void *_failed;								\
	ssize_t _n;								\
	ASSERT_EQ(0, pipe2(_pipe, O_CLOEXEC));					\
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, peer_sends, &self->s));\
	_child = run(&self->s, self->s.fd, _pipe[1], command);			\
	close(_pipe[1]);							\
	while ((_n = read(_pipe[0], (out) + _have, (len) - _have)) > 0)		\
		_have += _n;							\
	close(_pipe[0]);							\
	EXPECT_EQ(0, result_of(_child));					\
	pthread_join(self->thread, &_failed);					\
	EXPECT_EQ(NULL, _failed);						\
	(len) = _have;								\
} while (0)

#define EXPECT_COPY(command) do {						\
	uint8_t *_got = malloc(SIZE + 1);					\
	size_t _len = SIZE + 1;							\
	RUN_AS_READER(command, _got, _len);					\
	EXPECT_EQ(SIZE, _len);							\
	EXPECT_EQ(0, memcmp(_got, self->data, SIZE));				\
	free(_got);								\
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));\
} while (0)

TEST_F(programs, cat_reads)
{
	EXPECT_COPY("cat");
}

TEST_F(programs, dd_reads)
{
	EXPECT_COPY("dd bs=5000 status=none");
}

TEST_F(programs, dd_reads_full_blocks)
{
	EXPECT_COPY("dd bs=1000 count=300 iflag=fullblock status=none");
}

TEST_F(programs, head_and_tail_share_the_input)
{
	EXPECT_COPY("dd bs=1 count=10 status=none; cat");
}

TEST_F(programs, sha256sum_reads)
{
	char got[65] = {}, want[65] = {};
	uint8_t digest[32];
	size_t len = 64, i;

	EVP_Digest(self->data, SIZE, digest, NULL, EVP_sha256(), NULL);
	for (i = 0; i < 32; i++)
		sprintf(want + 2 * i, "%02x", digest[i]);
	RUN_AS_READER("sha256sum | cut -c 1-64", got, len);
	EXPECT_EQ(64, len);
	EXPECT_STREQ(want, got);
}

/* A command whose output is the socket. */
#define EXPECT_SENT(command) do {						\
	int _pipe[2];								\
	pid_t _child, _feeder;							\
	ASSERT_EQ(0, pipe2(_pipe, O_CLOEXEC));					\
	_feeder = fork();							\
	if (!_feeder) {								\
		close(_pipe[0]);						\
		close(self->s.fd);						\
		for (size_t _at = 0; _at < SIZE;) {				\
			ssize_t _n = write(_pipe[1], self->data + _at, SIZE - _at); \
			if (_n < 0)						\
				_exit(1);					\
			_at += _n;						\
		}								\
		_exit(0);							\
	}									\
	close(_pipe[1]);							\
	_child = run(&self->s, _pipe[0], self->s.fd, command);			\
	close(_pipe[0]);							\
	EXPECT_EQ(0, peer_drain(&self->s));					\
	EXPECT_EQ(SIZE, self->s.bytes);						\
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);			\
	EXPECT_EQ(0, result_of(_child));					\
	EXPECT_EQ(0, result_of(_feeder));					\
} while (0)

TEST_F(programs, cat_writes)
{
	EXPECT_SENT("cat");
}

TEST_F(programs, dd_writes)
{
	EXPECT_SENT("dd bs=3333 status=none");
}

static void *peer_drains(void *arg)
{
	return peer_drain(arg) ? arg : NULL;
}

/* In and out are one socket, and its end is the end. */
TEST_F(programs, cat_echoes)
{
	pthread_t sends, drains;
	void *failed;
	pid_t child;

	child = run(&self->s, self->s.fd, self->s.fd, "cat");
	ASSERT_EQ(0, pthread_create(&sends, NULL, peer_sends, &self->s));
	ASSERT_EQ(0, pthread_create(&drains, NULL, peer_drains, &self->s));
	pthread_join(sends, &failed);
	EXPECT_EQ(NULL, failed);
	pthread_join(drains, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(0, result_of(child));
	EXPECT_EQ(SIZE, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

/* From the socket through a pipe and back to it; the data is in no program's memory. */
static int splice_copy(int in, int out)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return 1;
	for (;;) {
		ssize_t n = splice(in, NULL, p[1], NULL, 1 << 16, SPLICE_F_MOVE | SPLICE_F_MORE);

		if (n <= 0)
			return n ? 2 : 0;
		while (n) {
			ssize_t m = splice(p[0], NULL, out, NULL, n, SPLICE_F_MOVE);

			if (m <= 0)
				return 3;
			n -= m;
		}
	}
}

TEST_F(programs, splice_echoes)
{
	pthread_t sends, drains;
	void *failed;
	pid_t child;

	child = fork();
	if (!child)
		_exit(splice_copy(self->s.fd, self->s.fd));
	close(self->s.fd);
	self->s.fd = -1;
	ASSERT_EQ(0, pthread_create(&sends, NULL, peer_sends, &self->s));
	ASSERT_EQ(0, pthread_create(&drains, NULL, peer_drains, &self->s));
	pthread_join(sends, &failed);
	EXPECT_EQ(NULL, failed);
	pthread_join(drains, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(0, result_of(child));
	EXPECT_EQ(SIZE, self->s.bytes);
	EXPECT_EQ(ALERT_CLOSE_NOTIFY, self->s.description);
}

static bool has_python(void)
{
	return !system("python3 -c '' 2>/dev/null");
}

TEST_F_TIMEOUT(programs, python_reads_a_file_object, 90)
{
	static const char script[] = "exec python3 -c '\n"
		"import os, socket\n"
		"f = socket.socket(fileno=0).makefile(\"rb\")\n"
		"os.write(1, f.read(100000))\n"
		"while True:\n"
		"    part = f.read1(5000)\n"
		"    if not part: break\n"
		"    while part: part = part[os.write(1, part):]\n"
		"'";

	if (!has_python())
		SKIP(return, "no python3");
	EXPECT_COPY(script);
}

TEST_F_TIMEOUT(programs, http_server_answers, 90)
{
	static const char script[] = "exec python3 -c '\n"
		"import socket\n"
		"from http.server import BaseHTTPRequestHandler\n"
		"class Handler(BaseHTTPRequestHandler):\n"
		"    protocol_version = \"HTTP/1.1\"\n"
		"    def do_POST(self):\n"
		"        body = self.rfile.read(int(self.headers[\"Content-Length\"]))\n"
		"        self.send_response(200)\n"
		"        self.send_header(\"Content-Length\", str(len(body)))\n"
		"        self.end_headers()\n"
		"        self.wfile.write(body[::-1])\n"
		"    def log_message(self, *args): pass\n"
		"Handler(socket.socket(fileno=0), (\"peer\", 0), None)\n"
		"'";
	static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
	uint8_t record[TLS_RECORD_MAX + 1], type;
	char answer[4096] = {};
	int i, len = 0;
	pid_t child;

	if (!has_python())
		SKIP(return, "no python3");
	child = run(&self->s, self->s.fd, -1, script);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, peer_ticket(&self->s));
		ASSERT_EQ(0, peer_data(&self->s, head));
		ASSERT_EQ(0, peer_update(&self->s, true));
		ASSERT_EQ(0, peer_data(&self->s, "01234"));
		ASSERT_EQ(0, peer_update(&self->s, false));
		ASSERT_EQ(0, peer_data(&self->s, "56789"));
		for (len = 0; !strstr(answer, "\r\n\r\n9876543210");) {
			ssize_t n = peer_next(&self->s, &type, record);

			ASSERT_LT(0, n);
			if (type != TLS_TYPE_DATA)
				continue;
			ASSERT_GT(sizeof(answer), len + n);
			memcpy(answer + len, record, n);
			len += n;
		}
		EXPECT_EQ(0, memcmp(answer, "HTTP/1.1 200", 12));
		memset(answer, 0, sizeof(answer));
	}
	EXPECT_EQ(2, self->s.updates);
	/* The client is gone without a word more: the handler ends, and says good-bye. */
	ASSERT_EQ(0, peer_alert(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	EXPECT_TRUE(peer_sees_end(&self->s, ALERT_WARNING, ALERT_CLOSE_NOTIFY));
	EXPECT_EQ(0, result_of(child));
}

TEST_HARNESS_MAIN
