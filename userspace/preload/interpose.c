// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library that "keyblob run" preloads: functions of libc that a program calls to listen,
 * to connect and to look up names. Those of TCP sockets that the settings select get a template
 * for a handshake first; everything else goes to libc as it came. What is selected and cannot
 * be TLS fails: it is never plaintext.
 *
 * Programs call these between fork(2), or vfork(2), and execve(2), too: no locks are taken and
 * nothing is allocated once the constructor has run.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "names.h"
#include "settings.h"
#include "template.h"

#define EXPORT __attribute__((visibility("default")))

#define EXIT_CANNOT_RUN	126
#define ADDRESSES_MAX	64	/* of one name */
#define ERRORS		256	/* errno values that are told of once each */

/* libc's, or those of another library that is preloaded. */
static struct {
	__typeof__(listen) *listen;
	__typeof__(connect) *connect;
	__typeof__(setsockopt) *setsockopt;
	__typeof__(sendto) *sendto;
	__typeof__(sendmsg) *sendmsg;
	__typeof__(sendmmsg) *sendmmsg;
	__typeof__(getaddrinfo) *getaddrinfo;
	__typeof__(gethostbyname) *gethostbyname;
	__typeof__(gethostbyname2) *gethostbyname2;
	__typeof__(gethostbyname_r) *gethostbyname_r;
	__typeof__(gethostbyname2_r) *gethostbyname2_r;
	__typeof__(dlopen) *dlopen;
} next;

static struct run_settings settings;
static struct stat standard_error;	/* as it was at the start */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * A line for whoever started the program. Descriptor 2 may have become something else, such as
 * a connection: nothing is written then.
 */
static __attribute__((format(printf, 1, 2))) void tell(const char *format, ...)
{
	char text[1024] = "keyblob run: ", *c;
	const size_t prefix = strlen(text);
	struct stat now;
	va_list args;
	int len;

	if (fstat(STDERR_FILENO, &now) < 0 || now.st_dev != standard_error.st_dev ||
	    now.st_ino != standard_error.st_ino)
		return;
	va_start(args, format);
	len = vsnprintf(text + prefix, sizeof(text) - prefix - 1, format, args);
	va_end(args);
	if (len < 0)
		return;
	for (c = text + prefix; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	*c++ = '\n';
	if (write(STDERR_FILENO, text, c - text) < 0)
		return;
}

/* Whether it is the first time that @err (negative) is to be told of. */
static bool is_news(int err)
{
	static atomic_bool told[ERRORS];

	return -err < ERRORS && !atomic_exchange(&told[-err], true);
}

static void initialise(void)
{
	const struct run_setting *bad;

	if (fstat(STDERR_FILENO, &standard_error) < 0)
		standard_error.st_ino = 0;
#define NEXT(function) next.function = (__typeof__(function) *)dlsym(RTLD_NEXT, #function)
	NEXT(listen);
	NEXT(connect);
	NEXT(setsockopt);
	NEXT(sendto);
	NEXT(sendmsg);
	NEXT(sendmmsg);
	NEXT(getaddrinfo);
	NEXT(gethostbyname);
	NEXT(gethostbyname2);
	NEXT(gethostbyname_r);
	NEXT(gethostbyname2_r);
	NEXT(dlopen);

	/* What the program may then do cannot be told. */
	bad = run_settings_read(&settings);
	if (bad) {
		tell("%s: give %s", bad->variable, bad->wanted);
		_exit(EXIT_CANNOT_RUN);
	}
	if (!settings.server && !settings.client) {
		tell("the environment has lost the settings: keep the variables KEYBLOB_RUN_*, "
		     "or do without LD_PRELOAD, too");
		_exit(EXIT_CANNOT_RUN);
	}
}

/* Earlier, if a constructor of another library's uses sockets. */
static __attribute__((constructor)) void begin(void)
{
	pthread_once(&once, initialise);
}

/* ---- servers ---- */

/* In host byte order; 0: none yet. */
static uint16_t local_port(int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct run_address address;
	uint16_t port = 0;

	if (!getsockname(fd, (struct sockaddr *)&name, &len))
		run_address_of((struct sockaddr *)&name, len, &address, &port);
	return port;
}

/* What listen(2) does for a socket without a port, which decides here. */
static void bind_to_any_port(int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	if (!getsockname(fd, (struct sockaddr *)&name, &len))
		(void)bind(fd, (struct sockaddr *)&name, len);
}

/*
 * Before listen(2), so that no connection gets in before the template. Returns 0 or a negative
 * errno.
 */
static int prepare_listener(int fd)
{
	struct keyblob_handshake what;
	uint16_t port;
	int err;

	if (!settings.server)
		return 0;
	err = run_is_tcp(fd);
	if (!err)
		return 0;
	if (settings.n_ports && !local_port(fd))
		bind_to_any_port(fd);
	port = local_port(fd);
	/* A port that listen(2) will choose, even so, may be one of them. */
	if (port && !run_selects_listener(&settings, port))
		return 0;
	/* listen(2) again, or a service manager's socket. */
	if (run_handshake_state(fd, NULL) == KEYBLOB_HANDSHAKE_SET)
		return 0;
	if (err > 0) {
		run_server_template(&settings, &what);
		err = run_template_set(fd, &what);
	}
	if (err && is_news(err))
		tell("cannot listen with TLS on port %u: %s", port, run_explain(err));
	return err;
}

EXPORT int listen(int fd, int backlog)
{
	int err;

	begin();
	err = prepare_listener(fd);
	if (err) {
		errno = -err;
		return -1;
	}
	return next.listen(fd, backlog);
}

/* ---- clients ---- */

/* A peer that is selected. */
struct peer {
	char name[NAME_SIZE];	/* the certificate's */
	uint16_t port;
};

static bool select_peer(const struct sockaddr *sockaddr, socklen_t len,
			struct run_address *address, struct peer *peer)
{
	return run_address_of(sockaddr, len, address, &peer->port) &&
	       run_selects_peer(&settings, address, peer->port, names_has_other(address));
}

static void format_address(const struct run_address *address, char name[NAME_SIZE])
{
	struct in6_addr v6;

	memcpy(&v6, address->bytes, sizeof(v6));
	if (IN6_IS_ADDR_V4MAPPED(&v6))
		inet_ntop(AF_INET, address->bytes + 12, name, NAME_SIZE);
	else
		inet_ntop(AF_INET6, address->bytes, name, NAME_SIZE);
}

/* What the peer's certificate is to be for. Returns 0 or a negative errno. */
static int name_peer(const struct run_address *address, struct peer *peer)
{
	int found;

	if (*settings.name) {
		memcpy(peer->name, settings.name, sizeof(settings.name));
		return 0;
	}
	found = names_find(address, peer->name);
	if (found <= 0)
		format_address(address, peer->name);
	return found < 0 ? -EKEYREJECTED : 0;
}

/* If it cannot be told, the socket is as good as new: a template that does not fit, fails. */
static int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? TCP_CLOSE : info.tcpi_state;
}

