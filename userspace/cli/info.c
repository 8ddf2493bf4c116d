// SPDX-License-Identifier: GPL-2.0-only
/*
 * keyblob info: the kernel's view of keyblob sockets, in this process or another.
 * Another's descriptor is duplicated with pidfd_getfd(2), looked at, and closed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyblob.h>
#include <linux/tls.h>

#include "cli.h"
#include "keyblob.h"

/* A process that is looked into. */
struct process {
	pid_t pid;
	int pidfd;
	char name[32];
};

/* Room for "[host]:port". */
#define ADDRESS_SIZE	(NI_MAXHOST + NI_MAXSERV + 4)

/* What there is to say about a socket. */
struct view {
	char local[ADDRESS_SIZE];
	char peer[ADDRESS_SIZE];
	struct keyblob_status status;
};

static void print_version(uint16_t version)
{
	switch (version) {
	case TLS_1_2_VERSION:
		printf("TLS 1.2");
		break;
	case TLS_1_3_VERSION:
		printf("TLS 1.3");
		break;
	default:
		printf("version 0x%04x", version);
	}
}

static void print_cipher(uint16_t cipher)
{
	switch (cipher) {
	case TLS_CIPHER_AES_GCM_128:
		printf("AES-128-GCM");
		break;
	case TLS_CIPHER_AES_GCM_256:
		printf("AES-256-GCM");
		break;
	case TLS_CIPHER_CHACHA20_POLY1305:
		printf("ChaCha20-Poly1305");
		break;
	default:
		printf("cipher %u", cipher);
	}
}

/* RFC 8446 section 6; those that only TLS 1.2 has are in RFC 5246 section 7.2. */
static const char *alert_name(uint8_t alert)
{
	static const char *const names[UINT8_MAX + 1] = {
		[0] = "close_notify",
		[10] = "unexpected_message",
		[20] = "bad_record_mac",
		[22] = "record_overflow",
		[40] = "handshake_failure",
		[42] = "bad_certificate",
		[43] = "unsupported_certificate",
		[44] = "certificate_revoked",
		[45] = "certificate_expired",
		[46] = "certificate_unknown",
		[47] = "illegal_parameter",
		[48] = "unknown_ca",
		[49] = "access_denied",
		[50] = "decode_error",
		[51] = "decrypt_error",
		[70] = "protocol_version",
		[71] = "insufficient_security",
		[80] = "internal_error",
		[86] = "inappropriate_fallback",
		[90] = "user_canceled",
		[100] = "no_renegotiation",
		[109] = "missing_extension",
		[110] = "unsupported_extension",
		[112] = "unrecognized_name",
		[113] = "bad_certificate_status_response",
		[115] = "unknown_psk_identity",
		[116] = "certificate_required",
		[120] = "no_application_protocol",
	};

	return names[alert] ? names[alert] : "unknown";
}

static void print_direction(const char *name, uint8_t ready, uint32_t generation,
			    uint64_t records, uint8_t end, uint8_t alert)
{
	printf("  %s: ", name);
	if (!ready) {
		printf("no key yet\n");
		return;
	}
	printf("generation %" PRIu32 ", %" PRIu64 " record%s, ", generation, records,
	       records == 1 ? "" : "s");
	switch (end) {
	case KEYBLOB_END_OPEN:
		printf("open\n");
		break;
	case KEYBLOB_END_CLOSE_NOTIFY:
		printf("ended by close_notify\n");
		break;
	case KEYBLOB_END_ALERT:
		printf("ended by alert %u (%s)\n", alert, alert_name(alert));
		break;
	case KEYBLOB_END_TRUNCATED:
		printf("truncated: TCP ended without close_notify\n");
		break;
	case KEYBLOB_END_ABORTED:
		printf("given up: the peer broke the protocol\n");
		break;
	default:
		printf("ended (%u)\n", end);
	}
}

