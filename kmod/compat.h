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

/* recvmsg() of a proto once returned the peer's address length as well. */
int kb_stream_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
static inline int kb_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	return kb_stream_recvmsg(sk, msg, len, flags);
}

static inline int kb_base_recvmsg(const struct proto *base, struct sock *sk,
				  struct msghdr *msg, size_t len, int flags)
{
	return base->recvmsg(sk, msg, len, flags);
}
#else
static inline int kb_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags,
			     int *addr_len)
{
	return kb_stream_recvmsg(sk, msg, len, flags);
}

static inline int kb_base_recvmsg(const struct proto *base, struct sock *sk,
				  struct msghdr *msg, size_t len, int flags)
{
	int addr_len = 0;

	return base->recvmsg(sk, msg, len, flags, &addr_len);
}
#endif

/* sendfile() and splice() came by sendpage() before they came by sendmsg(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
static inline int kb_sendpage(struct sock *sk, struct page *page, int offset, size_t size,
			      int flags)
{
	struct kb_send send;
	int ret;

	ret = kb_stream_send_begin(sk, flags, &send);
	if (ret)
		return sk_stream_error(sk, flags, ret);
	ret = kb_ulp_base(sk)->sendpage(sk, page, offset, size, flags);
	kb_stream_send_end(sk, &send);
	return ret;
}

static inline void kb_override_sendpage(struct proto *prot)
{
	prot->sendpage = kb_sendpage;
}
#else
static inline void kb_override_sendpage(struct proto *prot)
{
}
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