/* One that is, or was, connected or about to be: connect(2) only asks how that goes. */
static int check_used_socket(int fd, bool *used)
{
	struct keyblob_status status;
	int state = run_handshake_state(fd, &status);

	*used = tcp_state(fd) != TCP_CLOSE || state == KEYBLOB_HANDSHAKE_UNDER_WAY ||
		state == KEYBLOB_HANDSHAKE_DONE;
	/* Never anything again, least of all another connection without TLS. */
	if (state == KEYBLOB_HANDSHAKE_FAILED)
		return status.error ? -(int)status.error : -ECONNABORTED;
	return 0;
}

static void tell_of_peer(int err, const struct peer *peer, const char *why)
{
	if (is_news(err))
		tell("cannot connect with TLS to %s, port %u: %s", peer->name, peer->port, why);
}

/* Tell of a handshake that failed, and why. @err is negative. */
static void tell_of_handshake(int fd, int err, const struct peer *peer)
{
	struct keyblob_status status;

	if (run_handshake_state(fd, &status) != KEYBLOB_HANDSHAKE_FAILED)
		return;
	/* Without an agent there is none of its reasons. */
	if (err == -ESRCH || !*status.reason)
		tell_of_peer(err, peer, run_explain(err));
	else
		tell_of_peer(err, peer, status.reason);
}

/* Before connect(2) to a selected peer. Returns 0 or a negative errno. */
static int prepare_connection(int fd, const struct run_address *address, struct peer *peer)
{
	struct keyblob_handshake what;
	bool used;
	int err, ambiguous;

	ambiguous = name_peer(address, peer);
	err = check_used_socket(fd, &used);
	if (err)
		tell_of_handshake(fd, err, peer);
	if (err || used)
		return err;
	if (ambiguous) {
		tell_of_peer(ambiguous, peer, "the program has looked up several names with this "
			     "address, and which one it means cannot be told: use --name");
		return ambiguous;
	}
	run_client_template(&settings, peer->name, &what);
	err = run_template_set(fd, &what);
	if (err)
		tell_of_peer(err, peer, run_explain(err));
	return err;
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG sockaddr, socklen_t len)
{
	struct run_address address;
	struct peer peer;
	int err, result;

	begin();
	if (!select_peer(sockaddr.__sockaddr__, len, &address, &peer))
		return next.connect(fd, sockaddr, len);
	err = run_is_tcp(fd);
	if (!err)
		return next.connect(fd, sockaddr, len);
	if (err < 0) {
		format_address(&address, peer.name);
		tell_of_peer(err, &peer, run_explain(err));
	} else {
		err = prepare_connection(fd, &address, &peer);
	}
	if (err) {
		errno = -err;
		return -1;
	}
	result = next.connect(fd, sockaddr, len);
	if (result < 0 && errno != EINPROGRESS) {
		err = errno;
		tell_of_handshake(fd, -err, &peer);
		errno = err;
	}
	return result;
}

