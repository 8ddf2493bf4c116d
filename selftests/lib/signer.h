/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A signer in a process of its own, for tests and benchmarks without the rest of the
 * agent: keys, certificates, the configuration that names them, and doubles of the parts
 * that a signer calls (keys.h, confine.h, counters.h, log.h).
 */
#ifndef SIGNER_LIB_H
#define SIGNER_LIB_H

#include <stdbool.h>
#include <sys/types.h>

#include <openssl/x509.h>

#include "../../userspace/agent/config.h"
#include "../../userspace/agent/confine.h"
#include "../../userspace/agent/counters.h"

enum key_type {
	KEY_RSA, KEY_RSA_PSS, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_ED448, KEY_RSA_4096,
	KEY_TYPES
};

/* Of each type, one key and its own certificate, by lib_make_keys(); false on failure. */
extern EVP_PKEY *lib_keys[KEY_TYPES];
extern X509 *lib_certs[KEY_TYPES];
bool lib_make_keys(void);

/* Identity number T is of type T. A key is in a file of a directory of the process. */
extern struct config lib_config;

/*
 * Make the files and lib_config; false on failure. The identity of type
 * KEY_ED25519 is in a token if @token: it is pulled out while its file does not exist.
 */
bool lib_setup(bool token);
void lib_cleanup(void);

/* What processes have logged, and done, since lib_setup(). */
extern struct lib_shared {
	char log[4096];
	unsigned long counters[COUNTERS];
	int confined;		/* 1 + the last enum confinement */
} *lib_shared;

struct lib_signer {
	pid_t pid;
	int control;
};

/* Fork it; false unless it says CONTROL_READY. @why: what a CONTROL_FAULT says. */
bool lib_signer_start(struct lib_signer *signer, unsigned int number, bool lenient,
		      char *why, size_t size);

/* A worker's end of a new channel to it, or -1. */
int lib_signer_channel(struct lib_signer *signer);

/* End it by closing its control channel; its exit status, or 128 + signal. */
int lib_signer_stop(struct lib_signer *signer);

#endif
