// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's memory, all of it, searched by /proc/kcore: a key that is in use is found
 * there; of connections that have ended, of keys that were replaced and of calls that were
 * refused nothing is left. This process never has a secret, else it would find itself: a
 * child, whose memory is wiped in the end, makes them, and tells of each the words' products
 * with an odd number.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "lib/net.h"

#define FACTOR		0x9e3779b97f4a7c15ULL
#define NEEDLE_SIZE	16
#define CHUNK		(4u << 20)
#define FILTER_BITS	16
/* The map of all physical memory has this at most; the other segments are larger. */
#define SEGMENT_MAX	(1ULL << 36)

struct needle {
	uint64_t product[NEEDLE_SIZE / 8];
	char name[40];
	bool lives;		/* as long as its connection */
};

struct needles {
	struct needle of[64];
	int count;
	unsigned int found[64];
	uint8_t filter[1 << FILTER_BITS];
};

static uint64_t product(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word * FACTOR;
}

static void look_at(struct needles *n, const uint8_t *p)
{
	uint64_t first = product(p);
	int i;

	if (!n->filter[first >> (64 - FILTER_BITS)])
		return;
	for (i = 0; i < n->count; i++)
		n->found[i] += n->of[i].product[0] == first &&
			       n->of[i].product[1] == product(p + 8);
}

static void search(struct needles *n, const uint8_t *chunk, size_t len)
{
	static const uint8_t zeros[4096];
	size_t page, at;

	for (page = 0; page + 4096 <= len; page += 4096) {
		if (!memcmp(chunk + page, zeros, 4096))
			continue;
		for (at = page; at <= page + 4096 - NEEDLE_SIZE; at += 4)
			look_at(n, chunk + at);
	}
}

/* The map of physical memory; what cannot be read there is not memory. */
static int search_segment(struct needles *n, int fd, const Elf64_Phdr *segment, uint8_t *chunk)
{
	uint64_t at = 0;
	ssize_t len;

	while (at < segment->p_filesz) {
		len = segment->p_filesz - at < CHUNK ? segment->p_filesz - at : CHUNK;
		len = pread(fd, chunk, len, segment->p_offset + at);
		if (!len || (len < 0 && errno != EFAULT))
			return -1;
		if (len > 0)
			search(n, chunk, len);
		at += len > 0 ? len : 4096;
	}
	return 0;
}

/* search_kernel() - counts of each needle in n->found; the bytes searched, or -1 */
static int64_t search_kernel(struct needles *n)
{
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC), i;
	uint8_t *chunk = malloc(CHUNK);
	int64_t total = 0;
	Elf64_Phdr segment;
	Elf64_Ehdr head;

	memset(n->found, 0, sizeof(n->found));
	memset(n->filter, 0, sizeof(n->filter));
	for (i = 0; i < n->count; i++)
		n->filter[n->of[i].product[0] >> (64 - FILTER_BITS)] = 1;
	if (!chunk || fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), head.e_phoff + i * sizeof(segment)) !=
		    sizeof(segment))
			return -1;
		if (segment.p_type != PT_LOAD || segment.p_paddr == -1ULL ||
		    segment.p_filesz > SEGMENT_MAX)
			continue;
		if (search_segment(n, fd, &segment, chunk))
			return -1;
		total += segment.p_filesz;
	}
	free(chunk);
	close(fd);
	return total;
}

/* Zeroes all memory of its own of process @pid, which is stopped; 0 or -1. */
static int wipe_process(pid_t pid)
{
	static const uint8_t zeros[1 << 16];
	unsigned long from, to, at;
	char path[64], line[512], mode[8];
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (fd < 0 || !maps)
		return -1;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 ||
		    mode[1] != 'w' || mode[3] != 'p')
			continue;
		for (at = from; at < to; at += sizeof(zeros))
			if (pwrite(fd, zeros, to - at < sizeof(zeros) ? to - at : sizeof(zeros),
				   at) < 0)
				return -1;
	}
	fclose(maps);
	close(fd);
	return 0;
}

/* ---- the child: agent and peer, who know the keys ---- */

struct child {
	int channel;		/* to this process: sockets and blobs */
	int needles;		/* a pipe of struct needle */
	const struct tls_suite *suite;
};

static void tell_needle(const struct child *me, const uint8_t *secret, bool lives,
			const char *what)
{
	struct needle needle = { { product(secret), product(secret + 8) }, "", lives };

	snprintf(needle.name, sizeof(needle.name), "%s, %s", me->suite->name, what);
	if (write(me->needles, &needle, sizeof(needle)) != sizeof(needle))
		_exit(1);
}

static void tell_key(const struct child *me, const struct keyblob_key *key, bool lives,
		     const char *what)
{
	uint8_t raw[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE];

	if (tls_dir_keys(key, raw, iv))
		_exit(1);
	tell_needle(me, raw, lives, what);
	if (me->suite->key_size > NEEDLE_SIZE)
		tell_needle(me, raw + me->suite->key_size - NEEDLE_SIZE, lives, what);
	if (me->suite->version == TLS_1_3_VERSION)
		tell_needle(me, key->secret + me->suite->hash_size - NEEDLE_SIZE, lives, what);
}

