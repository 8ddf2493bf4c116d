/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connected sockets with keys that nobody agreed on, for setup.c and memory.c: by kTLS's
 * three options, and by keyblob's. Failures end the program.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <linux/tls.h>
#include <stdbool.h>

#include "lib/net.h"

/* A connection over loopback. */
void sockets_pair(int fds[2]);

/* The suite of all that follows: TLS_1_2_VERSION or TLS_1_3_VERSION, and a cipher by name;
 * TLS 1.3 and AES-128-GCM where it is not called. False: there is no such cipher.
 */
bool sockets_set_suite(int version, const char *cipher);

/* A key for keyblob_export(). */
void sockets_key(struct keyblob_key *key, int direction);

/* TLS_TX or TLS_RX, with a key that is always the same. */
void sockets_set_ktls(int fd, int option);

/* Attached, with keys for both directions. */
void sockets_use_ktls(int fd);
void sockets_use_keyblob(int fd);

/* What did not return 0 ends the program. */
void sockets_check(int result, const char *what);

#endif
