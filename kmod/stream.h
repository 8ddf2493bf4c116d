/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_STREAM_H
#define KB_STREAM_H

#include <linux/net.h>
#include <net/sock.h>

struct pipe_inode_info;
struct poll_table_struct;

/* A sender who was admitted. */
struct kb_send {
	size_t max;	/* bytes that it may send before it has to come again */
	bool alone;
};

int kb_stream_send_begin(struct sock *sk, int flags, struct kb_send *send);
void kb_stream_send_end(struct sock *sk, const struct kb_send *send);
bool kb_stream_splice_eof_begin(struct sock *sk, struct kb_send *send);

/*
 * struct proto_ops; those with "early" as long as there is no key to receive with.
 * sendpage and splice_eof, which not all kernels have: compat.h
 */
int kb_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t size);
int kb_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags);
int kb_stream_recvmsg_early(struct socket *sock, struct msghdr *msg, size_t len, int flags);
ssize_t kb_stream_splice_read_early(struct socket *sock, loff_t *ppos,
				    struct pipe_inode_info *pipe, size_t len,
				    unsigned int flags);
ssize_t kb_stream_splice_read(struct socket *sock, loff_t *ppos,
			      struct pipe_inode_info *pipe, size_t len, unsigned int flags);
__poll_t kb_stream_poll(struct file *file, struct socket *sock,
			struct poll_table_struct *wait);
int kb_stream_shutdown(struct socket *sock, int how);

/* for close() and the options */
void kb_stream_finish(struct sock *sk);
int kb_stream_hold(struct sock *sk);
void kb_stream_release(struct sock *sk);
void kb_stream_kill(struct sock *sk, int result);
void kb_stream_fail(struct sock *sk, int result);
int kb_stream_rekey(struct sock *sk, bool request);

#endif
