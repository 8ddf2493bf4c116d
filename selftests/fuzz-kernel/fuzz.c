// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz [--seconds N] [--seed S] [--out DIRECTORY] [--shorten] [--replay] FILE...: programs
 * of random calls against the module, which has to be loaded; those in FILEs go first.
 * Programs that reach something new are kept and altered further. Prints TAP. Unloads the
 * module at the end and loads it again from the file in KEYBLOB_KO. --replay: FILEs alone,
 * with results.
 *
 * DIRECTORY gets log, the last programs, each before it runs; kept-N, those that reached new
 * places in the module, with --shorten made as short as they can be; and finding-N, the
 * program after which something was wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cover.h"
#include "execute.h"
#include "handshake/agent.h"

#define CORPUS_MAX	4096
#define LAST		8		/* programs that a finding may be about */
#define LOG_MAX		(512 << 10)

static struct program corpus[CORPUS_MAX];
static unsigned int n_corpus;
static struct program last[LAST];
static unsigned int n_programs;
static const char *out;			/* NULL: none */
static int kmsg = -1;
static unsigned int hung, broken, complaints;
static bool verbose, shortening;

static FILE *open_out(const char *name, const char *mode)
{
	char path[4096];

	if (!out)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", out, name);
	return fopen(path, mode);
}

/* The kernel may take everything with it: on disk before the program runs. */
static void log_program(const struct program *p)
{
	static FILE *f;

	last[n_programs++ % LAST] = *p;
	if (!f || ftell(f) > LOG_MAX) {
		if (f)
			fclose(f);
		f = open_out("log", "w");
	}
	if (!f)
		return;
	fprintf(f, "# program %u\n", n_programs);
	program_write(f, p);
	fflush(f);
	fdatasync(fileno(f));
}

static void print_last(void)
{
	unsigned int i = n_programs > LAST ? n_programs - LAST : 0;
	char *text, *line, *rest;
	FILE *f;
	size_t size;

	for (; i < n_programs; i++) {
		f = open_memstream(&text, &size);
		program_write(f, &last[i % LAST]);
		fclose(f);
		printf("# program %u:\n", i + 1);
		for (rest = text; (line = strsep(&rest, "\n")) && *line; )
			printf("#   %s\n", line);
		free(text);
	}
}

static void save(const struct program *p, const char *what)
{
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "%s-%06u", what, n_programs);
	f = open_out(name, "w");
	if (!f)
		return;
	program_write(f, p);
	fclose(f);
}

