// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options at SOL_KEYBLOB: what include/uapi/linux/keyblob.h promises. Everything
 * is verified first; what then changes the socket is kb_ktls_install().
 *
 * TCP calls these handlers without the socket lock.
 */
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <net/tls.h>

#include <linux/keyblob_netlink.h>

#include "blob.h"
#include "genl.h"
#include "handshake.h"
#include "ktls.h"
#include "main.h"
#include "schedule.h"
#include "sockopt.h"
#include "stream.h"
#include "template.h"
#include "ulp.h"

static u64 cookie(struct sock *sk)
{
	__u32 halves[2];

	sock_diag_save_cookie(sk, halves);
	return ((u64)halves[1] << 32) | halves[0];
}

static struct kb_dir *kb_dir(struct kb_sock *kb, u16 direction)
{
	return direction == KEYBLOB_DIR_TX ? &kb->tx : &kb->rx;
}

/* Tells who watches how a call ended; returns @err. */
static int audit(struct sock *sk, u16 type, u16 direction, int err)
{
	const struct kb_audit event = {
		.type = err ? KEYBLOB_EVENT_REFUSED : type,
		.direction = direction,
		.error = -err,
	};

	kb_genl_event(sk, &event);
	return err;
}

/* The write key and IV of a traffic secret, beside it, unless they were given. */
static int derive(struct kb_sealed *sealed)
{
	const struct kb_suite *suite = kb_suite_find(sealed->tls_version, sealed->cipher);
	struct kb_keys keys;
	int err;

	if (sealed->tls_version != TLS_1_3_VERSION ||
	    memchr_inv(sealed->key, 0, sizeof(sealed->key)))
		return 0;
	err = kb_schedule_keys(suite, sealed->secret, &keys);
	if (err)
		return err;
	memcpy(sealed->key, keys.key, sizeof(sealed->key));
	memcpy(sealed->iv, keys.nonce, sizeof(sealed->iv));
	memzero_explicit(&keys, sizeof(keys));
	return 0;
}

/*
 * Gives the key of @blob to a cipher, which is most of the work of its import. Left to the
 * import where there is no memory for it, or another one is under way.
 */
static void prepare(struct sock *sk, const struct kb_sealed *sealed, const u8 *blob)
{
	struct kb_dir *dir = kb_dir(kb_sock(sk), sealed->direction);
	struct crypto_aead *aead;

	aead = kb_ktls_cipher_new(kb_suite_find(sealed->tls_version, sealed->cipher), sealed->key);
	if (IS_ERR(aead))
		return;
	if (mutex_trylock(&kb_sock(sk)->import)) {
		if (!dir->ready) {
			swap(dir->prepared.aead, aead);
			memcpy(dir->prepared.tag, kb_blob_tag(blob), KB_BLOB_TAG_SIZE);
		}
		mutex_unlock(&kb_sock(sk)->import);
	}
	kb_ktls_cipher_free(aead);
}

/* KEYBLOB_EXPORT: seals the key material in @optval and writes the blob over it. */
static int export(struct sock *sk, char __user *optval, int __user *optlen)
{
	u8 blob[KEYBLOB_BLOB_SIZE] __aligned(8);
	struct kb_sealed sealed = {};
	struct keyblob_key key = {};
	int len, err;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < (int)sizeof(blob))
		return -EINVAL;
	if (copy_from_user(&key, optval, sizeof(key))) {
		err = -EFAULT;
		goto out;
	}
	err = kb_blob_from_key(&key, &sealed);
	if (err)
		goto out;
	if (key.lifetime_ms > KB_LIFETIME_MAX_MS) {
		err = -EINVAL;
		goto out;
	}

	lock_sock(sk);
	if (sk->sk_state == TCP_CLOSE || kb_sock(sk)->handshake == KEYBLOB_HANDSHAKE_FAILED)
		err = -ENOTCONN;
	else if (kb_handshake_bars(kb_sock(sk)))
		err = -EBUSY;
	else if (kb_dir(kb_sock(sk), key.direction)->ready)
		err = -EALREADY;
	else if (kb_ktls_offloads(sk))
		err = -EOPNOTSUPP;
	sealed.position = kb_ktls_position(sk, key.direction);
	release_sock(sk);
	if (!err)
		err = derive(&sealed);
	if (err)
		goto out;

	sealed.cookie = cookie(sk);
	sealed.expires = ktime_get_boottime_ns() +
			 (u64)(key.lifetime_ms ?: kb_lifetime_ms()) * NSEC_PER_MSEC;
	kb_blob_seal(&sealed, blob);
	if (copy_to_user(optval, blob, sizeof(blob)) || put_user(sizeof(blob), optlen))
		err = -EFAULT;
	else
		prepare(sk, &sealed, blob);
out:
	audit(sk, KEYBLOB_EVENT_EXPORTED, key.direction, err);
	memzero_explicit(&key, sizeof(key));
	memzero_explicit(&sealed, sizeof(sealed));
	return err;
}

/*
 * The key that a blob stands for, with all that can fail about it behind us. What was
 * prepared for another blob goes. Under kb_sock.import.
 */
