// SPDX-License-Identifier: GPL-2.0-only
/*
 * Between a worker and a signer, either of which may have been taken over. The signer
 * answers questions and hangs up on anything else; the worker takes answers for no more
 * than they are. Input: who speaks, then a packet of the channel.
 */
#include <errno.h>
#include <sys/socket.h>

#include "../../userspace/agent/signer.c"
#include "fuzz.h"

#define MEND	1	/* the length is in order */
#define ANSWER	2	/* the signer speaks */

#define HEADER	offsetof(struct channel_message, data)

static int ends[2];	/* the worker's and the signer's */
static struct signer signer;

/*
 * Doubles of what a signer calls.
 */

void log_line(enum log_level level, const char *format, ...)
{
}

void log_capture(char *text, size_t size)
{
}

void config_fault(const struct setting *setting, const char *format, ...)
{
}

void count_up(enum counter counter)
{
}

int confine(enum confinement confinement, const struct config *config)
{
	return 0;
}

EVP_PKEY_CTX *key_context_new(EVP_PKEY *key)
{
	return EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
}

EVP_PKEY *key_open(const struct identity_config *id, char *why, size_t why_size)
{
	return NULL;
}

enum key_home key_home(const struct setting *key)
{
	return *key->value == 'p' ? KEY_IN_PKCS11 : KEY_IN_FILE;
}

/* Three keys, one that is missing, and one that is another signer's. */
static void set_up_keys(void)
{
	static struct identity_config identities[] = {
		{ .name = "rsa", .key.value = "f" }, { .name = "p256", .key.value = "f" },
		{ .name = "ed25519", .key.value = "f" }, { .name = "none", .key.value = "f" },
		{ .name = "token", .key.value = "pkcs11:" },
	};
	static const struct config config = { .identities = identities, .n_identities = 5 };
	static struct slot slots[5] = { [3].why = "not there" };

	signing_key_init(&slots[0].key, EVP_RSA_gen(1024));
	signing_key_init(&slots[1].key, EVP_EC_gen("P-256"));
	signing_key_init(&slots[2].key, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	must(slots[0].key.ways && slots[1].key.ways && slots[2].key.ways);
	signer = (struct signer){ .config = &config, .slots = slots };
	must(!channel_pair(ends));
}

static void check_answer(const struct channel_message *question, const struct signature *asked)
{
	static struct channel_message answer;
	unsigned char value[SIGNATURE_MAX];
	struct signature got = { .value = value, .value_size = sizeof(value) };
	int err;

	must(channel_receive(ends[0], &answer, NULL) == 1);
	must(answer.id == question->id);
	err = signing_result(&answer, &got);
	must(err <= 0 && err != -EPROTO);
	must(asked->key < 3 || err == -ENODEV);
	must(err ? *got.reason : got.value_len && got.value_len <= SIGNATURE_MAX);
}

/* A worker sends @packet. */
static void ask(const struct channel_message *packet, size_t len)
{
	static struct channel_message again, got;
	struct signature parsed = { 0 };
	bool taken;

	must(send(ends[0], packet, len, 0) == (ssize_t)len);
	taken = answer(&signer, ends[1]);
	if (!taken) {
		must(channel_receive(ends[0], &got, NULL) == -EAGAIN);
		return;
	}
	must(len >= HEADER && packet->len == len - HEADER);
	must(!signing_parse(packet, &parsed));
	must(parsed.key < 4 && parsed.padding <= PADDING_PSS);
	signing_ask(&again, &parsed);
	must(again.type == packet->type && again.len == packet->len);
	must(!memcmp(again.data, packet->data, packet->len));
	check_answer(packet, &parsed);
}

/* A signer sends @packet; a worker has room for @room bytes. */
static void reply(const struct channel_message *packet, size_t len, size_t room)
{
	struct signature got = { .value = malloc(room), .value_size = room };
	static struct channel_message message;
	int err;

	must(got.value && send(ends[1], packet, len, 0) == (ssize_t)len);
	err = channel_receive(ends[0], &message, NULL);
	must((err == 1) == (len >= HEADER && packet->len == len - HEADER));
	if (err == 1) {
		fence(message.data, message.len, sizeof(message.data));
		err = signing_result(&message, &got);
		unfence(message.data, sizeof(message.data));
		must(err <= 0 && (err || got.value_len <= room));
		must(memchr(got.reason, 0, sizeof(got.reason)));
	}
	free(got.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct channel_message packet;
	struct input in = { data, size };
	const uint8_t how = take_byte(&in);
	const size_t len = take_packet(&in, (uint8_t *)&packet, sizeof(packet));

	if (!signer.slots)
		set_up_keys();
	if (!len)		/* it would be the end */
		return 0;
	if (how & MEND && len >= HEADER)
		packet.len = len - HEADER;
	if (how & ANSWER)
		reply(&packet, len, how >> 2 << 2);
	else
		ask(&packet, len);
	return 0;
}