/* ---- TCP Fast Open: data would travel before the handshake ---- */

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	begin();
	if (level == IPPROTO_TCP && value && len >= sizeof(int) && *(const int *)value &&
	    ((name == TCP_FASTOPEN_CONNECT && settings.client) ||
	     (name == TCP_FASTOPEN && settings.server))) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return next.setsockopt(fd, level, name, value, len);
}

static bool is_fast_open(int fd, const void *sockaddr, socklen_t len, int flags)
{
	struct run_address address;
	struct peer peer;

	return (flags & MSG_FASTOPEN) && select_peer(sockaddr, len, &address, &peer) &&
	       run_is_tcp(fd);
}

/* As if it were turned off. */
static int refuse_fast_open(void)
{
	errno = EOPNOTSUPP;
	return -1;
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags,
		      __CONST_SOCKADDR_ARG sockaddr, socklen_t len)
{
	begin();
	if (is_fast_open(fd, sockaddr.__sockaddr__, len, flags))
		return refuse_fast_open();
	return next.sendto(fd, data, size, flags, sockaddr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	begin();
	if (message && is_fast_open(fd, message->msg_name, message->msg_namelen, flags))
		return refuse_fast_open();
	return next.sendmsg(fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	unsigned int i;

	begin();
	for (i = 0; (flags & MSG_FASTOPEN) && i < n; i++) {
		if (is_fast_open(fd, messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen,
				 flags))
			return refuse_fast_open();
	}
	return next.sendmmsg(fd, messages, n, flags);
}

/* ---- libraries of the program's that would rather have libc's functions than these ---- */

/*
 * The call of the next one has to be a jump: whose search path counts, it sees by the address
 * that it returns to.
 */
EXPORT void *dlopen(const char *file, int mode)
{
	begin();
	return next.dlopen(file, mode & ~RTLD_DEEPBIND);
}

/* ---- names ---- */

/* Whether @name is to be remembered. */
static bool is_name(const char *name)
{
	return settings.client && name;
}

/* Whether @name is no name, but one of the ways to write an address. */
static bool is_address(const char *name)
{
	struct in_addr address;

	return strchr(name, ':') || inet_aton(name, &address);
}

static uint64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void remember(const char *name, const struct run_address *addresses, size_t n)
{
	char text[NAME_SIZE];
	size_t i;

	if (!is_address(name)) {
		names_add(name, addresses, n, seconds());
		return;
	}
	for (i = 0; i < n; i++) {
		format_address(&addresses[i], text);
		names_add(text, &addresses[i], 1, seconds());
	}
}

static void remember_list(const char *name, const struct addrinfo *list)
{
	struct run_address addresses[ADDRESSES_MAX];
	uint16_t port;
	size_t n = 0;

	for (; list && n < ADDRESSES_MAX; list = list->ai_next) {
		if (!run_address_of(list->ai_addr, list->ai_addrlen, &addresses[n], &port))
			continue;
		/* There is one item for each type of socket. */
		if (!n || memcmp(&addresses[n], &addresses[n - 1], sizeof(addresses[n])))
			n++;
	}
	remember(name, addresses, n);
}

static void remember_host(const char *name, const struct hostent *host)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct run_address addresses[ADDRESSES_MAX];
	uint16_t port;
	size_t n;

	for (n = 0; n < ADDRESSES_MAX && host->h_addr_list[n]; n++) {
		if (host->h_addrtype == AF_INET) {
			memcpy(&v4.sin_addr, host->h_addr_list[n], sizeof(v4.sin_addr));
			run_address_of((struct sockaddr *)&v4, sizeof(v4), &addresses[n], &port);
		} else {
			memcpy(&v6.sin6_addr, host->h_addr_list[n], sizeof(v6.sin6_addr));
			run_address_of((struct sockaddr *)&v6, sizeof(v6), &addresses[n], &port);
		}
	}
	remember(name, addresses, n);
}

EXPORT int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **list)
{
	int err;

	begin();
	err = next.getaddrinfo(name, service, hints, list);
	if (!err && is_name(name))
		remember_list(name, *list);
	return err;
}

EXPORT struct hostent *gethostbyname(const char *name)
{
	struct hostent *host;

	begin();
	host = next.gethostbyname(name);
	if (host && is_name(name))
		remember_host(name, host);
	return host;
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *host;

	begin();
	host = next.gethostbyname2(name, family);
	if (host && is_name(name))
		remember_host(name, host);
	return host;
}

EXPORT int gethostbyname_r(const char *name, struct hostent *space, char *buffer, size_t size,
			   struct hostent **host, int *error)
{
	int err;

	begin();
	err = next.gethostbyname_r(name, space, buffer, size, host, error);
	if (!err && *host && is_name(name))
		remember_host(name, *host);
	return err;
}

EXPORT int gethostbyname2_r(const char *name, int family, struct hostent *space, char *buffer,
			    size_t size, struct hostent **host, int *error)
{
	int err;

	begin();
	err = next.gethostbyname2_r(name, family, space, buffer, size, host, error);
	if (!err && *host && is_name(name))
		remember_host(name, *host);
	return err;
}
