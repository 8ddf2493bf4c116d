/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connected sockets with keys that nobody agreed on, for setup.c and memory.c: by kTLS's
 * three options, and by keyblob's. Failures end the program.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <linux/keyblob.h>
#include <linux/tls.h>
#include <stdbool.h>

/* A socket that listens on loopback, and a connection to it. */
int sockets_listen(void);
void sockets_pair(int listener, int fds[2]);

/* The suite of all that follows: TLS_1_2_VERSION or TLS_1_3_VERSION, and a cipher by name;
 * TLS 1.3 and AES-128-GCM where it is not called. False: there is no such cipher.
 */
bool sockets_set_suite(int version, const char *cipher);

/* The options; @option and @direction are of one direction. */
void sockets_attach(int fd, const char *ulp);
void sockets_set_ktls(int fd, int option);
void sockets_export(int fd, int direction, unsigned char blob[KEYBLOB_BLOB_SIZE]);
void sockets_import(int fd, int option, const unsigned char blob[KEYBLOB_BLOB_SIZE]);

/* All of them. */
void sockets_use_ktls(int fd);
void sockets_use_keyblob(int fd);

#endif