static int open_key(struct kb_dir *dir, const struct kb_sealed *sealed, const u8 *blob,
		    struct kb_ktls_key *key)
{
	struct crypto_aead *aead = dir->prepared.aead;

	dir->prepared.aead = NULL;
	if (aead && memcmp(dir->prepared.tag, kb_blob_tag(blob), KB_BLOB_TAG_SIZE)) {
		kb_ktls_cipher_free(aead);
		aead = NULL;
	}
	key->suite = kb_suite_find(sealed->tls_version, sealed->cipher);
	key->tls_version = sealed->tls_version;
	key->aead = aead ?: kb_ktls_cipher_new(key->suite, sealed->key);
	if (IS_ERR(key->aead))
		return PTR_ERR(key->aead);
	memcpy(key->nonce, sealed->iv, sizeof(key->nonce));
	key->rec_seq = sealed->rec_seq;
	return 0;
}

/* kb_sockopt_close() - what was exported will not be imported any more */
void kb_sockopt_close(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);

	if (!kb->tx.ready)
		kb_ktls_cipher_free(kb->tx.prepared.aead);
	if (!kb->rx.ready)
		kb_ktls_cipher_free(kb->rx.prepared.aead);
}

/* Does the blob belong to this socket, now? Under kb_sock.import. */
static int check_binding(struct sock *sk, const struct kb_sealed *sealed)
{
	const struct kb_sock *kb = kb_sock(sk);

	if (sealed->cookie != cookie(sk))
		return -ESTALE;
	if (kb->handshake == KEYBLOB_HANDSHAKE_FAILED)
		return -ENOTCONN;
	if (kb_handshake_bars(kb))
		return -EBUSY;
	/* Until kTLS sends, who meets its proto for a moment would send plain. */
	if (kb->handshake == KEYBLOB_HANDSHAKE_UNDER_WAY &&
	    sealed->direction == KEYBLOB_DIR_RX && !kb->tx.ready)
		return -EINVAL;
	if (kb_dir(kb_sock(sk), sealed->direction)->ready)
		return -EALREADY;
	if (ktime_get_boottime_ns() >= sealed->expires)
		return -EKEYEXPIRED;
	/* kTLS carries one suite in both directions, as TLS does. */
	if (kb->suite && (kb->suite->cipher != sealed->cipher ||
			  kb->tls_version != sealed->tls_version))
		return -EINVAL;
	return 0;
}

/* KEYBLOB_TX, KEYBLOB_RX */
static int import(struct sock *sk, u16 direction, sockptr_t optval, unsigned int optlen)
{
	u8 blob[KEYBLOB_BLOB_SIZE] __aligned(8) = {};
	struct kb_sock *kb = kb_sock(sk);
	struct kb_ktls_key key;
	struct kb_sealed sealed;
	struct kb_dir *dir = kb_dir(kb, direction);
	sockptr_t decoy;
	int err;

	if (copy_from_sockptr(blob, optval, min_t(size_t, optlen, sizeof(blob))))
		return -EFAULT;
	err = kb_blob_open(blob, optlen, &sealed);
	if (err)
		return err;
	err = -EINVAL;
	if (sealed.direction != direction)
		goto out_wipe;

	err = mutex_lock_interruptible(&kb->import);
	if (err)
		goto out_wipe;
	err = check_binding(sk, &sealed);
	if (err)
		goto out_unlock;
	err = open_key(dir, &sealed, blob, &key);
	if (err)
		goto out_unlock;
	/* A thread that is sending has decided for plain TCP already. */
	err = direction == KEYBLOB_DIR_TX ? kb_stream_hold(sk) : 0;
	if (err)
		goto out_key;

	/* kTLS warns (FORTIFY) of crypto_infos from kernel memory: let it read the
	 * decoy out of the caller's.
	 */
	decoy = optval;
	if (sockptr_is_kernel(decoy))
		decoy.kernel += KB_BLOB_DECOY;
	else
		decoy.user += KB_BLOB_DECOY;
	/* All that sending and receiving need to know, before either begins. */
	dir->generation = sealed.generation;
	memcpy(dir->secret, sealed.secret, sizeof(dir->secret));
	if (!kb->suite) {
		kb->role = sealed.role;
		kb->tls_version = key.tls_version;
		WRITE_ONCE(kb->suite, key.suite);
	}
	err = kb_ktls_install(sk, direction, &key, decoy, sealed.position, &dir->ready);
	if (err) {
		memzero_explicit(dir->secret, sizeof(dir->secret));
		dir->generation = 0;
	}
	if (err == -ECONNABORTED)
		kb_stream_kill(sk, err);
	else if (err && !kb->tx.ready && !kb->rx.ready)
		WRITE_ONCE(kb->suite, NULL);
	if (direction == KEYBLOB_DIR_TX)
		kb_stream_release(sk);
out_key:
	kb_ktls_key_free(&key);
out_unlock:
	mutex_unlock(&kb->import);
out_wipe:
	memzero_explicit(&sealed, sizeof(sealed));
	return err;
}

