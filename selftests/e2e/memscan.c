// SPDX-License-Identifier: GPL-2.0-only
/*
 * memscan PATTERNS PID...: looks for secrets in the memory of processes, in all of
 * their mappings. PATTERNS has lines "LABEL HEX", each of 8 bytes at least; they are
 * looked for as raw bytes and as hex text in either case. A line for each find:
 *
 *	found LABEL as raw|hex|HEX in PID at ADDRESS MAPPING
 *
 * Exit status: 0 nothing found, 1 something found, 2 not everything could be read.
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_MIN	8
#define PATTERN_MAX	256		/* bytes, as looked for */
#define CHUNK		(1 << 20)
#define PAIRS		65536		/* values of the first two bytes */

struct pattern {
	struct pattern *next;		/* with the same first two bytes */
	char label[128];
	const char *form;
	unsigned char bytes[PATTERN_MAX];
	size_t len;
};

static struct pattern *patterns[PAIRS];
static unsigned int n_patterns, n_found;

static unsigned int first_pair(const unsigned char *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static void add(const char *label, const char *form, const void *bytes, size_t len)
{
	struct pattern *p = calloc(1, sizeof(*p));
	unsigned int pair;

	if (!p)
		errx(2, "out of memory");
	snprintf(p->label, sizeof(p->label), "%s", label);
	p->form = form;
	memcpy(p->bytes, bytes, len);
	p->len = len;
	pair = first_pair(p->bytes);
	p->next = patterns[pair];
	patterns[pair] = p;
	n_patterns++;
}

static void add_forms(const char *label, const char *hex)
{
	char lower[PATTERN_MAX + 1], upper[PATTERN_MAX + 1];
	unsigned char raw[PATTERN_MAX / 2];
	size_t len = strlen(hex) / 2, i;

	if (len < PATTERN_MIN || len > sizeof(raw) || strspn(hex, "0123456789abcdefABCDEF") != 2 * len)
		errx(2, "%s: no secret that can be looked for", label);
	for (i = 0; i < len; i++)
		sscanf(hex + 2 * i, "%2hhx", &raw[i]);
	for (i = 0; i < 2 * len; i++) {
		lower[i] = tolower((unsigned char)hex[i]);
		upper[i] = toupper((unsigned char)hex[i]);
	}
	add(label, "raw", raw, len);
	add(label, "hex", lower, 2 * len);
	add(label, "HEX", upper, 2 * len);
}

static void read_patterns(const char *path)
{
	char label[128], hex[2 * PATTERN_MAX];
	FILE *file = fopen(path, "r");

	if (!file)
		err(2, "%s", path);
	while (fscanf(file, "%127s %511s", label, hex) == 2)
		add_forms(label, hex);
	fclose(file);
	if (!n_patterns)
		errx(2, "%s: no patterns", path);
}

/* Finds that begin in the first @begin_in bytes of @data. */
static void search(const unsigned char *data, size_t len, size_t begin_in, uint64_t address,
		   int pid, const char *mapping)
{
	const struct pattern *p;

	for (size_t i = 0; i < begin_in && i + PATTERN_MIN <= len; i++) {
		for (p = patterns[first_pair(data + i)]; p; p = p->next) {
			if (i + p->len > len || memcmp(data + i, p->bytes, p->len))
				continue;
			printf("found %s as %s in %d at %llx %s\n", p->label, p->form, pid,
			       (unsigned long long)address + i, mapping);
			n_found++;
		}
	}
}

/* Returns the bytes read; what is missing at the end could not be. */
static uint64_t scan_mapping(int mem, uint64_t from, uint64_t to, int pid, const char *mapping)
{
	static unsigned char data[CHUNK + PATTERN_MAX];
	uint64_t at;

	for (at = from; at < to; at += CHUNK) {
		size_t want = to - at < sizeof(data) ? to - at : sizeof(data), len = 0;
		ssize_t n;

		while (len < want) {
			n = pread(mem, data + len, want - len, at + len);
			if (n <= 0)
				break;
			len += n;
		}
		search(data, len, len < CHUNK ? len : CHUNK, at, pid, mapping);
		if (len < want)
			return at - from + len;
	}
	return to - from;
}

static bool scan(int pid)
{
	unsigned long long from, to, read_bytes = 0, missed = 0, len;
	char path[64], line[512], perms[8], mapping[256];
	int mem, name_at;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	if (mem < 0 || !maps) {
		warn("process %d", pid);
		return false;
	}
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%llx-%llx %7s %*s %*s %*s %n", &from, &to, perms, &name_at) < 3)
			continue;
		snprintf(mapping, sizeof(mapping), "%s", line + name_at);
		/* Of the kernel's making, and not readable this way. */
		if (!strcmp(mapping, "[vvar]") || !strcmp(mapping, "[vvar_vclock]") ||
		    !strcmp(mapping, "[vsyscall]"))
			continue;
		len = scan_mapping(mem, from, to, pid, mapping);
		read_bytes += len;
		/* Behind the end of a mapped file there is nothing to read. */
		if (len < to - from && (mapping[0] != '/' || strchr(perms, 'w'))) {
			fprintf(stderr, "process %d: %s not read from %llx\n", pid, line, from + len);
			missed += to - from - len;
		}
	}
	fclose(maps);
	close(mem);
	printf("process %d: %llu bytes read\n", pid, read_bytes);
	return read_bytes && !missed;
}

int main(int argc, char **argv)
{
	bool complete = true;

	if (argc < 3)
		errx(2, "usage: memscan PATTERNS PID...");
	read_patterns(argv[1]);
	for (int i = 2; i < argc; i++)
		complete = scan(atoi(argv[i])) && complete;
	if (!complete)
		return 2;
	return n_found ? 1 : 0;
}
