// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach, export and import: the calls into the kernel module. Called by
 * handshake.c before the first byte is read and after the last one was; the supervisor
 * sees to it that the module is loaded.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seal.h"

/* These return @errnum, for a tail call. */
static int refuse(struct seal_error *error, int errnum, const char *reason)
{
	snprintf(error->reason, sizeof(error->reason), "%s", reason);
	return errnum;
}

static int refuse_as_told(struct seal_error *error, int errnum, const char *reason)
{
	snprintf(error->reason, sizeof(error->reason), "%s: %s", reason, strerror(errnum));
	return errnum;
}

static int int_option(int fd, int option, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, option, value, &len);
}

static int check_socket(int fd, struct seal_error *error)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int type, domain, protocol, listening;

	if (int_option(fd, SO_TYPE, &type))
		return refuse(error, EINVAL, "the descriptor is no socket");
	if (int_option(fd, SO_DOMAIN, &domain) || int_option(fd, SO_PROTOCOL, &protocol) ||
	    int_option(fd, SO_ACCEPTCONN, &listening) || type != SOCK_STREAM ||
	    (domain != AF_INET && domain != AF_INET6) || protocol != IPPROTO_TCP)
		return refuse(error, EINVAL, "the descriptor is no TCP socket");
	if (listening) {
		return refuse(error, EINVAL,
			      "the socket is a listening one; pass what accept() returned");
	}
	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len))
		return refuse(error, EINVAL, "the socket tells nothing of TCP");
	if (info.tcpi_state == TCP_CLOSE_WAIT)
		return refuse(error, ECONNRESET,
			      "peer closed the connection before the handshake");
	if (info.tcpi_state != TCP_ESTABLISHED)
		return refuse(error, ENOTCONN, "the socket is not, or no longer, connected");
	return 0;
}

/* Some ULP is there already: fine if it is ours and has no key. */
static int check_attached(int fd, struct seal_error *error)
{
	struct keyblob_status status = { 0 };
	socklen_t len = sizeof(status);

	if (getsockopt(fd, SOL_KEYBLOB, KEYBLOB_INFO, &status, &len))
		return refuse(error, EOPNOTSUPP,
			      "the socket belongs to another upper layer protocol");
	if (status.tx_ready || status.rx_ready)
		return refuse(error, EALREADY, "the socket has its keys");
	return 0;
}

void seal_load(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_TCP, TCP_ULP, KEYBLOB_ULP_NAME, sizeof(KEYBLOB_ULP_NAME) - 1);
	close(fd);
}

int seal_attach(int fd, struct sockaddr_storage *peer, struct seal_error *error)
{
	socklen_t len = sizeof(*peer);
	int errnum, err;

	/* One that is not connected would be prepared for it. */
	*peer = (struct sockaddr_storage){ 0 };
	err = getpeername(fd, (struct sockaddr *)peer, &len) ? check_socket(fd, error) : 0;
	if (err)
		return err;
	if (!setsockopt(fd, SOL_TCP, TCP_ULP, KEYBLOB_ULP_NAME, sizeof(KEYBLOB_ULP_NAME) - 1))
		return 0;

	errnum = errno;
	err = check_socket(fd, error);
	if (err)
		return err;
	switch (errnum) {
	case EEXIST:
		return check_attached(fd, error);
	case ENOENT:
		return refuse(error, ENOPROTOOPT,
			      "kernel module keyblob is not loaded: modprobe keyblob");
	case ENOTCONN:
		return refuse(error, ENOTCONN, "the socket is not, or no longer, connected");
	default:
		return refuse_as_told(error, errnum, "the kernel module refuses the socket");
	}
}

int seal_export(int fd, union seal *seal, struct seal_error *error)
{
	socklen_t len = sizeof(seal->blob);

	if (!getsockopt(fd, SOL_KEYBLOB, KEYBLOB_EXPORT, seal->blob, &len)) {
		if (len == sizeof(seal->blob))
			return 0;
		return refuse(error, EOPNOTSUPP, "the kernel module gave a blob of another size: "
			      "module and agent do not belong together");
	}

	switch (errno) {
	case ENOTCONN:
		return refuse(error, ENOTCONN,
			      "the peer closed the connection at the end of the handshake");
	case EOPNOTSUPP:
		return refuse(error, EOPNOTSUPP,
			      "the kernel cannot carry this cipher on this socket");
	default:
		return refuse_as_told(error, errno, "the kernel module does not seal the keys");
	}
}

int seal_import(int fd, const union seal *tx, const union seal *rx, struct seal_error *error)
{
	if (!setsockopt(fd, SOL_KEYBLOB, KEYBLOB_TX, tx->blob, sizeof(tx->blob)) &&
	    !setsockopt(fd, SOL_KEYBLOB, KEYBLOB_RX, rx->blob, sizeof(rx->blob)))
		return 0;
	if (errno == ENOTCONN)
		return refuse(error, ECONNRESET,
			      "the connection was closed at the end of the handshake");
	return refuse_as_told(error, errno, "the socket does not take its keys");
}