/* "[address]:port"; what is asked for with getsockname(2) or getpeername(2). */
static void read_address(char *text, size_t size, int fd,
			 int (*get)(int fd, struct sockaddr *address, socklen_t *len))
{
	struct sockaddr_storage storage;
	struct sockaddr *address = (struct sockaddr *)&storage;
	socklen_t len = sizeof(storage);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (get(fd, address, &len) < 0 ||
	    getnameinfo(address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(text, size, "gone");
	else if (address->sa_family == AF_INET6)
		snprintf(text, size, "[%s]:%s", host, port);
	else
		snprintf(text, size, "%s:%s", host, port);
}

/* Returns 0 or a negative errno: @fd is no keyblob socket. */
static int view_read(struct view *view, int fd)
{
	int err;

	err = keyblob_socket_status(fd, &view->status);
	if (err)
		return err;
	read_address(view->local, sizeof(view->local), fd, getsockname);
	read_address(view->peer, sizeof(view->peer), fd, getpeername);
	return 0;
}

static void view_print(const struct view *view)
{
	const struct keyblob_status *status = &view->status;

	printf("  local: %s\n  peer: %s\n", view->local, view->peer);
	if (status->tls_version) {
		printf("  protocol: ");
		print_version(status->tls_version);
		printf(", ");
		print_cipher(status->cipher);
		printf("%s\n", status->role == KEYBLOB_ROLE_SERVER ? ", as server" :
				status->role == KEYBLOB_ROLE_CLIENT ? ", as client" : "");
	}
	print_direction("sending", status->tx_ready, status->tx_generation,
			status->tx_rec_seq, status->tx_end, status->tx_alert);
	print_direction("receiving", status->rx_ready, status->rx_generation,
			status->rx_rec_seq, status->rx_end, status->rx_alert);
	if (status->rx_tickets)
		printf("  session tickets received: %" PRIu32 "\n", status->rx_tickets);
}

static void print_error(int err, const char *what)
{
	switch (-err) {
	case ENOPROTOOPT:
	case ENOTSOCK:
		fprintf(stderr, "keyblob: %s: not a keyblob socket\n", what);
		break;
	case EPERM:
	case EACCES:
		fprintf(stderr, "keyblob: %s: no permission to look into it; try as root\n", what);
		break;
	default:
		fprintf(stderr, "keyblob: %s: %s\n", what, strerror(-err));
	}
}

/* The process chose its name itself: it may hold anything. */
static void read_name(char *name, size_t size, pid_t pid)
{
	ssize_t len = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, name, size - 1);
		close(fd);
	}
	name[len > 0 ? len : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	for (; *name; name++) {
		if (!isprint((unsigned char)*name))
			*name = '?';
	}
}

static int process_open(struct process *process, pid_t pid)
{
	process->pid = pid;
	process->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (process->pidfd < 0)
		return -errno;
	read_name(process->name, sizeof(process->name), pid);
	return 0;
}

/* Show the socket @fd of a process. Returns 0 or a negative errno: not shown. */
static int show(const struct process *process, int fd)
{
	struct view view;
	int own, err;

	own = syscall(SYS_pidfd_getfd, process->pidfd, fd, 0);
	if (own < 0)
		return -errno;
	err = view_read(&view, own);
	/* Before printing, which may block: the owner's close(2) waits for this one. */
	close(own);
	if (err)
		return err;
	printf("socket: %s[%d] fd %d\n", process->name, process->pid, fd);
	view_print(&view);
	return 0;
}

static int is_number(const char *name)
{
	return isdigit((unsigned char)*name);
}

static int is_socket(int directory, const char *name)
{
	static const char prefix[] = "socket:";
	char target[sizeof(prefix)];
	ssize_t len;

	len = readlinkat(directory, name, target, sizeof(target));
	return len == sizeof(target) && !memcmp(target, prefix, sizeof(prefix) - 1);
}

/* Show all keyblob sockets of a process. Returns how many, or a negative errno. */
static int show_process(const struct process *process)
{
	struct dirent *entry;
	int shown = 0, err;
	char path[64];
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	fds = opendir(path);
	if (!fds)
		return -errno;
	while ((entry = readdir(fds))) {
		if (!is_number(entry->d_name) || !is_socket(dirfd(fds), entry->d_name))
			continue;
		err = show(process, atoi(entry->d_name));
		if (!err)
			shown++;
		if (err == -EPERM || err == -ESRCH || err == -ENOSYS) {
			closedir(fds);
			return err;
		}
		/* Others: no keyblob socket, or closed meanwhile. */
	}
	closedir(fds);
	return shown;
}

static int info_all(void)
{
	int shown = 0, denied = 0, err;
	struct process process;
	struct dirent *entry;
	DIR *proc;

	proc = opendir("/proc");
	if (!proc) {
		print_error(-errno, "/proc");
		return EXIT_FAILED;
	}
	while ((entry = readdir(proc))) {
		if (!is_number(entry->d_name) || process_open(&process, atoi(entry->d_name)))
			continue;
		err = show_process(&process);
		close(process.pidfd);
		if (err > 0)
			shown += err;
		else if (err == -EPERM || err == -EACCES)
			denied++;
	}
	closedir(proc);

	fflush(stdout);
	if (!shown)
		fprintf(stderr, "keyblob: no keyblob socket%s\n",
			access("/sys/module/keyblob", F_OK) ?
			"; the kernel module keyblob is not loaded" : "");
	if (denied)
		fprintf(stderr, "keyblob: no permission to look into %d processes; try as root\n",
			denied);
	return 0;
}

static int info_process(pid_t pid)
{
	struct process process;
	char what[32];
	int err;

	snprintf(what, sizeof(what), "process %d", pid);
	err = process_open(&process, pid);
	if (!err) {
		err = show_process(&process);
		close(process.pidfd);
	}
	if (err < 0) {
		print_error(err, what);
		return EXIT_FAILED;
	}
	if (!err)
		fprintf(stderr, "keyblob: %s has no keyblob socket\n", what);
	return 0;
}

static int info_process_fd(pid_t pid, int fd)
{
	struct process process;
	char what[64];
	int err;

	snprintf(what, sizeof(what), "process %d", pid);
	err = process_open(&process, pid);
	if (!err) {
		snprintf(what, sizeof(what), "process %d fd %d", pid, fd);
		err = show(&process, fd);
		close(process.pidfd);
	}
	if (err) {
		print_error(err, what);
		return EXIT_FAILED;
	}
	return 0;
}

static int info_own_fd(int fd)
{
	struct view view;
	char what[32];
	int err;

	snprintf(what, sizeof(what), "fd %d", fd);
	err = view_read(&view, fd);
	if (err) {
		print_error(err, what);
		return EXIT_FAILED;
	}
	printf("socket: fd %d\n", fd);
	view_print(&view);
	return 0;
}

/* Read a number of at least @min. Returns -1 after saying what is wrong with it. */
static int read_number(const char *text, int min, const char *what)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (!is_number(text) || *end || errno || number < min || number > INT_MAX) {
		fprintf(stderr, "keyblob: '%s' is not a %s\n", text, what);
		return -1;
	}
	return number;
}

int info_main(int argc, char **argv)
{
	int pid, fd;

	if (argc == 1)
		return info_all();
	if (argc > 3)
		return EXIT_USAGE;

	if (!strcmp(argv[1], "--fd")) {
		if (argc != 3)
			return EXIT_USAGE;
		fd = read_number(argv[2], 0, "descriptor number");
		return fd < 0 ? EXIT_USAGE : info_own_fd(fd);
	}

	pid = read_number(argv[1], 1, "process ID");
	if (pid < 0)
		return EXIT_USAGE;
	if (argc == 2)
		return info_process(pid);
	fd = read_number(argv[2], 0, "descriptor number");
	return fd < 0 ? EXIT_USAGE : info_process_fd(pid, fd);
}
