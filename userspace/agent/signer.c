// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event loop of a signer. Called by the supervisor in the forked process; owns the
 * private keys of its group, and everything else in it. Of each channel that has some, one
 * question is answered per round, so that no worker waits for all of another's.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "channel.h"
#include "clock.h"
#include "confine.h"
#include "counters.h"
#include "keys.h"
#include "log.h"
#include "memory.h"
#include "signer.h"
#include "signing.h"

/* A signer that lacks its key serves this long, to say so, before it is started anew. */
#define RETRY_MS 2000

/* One key per identity of the configuration; most of them are other signers'. */
struct slot {
	struct signing_key key;
	EVP_PKEY *public;	/* NULL: not ours */
	char why[100];		/* without key.pkey: why */
};

struct signer {
	const struct config *config;
	unsigned int number;
	bool token;
	bool broken;		/* the key in hardware is of no use now */
	struct slot *slots;	/* config->n_identities */
	struct pollfd *fds;	/* the control channel, then workers' */
	size_t n_fds;
	struct channel_message in, out;
};

static bool is_in_file(const struct config *config, size_t identity)
{
	return key_home(&config->identities[identity].key) == KEY_IN_FILE;
}

unsigned int signer_count(const struct config *config)
{
	unsigned int n = 1;

	for (size_t i = 0; i < config->n_identities; i++)
		n += !is_in_file(config, i);
	return n;
}

unsigned int signer_of_identity(const struct config *config, size_t identity)
{
	unsigned int n = 0;

	if (is_in_file(config, identity))
		return 0;
	for (size_t i = 0; i <= identity; i++)
		n += !is_in_file(config, i);
	return n;
}

/*
 * The keys.
 */

_Static_assert(sizeof(((struct slot *)0)->why) <= sizeof(((struct signature *)0)->reason),
	       "what is wrong with a key can be told to workers");

/* What the log calls an identity: a key's URI may have a PIN in it. */
static const char *name_of(const struct identity_config *id)
{
	return *id->name ? id->name : id->certificate.value;
}

static EVP_PKEY *load_public(const struct setting *certificate)
{
	BIO *file = BIO_new_file(certificate->value, "r");
	X509 *cert = file ? PEM_read_bio_X509(file, NULL, NULL, "") : NULL;
	EVP_PKEY *public = cert ? X509_get_pubkey(cert) : NULL;

	BIO_free(file);
	X509_free(cert);
	ERR_clear_error();
	return public;
}

/* 0, or -1 with slot->why; errno is EKEYREJECTED if there must be no other try. */
static int load_key(struct slot *slot, const struct identity_config *id)
{
	char why[80];
	EVP_PKEY *pkey;
	int err;

	errno = 0;
	pkey = key_open(id, slot->why, sizeof(slot->why));
	if (!pkey)
		return -1;
	errno = 0;
	if (!slot->public) {
		EVP_PKEY_free(pkey);
		snprintf(slot->why, sizeof(slot->why), "its certificate cannot be read");
		return 0;
	}
	signing_key_init(&slot->key, pkey);
	if (!slot->key.pkey) {
		snprintf(slot->why, sizeof(slot->why), "out of memory");
		return -1;
	}
	err = signing_try(&slot->key, slot->public, why, sizeof(why));
	if (!err)
		return 0;
	if (err == -EKEYREJECTED ||
	    (key_home(&id->key) == KEY_IN_FILE && EVP_PKEY_eq(slot->public, slot->key.pkey) != 1))
		snprintf(slot->why, sizeof(slot->why), "it does not belong to certificate %s",
			 id->certificate.value);
	else
		snprintf(slot->why, sizeof(slot->why), "it does not sign: %s", why);
	ERR_clear_error();
	signing_key_free(&slot->key);
	errno = 0;
	return -1;
}

/*
 * All keys of the group. A certificate that cannot be read is for workers to complain about.
 * -1 after a message, with errno as load_key()'s.
 */
static int load_keys(struct signer *s, bool lenient)
{
	int err = 0, rejected = 0;

	for (size_t i = 0; i < s->config->n_identities; i++) {
		const struct identity_config *id = &s->config->identities[i];
		struct slot *slot = &s->slots[i];

		if (signer_of_identity(s->config, i) != s->number)
			continue;
		s->token = !is_in_file(s->config, i);
		slot->public = load_public(&id->certificate);
		if (!load_key(slot, id))
			continue;
		rejected = errno == EKEYREJECTED ? EKEYREJECTED : rejected;
		config_fault(&id->key, "%s", slot->why);
		if (!lenient || !s->token)
			err = -1;
		/* A wrong PIN is not tried again: that would lock the token. */
		else
			s->broken = !rejected;
	}
	errno = rejected;
	return err;
}

/*
 * Questions.
 */

/* A token may have been pulled out, or only not know this way to sign. */
static void check_token(struct signer *s, struct slot *slot)
{
	char why[sizeof(slot->why)];

	if (!s->token || !signing_try(&slot->key, slot->public, why, sizeof(why)))
		return;
	log_error("the key of %s is of no use any more (%s): starting its signer anew",
		  name_of(&s->config->identities[slot - s->slots]), why);
	s->broken = true;
	signing_key_free(&slot->key);
	snprintf(slot->why, sizeof(slot->why), "%s", why);
}

