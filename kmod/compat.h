/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that keyblob builds for (6.1, 6.12, 7.3).
 * No other file looks at a kernel's version.
 */
#ifndef KB_COMPAT_H
#define KB_COMPAT_H

#include <linux/splice.h>
#include <linux/version.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "stream.h"
#include "ulp.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#include <net/rps.h>		/* sock_rps_record_flow() */
#endif

/* connect() of a socket came to take an address of a type of its own. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define kb_sockaddr	sockaddr_unsized
#else
#define kb_sockaddr	sockaddr
#endif

/* A reference to the file of @sock, which is not released; NULL: it is being closed. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct file *kb_get_file(struct socket *sock)
{
	return get_file_active(&sock->file);
}
#else
static inline struct file *kb_get_file(struct socket *sock)
{
	return get_file_rcu(sock->file) ? sock->file : NULL;
}
#endif

/* accept() of a socket came to take its arguments in a structure. */
int kb_template_accepted(struct socket *sock, struct socket *newsock);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
static inline int kb_template_accept(struct socket *sock, struct socket *newsock,
				     struct proto_accept_arg *arg)
{
	return kb_ulp_base_ops(sock->sk)->accept(sock, newsock, arg) ?:
	       kb_template_accepted(sock, newsock);
}
#else
static inline int kb_template_accept(struct socket *sock, struct socket *newsock, int flags,
				     bool kern)
{
	return kb_ulp_base_ops(sock->sk)->accept(sock, newsock, flags, kern) ?:
	       kb_template_accepted(sock, newsock);
}
#endif

/* recvmsg() of a proto once returned the peer's address length as well. */
static inline int kb_base_recvmsg(const struct proto *base, struct sock *sk,
				  struct msghdr *msg, size_t len, int flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	return base->recvmsg(sk, msg, len, flags);
#else
	int addr_len = 0;

	return base->recvmsg(sk, msg, len, flags, &addr_len);
#endif
}

/* sendfile() and splice() came by sendpage() before they came by sendmsg(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
static inline ssize_t kb_sendpage(struct socket *sock, struct page *page, int offset,
				  size_t size, int flags)
{
	struct sock *sk = sock->sk;
	struct kb_send send;
	int ret;

	ret = kb_stream_send_begin(sk, flags, &send);
	if (ret)
		return sk_stream_error(sk, flags, ret);
	ret = kb_ulp_base(sk)->sendpage(sk, page, offset, size, flags);
	kb_stream_send_end(sk, &send);
	return ret;
}

/* In a struct proto_ops. Dropped: what would come by it comes by sendmsg(). */
#define kb_override_sendpage(ops)	((ops)->sendpage = kb_sendpage)
#define kb_drop_sendpage(ops)		((ops)->sendpage = sock_no_sendpage)
#define kb_override_splice_eof(ops)	do { } while (0)
#else
static inline void kb_splice_eof(struct socket *sock)
{
	const struct proto_ops *base = kb_ulp_base_ops(sock->sk);
	struct kb_send send;

	if (!base->splice_eof || !kb_stream_splice_eof_begin(sock->sk, &send))
		return;
	base->splice_eof(sock);
	kb_stream_send_end(sock->sk, &send);
}

#define kb_override_sendpage(ops)	do { } while (0)
#define kb_drop_sendpage(ops)		do { } while (0)
#define kb_override_splice_eof(ops)	((ops)->splice_eof = kb_splice_eof)
#endif

/* kTLS that knows of KeyUpdates itself holds the reader back until it is told. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
static inline void kb_tls_control_done(struct sock *sk, struct tls_sw_context_rx *rx)
{
	if (!rx->key_update_pending)
		return;
	WRITE_ONCE(rx->key_update_pending, false);
	rx->saved_data_ready(sk);
}

static inline size_t kb_tls_payload_max(const struct tls_context *ctx)
{
	return ctx->tx_max_payload_len;
}
#else
static inline void kb_tls_control_done(struct sock *sk, struct tls_sw_context_rx *rx)
{
}

static inline size_t kb_tls_payload_max(const struct tls_context *ctx)
{
	return TLS_MAX_PAYLOAD_SIZE;
}
#endif

/*
 * sock_diag asks a ULP about a socket; newer kernels say whether the asker is
 * privileged. ulp.c has the two functions, here is the form that each kernel wants.
 */
int kb_ulp_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin);
size_t kb_ulp_get_info_size(const struct sock *sk, bool net_admin);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
static inline int kb_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	return kb_ulp_get_info(sk, skb, net_admin);
}

static inline size_t kb_get_info_size(const struct sock *sk, bool net_admin)
{
	return kb_ulp_get_info_size(sk, net_admin);
}

static inline int kb_tls_get_info(const struct tcp_ulp_ops *tls, struct sock *sk,
				  struct sk_buff *skb, bool net_admin)
{
	return tls->get_info(sk, skb, net_admin);
}

static inline size_t kb_tls_get_info_size(const struct tcp_ulp_ops *tls,
					  const struct sock *sk, bool net_admin)
{
	return tls->get_info_size(sk, net_admin);
}
#else
static inline int kb_get_info(struct sock *sk, struct sk_buff *skb)
{
	return kb_ulp_get_info(sk, skb, true);
}

static inline size_t kb_get_info_size(const struct sock *sk)
{
	return kb_ulp_get_info_size(sk, true);
}

static inline int kb_tls_get_info(const struct tcp_ulp_ops *tls, struct sock *sk,
				  struct sk_buff *skb, bool net_admin)
{
	return tls->get_info(sk, skb);
}

static inline size_t kb_tls_get_info_size(const struct tcp_ulp_ops *tls,
					  const struct sock *sk, bool net_admin)
{
	return tls->get_info_size(sk);
}
#endif

#endif
