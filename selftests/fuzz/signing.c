// SPDX-License-Identifier: GPL-2.0-only
/*
 * Between a worker and a signer, either of which may have been taken over. The signer signs
 * what is asked, whatever was asked before, and hangs up on what is no question; the worker
 * takes answers for no more than they are. Input: of each packet who speaks, its length (255:
 * all there is) and its bytes.
 */
#include <errno.h>
#include <sys/socket.h>

#include "../../userspace/agent/signer.c"
#include "fuzz.h"

#define MEND	1	/* the length is in order */
#define ANSWER	2	/* the signer speaks */

#define KEYS	3

#define HEADER	offsetof(struct channel_message, data)

static int ends[2];	/* the worker's and the signer's */
static EVP_PKEY *keys[KEYS];
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

/* The keys, one that is missing, and one that is another signer's. */
static struct identity_config identities[KEYS + 2] = {
	{ .name = "rsa", .key.value = "f" }, { .name = "p256", .key.value = "f" },
	{ .name = "ed25519", .key.value = "f" }, { .name = "none", .key.value = "f" },
	{ .name = "token", .key.value = "pkcs11:" },
};

static void make_keys(void)
{
	keys[0] = EVP_RSA_gen(1024);
	keys[1] = EVP_EC_gen("P-256");
	keys[2] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	must(keys[0] && keys[1] && keys[2] && !channel_pair(ends));
}

static void start(void)
{
	static const struct config config = { .identities = identities, .n_identities = KEYS + 2 };
	static struct slot slots[KEYS + 2] = { [KEYS].why = "not there" };

	signer = (struct signer){ .config = &config, .slots = slots };
	for (int i = 0; i < KEYS; i++) {
		must(EVP_PKEY_up_ref(keys[i]));
		signing_key_init(&slots[i].key, keys[i]);
		must(slots[i].key.ways);
	}
}

static void stop(void)
{
	for (int i = 0; i < KEYS; i++)
		signing_key_free(&signer.slots[i].key);
}

static bool verifies_message(EVP_PKEY *key, const struct signature *asked,
			     const struct signature *got)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		  EVP_DigestVerify(ctx, got->value, got->value_len, asked->tbs,
				   asked->tbs_len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool verifies_digest(EVP_PKEY *key, const struct signature *asked,
			    const struct signature *got)
{
	static const int paddings[] = {
		RSA_PKCS1_PADDING, RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	const bool rsa = EVP_PKEY_is_a(key, "RSA");
	bool ok = EVP_PKEY_verify_init(ctx) == 1 &&
		  (!rsa || EVP_PKEY_CTX_set_rsa_padding(ctx, paddings[asked->padding]) == 1) &&
		  EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(asked->digest)) == 1 &&
		  (asked->padding != PADDING_PSS ||
		   EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, asked->salt_len) == 1) &&
		  EVP_PKEY_verify(ctx, got->value, got->value_len, asked->tbs, asked->tbs_len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
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
	must(asked->key < KEYS || err == -ENODEV);
	must(err ? *got.reason : got.value_len && got.value_len <= SIGNATURE_MAX);
	/* Whatever was asked before, it is what is asked now that is signed. */
	must(err || (*asked->digest ? verifies_digest : verifies_message)
			(keys[asked->key], asked, &got));
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
	must(parsed.key <= KEYS && parsed.padding <= PADDING_PSS);
	signing_ask(&again, &parsed);
	must(again.type == packet->type && again.len == packet->len);
	must(!memcmp(again.data, packet->data, packet->len));
	check_answer(packet, &parsed);
}

/* A signer sends @packet; a worker's room is @short_of bytes short of the whole of it. */
static void reply(const struct channel_message *packet, size_t len, size_t short_of)
{
	const size_t room = len > HEADER + short_of ? len - HEADER - short_of : 0;
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

static void take_turn(struct input *in)
{
	static struct channel_message packet;
	const uint8_t how = take_byte(in), size = take_byte(in);
	const size_t max = size == UINT8_MAX ? sizeof(packet) : size;
	const size_t len = take_packet(in, (uint8_t *)&packet, max);

	if (!len)		/* it would be the end */
		return;
	if (how & MEND && len >= HEADER)
		packet.len = len - HEADER;
	if (how & ANSWER)
		reply(&packet, len, how >> 2 & 3);
	else
		ask(&packet, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!keys[0])
		make_keys();
	start();
	while (in.left)
		take_turn(&in);
	stop();
	return 0;
}
