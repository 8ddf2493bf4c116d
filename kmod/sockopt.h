/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_SOCKOPT_H
#define KB_SOCKOPT_H

#include <linux/sockptr.h>
#include <linux/tcp.h>
#include <net/sock.h>

int kb_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
		  unsigned int optlen);
int kb_getsockopt(struct sock *sk, int level, int optname, char __user *optval,
		  int __user *optlen);
void kb_sockopt_close(struct sock *sk);

/* An option that reads TCP's stream, past kTLS and us. */
static inline bool kb_is_past_us(int level, int optname)
{
	return level == SOL_TCP && optname == TCP_ZEROCOPY_RECEIVE;
}

#endif
