/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What peers' certificates are verified against.
 */
#ifndef KEYBLOBD_TRUST_H
#define KEYBLOBD_TRUST_H

#include <openssl/x509.h>

#include "config.h"

/* More would make a CertificateRequest long; an empty list means any (RFC 5246 7.4.4). */
#define CA_NAMES_MAX 100

/*
 * Trust anchors and CRLs, all in memory: whoever verifies may have no files. Each
 * certificate that was given is an anchor, root or not.
 */
struct trust_store {
	BIO *unread;			/* see trust_store_read() */
	X509_STORE *certs;
	STACK_OF(X509_NAME) *names;	/* of the anchors, by which clients choose a certificate;
					 * no more than CA_NAMES_MAX + 1 of them */
};

/*
 * Read what @config names. Not given, or "system": the file with all certificates that the
 * system trusts, else OpenSSL's default directory; or what SSL_CERT_FILE and SSL_CERT_DIR
 * say instead. A directory: each file in it that has certificates in PEM.
 *
 * With CRLs, there must be a current one of the CA that issued the peer's certificate; for
 * the CAs above, those that there are count.
 *
 * NULL after a message.
 */
struct trust_store *trust_store_new(const struct trust_config *config);
void trust_store_free(struct trust_store *store);

/*
 * To be called before @store is used. The system's certificates are many, and few workers
 * need them: they are taken apart on the first occasion.
 */
void trust_store_read(struct trust_store *store);

#endif