static bool is_complaint(const char *text)
{
	static const char *const words[] = {
		"BUG:", "WARNING:", "KASAN", "UBSAN", "Oops", "general protection",
		"refcount_t:", "nable to handle", "blocked for more than",
		"possible circular locking", "suspected memory leaks", "corruption",
		"field-spanning write", "self-detected stall",
	};
	unsigned int i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* What the kernel has said since the last look. */
static unsigned int read_complaints(void)
{
	unsigned int count = 0;
	char text[8192];
	ssize_t n;

	for (;;) {
		n = read(kmsg, text, sizeof(text) - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* some were lost */
		if (n <= 0)
			return count;
		text[n] = '\0';
		if (is_complaint(text)) {
			printf("# kernel: %s", strchr(text, ';') ?: text);
			count++;
		}
	}
}

/* Whether to go on. */
static bool run(const struct program *p, const struct report **report)
{
	unsigned int i;

	log_program(p);
	if (!execute(p, report)) {
		printf("# a process does not die; see the kernel's log\n");
		hung++;
	}
	if ((*report)->failed) {
		printf("# broken: %s\n", (*report)->failure);
		broken++;
	}
	complaints += read_complaints();
	for (i = 0; verbose && i < p->n; i++) {
		printf("# %s: ", call_type(p->calls[i].type)->name);
		if ((*report)->results[i] == INT32_MIN)
			printf("not made\n");
		else if ((*report)->results[i] < 0)
			printf("%s\n", strerror(-(*report)->results[i]));
		else
			printf("%d\n", (*report)->results[i]);
	}
	if (!hung && !broken && !complaints)
		return true;
	save(p, "finding");
	print_last();
	return false;
}

/* Takes out what it does not need to reach the places that are new. */
static bool shorten(struct program *p)
{
	const struct report *report;
	unsigned int i = p->n;
	struct program shorter;

	cover_keep();
	while (i-- > 0) {
		shorter = *p;
		program_remove(&shorter, i);
		if (!shorter.n)
			break;
		if (!run(&shorter, &report))
			return false;
		cover_take(&shorter, report);
		if (cover_has())
			*p = shorter;
	}
	return true;
}

static bool try(struct rng *rng, const struct program *p)
{
	const struct report *report;
	struct program *kept;
	unsigned int i;

	if (!run(p, &report))
		return false;
	if (!cover_take(p, report))
		return true;
	i = n_corpus < CORPUS_MAX ? n_corpus++ : rng_below(rng, CORPUS_MAX);
	kept = &corpus[i];
	*kept = *p;
	if (!cover_new() || !out)
		return true;
	if (shortening && !shorten(kept))
		return false;
	save(kept, "kept");
	return true;
}

static void fuzz(struct rng *rng, long seconds)
{
	const long until = now_ms() + seconds * 1000;
	struct program p;

	do {
		if (!n_corpus || !rng_below(rng, 4)) {
			program_generate(rng, &p);
		} else {
			p = corpus[rng_below(rng, n_corpus)];
			program_mutate(rng, &p, &corpus[rng_below(rng, n_corpus)]);
		}
	} while ((!p.n || try(rng, &p)) && now_ms() < until);
}

static void read_files(char **files, struct program *programs, unsigned int max)
{
	unsigned int line;
	FILE *f;

	for (; *files && n_corpus < max; files++) {
		f = fopen(*files, "r");
		if (!f || !program_read(f, &programs[n_corpus], &line)) {
			fprintf(stderr, "%s: %s %u\n", *files,
				f ? "no program, see line" : "cannot be opened", f ? line : 0);
			exit(2);
		}
		fclose(f);
		n_corpus++;
	}
}

/* Files first; what they reach is where to go on from. */
static bool run_files(struct rng *rng, char **files)
{
	static struct program programs[CORPUS_MAX];
	unsigned int i, n;

	read_files(files, programs, CORPUS_MAX);
	n = n_corpus;
	n_corpus = 0;
	for (i = 0; i < n; i++)
		if (!try(rng, &programs[i]))
			return false;
	return true;
}

static bool set_up_namespaces(void)
{
	netns[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns[0] < 0 || unshare(CLONE_NEWNET))
		return false;
	netns[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return netns[1] >= 0 && !system("/bin/ip link set lo up") && !setns(netns[0], CLONE_NEWNET);
}

/* What libcrypto makes once is made here, and not in each program's process. */
static void warm_up(void)
{
	struct stream s = { .c.peer.fd = -1 };
	unsigned int i;

	for (i = 0; tls_suites[i].name; i++) {
		key_random(&s.c.tx, KEYBLOB_DIR_TX, tls_suites[i].version, tls_suites[i].cipher);
		key_random(&s.c.rx, KEYBLOB_DIR_RX, tls_suites[i].version, tls_suites[i].cipher);
		conn_peer(&s.c);
		peer_data(&s, "data");
		peer_turn(&s);
	}
	tls_peer_free(&s.c.peer);
}

static bool set_up(void)
{
	struct agent a;

	signal(SIGPIPE, SIG_IGN);
	warm_up();
	if (agent_open(&a)) {
		printf("# the family keyblob is not there: is the module loaded?\n");
		return false;
	}
	genl_family = a.family;
	genl_group = a.group;
	agent_close(&a);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0 || !set_up_namespaces() || !execute_init()) {
		printf("# this needs root\n");
		return false;
	}
	if (!cover_init())
		printf("# without KCOV: guided by the results of calls alone\n");
	return true;
}

/* Sockets that programs have left may need a moment to go. */
static bool unloads(void)
{
	const long until = now_ms() + 60000;
	int err, fd;

	do {
		err = syscall(SYS_delete_module, "keyblob", O_NONBLOCK) ? errno : 0;
		if (err)
			usleep(100000);
	} while (err && now_ms() < until);
	if (err) {
		printf("# keyblob does not unload: %s\n", strerror(err));
		return false;
	}
	fd = open(getenv("KEYBLOB_KO") ?: "keyblob.ko", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
		printf("# KEYBLOB_KO does not load again: %s\n", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static unsigned int n_tap;

static void tap(bool ok, const char *what)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++n_tap, what);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "out", required_argument, NULL, 'o' },
		{ "shorten", no_argument, NULL, 'h' },
		{ "replay", no_argument, NULL, 'r' },
		{ NULL }
	};
	uint64_t seed = 0;
	long seconds = 10, began;
	struct rng rng;
	bool ok;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seconds = atol(optarg);
			break;
		case 'S':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			out = optarg;
			break;
		case 'h':
			shortening = true;
			break;
		case 'r':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (!seed && getrandom(&seed, 4, 0) != 4)
		return 2;
	rng.state = seed;
	printf("1..4\n# seed %llu\n", (unsigned long long)seed);
	if (!set_up())
		return 1;

	began = now_ms();
	if (run_files(&rng, argv + optind) && !verbose && seconds)
		fuzz(&rng, seconds);
	printf("# %u programs, %ld a minute; %u killed; %u kept; %u places in the module\n",
	       n_programs, n_programs * 60000 / (now_ms() - began + 1), n_killed, n_corpus,
	       cover_places());
	tap(!broken, "no program makes the module break a promise");
	tap(!hung, "no program hangs");
	tap(!complaints, "the kernel has no complaints");
	ok = unloads();
	tap(ok, "the module unloads afterwards");
	return broken || hung || complaints || !ok;
}
