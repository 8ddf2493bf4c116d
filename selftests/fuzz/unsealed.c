// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blobs without their sealing, see include/: what opens is of the one size, head and all,
 * and sealed again it is the same blob. Input: a blob.
 */
#include <errno.h>

#include "blob.h"
#include "fuzz.h"

static void check_open(const uint8_t *blob, const struct kb_sealed *got)
{
	const struct kb_suite *suite = kb_suite_find(got->tls_version, got->cipher);
	const size_t sealed_at = KB_BLOB_DECOY + KB_INFO_MAX;
	uint8_t again[KEYBLOB_BLOB_SIZE] __aligned(8);
	struct tls_crypto_info info;
	struct kb_sealed got_again;

	must(!memcmp(blob, "KBLB\1\0\0\1", sizeof(struct keyblob_head)));
	if (!suite)
		return;
	kb_blob_seal(got, again);
	must(!memcmp(again, blob, sizeof(struct keyblob_head)));
	must(!memcmp(again + sealed_at, blob + sealed_at, sizeof(*got)));
	memcpy(&info, again + KB_BLOB_DECOY, sizeof(info));
	must(info.version == got->tls_version && info.cipher_type == got->cipher);
	must(!kb_blob_open(again, sizeof(again), &got_again));
	must(!memcmp(&got_again, got, sizeof(*got)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *blob = malloc(size);
	struct kb_sealed got, untouched;
	int err;

	must(blob);
	memcpy(blob, data, size);
	memset(&got, 0xee, sizeof(got));
	untouched = got;
	err = kb_blob_open(blob, size, &got);
	must(!err || err == -EINVAL || err == -EPROTONOSUPPORT);
	if (err)
		must(!memcmp(&got, &untouched, sizeof(got)));
	else
		must(size == KEYBLOB_BLOB_SIZE);
	if (!err)
		check_open(blob, &got);
	free(blob);
	return 0;
}