/* Keys of which nothing comes. */
static void be_refused(const struct child *me)
{
	uint8_t blob[KEYBLOB_BLOB_SIZE];
	struct keyblob_key key;
	struct conn c;

	if (conn_open(&c, AF_INET, me->suite->version, me->suite->cipher))
		_exit(1);
	tell_key(me, &c.tx, false, "not imported");
	if (keyblob_export(c.fd, &c.tx, blob))
		_exit(1);
	blob[KEYBLOB_BLOB_SIZE - 1] ^= 1;
	if (keyblob_import(c.fd, KEYBLOB_DIR_TX, blob, sizeof(blob)) != -EBADMSG)
		_exit(1);
	tell_key(me, &c.rx, false, "not exported");
	key = c.rx;
	key.cipher = 0;
	if (keyblob_export(c.fd, &key, blob) != -EOPNOTSUPP)
		_exit(1);
	conn_close(&c);
}

/* The socket goes to the parent, with its blobs; one byte has to come back. */
static void be_served(const struct child *me)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	struct conn c;
	char byte;

	if (conn_open(&c, AF_INET, me->suite->version, me->suite->cipher) ||
	    keyblob_export(c.fd, &c.tx, blobs[0]) || keyblob_export(c.fd, &c.rx, blobs[1]))
		_exit(1);
	/* The parent replaces the key for sending, where there is KeyUpdate. */
	tell_key(me, &c.tx, me->suite->version == TLS_1_2_VERSION, "TX");
	tell_key(me, &c.rx, true, "RX");
	if (fd_send(me->channel, c.fd) ||
	    write(me->channel, blobs, sizeof(blobs)) != sizeof(blobs) ||
	    tls_peer_write(&c.peer, "x", 1) || tls_peer_read(&c.peer, &byte, 1) ||
	    read(me->channel, &byte, 1) != 1)
		_exit(1);
}

static void know_keys(struct child *me)
{
	for (me->suite = tls_suites; me->suite->name; me->suite++) {
		be_refused(me);
		be_served(me);
	}
	raise(SIGSTOP);
	_exit(1);
}

/* ---- this process ---- */

FIXTURE(wipe)
{
	struct needles *needles;
	int fds[8];
	int connections;
};

static void take_connection(struct __test_metadata *_metadata, FIXTURE_DATA(wipe) *self,
			    int channel, bool has_keyupdate)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE];
	int fd = fd_recv(channel);
	const int alone = 0;
	char byte;

	ASSERT_LE(0, fd);
	self->fds[self->connections++] = fd;
	ASSERT_EQ(sizeof(blobs), recv(channel, blobs, sizeof(blobs), MSG_WAITALL));
	ASSERT_EQ(0, keyblob_import(fd, KEYBLOB_DIR_TX, blobs[0], KEYBLOB_BLOB_SIZE));
	ASSERT_EQ(0, keyblob_import(fd, KEYBLOB_DIR_RX, blobs[1], KEYBLOB_BLOB_SIZE));
	ASSERT_EQ(1, recv(fd, &byte, 1, 0));
	ASSERT_EQ(1, send(fd, &byte, 1, MSG_NOSIGNAL));
	if (has_keyupdate)
		ASSERT_EQ(0, setsockopt(fd, SOL_KEYBLOB, KEYBLOB_REKEY, &alone, sizeof(alone)));
	ASSERT_EQ(1, write(channel, "", 1));
}

/* A connection for each suite. The child is gone: the kernel alone has the keys. */
FIXTURE_SETUP(wipe)
{
	struct needles *n = calloc(1, sizeof(*n));
	int channel[2], needles[2], status;
	const struct tls_suite *suite;
	struct child child;
	pid_t pid;

	ASSERT_NE(NULL, n);
	self->needles = n;
	self->connections = 0;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	ASSERT_EQ(0, pipe(needles));
	/* Pages that the child gave back would keep what it had in them. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		child.channel = channel[1];
		child.needles = needles[1];
		know_keys(&child);
	}
	close(channel[1]);
	close(needles[1]);
	for (suite = tls_suites; suite->name; suite++)
		take_connection(_metadata, self, channel[0],
				suite->version == TLS_1_3_VERSION);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, wipe_process(pid));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	while (read(needles[0], &n->of[n->count], sizeof(n->of[0])) == sizeof(n->of[0]))
		ASSERT_GT(ARRAY_SIZE(n->of), ++n->count);
	close(channel[0]);
	close(needles[0]);
}

FIXTURE_TEARDOWN(wipe)
{
	free(self->needles);
}

TEST_F_TIMEOUT(wipe, kernel_keeps_no_secret_that_is_not_in_use, 240)
{
	struct needles *n = self->needles;
	int i;

	ASSERT_LT(0, search_kernel(n));
	for (i = 0; i < n->count; i++) {
		EXPECT_EQ(n->of[i].lives, !!n->found[i])
			TH_LOG("%s: found %u times", n->of[i].name, n->found[i]);
	}

	for (i = 0; i < self->connections; i++)
		close(self->fds[i]);
	sleep(1);
	ASSERT_LT(0, search_kernel(n));
	for (i = 0; i < n->count; i++) {
		EXPECT_EQ(0, n->found[i])
			TH_LOG("%s: found %u times after the end", n->of[i].name, n->found[i]);
	}
}

TEST_HARNESS_MAIN
