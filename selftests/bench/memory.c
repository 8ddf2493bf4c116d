// SPDX-License-Identifier: GPL-2.0-only
/*
 * What connections that do nothing occupy; called by works/memory.sh, twice each time, for
 * the difference. Prints a JSON object.
 *
 *	memory now [NAME PIDS]...	kernel_bytes, and for each NAME the processes' NAME_bytes;
 *					the page tables of those that are named client do not count
 *	memory ends plain|ktls|keyblob PAIRS	of one end of a connection, both ends alike:
 *					kernel_bytes; processes have nothing to do with it
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sockets.h"

#define TIME_WAIT_MAX	180
#define AT_REST		1024	/* bytes */
#define ROUNDS_MAX	20
#define WARM_UP		64

/*
 * The kernel.
 */

static void write_one(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* What the allocator keeps for each CPU it would count as used. */
static void shrink_slabs(void)
{
	static const char root[] = "/sys/kernel/slab";
	DIR *dir = opendir(root);
	struct dirent *entry;
	char path[512];

	if (!dir)
		err(1, "%s", root);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s/shrink", root, entry->d_name);
		write_one(path, "1");
	}
	closedir(dir);
}

/* Files come and go in the cache, of whoever reads them. */
static bool is_of_files(const char *slab)
{
	static const char *const names[] = {
		"inode_cache", "proc_inode_cache", "v9fs_inode_cache", "shmem_inode_cache",
		"ovl_inode", "radix_tree_node",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(slab, names[i]))
			return true;
	return false;
}

static long long slab_bytes(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	long long active, size, sum = 0;
	char line[512], name[64];

	if (!f)
		err(1, "/proc/slabinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lld %*d %lld", name, &active, &size) == 3 && !is_of_files(name))
			sum += active * size;
	fclose(f);
	return sum;
}

/* The sum of the fields of @path, "NAME: N kB", that @names has, between blanks. */
static long long fields(const char *path, const char *names)
{
	char line[256], name[64], wanted[66];
	long long kb, sum = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %lld", name, &kb) != 2)
			continue;
		snprintf(wanted, sizeof(wanted), " %s ", name);
		if (strstr(names, wanted))
			sum += kb * 1024;
	}
	fclose(f);
	return sum;
}

/* Connections that have ended, those of earlier measurements, are remembered for a minute. */
static void wait_for_the_past(void)
{
	char text[512] = "";
	int fd, seconds = 0;

	do {
		if (seconds++ > TIME_WAIT_MAX)
			errx(1, "connections do not go away: %s", text);
		usleep(1000000);
		fd = open("/proc/net/sockstat", O_RDONLY);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
			err(1, "/proc/net/sockstat");
		close(fd);
	} while (!strstr(text, " tw 0 "));
}

static long long account(void)
{
	wait_for_the_past();
	write_one("/proc/sys/vm/drop_caches", "2\n");
	shrink_slabs();
	/* VmallocUsed has the stacks of threads. */
	return slab_bytes() + fields("/proc/meminfo", " VmallocUsed PageTables Percpu ");
}

/* When it has come to rest: what can be dropped is not dropped at once. */
static long long kernel_bytes(void)
{
	long long last, bytes = account();
	int rounds = 0;

	do {
		last = bytes;
		bytes = account();
	} while (llabs(bytes - last) > AT_REST && ++rounds < ROUNDS_MAX);
	return bytes;
}

/*
 * Processes.
 */

static long long process_bytes(char *pids, const char *file, const char *field)
{
	long long sum = 0;
	char path[64];

	for (char *pid = strtok(pids, " ,\n"); pid; pid = strtok(NULL, " ,\n")) {
		snprintf(path, sizeof(path), "/proc/%d/%s", atoi(pid), file);
		sum += fields(path, field);
	}
	return sum;
}

static void now(char **args, int n)
{
	long long kernel = kernel_bytes();

	printf("{");
	for (int i = 0; i + 1 < n; i += 2) {
		if (!strcmp(args[i], "client"))
			kernel -= process_bytes(args[i + 1], "status", " VmPTE ");
		else
			printf("\"%s_bytes\":%lld,", args[i],
			       process_bytes(args[i + 1], "smaps_rollup", " Pss "));
	}
	printf("\"kernel_bytes\":%lld}\n", kernel);
}

/*
 * Ends of connections.
 */

static void open_pairs(void (*prepare)(int fd), int epoll, int n)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fds[2];

	for (int i = 0; i < n; i++) {
		sockets_pair(fds);
		for (int j = 0; j < 2; j++) {
			if (prepare)
				prepare(fds[j]);
			if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[j], &event))
				err(1, "epoll_ctl");
		}
	}
}

static void ends(const char *kind, int pairs)
{
	const int epoll = epoll_create1(0);
	void (*prepare)(int fd) = NULL;
	long long before;

	if (!strcmp(kind, "ktls"))
		prepare = sockets_use_ktls;
	else if (!strcmp(kind, "keyblob"))
		prepare = sockets_use_keyblob;
	/* The table of descriptors grows now, and what the first of all needs is there. */
	close(fcntl(epoll, F_DUPFD, 2 * (pairs + WARM_UP)));
	open_pairs(prepare, epoll, WARM_UP);
	before = kernel_bytes();
	open_pairs(prepare, epoll, pairs);
	printf("{\"kernel_bytes\":%lld,\"user_bytes\":0}\n",
	       (kernel_bytes() - before) / (2 * pairs));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "now"))
		now(argv + 2, argc - 2);
	else if (argc == 4 && !strcmp(argv[1], "ends") && atoi(argv[3]) > 0)
		ends(argv[2], atoi(argv[3]));
	else
		errx(2, "usage: memory now [NAME PIDS]... | memory ends plain|ktls|keyblob PAIRS");
	return 0;
}
