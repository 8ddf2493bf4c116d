// SPDX-License-Identifier: GPL-2.0-only
/* A handshake as the tests do it; see exchange.h. */
#include <string.h>
#include <unistd.h>

#include "exchange.h"

static struct answer answer;

int exchange_init(struct exchange *x)
{
	memset(&x->c, 0, sizeof(x->c));
	x->c.fd = -1;
	x->c.peer.fd = -1;
	key_random(&x->c.tx, KEYBLOB_DIR_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	key_random(&x->c.rx, KEYBLOB_DIR_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
	return agent_new(&x->a);
}

int exchange_take(struct exchange *x, struct accepted *got)
{
	int err = agent_take(&x->a, got);

	x->c.fd = got->fd;
	return err;
}

static int done(struct exchange *x, const struct accepted *got, int error)
{
	close(x->c.fd);
	x->c.fd = -1;
	return agent_done(&x->a, got->id, error, &answer);
}

int exchange_succeed(struct exchange *x, const struct accepted *got)
{
	int err = conn_import(&x->c);

	return err ? err : done(x, got, 0);
}

int exchange_fail(struct exchange *x, const struct accepted *got, int error)
{
	return done(x, got, error);
}

bool exchange_works(struct exchange *x)
{
	struct app_result result;
	char data[5];

	return app_do(&x->app, APP_WRITE, 0) == 5 &&
	       !tls_peer_read(&x->c.peer, data, 5) && !memcmp(data, "hello", 5) &&
	       !tls_peer_write(&x->c.peer, "world", 5) &&
	       !app_call(&x->app, APP_READ, 0) && app_end(&x->app, &result, 5000) &&
	       result.ret == 5 && !memcmp(result.data, "world", 5);
}
