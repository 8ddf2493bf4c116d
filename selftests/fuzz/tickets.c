// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys of tickets, in files, and the names of keys that clients' tickets begin with. Files
 * of 80 bytes are taken as they are, and no others; a name finds the first key that has it.
 * Input: the name; then of each file its length and its bytes.
 */
#include <sys/mman.h>

#include "../../userspace/agent/tickets.c"
#include "agent.h"
#include "fuzz.h"

#define FILES_MAX	(TICKET_KEYS_MAX + 1)

void config_fault(const struct setting *setting, const char *format, ...)
{
	agent_complaints++;
}

struct files {
	int fds[FILES_MAX];
	char paths[FILES_MAX][32];
	struct setting settings[FILES_MAX];
};

static void make_files(struct files *files)
{
	for (int i = 0; i < FILES_MAX; i++) {
		files->fds[i] = memfd_create("tickets", MFD_CLOEXEC);
		snprintf(files->paths[i], sizeof(files->paths[i]), "/proc/self/fd/%d",
			 files->fds[i]);
		must(!fchmod(files->fds[i], 0600));
		files->settings[i].value = files->paths[i];
	}
}

static void check_name(const struct ticket_keyring *ring, const uint8_t *name)
{
	const struct ticket_key *key = find_key(ring, name);

	for (uint32_t i = 0; i < ring->count; i++) {
		if (memcmp(&ring->keys[i], name, sizeof(ring->keys[i].name)))
			continue;
		must(key == &ring->keys[i]);
		return;
	}
	must(!key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct files files;
	struct ticket_key given[FILES_MAX];
	struct config config = { .tickets = true, .ticket_keys.list = files.settings };
	struct settings *keys = &config.ticket_keys;
	struct input in = { data, size };
	struct ticket_keyring ring;
	bool good = true;
	uint8_t name[16], content[UINT8_MAX];

	if (!*files.paths[0])
		make_files(&files);
	take(&in, name, sizeof(name));
	for (; in.left && keys->count < FILES_MAX; keys->count++) {
		const size_t len = take_byte(&in);
		const int fd = files.fds[keys->count];

		take(&in, content, len);
		must(!ftruncate(fd, 0) && pwrite(fd, content, len, 0) == (ssize_t)len);
		memcpy(&given[keys->count], content, sizeof(given[0]));
		good &= len == sizeof(given[0]);
	}
	good &= keys->count <= TICKET_KEYS_MAX;
	agent_complaints = 0;
	must(!tickets_load(&ring, &config) == good);
	must(!agent_complaints == good);
	if (good && keys->count) {
		must(ring.count == keys->count);
		must(!memcmp(ring.keys, given, keys->count * sizeof(given[0])));
		check_name(&ring, name);
		must(!tickets_rotate(&ring) && ring.count <= TICKET_KEYS_MAX);
		must(!memcmp(&ring.keys[1], given, (ring.count - 1) * sizeof(given[0])));
	}
	return 0;
}
