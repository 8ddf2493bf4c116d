// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of the module's start fails once, and of its end: it is there whole, or
 * not at all. And network namespaces, of which it has a part, come and go without memory.
 * Needs the module's file in KEYBLOB_KO; no other program may use the module meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "fault.h"
#include "kselftest_harness.h"
#include "lib/module.h"
#include "lib/net.h"

#define MINUTES	900	/* seconds that one test may take under emulation */
#define MANY	1000000	/* more than any call allocates */
#define SAMPLES	60

FIXTURE(module)
{
	struct fault f;
	int file;		/* the module's, in memory: other file systems allocate as well */
};

/* One that nobody can write to. */
static int in_memory(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("module", MFD_CLOEXEC);
	char self[64];
	struct stat st;
	int file;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", to);
	if (from < 0 || to < 0 || fstat(from, &st))
		return -1;
	while (sendfile(to, from, NULL, st.st_size) > 0)
		;
	file = open(self, O_RDONLY | O_CLOEXEC);
	close(from);
	close(to);
	return file;
}

static int load(int file)
{
	return syscall(SYS_finit_module, file, "", 0) ? -errno : 0;
}

static bool works(void)
{
	struct conn c;
	bool ret;

	if (conn_open(&c, AF_INET, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128))
		return false;
	ret = !conn_import(&c) && conn_works(&c);
	conn_close(&c);
	return ret;
}

FIXTURE_SETUP(module)
{
	const char *missing = fault_missing();

	if (missing)
		SKIP(return, "%s", missing);
	ASSERT_EQ(0, fault_init(&self->f));
	self->file = in_memory(getenv("KEYBLOB_KO") ?: "keyblob.ko");
	ASSERT_LE(0, self->file);
	/* Loaded already, as a rule. */
	load(self->file);
}

FIXTURE_TEARDOWN(module)
{
	load(self->file);
}

/* What the kernel allocates to read a module and to link it is not the module's. */
TEST_F_TIMEOUT(module, is_loaded_whole_or_not_at_all, MINUTES)
{
	static const char init[] = "do_one_initcall";
	struct fault *f = &self->f;
	int err;

	ASSERT_EQ(0, module_unload_patiently());
	do {
		ASSERT_EQ(0, fault_within(init));
		err = fault_call(f, load(self->file));
		ASSERT_EQ(0, fault_within(NULL));
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			EXPECT_EQ(-ENOENT, module_unload());
			ASSERT_EQ(0, load(self->file));
		}
		ASSERT_EQ(0, module_unload())
			TH_LOG("fault %u", f->nth);
	} while (f->hit);
	fault_report(f, "module_init");
	ASSERT_EQ(0, load(self->file));
	EXPECT_TRUE(works());
}

TEST_F_TIMEOUT(module, is_unloaded_without_memory, MINUTES)
{
	struct fault *f = &self->f;
	int err;

	do {
		ASSERT_TRUE(works());
		do
			err = fault_call(f, module_unload());
		while (err == -EAGAIN && f->nth--);
		if (err) {
			ASSERT_TRUE(f->hit);
			EXPECT_TRUE(is_fault(err))
				TH_LOG("fault %u: error %d", f->nth, -err);
			EXPECT_TRUE(works());
			ASSERT_EQ(0, module_unload_patiently());
		}
		ASSERT_EQ(0, load(self->file));
	} while (f->hit);
	fault_report(f, "module_exit");
}

/* A namespace of its own with an agent in it; its exit status: 0, 1: it failed, 2: fault. */
static int live_in_namespace(unsigned int nth, unsigned int *left)
{
	struct fault f;
	struct agent a;
	long err;

	if (fault_init(&f))
		return 1;
	f.nth = nth - 1;
	err = fault_call(&f, unshare(CLONE_NEWNET) ? -errno : 0);
	*left = f.left;
	if (err)
		return f.hit ? 2 : 1;
	return agent_new(&a) ? 1 : 0;
}

static int in_namespace(unsigned int nth, unsigned int *left)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(live_in_namespace(nth, left));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Thousands of allocations, most of them others': a sample. */
TEST_F_TIMEOUT(module, namespaces_come_and_go_without_memory, MINUTES)
{
	unsigned int *left = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i, count, refused = 0;
	int status;

	ASSERT_EQ(0, in_namespace(MANY, left));
	count = MANY - *left;
	for (i = 0; i < SAMPLES; i++) {
		status = in_namespace(1 + i * count / SAMPLES, left);
		ASSERT_TRUE(status == 0 || status == 2);
		refused += status == 2;
	}
	ASSERT_EQ(0, in_namespace(MANY, left));
	EXPECT_TRUE(works());
	TH_LOG("%u of %u allocations failed, and %u namespaces because of it", SAMPLES, count,
	       refused);
}

TEST_HARNESS_MAIN