/* Under the socket lock. */
static void fill_status(struct sock *sk, struct keyblob_status *status)
{
	const struct kb_sock *kb = kb_sock(sk);
	const struct kb_suite *suite = READ_ONCE(kb->suite);

	if (suite) {
		status->tls_version = kb->tls_version;
		status->cipher = suite->cipher;
	}
	status->cookie = cookie(sk);
	status->tx_ready = kb->tx.ready;
	status->rx_ready = kb->rx.ready;
	status->role = kb->role;
	status->tx_end = kb->tx.end;
	status->rx_end = kb->rx.end;
	status->tx_alert = kb->tx.alert;
	status->rx_alert = kb->rx.alert;
	status->rx_tickets = kb->tickets;
	status->tx_generation = kb->tx.generation;
	status->rx_generation = kb->rx.generation;
	if (kb->tls) {
		status->tx_rec_seq = kb_ktls_rec_seq(sk, KEYBLOB_DIR_TX);
		status->rx_rec_seq = kb_ktls_rec_seq(sk, KEYBLOB_DIR_RX);
	}
	kb_handshake_status(kb, status);
}

/* KEYBLOB_INFO */
static int info(struct sock *sk, char __user *optval, int __user *optlen)
{
	struct keyblob_status *status;
	int len, err = 0;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	status = kzalloc(sizeof(*status), GFP_KERNEL);
	if (!status)
		return -ENOMEM;
	len = min_t(unsigned int, len, sizeof(*status));
	status->size = sizeof(*status);
	lock_sock(sk);
	fill_status(sk, status);
	release_sock(sk);
	if (copy_to_user(optval, status, len) || put_user(len, optlen))
		err = -EFAULT;
	kfree(status);
	return err;
}

/* KEYBLOB_HANDSHAKE */
static int handshake(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct keyblob_handshake *what = kmalloc(sizeof(*what), GFP_KERNEL);
	int err;

	if (!what)
		return -ENOMEM;
	err = kb_handshake_read(what, optval, optlen);
	if (!err && !READ_ONCE(kb_sock(sk)->tls)) {
		err = kb_template_set(sk, what);
		if (err != -EISCONN)
			goto out;
		err = kb_template_promote(sk);
	}
	if (!err) {
		err = kb_handshake_set(sk, what);
		goto out;
	}
	audit(sk, KEYBLOB_EVENT_REFUSED, 0, err);
out:
	kfree(what);
	return err;
}

/* The int of an option that is 0 or 1. */
static int get_flag(sockptr_t optval, unsigned int optlen, bool *flag)
{
	int value;

	if (optlen < sizeof(value))
		return -EINVAL;
	if (copy_from_sockptr(&value, optval, sizeof(value)))
		return -EFAULT;
	if (value != 0 && value != 1)
		return -EINVAL;
	*flag = value;
	return 0;
}

/* Keys of a keyblob socket are neither read nor set past the module. */
static bool is_key_access(int level, int optname)
{
	return level == SOL_TLS && (optname == TLS_TX || optname == TLS_RX);
}

/* One that was prepared before it was connected may be due. */
static bool is_attached(struct sock *sk)
{
	if (likely(READ_ONCE(kb_sock(sk)->tls)))
		return true;
	return sk->sk_state == TCP_ESTABLISHED && !kb_template_promote(sk);
}

int kb_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
		  unsigned int optlen)
{
	bool flag;
	int err;

	if (is_key_access(level, optname))
		return -EACCES;
	if (level != SOL_KEYBLOB)
		return kb_ulp_base(sk)->setsockopt(sk, level, optname, optval, optlen);
	if (optname == KEYBLOB_HANDSHAKE)
		return handshake(sk, optval, optlen);
	if (!is_attached(sk))
		return -ENOTCONN;

	switch (optname) {
	case KEYBLOB_TX:
		return audit(sk, KEYBLOB_EVENT_IMPORTED, KEYBLOB_DIR_TX,
			     import(sk, KEYBLOB_DIR_TX, optval, optlen));
	case KEYBLOB_RX:
		return audit(sk, KEYBLOB_EVENT_IMPORTED, KEYBLOB_DIR_RX,
			     import(sk, KEYBLOB_DIR_RX, optval, optlen));
	case KEYBLOB_REKEY:
		err = get_flag(optval, optlen, &flag);
		return err ?: kb_stream_rekey(sk, flag);
	case KEYBLOB_TRUNCATION:
		err = get_flag(optval, optlen, &flag);
		if (!err)
			WRITE_ONCE(kb_sock(sk)->truncation_ok, flag);
		return err;
	default:
		return -ENOPROTOOPT;
	}
}

int kb_getsockopt(struct sock *sk, int level, int optname, char __user *optval,
		  int __user *optlen)
{
	if (is_key_access(level, optname))
		return -EACCES;
	if (kb_is_past_us(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KEYBLOB)
		return kb_ulp_base(sk)->getsockopt(sk, level, optname, optval, optlen);

	if (optname == KEYBLOB_INFO)
		return info(sk, optval, optlen);
	if (!is_attached(sk))
		return -ENOTCONN;

	switch (optname) {
	case KEYBLOB_EXPORT:
		return export(sk, optval, optlen);
	default:
		return -ENOPROTOOPT;
	}
}
