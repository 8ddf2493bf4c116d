// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that cannot be helped by a preloaded library, because the dynamic linker does not
 * load it or because they do not call libc: recognised before they are run. Called by run.c.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "program.h"

#define SCRIPTS_MAX	4	/* whose interpreters are scripts: what the kernel allows */
#define LINE_MAX_LEN	255	/* of "#!", likewise */
#define NT_GO_BUILDID	4	/* of a note of the name: */
#define GO_NAME		"Go\0"

/* A file in memory; the kernel's own limits on programs do not matter here. */
struct image {
	const char *path;
	const uint8_t *bytes;
	size_t size;
};

static __attribute__((format(printf, 2, 3))) int refuse(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PROGRAM_WHY_SIZE, format, args);
	va_end(args);
	return -1;
}

static int check_file(const char *path)
{
	struct stat file;

	if (stat(path, &file) < 0)
		return errno;
	if (!S_ISREG(file.st_mode))
		return EACCES;
	return access(path, X_OK) < 0 ? errno : 0;
}

/* In $PATH; an error other than that there is none is remembered, as execvp(3) does. */
static int search(const char *name, char path[PATH_MAX])
{
	const char *directory = getenv("PATH");
	int err, found = ENOENT, len;

	if (!directory)
		directory = "/bin:/usr/bin";
	for (;; directory += len + 1) {
		len = strcspn(directory, ":");
		if (snprintf(path, PATH_MAX, "%.*s%s%s", len, directory, len ? "/" : "", name) < PATH_MAX) {
			err = check_file(path);
			if (!err)
				return 0;
			if (err == EACCES)
				found = err;
		}
		if (!directory[len])
			return found;
	}
}

int program_find(const char *name, char path[PATH_MAX])
{
	if (!*name)
		return ENOENT;
	if (!strchr(name, '/'))
		return search(name, path);
	if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
		return ENAMETOOLONG;
	return check_file(path);
}

/* The dynamic linker ignores libraries for programs that give their user other powers. */
static int check_powers(const char *path, int fd, char *why)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return refuse(why, "%s: %s", path, strerror(errno));
	if (((file.st_mode & S_ISUID) && file.st_uid != getuid()) ||
	    ((file.st_mode & S_ISGID) && file.st_gid != getgid()))
		return refuse(why, "%s is setuid or setgid, and nothing is preloaded into such a "
			      "program: run keyblob run as the user that the program becomes", path);
	if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return refuse(why, "%s has file capabilities, and nothing is preloaded into such a "
			      "program: give it ambient ones instead, as AmbientCapabilities= of "
			      "systemd.exec(5) does", path);
	return 0;
}

static bool has(const struct image *image, uint64_t at, uint64_t size)
{
	return at <= image->size && size <= image->size - at;
}

static const ElfW(Ehdr) *elf_header(const struct image *image)
{
	return (const ElfW(Ehdr) *)image->bytes;
}

/* The program header @i, or NULL. */
static const ElfW(Phdr) *segment(const struct image *image, size_t i)
{
	const ElfW(Ehdr) *elf = elf_header(image);
	const uint64_t at = elf->e_phoff + i * sizeof(ElfW(Phdr));

	if (i >= elf->e_phnum || elf->e_phentsize != sizeof(ElfW(Phdr)) || at % _Alignof(ElfW(Phdr)) ||
	    elf->e_phoff > image->size || !has(image, at, sizeof(ElfW(Phdr))))
		return NULL;
	return (const ElfW(Phdr) *)(image->bytes + at);
}

/* The path of its dynamic linker; NULL: none. */
static const char *linker_of(const struct image *image)
{
	const ElfW(Phdr) *s;
	const char *path;
	size_t i;

	for (i = 0; (s = segment(image, i)); i++) {
		if (s->p_type != PT_INTERP || !s->p_filesz || !has(image, s->p_offset, s->p_filesz))
			continue;
		path = (const char *)image->bytes + s->p_offset;
		return path[s->p_filesz - 1] ? NULL : path;
	}
	return NULL;
}

static uint64_t padded(uint64_t size)
{
	return (size + 3) & ~3ULL;
}

/* Whether the notes of a segment have that of Go's linker. */
static bool has_go_note(const struct image *image, const ElfW(Phdr) *s)
{
	uint64_t at = s->p_offset, end = s->p_offset + s->p_filesz, desc;
	ElfW(Nhdr) note;

	if (!has(image, s->p_offset, s->p_filesz))
		return false;
	while (at <= end && end - at >= sizeof(note)) {
		memcpy(&note, image->bytes + at, sizeof(note));
		at += sizeof(note);
		desc = at + padded(note.n_namesz);
		if (desc > end)
			return false;
		if (note.n_type == NT_GO_BUILDID && note.n_namesz == sizeof(GO_NAME) &&
		    !memcmp(image->bytes + at, GO_NAME, sizeof(GO_NAME)))
			return true;
		at = desc + padded(note.n_descsz);
	}
	return false;
}

static bool is_go_section(const char *name)
{
	return !strcmp(name, ".go.buildinfo") || !strcmp(name, ".note.go.buildid");
}

static bool has_go_section(const struct image *image)
{
	const ElfW(Ehdr) *elf = elf_header(image);
	const ElfW(Shdr) *sections, *names;
	const char *strings;
	size_t i;

	if (elf->e_shentsize != sizeof(*sections) || elf->e_shoff % _Alignof(ElfW(Shdr)) ||
	    elf->e_shstrndx >= elf->e_shnum ||
	    !has(image, elf->e_shoff, (uint64_t)elf->e_shnum * sizeof(*sections)))
		return false;
	sections = (const ElfW(Shdr) *)(image->bytes + elf->e_shoff);
	names = &sections[elf->e_shstrndx];
	if (!names->sh_size || !has(image, names->sh_offset, names->sh_size))
		return false;
	strings = (const char *)image->bytes + names->sh_offset;
	if (strings[names->sh_size - 1])
		return false;
	for (i = 0; i < elf->e_shnum; i++) {
		if (sections[i].sh_name < names->sh_size && is_go_section(strings + sections[i].sh_name))
			return true;
	}
	return false;
}

