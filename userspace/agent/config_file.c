// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the configuration file. inih takes lines apart; it is given one at a time, since
 * its handler hears of neither line numbers nor sections without keys, nor does inih tell
 * of all faults, or of what it cuts off.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_section.h"
#include "log.h"

#define LINE_MAX_BYTES	4000	/* without its end */

struct reader {
	struct config *config;
	struct section section;
	struct setting where;	/* the line */
	bool refused;		/* the section is: nothing can be said of its keys */
	unsigned int faults;
};

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *reader = arg;
	struct setting given = reader->where;

	(void)section;
	given.name = name;
	given.value = (char *)value;
	if (reader->section.type)
		reader->faults += section_set(&reader->section, name, &given) ? 1 : 0;
	else if (!reader->refused) {
		config_fault(&given, "before any section; write a [SECTION] above it");
		reader->faults++;
	}
	return 1;
}

/* @line begins with "[". */
static void read_heading(struct reader *reader, const char *line)
{
	const char *end = strchr(line, ']');
	char *heading;

	reader->section.type = NULL;
	reader->refused = true;
	if (!end || end[1]) {
		config_fault(&reader->where, "no heading of a section: write [SECTION], alone");
		reader->faults++;
		return;
	}
	heading = strndup(line + 1, end - line - 1);
	if (heading && !section_begin(&reader->section, reader->config, heading, &reader->where))
		reader->refused = false;
	else
		reader->faults++;
	free(heading);
}

/* Nothing that inih or strlen(3) would cut off, nor what an editor does not show. */
static const char *line_fault(const char *line, size_t len)
{
	if (len > LINE_MAX_BYTES)
		return "the line is longer than 4000 bytes";
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]) && line[i] != '\t')
			return "there is a control character in the line";
	return NULL;
}

static void read_line(struct reader *reader, char *line, size_t len)
{
	const char *fault;

	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	fault = line_fault(line, len);
	if (fault) {
		reader->where.value = "";
		config_fault(&reader->where, "%s", fault);
		reader->faults++;
		return;
	}

	line[len] = 0;
	reader->where.value = line;
	if (*line == '[') {
		read_heading(reader, line);
	} else if (ini_parse_string(line, on_key, reader)) {
		config_fault(&reader->where, "neither [SECTION] nor KEY = VALUE");
		reader->faults++;
	}
}

static void read_lines(struct reader *reader, FILE *file)
{
	static const char bom[] = "\xef\xbb\xbf";
	static char buffer[BUFSIZ];
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	/* There may be PINs. What inih frees is overwritten by this, its lines being long. */
	mallopt(M_PERTURB, 1);
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));

	ini_use_stack = false;
	ini_initial_alloc = LINE_MAX_BYTES + 3;
	ini_max_line = LINE_MAX_BYTES + 3;
	ini_allow_bom = false;

	while ((len = getline(&line, &size, file)) > 0) {
		bool has_bom = !reader->where.line++ && !strncmp(line, bom, 3);

		read_line(reader, line + (has_bom ? 3 : 0), len - (has_bom ? 3 : 0));
	}
	if (ferror(file)) {
		log_error("cannot read %s: %m", reader->config->path);
		reader->faults++;
	}
	if (line)
		explicit_bzero(line, size);
	free(line);
	explicit_bzero(buffer, sizeof(buffer));
	mallopt(M_PERTURB, 0);
}

/* Whoever can write the file can have the agent sign with any key that it may open. */
static int check_file(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st)) {
		log_error("cannot read %s: %m", path);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("%s is no regular file; name the configuration file", path);
		return -1;
	}
	if (st.st_mode & S_IWOTH) {
		log_error("%s can be written by everybody; do 'chmod o-w' first", path);
		return -1;
	}
	return 0;
}

int config_read(struct config *config, const char *path)
{
	struct reader reader = { .config = config };
	FILE *file;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		log_error("cannot read the configuration file %s: %m", path);
		return -1;
	}
	if (check_file(fd, path)) {
		close(fd);
		return -1;
	}
	free(config->path);
	config->path = strdup(path);
	file = config->path ? fdopen(fd, "r") : NULL;
	if (!file) {
		log_error("out of memory");
		close(fd);
		return -1;
	}
	reader.where.file = config->path;
	read_lines(&reader, file);
	fclose(file);
	return reader.faults ? -1 : 0;
}
