/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that keyblob builds for (6.1, 6.12, 7.3).
 * No other file looks at a kernel's version.
 */
#ifndef KB_COMPAT_H
#define KB_COMPAT_H

#include <linux/version.h>
#include <net/tcp.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
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
