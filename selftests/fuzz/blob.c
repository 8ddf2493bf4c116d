// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blobs as they are sealed: nothing that the module has not made opens, be it made up or
 * altered, and what it has made opens to what went in. Input: a blob; a struct keyblob_key,
 * then where and how to alter its blob.
 */
#include <errno.h>
#include <sodium.h>

#include "blob.h"
#include "fuzz.h"

/* One input is to have one outcome. */
static uint64_t state;

static const char *random_name(void)
{
	return "fuzz";
}

static uint32_t random_number(void)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 32;
}

static void random_bytes(void *to, size_t size)
{
	for (uint8_t *byte = to; size--; byte++)
		*byte = random_number();
}

static struct randombytes_implementation source = {
	.implementation_name = random_name,
	.random = random_number,
	.buf = random_bytes,
};

static void check_made_up(const uint8_t *data, size_t size)
{
	struct kb_sealed got, untouched, wiped = { 0 };
	uint8_t *blob = malloc(size);
	int err;

	must(blob);
	memcpy(blob, data, size);
	memset(&got, 0xee, sizeof(got));
	untouched = got;
	err = kb_blob_open(blob, size, &got);
	must(err == -EINVAL || err == -EPROTONOSUPPORT || err == -EBADMSG);
	must(!memcmp(&got, err == -EBADMSG ? &wiped : &untouched, sizeof(got)));
	free(blob);
}

static void check_sealed(struct input *in)
{
	struct kb_sealed sealed, got, wiped = { 0 };
	uint8_t blob[KEYBLOB_BLOB_SIZE] __aligned(8), copy[KEYBLOB_BLOB_SIZE] __aligned(8);
	struct keyblob_key key;
	int err;

	take(in, &key, sizeof(key));
	err = kb_blob_from_key(&key, &sealed);
	must(!err || err == -EINVAL || err == -EOPNOTSUPP);
	if (err) {
		must(!memcmp(&sealed, &wiped, sizeof(sealed)));
		return;
	}
	take(in, &sealed.cookie, 3 * sizeof(sealed.cookie));
	kb_blob_seal(&sealed, blob);
	must(!kb_blob_open(blob, sizeof(blob), &got));
	must(!memcmp(&got, &sealed, sizeof(got)));

	memcpy(copy, blob, sizeof(copy));
	while (in->left >= 2) {
		const uint8_t at = take_byte(in);

		copy[at] ^= take_byte(in);
	}
	if (memcmp(copy, blob, sizeof(copy)))
		must(kb_blob_open(copy, sizeof(copy), &got));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	state = 1;
	randombytes_set_implementation(&source);
	must(!kb_blob_init());
	check_made_up(data, size);
	check_sealed(&in);
	kb_blob_exit();
	return 0;
}
