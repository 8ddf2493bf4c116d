// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records of a connection as the agent counts them below OpenSSL: however they are cut,
 * the count, and with it the sequence number that the kernel goes on from, is that of a
 * plain reading. Input: where to cut, then the stream.
 */
#include "../../userspace/agent/bio.c"
#include "fuzz.h"

struct reading {
	uint64_t keyed_records;
	bool keyed, whole;
	size_t body, body_len;	/* of the last record, as far as it is there */
};

static struct reading read_stream(const uint8_t *data, size_t size)
{
	struct reading r = { .whole = true };

	for (size_t at = 0, len; at < size; at += 5 + len) {
		r.whole = size - at >= 5;
		if (!r.whole)
			break;
		len = data[at + 3] << 8 | data[at + 4];
		r.whole = len <= size - at - 5;
		r.body = at + 5;
		r.body_len = r.whole ? len : size - at - 5;
		r.keyed_records += r.keyed;
		r.keyed |= data[at] == RECORD_CHANGE_CIPHER_SPEC;
		if (!r.whole)
			break;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_stream stream = { 0 };
	struct input in = { data, size };
	const size_t step = take_byte(&in) % 16 + 1;
	const struct reading r = read_stream(in.at, in.left);
	const uint8_t *whole = in.at;
	const size_t len = in.left;
	uint8_t cut[16];

	while (in.left) {
		const size_t n = in.left < step ? in.left : step;

		take(&in, cut, n);
		record_stream_advance(&stream, cut, n);
	}
	must(stream.bytes == len && record_stream_idle(&stream) == r.whole);
	must(stream.keyed == r.keyed && stream.keyed_records == r.keyed_records);
	must(stream.nonce_len == (r.body_len < 8 ? r.body_len : 8));
	must(!memcmp(stream.nonce, whole + r.body, stream.nonce_len));
	return 0;
}
