// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creating and removing the UNIX socket. Two agents that start at once, at the
 * same path, must not replace each other's socket: a lock on the directory is
 * held from the look at the old socket until the new one listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "listener.h"
#include "log.h"

/* The directory of @path, created if only it is missing, and locked. */
static int lock_directory(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *dir;
	int fd;

	strncpy(copy, path, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = 0;
	dir = dirname(copy);

	if (mkdir(dir, 0755) && errno != EEXIST) {
		log_error("cannot create %s for the socket: %m; create it, or choose another "
			  "--listen", dir);
		return -1;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		log_error("cannot use the directory %s: %m; choose another --listen", dir);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* Make way at @address: 0 if nothing is there (any more), else -1. */
static int remove_stale(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd, err;

	if (lstat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		log_error("%s: %m; choose another --listen", path);
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s exists and is no socket; remove it, or choose another --listen",
			  path);
		return -1;
	}

	/* Non-blocking: a full backlog, too, is a sign of life (EAGAIN). */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		log_error("cannot create a socket: %m");
		return -1;
	}
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);

	if (err != ECONNREFUSED) {
		log_error("%s is in use by a running process; stop that one first, or choose "
			  "another --listen", path);
		return -1;
	}
	if (unlink(path)) {
		log_error("cannot remove the stale socket %s: %m", path);
		return -1;
	}
	return 0;
}

int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t saved_umask;
	struct stat st;
	int lock, err;

	*listener = (struct listener){ .fd = -1, .path = path };
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);

	lock = lock_directory(path);
	if (lock < 0)
		return -1;
	if (remove_stale(&address))
		goto err_unlock;

	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		log_error("cannot create a socket: %m");
		goto err_unlock;
	}

	/* The umask makes the file appear with its final permissions. */
	saved_umask = umask(0777 & ~mode);
	err = bind(listener->fd, (struct sockaddr *)&address, sizeof(address));
	umask(saved_umask);
	if (err || lstat(path, &st)) {
		log_error("cannot create the socket %s: %m; choose another --listen", path);
		goto err_close;
	}
	if (group != (gid_t)-1 && lchown(path, -1, group)) {
		log_error("cannot give %s to group %u: %m; choose another group", path,
			  (unsigned int)group);
		unlink(path);
		goto err_close;
	}
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;

	if (listen(listener->fd, SOMAXCONN)) {
		log_error("cannot listen on %s: %m", path);
		unlink(path);
		goto err_close;
	}
	close(lock);
	return 0;

err_close:
	close(listener->fd);
	listener->fd = -1;
err_unlock:
	close(lock);
	return -1;
}

int listener_adopt(struct listener *listener, int fd)
{
	*listener = (struct listener){
		.fd = fd,
		.path = "the socket of the service manager",
		.adopted = true,
	};
	if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) <= 0) {
		log_error("the service manager passed something else than a listening UNIX socket "
			  "of type SOCK_SEQPACKET; use ListenSequentialPacket=");
		goto err_close;
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		log_error("cannot use the socket of the service manager: %m");
		goto err_close;
	}
	return 0;

err_close:
	close(fd);
	listener->fd = -1;
	return -1;
}

void listener_close(struct listener *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (!listener->adopted && !lstat(listener->path, &st) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->path);
	close(listener->fd);
	listener->fd = -1;
}
