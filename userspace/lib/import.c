// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of a keyblob socket that an application needs: import of the two
 * blobs, and the status.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/keyblob.h>

#include "import.h"
#include "keyblob.h"

/* What to make of the kernel's refusal. */
static const char *hint(int err)
{
	switch (err) {
	case ESTALE:
		return "; the socket was used, or replaced by another, during the handshake";
	case ENOPROTOOPT:
		return "; the socket was replaced by another during the handshake";
	case EBADMSG:
		return "; altered on the way, or the kernel module was reloaded";
	case EKEYEXPIRED:
		return "; the key came too late";
	case ENOTCONN:
		return "; the peer is gone";
	default:
		return "";
	}
}

static int import(int fd, int option, const void *blob, const char *direction,
		  char *error, size_t size)
{
	int err;

	if (setsockopt(fd, SOL_KEYBLOB, option, blob, KEYBLOB_BLOB_SIZE) == 0)
		return 0;

	err = errno;
	snprintf(error, size, "the kernel refuses the %s key: %m%s", direction, hint(err));
	return -err;
}

/*
 * Import both keys into @fd. Returns 0, or a negative errno and one line in
 * @error; if it is the second key that is refused, the first one stays, and the
 * socket is of no use.
 */
int kb_import(int fd, const void *blob_tx, const void *blob_rx, char *error, size_t size)
{
	int err;

	err = import(fd, KEYBLOB_TX, blob_tx, "sending", error, size);
	if (err)
		return err;
	return import(fd, KEYBLOB_RX, blob_rx, "receiving", error, size);
}

int keyblob_socket_status(int fd, struct keyblob_status *status)
{
	socklen_t len = sizeof(*status);

	memset(status, 0, sizeof(*status));
	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, status, &len) == 0)
		return 0;
	/* Families without any option, such as AF_UNIX, say it like this. */
	return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
}
