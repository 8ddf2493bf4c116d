/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP over loopback, and the calls of the contract, for the kselftests. */
#ifndef SELFTESTS_NET_H
#define SELFTESTS_NET_H

#include <linux/keyblob.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tls_peer.h"

/* Calls of the contract. They return 0 or a negative errno. */
int keyblob_attach(int fd);
int keyblob_export(int fd, const struct keyblob_key *key, uint8_t blob[KEYBLOB_BLOB_SIZE]);
int keyblob_import(int fd, int direction, const void *blob, size_t len);
int keyblob_info(int fd, struct keyblob_status *status);

/* ulp_attach() - setsockopt(TCP_ULP); 0 or a negative errno */
int ulp_attach(int fd, const char *name);

/* tcp_listen() - a listening socket on loopback, family AF_INET or AF_INET6; or -1 */
int tcp_listen(int family, struct sockaddr_storage *addr, socklen_t *len);

/* tcp_pair() - a connected pair over loopback; 0 or -1 */
int tcp_pair(int family, int fds[2]);

/* A keyblob socket, its keys, and its peer. */
struct conn {
	int fd;
	struct tls_peer peer;
	struct keyblob_key tx;
	struct keyblob_key rx;
};

/* key_random() - fresh key material as a handshake would leave it, rec_seq 0 */
void key_random(struct keyblob_key *key, uint16_t direction, uint16_t version,
		uint16_t cipher);

/*
 * conn_open() - a connection with keyblob attached at one end, keys made for both
 * directions, nothing imported; 0 or a negative errno
 */
int conn_open(struct conn *c, int family, uint16_t version, uint16_t cipher);

/* conn_peer() - give the peer the keys that c->tx and c->rx have now; 0 or -1 */
int conn_peer(struct conn *c);

/* conn_import() - export and import both directions; 0 or a negative errno */
int conn_import(struct conn *c);

/* conn_import_one() - the same for one direction */
int conn_import_one(struct conn *c, int direction);

/* conn_works() - does data flow each way, under TLS? */
bool conn_works(struct conn *c);

/* conn_works_plain() - does data flow each way, without TLS? */
bool conn_works_plain(struct conn *c);

void conn_close(struct conn *c);

/* fill() - @len bytes of a sequence that @seed determines */
void fill(void *data, size_t len, uint32_t seed);

/* recv_all() - exactly @len bytes; 0, or -1 */
int recv_all(int fd, void *data, size_t len);

/* fd_send(), fd_recv() - a descriptor, with one byte, over a UNIX socket; or -1, with errno */
int fd_send(int via, int fd);
int fd_recv(int via);

#endif