/* Of the note and the section, strip(1) leaves at least one. */
static bool is_go(const struct image *image)
{
	const ElfW(Phdr) *s;
	size_t i;

	for (i = 0; (s = segment(image, i)); i++) {
		if (s->p_type == PT_NOTE && has_go_note(image, s))
			return true;
	}
	return has_go_section(image);
}

static int image_open(struct image *image, const char *path, int fd)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return -1;
	*image = (struct image){ .path = path, .bytes = (const void *)"", .size = file.st_size };
	if (!file.st_size)
		return 0;
	image->bytes = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	return image->bytes == MAP_FAILED ? -1 : 0;
}

static void image_close(struct image *image)
{
	if (image->size)
		munmap((void *)image->bytes, image->size);
}

static bool is_elf(const struct image *image)
{
	return image->size >= SELFMAG && !memcmp(image->bytes, ELFMAG, SELFMAG);
}

static bool is_elf_for_here(const struct image *image, const struct image *own)
{
	return image->size >= sizeof(ElfW(Ehdr)) &&
	       image->bytes[EI_CLASS] == own->bytes[EI_CLASS] &&
	       image->bytes[EI_DATA] == own->bytes[EI_DATA] &&
	       elf_header(image)->e_machine == elf_header(own)->e_machine;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

#define INSTEAD	"have the program itself set KEYBLOB_HANDSHAKE, or, for a server, a service manager " \
		"hand it its sockets: see --inherited in keyblob(1)"

/* @own is the keyblob command itself, which is what the library is made for. */
static int check_elf(const struct image *image, const struct image *own, char *why)
{
	const char *linker, *own_linker = linker_of(own);

	if (!is_elf_for_here(image, own))
		return refuse(why, "%s is made for another architecture than keyblob is: install "
			      "keyblob for that, too", image->path);
	if (is_go(image))
		return refuse(why, "%s is a Go program, which calls the kernel without libc: "
			      INSTEAD, image->path);
	linker = linker_of(image);
	if (!linker)
		return refuse(why, "%s is linked statically, and nothing can be preloaded into it: "
			      INSTEAD, image->path);
	if (own_linker && strcmp(base_name(linker), base_name(own_linker)))
		return refuse(why, "%s is made for another C library than keyblob is (it wants %s): "
			      "install a keyblob made for that", image->path, linker);
	return 0;
}

static int check_own_elf(const struct image *image, char *why)
{
	struct image own;
	int fd, err;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || image_open(&own, "/proc/self/exe", fd))
		return refuse(why, "cannot look at keyblob itself: %s", strerror(errno));
	err = check_elf(image, &own, why);
	image_close(&own);
	close(fd);
	return err;
}

/* NOLINTBEGIN(misc-no-recursion): no deeper than SCRIPTS_MAX */
static int check_at_depth(const char *path, unsigned int depth, char *why);

/* #!/usr/bin/env NAME: what is run in the end. */
static int check_env(const char *argument, unsigned int depth, char *why)
{
	char name[LINE_MAX_LEN + 1], path[PATH_MAX];

	argument += strspn(argument, " \t");
	if (!strncmp(argument, "-S", 2))
		argument += 2;
	if (sscanf(argument, " %255s", name) != 1 || *name == '-' || strchr(name, '='))
		return 0;
	/* That it is not there, env(1) tells. */
	return program_find(name, path) ? 0 : check_at_depth(path, depth, why);
}

static int check_script(const struct image *image, unsigned int depth, char *why)
{
	char line[LINE_MAX_LEN + 1], interpreter[LINE_MAX_LEN + 1];
	size_t len = image->size - 2;
	int argument = 0;

	len = len < LINE_MAX_LEN ? len : LINE_MAX_LEN;
	memcpy(line, image->bytes + 2, len);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, " %255s%n", interpreter, &argument) != 1)
		return refuse(why, "%s names no interpreter after #!", image->path);
	if (depth == SCRIPTS_MAX)
		return refuse(why, "%s: too many interpreters are scripts", image->path);
	if (check_at_depth(interpreter, depth + 1, why))
		return -1;
	return strcmp(base_name(interpreter), "env") ? 0 : check_env(line + argument, depth + 1, why);
}

static int check_image(const struct image *image, unsigned int depth, char *why)
{
	if (is_elf(image))
		return check_own_elf(image, why);
	if (image->size > 2 && !memcmp(image->bytes, "#!", 2))
		return check_script(image, depth, why);
	return refuse(why, "%s is neither an ELF program nor a script that begins with #!: name "
		      "its interpreter", image->path);
}

static int check_at_depth(const char *path, unsigned int depth, char *why)
{
	struct image image;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(why, "cannot look at %s to see whether it can be helped: %s", path,
			      strerror(errno));
	err = check_powers(path, fd, why);
	if (!err && image_open(&image, path, fd)) {
		err = refuse(why, "%s: %s", path, strerror(errno));
	} else if (!err) {
		err = check_image(&image, depth, why);
		image_close(&image);
	}
	close(fd);
	return err;
}
/* NOLINTEND(misc-no-recursion) */

int program_check(const char *path, char why[PROGRAM_WHY_SIZE])
{
	return check_at_depth(path, 0, why);
}
