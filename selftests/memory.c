// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scanner (memscan) finds a secret that is there, wherever it is, and does not
 * find one that is not; and the importing process never has the key in its memory.
 * e2e/memscan must stand beside this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "lib/net.h"

#define SIZE	32

/* Runs memscan over @pid for @needles of @len bytes each; its exit status. */
static int memscan(pid_t pid, const uint8_t *needles, size_t len, int count)
{
	char path[PATH_MAX], command[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	FILE *f;
	int i, status;
	size_t j;

	if (n < 0)
		return -1;
	path[n] = 0;
	snprintf(command, sizeof(command), "%s/e2e/memscan /dev/stdin %d >&2", dirname(path),
		 pid);
	f = popen(command, "w");
	if (!f)
		return -1;
	for (i = 0; i < count; i++) {
		fprintf(f, "number-%d ", i);
		for (j = 0; j < len; j++)
			fprintf(f, "%02x", needles[i * len + j]);
		fprintf(f, "\n");
	}
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The places that a secret may be left in. */
enum place {
	NOWHERE,
	STACK,
	HEAP,
	DATA,
	UNALIGNED,
	MAPPING,
	CHUNK_EDGE,
	READ_ONLY,
	THREAD,
	SHARED,
};

static uint8_t in_data[SIZE];

static void *thread(void *arg)
{
	volatile uint8_t secret[SIZE];

	memcpy((void *)secret, arg, SIZE);
	explicit_bzero(arg, SIZE);
	for (;;)
		pause();
	return NULL;
}

/*
 * A process that takes a secret over from its parent by a pipe, leaves it in one
 * place, and in that alone.
 */
static void victim(enum place place, int from, int ready)
{
	uint8_t *map = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
			    (place == SHARED ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	uint8_t on_stack[SIZE], *heap = malloc(100);
	uint8_t *at = NULL;
	pthread_t id;

	switch (place) {
	case NOWHERE:
	case STACK:
		at = on_stack;
		break;
	case HEAP:
		at = heap;
		break;
	case DATA:
		at = in_data;
		break;
	case UNALIGNED:
		at = heap + 13;
		break;
	case CHUNK_EDGE:
		at = map + (1 << 20) - SIZE / 2;
		break;
	default:
		at = map + 4096;
		break;
	}
	if (read(from, at, SIZE) != SIZE)
		_exit(1);
	if (place == NOWHERE)
		explicit_bzero(at, SIZE);
	if (place == READ_ONLY && mprotect(map, 4 << 20, PROT_READ))
		_exit(1);
	if (place == THREAD && pthread_create(&id, NULL, thread, at))
		_exit(1);
	usleep(20000);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

FIXTURE(memscan)
{
	pid_t pid;
	uint8_t secret[SIZE];
};

FIXTURE_VARIANT(memscan)
{
	enum place place;
	int status;
};

FIXTURE_VARIANT_ADD(memscan, nowhere) { NOWHERE, 0 };
FIXTURE_VARIANT_ADD(memscan, stack) { STACK, 1 };
FIXTURE_VARIANT_ADD(memscan, heap) { HEAP, 1 };
FIXTURE_VARIANT_ADD(memscan, data_segment) { DATA, 1 };
FIXTURE_VARIANT_ADD(memscan, unaligned) { UNALIGNED, 1 };
FIXTURE_VARIANT_ADD(memscan, mapping) { MAPPING, 1 };
FIXTURE_VARIANT_ADD(memscan, chunk_edge) { CHUNK_EDGE, 1 };
FIXTURE_VARIANT_ADD(memscan, read_only) { READ_ONLY, 1 };
FIXTURE_VARIANT_ADD(memscan, thread_stack) { THREAD, 1 };
FIXTURE_VARIANT_ADD(memscan, shared) { SHARED, 1 };

FIXTURE_SETUP(memscan)
{
	int to[2], ready[2];
	char byte;

	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(ready));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		victim(variant->place, to[0], ready[1]);
	ASSERT_EQ(SIZE, getrandom(self->secret, SIZE, 0));
	ASSERT_EQ(SIZE, write(to[1], self->secret, SIZE));
	ASSERT_EQ(1, read(ready[0], &byte, 1));
}

FIXTURE_TEARDOWN(memscan)
{
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
}

TEST_F(memscan, finds_what_is_there_and_nothing_else)
{
	uint8_t other[SIZE];

	EXPECT_EQ(variant->status, memscan(self->pid, self->secret, SIZE, 1));
	/* A part of it is enough. */
	EXPECT_EQ(variant->status, memscan(self->pid, self->secret + 7, 16, 1));
	ASSERT_EQ(SIZE, getrandom(other, SIZE, 0));
	EXPECT_EQ(0, memscan(self->pid, other, SIZE, 1));
	/* And the process goes on. */
	EXPECT_EQ(0, kill(self->pid, 0));
}

TEST(memscan_fails_where_it_cannot_look)
{
	uint8_t needle[SIZE] = { 1, 2, 3 };

	EXPECT_EQ(2, memscan(0x3fffffff, needle, SIZE, 1));
	EXPECT_EQ(2, memscan(getppid(), needle, 4, 1));
	EXPECT_EQ(2, memscan(getppid(), needle, SIZE, 0));
}

/* An application that has nothing but its socket and two blobs. */
static void application(int fd, int blobs, int ready)
{
	uint8_t buf[2 * KEYBLOB_BLOB_SIZE];
	char byte;

	if (read(blobs, buf, sizeof(buf)) != sizeof(buf) ||
	    keyblob_import(fd, KEYBLOB_DIR_TX, buf, KEYBLOB_BLOB_SIZE) ||
	    keyblob_import(fd, KEYBLOB_DIR_RX, buf + KEYBLOB_BLOB_SIZE, KEYBLOB_BLOB_SIZE) ||
	    recv(fd, &byte, 1, 0) != 1 || send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		_exit(1);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

TEST(importing_process_never_has_the_key)
{
	uint8_t blobs[2][KEYBLOB_BLOB_SIZE], needles[6][16] = {};
	uint8_t key[KEYBLOB_KEY_MAX], iv[KEYBLOB_IV_SIZE];
	struct conn c;
	int fds[2], to[2], ready[2];
	char byte = 'x';
	pid_t pid;

	/* The keys are made after the fork: the child cannot have inherited them. */
	ASSERT_EQ(0, tcp_pair(AF_INET, fds));
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		application(fds[0], to[0], ready[1]);

	memset(&c, 0, sizeof(c));
	c.fd = fds[0];
	c.peer.fd = fds[1];
	key_random(&c.tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	key_random(&c.rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	ASSERT_EQ(0, conn_peer(&c));
	ASSERT_EQ(0, keyblob_attach(c.fd));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.tx, blobs[0]));
	ASSERT_EQ(0, keyblob_export(c.fd, &c.rx, blobs[1]));
	ASSERT_EQ(sizeof(blobs), write(to[1], blobs, sizeof(blobs)));
	ASSERT_EQ(0, tls_peer_write(&c.peer, &byte, 1));
	ASSERT_EQ(0, tls_peer_read(&c.peer, &byte, 1));
	ASSERT_EQ('x', byte);
	ASSERT_EQ(1, read(ready[0], &byte, 1));

	ASSERT_EQ(0, tls_dir_keys(&c.tx, key, iv));
	memcpy(needles[0], key, 16);
	memcpy(needles[1], c.tx.secret, 16);
	memcpy(needles[2], c.tx.secret + 16, 16);
	ASSERT_EQ(0, tls_dir_keys(&c.rx, key, iv));
	memcpy(needles[3], key, 16);
	memcpy(needles[4], c.rx.secret, 16);
	memcpy(needles[5], c.rx.secret + 16, 16);
	EXPECT_EQ(0, memscan(pid, needles[0], 16, 6));

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	conn_close(&c);
}

TEST_HARNESS_MAIN
