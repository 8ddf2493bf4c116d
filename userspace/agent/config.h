/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the agent is told to do: the configuration file and the command line fill
 * in the same struct config, through the same setters. Read-only afterwards; the
 * processes of one generation share what the supervisor read.
 */
#ifndef KEYBLOBD_CONFIG_H
#define KEYBLOBD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_PATH	"/etc/keyblob/keyblobd.conf"

/*
 * A value that can only be judged when it is used (a file, a list of ciphers), and
 * where it was given, for the message that says what is wrong with it.
 */
struct setting {
	char *value;		/* NULL: not given */
	const char *name;	/* of the key or option; static. NULL: @value is a heading */
	const char *file;	/* NULL: the command line; else owned by struct config */
	unsigned int line;	/* from 1; 0: the command line, or a default */
};

/* Several words. */
struct settings {
	struct setting *list;
	size_t count;
};

enum client_auth {
	CLIENT_AUTH_NONE,	/* no certificate is asked for */
	CLIENT_AUTH_REQUEST,	/* verified if there is one */
	CLIENT_AUTH_REQUIRE,
};

/* What a peer's certificate is checked against. */
struct trust_config {
	struct setting trust;	/* "system", or a file or directory of CA certificates */
	struct setting crl;	/* file of CRLs in PEM; not given: no revocation checks */
};

struct identity_config {
	char *name;		/* of the section; "" for one from the command line */
	struct setting certificate; /* PEM: the certificate, then its chain */
	struct setting key;	/* PEM file, "pkcs11:..." (RFC 7512), or "handle:0x81..." (TPM) */
	struct setting ocsp_response; /* DER */
	struct settings names;	/* instead of those in the certificate */
	bool is_default;	/* when no name fits; if none is marked, the first */
	enum client_auth client_auth;
	struct trust_config clients; /* who may present a client certificate */
	unsigned int line;
};

/* Who may do what; see policy.h. */
struct rule_config {
	char *name;		/* of the section */
	struct settings users, groups, cgroups;	/* of each list that is given, one must fit */
	struct settings identities;		/* empty: all */
	bool server, client;			/* roles */
	bool deny;
	unsigned int line;
};

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

struct config {
	char *path;		/* of the file; NULL: none was read */

	/* [agent] */
	char *listen;		/* path of the UNIX socket */
	mode_t mode;		/* of the UNIX socket */
	struct setting group;	/* of the UNIX socket; not given: the agent's own */
	unsigned int workers;
	unsigned int max_handshakes;	/* in flight, per worker */
	unsigned int max_handshakes_per_user;
	unsigned int worker_lifetime;	/* handshakes, then it is replaced; 0: for ever */
	unsigned int timeout_ms;	/* for one handshake, at most */
	bool kernel_requests;		/* those of KEYBLOB_HANDSHAKE are served, too */
	struct setting worker_user, signer_user;
	enum log_target log_target;
	int log_level;		/* enum log_level */

	/* [tls] */
	int min_tls, max_tls;	/* TLS1_2_VERSION, TLS1_3_VERSION */
	struct setting ciphersuites;	/* TLS 1.3; colons between them */
	struct setting ciphers;	/* TLS 1.2 */
	struct setting groups;
	struct settings alpn;	/* for applications that name no protocols */

	/* [client] */
	struct trust_config servers;
	struct setting client_identity;	/* name of an identity; not given: none */

	/* [tickets] */
	bool tickets;
	unsigned int ticket_lifetime;	/* s */
	unsigned int ticket_rotation;	/* s; of keys made in memory */
	struct settings ticket_keys;	/* files; none: made in memory */
	unsigned int ticket_line;	/* of lifetime or rotation, the last one; 0: neither */

	struct identity_config *identities;
	size_t n_identities;
	struct rule_config *rules;
	size_t n_rules;
};

/* The defaults. 0, or -1 after a message. config_free() in both cases. */
int config_init(struct config *config);

/*
 * Read the INI file at @path into @config. All faults are told, each with file, line and
 * reason, then -1; unknown sections and keys are faults.
 */
int config_read(struct config *config, const char *path);

/*
 * What can only be said of the whole: an identity without a key, a rule for an identity
 * that does not exist, a user that does not. As above.
 */
int config_check(const struct config *config);

void config_free(struct config *config);

/* Make room for others. */
void config_drop_identities(struct config *config);

/*
 * Log "FILE:LINE: KEY VALUE: ..." or, from the command line, "--KEY VALUE: ...". PINs in
 * PKCS#11 URIs are left out.
 */
void config_fault(const struct setting *setting, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Wipe a PIN in a PKCS#11 URI, and what comes behind it. */
void config_forget_pin(struct setting *key);

/* Empty a list. */
void settings_free(struct settings *list);

/* The identity named @name, or -1. */
ssize_t config_find_identity(const struct config *config, const char *name);

#endif