static int sign(struct signer *s, struct slot *slot, struct signature *signature)
{
	int err;

	if (!slot->key.pkey) {
		memcpy(signature->reason, slot->why, sizeof(slot->why));
		return -ENODEV;
	}
	err = signing_make(&slot->key, signature);
	if (!err) {
		count_up(COUNT_SIGNATURES);
		return 0;
	}
	log_notice("the key of %s did not sign: %s",
		   name_of(&s->config->identities[signature->key]), signature->reason);
	check_token(s, slot);
	return err;
}

/* False: the channel is of no more use. */
static bool answer(struct signer *s, int channel)
{
	unsigned char value[SIGNATURE_MAX];
	struct signature signature = { .value = value, .value_size = sizeof(value) };
	int err;

	err = channel_receive(channel, &s->in, NULL);
	if (err == -EAGAIN)
		return true;
	if (!err)
		return false;
	if (err > 0)
		err = signing_parse(&s->in, &signature);
	if (err || signature.key >= s->config->n_identities ||
	    signer_of_identity(s->config, signature.key) != s->number) {
		log_error("a worker sent the signer something else than a question");
		return false;
	}
	err = sign(s, &s->slots[signature.key], &signature);
	if (err)
		count_up(COUNT_SIGNATURES_FAILED);
	signing_answer(&s->out, &signature, err);
	s->out.id = s->in.id;
	err = channel_send(channel, &s->out, -1);
	/* A worker asks little at a time: one that takes no answers is not in its right mind. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		log_error("a worker does not take its signatures: %s", strerror(-err));
	return !err;
}

/*
 * The course of events.
 */

static int add_channel(struct signer *s, int fd)
{
	struct pollfd *fds = realloc(s->fds, (s->n_fds + 1) * sizeof(*fds));

	if (!fds) {
		log_error("a worker gets no signatures: out of memory");
		close(fd);
		return -1;
	}
	s->fds = fds;
	s->fds[s->n_fds++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return 0;
}

/* False: the supervisor is gone, or wants us to be. */
static bool control(struct signer *s)
{
	int fd, err;

	err = channel_receive(s->fds[0].fd, &s->in, &fd);
	if (err <= 0)
		return err == -EAGAIN;
	if (fd < 0)
		return true;
	if (s->in.type == CONTROL_CHANNEL)
		add_channel(s, fd);
	else
		close(fd);
	return true;
}

static void serve_round(struct signer *s)
{
	size_t kept = 1;

	for (size_t i = 1; i < s->n_fds; i++) {
		if (s->fds[i].revents && !answer(s, s->fds[i].fd))
			close(s->fds[i].fd);
		else
			s->fds[kept++] = s->fds[i];
	}
	s->n_fds = kept;
}

/* Until the supervisor is gone, or a token has to be looked for again. */
static int serve(struct signer *s)
{
	long long end = 0, left;

	for (;;) {
		if (s->broken && !end)
			end = now_ms() + RETRY_MS;
		left = end ? end - now_ms() : -1;
		if (end && left <= 0)
			return 1;
		if (poll(s->fds, s->n_fds, left) < 0) {
			if (errno == EINTR)
				continue;
			log_error("a signer cannot go on: %m");
			return 1;
		}
		serve_round(s);
		if (s->fds[0].revents && !control(s))
			return 0;
	}
}

static int set_up(struct signer *s, int control, bool lenient)
{
	s->slots = memory_zalloc((s->config->n_identities + 1) * sizeof(*s->slots));
	if (!s->slots || add_channel(s, control) || load_keys(s, lenient))
		return -1;
	return confine(s->token ? CONFINE_TOKEN_SIGNER : CONFINE_SIGNER, s->config);
}

/* CONTROL_READY, or CONTROL_FAULT with what was logged, and an errno as its id. */
static void tell(struct signer *s, int control, int err, int reason, const char *text)
{
	s->out.type = err ? CONTROL_FAULT : CONTROL_READY;
	s->out.id = reason;
	channel_set_text(&s->out, err ? text : "");
	channel_send(control, &s->out, -1);
}

static void tear_down(struct signer *s)
{
	for (size_t i = 0; s->slots && i < s->config->n_identities; i++) {
		signing_key_free(&s->slots[i].key);
		EVP_PKEY_free(s->slots[i].public);
	}
	memory_free(s->slots);
	for (size_t i = 0; i < s->n_fds; i++)
		close(s->fds[i].fd);
	free(s->fds);
}

int signer_run(const struct config *config, unsigned int number, int control, bool lenient)
{
	struct signer s = { .config = config, .number = number };
	char fault[2048] = "";
	int status = 1, err;

	memory_lock();
	errno = 0;
	log_capture(fault, sizeof(fault));
	err = set_up(&s, control, lenient);
	log_capture(NULL, 0);
	tell(&s, control, err, errno, fault);
	if (!err)
		status = serve(&s);
	tear_down(&s);
	memory_scrub_stack();
	/* Libraries for tokens are not good at being torn down in exit handlers. */
	if (s.token)
		_exit(status);
	return status;
}
