// SPDX-License-Identifier: GPL-2.0-only
/*
 * seeds DIRECTORY: what fuzzing begins with, a message of each kind in DIRECTORY/TARGET, made
 * by the code that sends such messages. For a target's input see its head.
 */
#include <errno.h>
#include <netlink/genl/genl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userspace/agent/kernel_message.h"
#include "../../userspace/agent/message.h"
#include "../../userspace/agent/signing.h"
#include "../../userspace/agent/tickets.h"
#include "../../userspace/lib/message.h"

#define MEND		1
#define ONE_FD		0x40
#define FAMILY		0x21

static void seed(const char *target, uint8_t how, const void *data, size_t len)
{
	static unsigned int number;
	char path[100];
	FILE *file;

	mkdir(target, 0777);
	snprintf(path, sizeof(path), "%s/seed-%u", target, number++);
	file = fopen(path, "w");
	if (!file || fputc(how, file) < 0 || fwrite(data, 1, len, file) != len || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void seed_message(const char *target, uint8_t how, struct nl_msg *msg)
{
	seed(target, how, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	nlmsg_free(msg);
}

static void requests(void)
{
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	const uint32_t timeout = 5000;
	union kb_packet packet;

	for (uint8_t cmd = KEYBLOB_CMD_ACCEPT; cmd <= KEYBLOB_CMD_RELOAD; cmd++) {
		kb_message_begin(&packet, cmd, 7);
		seed("request", MEND | ONE_FD, &packet, packet.header.nlmsg_len);
		seed("request", MEND, &packet, packet.header.nlmsg_len);
	}
	kb_message_begin(&packet, KEYBLOB_CMD_CONNECT, 7);
	kb_message_put(&packet, KEYBLOB_A_PEER_NAME, "a.test", sizeof("a.test"));
	kb_message_put(&packet, KEYBLOB_A_TIMEOUT, &timeout, sizeof(timeout));
	kb_message_put(&packet, KEYBLOB_A_CHANNEL_BINDING, "", 0);
	kb_message_put(&packet, KEYBLOB_A_IDENTITY, "www", sizeof("www"));
	kb_message_put_alpn(&packet, alpn);
	kb_message_put(&packet, KEYBLOB_A_OPTIONAL | 1, "x", 1);
	seed("request", MEND | ONE_FD, &packet, packet.header.nlmsg_len);
}

static X509 *certificate(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *cert = X509_new();

	if (!key || !cert || !X509_set_pubkey(cert, key) || !X509_sign(cert, key, NULL))
		exit(1);
	EVP_PKEY_free(key);
	return cert;
}

static void replies(void)
{
	union kb_packet packet;
	struct handshake_result result = {
		.tls_version = 0x0304, .cipher_suite = 0x1301, .cipher_name = "c", .group = "g",
		.alpn = "h2", .server_name = "a.test", .resumed = true,
		.alert_sent = NO_ALERT, .alert_received = 40, .peer.bound = true,
	};

	result.peer.names = sk_OPENSSL_STRING_new_null();
	result.peer.chain = sk_X509_new_null();
	sk_OPENSSL_STRING_push(result.peer.names, "b.test");
	sk_OPENSSL_STRING_push(result.peer.names, "192.0.2.1");
	sk_X509_push(result.peer.chain, certificate());
	sk_X509_push(result.peer.chain, certificate());
	seed_message("reply", MEND, message_encode(7, &result));
	result.error = ECONNABORTED;
	strcpy(result.reason, "no");
	seed_message("reply", MEND, message_encode(7, &result));
	result.alert_sent = 40;
	seed_message("reply", MEND, message_encode(7, &result));
	seed_message("status", MEND, message_encode(7, &result));
	seed_message("status", MEND, message_encode_status(7));
	seed_message("status", MEND, message_encode_reload(7, ""));
	kb_message_begin(&packet, KEYBLOB_CMD_STATUS, 7);
	kb_message_put(&packet, KEYBLOB_A_COUNTER, "\0\0\0\0\0\0\0\0", 9);
	seed("status", MEND, &packet, packet.header.nlmsg_len);
	seed_message("status", MEND, message_encode_reload(7, "one\ntwo"));
	sk_OPENSSL_STRING_free(result.peer.names);
	sk_X509_pop_free(result.peer.chain, X509_free);
}

static struct nl_msg *from_kernel(uint16_t role)
{
	struct nl_msg *msg = kernel_encode(FAMILY, 7, KEYBLOB_GENL_ACCEPT);

	nla_put_u64(msg, KEYBLOB_A_GENL_ID, 1);
	nla_put_s32(msg, KEYBLOB_A_GENL_FD, 5);
	nla_put_u16(msg, KEYBLOB_A_GENL_ROLE, role);
	nla_put_u32(msg, KEYBLOB_A_GENL_UID, 1000);
	nla_put_u32(msg, KEYBLOB_A_GENL_GID, 1001);
	return msg;
}

static void kernel_messages(void)
{
	static const uint32_t groups[] = { 4, 24 };
	const struct nlmsgerr error = { .error = -EAGAIN };
	struct nl_msg *msg = from_kernel(KEYBLOB_ROLE_SERVER);

	nla_put_u32(msg, KEYBLOB_A_GENL_PID, 4321);
	nla_put(msg, KEYBLOB_A_GENL_GROUPS, sizeof(groups), groups);
	nla_put_string(msg, KEYBLOB_A_GENL_CGROUP, "/a");
	nla_put_string(msg, KEYBLOB_A_GENL_IDENTITY, "www");
	nla_put(msg, KEYBLOB_A_GENL_ALPN, 3, "\2h2");
	nla_put_u32(msg, KEYBLOB_A_GENL_TIMEOUT, 5000);
	seed_message("kernel_message", MEND, msg);
	msg = from_kernel(KEYBLOB_ROLE_CLIENT);
	nla_put_string(msg, KEYBLOB_A_GENL_PEER_NAME, "a.test");
	seed_message("kernel_message", MEND, msg);
	seed_message("kernel_message", MEND, kernel_encode(FAMILY, 7, KEYBLOB_GENL_READY));
	msg = nlmsg_alloc();
	memcpy(nlmsg_data(nlmsg_put(msg, 0, 12, NLMSG_ERROR, sizeof(error), 0)), &error,
	       sizeof(error));
	seed_message("kernel_message", 0, msg);
}

/* Questions and answers, in a row. */
static struct {
	uint8_t bytes[600];
	size_t len;
} talk;

static void say(uint8_t how, struct channel_message *message)
{
	const size_t len = offsetof(struct channel_message, data) + message->len;

	message->id = 9;
	talk.bytes[talk.len++] = how;
	talk.bytes[talk.len++] = len;
	memcpy(talk.bytes + talk.len, message, len);
	talk.len += len;
}

static void seed_talk(void)
{
	seed("signing", talk.bytes[0], talk.bytes + 1, talk.len - 1);
	talk.len = 0;
}

static void ask(uint32_t key, uint32_t padding, const char *digest, size_t len, int32_t salt_len)
{
	struct channel_message message = { .type = SIGNING_QUESTION };
	struct signing_question question = {
		.key = key, .padding = padding, .salt_len = salt_len,
	};

	strcpy(question.digest, digest);
	memcpy(message.data, &question, sizeof(question));
	message.len = sizeof(question) + len;
	say(MEND, &message);
}

static void signatures(void)
{
	const struct signing_failure failure = { -EIO };
	struct channel_message message = { .type = SIGNING_FAILURE };

	for (uint32_t key = 0; key <= 5; key++) {
		ask(key, PADDING_NONE, "", 5, 0);
		seed_talk();
		ask(key, PADDING_PKCS1, "SHA384", 48, 0);
		ask(key, PADDING_PSS, "SHA384", 48, 0);
		ask(key, PADDING_PSS, "SHA384", 48, 48);
		ask(key, PADDING_NONE, "SHA256", 32, 0);
		seed_talk();
	}
	memcpy(message.data, &failure, sizeof(failure));
	message.len = sizeof(failure) + 2;
	say(MEND | 2, &message);
	message.type = SIGNING_VALUE;
	say(MEND | 2, &message);
	say(MEND | 2 | 4, &message);
	seed_talk();
}

static void names(void)
{
	static const uint8_t extension[] = "\0\x9\0\0\x6" "a.test";
	char text[100];
	int len;

	for (int how = 0; how < 3; how++) {
		static const char *const lines[] = {
			"*.b.test a.test\nb.test\n", "*.test.org\na.test\n", "x.test\n*.x.test\n",
		};

		len = sprintf(text, "%s", lines[how]);
		memcpy(text + len, extension, sizeof(extension) - 1);
		seed("hello", text[0], text + 1, len + sizeof(extension) - 2);
	}
}

static void certificates(void)
{
	static const struct { int type; const char *text; } them[] = {
		{ GEN_DNS, "*.a.b1" }, { GEN_DNS, "192.0.2.9" }, { GEN_DNS, "0x7f.1" },
		{ GEN_EMAIL, "a@b" }, { GEN_URI, "u:r" },
		{ GEN_IPADD, "1234" }, { GEN_IPADD, "12345678abcdefgh" },
	};
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	uint8_t *der = NULL;
	int len;

	for (size_t i = 0; i < sizeof(them) / sizeof(them[0]); i++) {
		ASN1_STRING *text = ASN1_STRING_type_new(them[i].type == GEN_IPADD ?
							 V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
		GENERAL_NAME *name = GENERAL_NAME_new();

		ASN1_STRING_set(text, them[i].text, -1);
		GENERAL_NAME_set0_value(name, them[i].type, text);
		sk_GENERAL_NAME_push(all, name);
	}
	len = i2d_GENERAL_NAMES(all, &der);
	seed("peer_info", der[0], der + 1, len - 1);
	OPENSSL_free(der);
	GENERAL_NAMES_free(all);
}

static void keys(void)
{
	struct keyblob_key key = {
		.direction = KEYBLOB_DIR_TX, .tls_version = 0x0304, .cipher = 51, .secret_len = 32,
	};
	struct ticket_key ticket = { .name = "name" };
	const struct keyblob_head head = {
		KEYBLOB_MAGIC, KEYBLOB_BLOB_VERSION, KEYBLOB_BLOB_SIZE
	};
	uint8_t data[KEYBLOB_BLOB_SIZE] = "name";

	memset(key.secret, 1, 32);
	seed("blob", ((uint8_t *)&key)[0], (uint8_t *)&key + 1, sizeof(key) - 1);
	memset(key.secret, 0, 32);
	key.tls_version = 0x0303;
	key.secret_len = 0;
	memset(key.key, 1, 16);
	seed("blob", ((uint8_t *)&key)[0], (uint8_t *)&key + 1, sizeof(key) - 1);
	for (int i = 0; i < 2; i++) {
		data[16 + 81 * i] = sizeof(ticket);
		memcpy(data + 17 + 81 * i, &ticket, sizeof(ticket));
	}
	seed("tickets", data[0], data + 1, 16 + 2 * 81 - 1);
	memset(data, 0, sizeof(data));
	memcpy(data, &head, sizeof(head));
	seed("unsealed", data[0], data + 1, sizeof(data) - 1);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: seeds DIRECTORY\n");
		return 2;
	}
	requests();
	replies();
	kernel_messages();
	signatures();
	names();
	certificates();
	keys();
	return 0;
}
