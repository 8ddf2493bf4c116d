// SPDX-License-Identifier: GPL-2.0-only
/*
 * An HTTPS server for the files of one directory: GET, HEAD, Range, keep-alive.
 * Nothing but keyblob_accept() makes it HTTPS. One process per connection.
 */
#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <keyblob.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEAD_MAX	8192	/* bytes of request line and header fields */

/* Send the head of a response; @fields are further header fields. Returns @keep, or false. */
static bool respond(int fd, const char *status, bool keep, long long length,
		    const char *fields, int flags)
{
	char head[512];
	int len = snprintf(head, sizeof(head),
			   "HTTP/1.1 %s\r\nContent-Length: %lld\r\nConnection: %s\r\n%s\r\n",
			   status, length, keep ? "keep-alive" : "close", fields);

	return send(fd, head, len, flags) == len && keep;
}

/* Open the regular file that @path names; neither ".." nor links lead out of @directory. */
static int open_file(int directory, const char *path, struct stat *st)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK, .resolve = RESOLVE_BENEATH };
	char name[HEAD_MAX + sizeof("index.html")], *to = name;
	int fd;

	for (path += strspn(path, "/"); *path && *path != '?'; path++, to++) {
		*to = *path;
		if (*path == '%' && isxdigit(path[1]) && isxdigit(path[2])) {
			sscanf(path + 1, "%2hhx", (unsigned char *)to);
			path += 2;
		}
	}
	strcpy(to, to == name || to[-1] == '/' ? "index.html" : "");
	fd = syscall(SYS_openat2, directory, name, &how, sizeof(how));
	if (fd < 0 || (!fstat(fd, st) && S_ISREG(st->st_mode)))
		return fd;
	close(fd);
	return -1;
}

/*
 * Apply the value of Range (RFC 9110 section 14) to what is sent, from *@first to before
 * *@end. Returns the status; what cannot be understood, or has several ranges, is ignored.
 */
static const char *apply_range(const char *range, long long *first, long long *end, char *fields)
{
	long long from, to = INT64_MAX, size = *end;
	char *rest;

	if (strncasecmp(range, "bytes=", 6) || !isdigit(range[6 + (range[6] == '-')]))
		return "200 OK";
	from = strtoll(range + 6, &rest, 10);
	if (range[6] == '-')	/* the last so many bytes */
		from = from > -size ? size + from : 0;
	else if (*rest++ != '-')
		return "200 OK";
	else if (isdigit(*rest))
		to = strtoll(rest, &rest, 10);
	if (*rest || to < from)
		return "200 OK";
	if (from >= size) {
		*end = 0;
		sprintf(fields, "Content-Range: bytes */%lld\r\n", size);
		return "416 Range Not Satisfiable";
	}
	*first = from;
	*end = to < size ? to + 1 : size;
	sprintf(fields, "Content-Range: bytes %lld-%lld/%lld\r\n", *first, *end - 1, size);
	return "206 Partial Content";
}

/* Read a request and answer it. Returns whether the connection can take another. */
static bool answer(FILE *in, int fd, int directory)
{
	char line[HEAD_MAX], method[16] = "", path[HEAD_MAX], minor, range[64] = "";
	char fields[128] = "Accept-Ranges: bytes\r\n";
	bool keep = false, get, if_range = false;
	const char *status;
	long long first = 0, end;
	int file, left = HEAD_MAX;
	struct stat st;

	while (fgets(line, left, in) && strchr(line, '\n') && strcspn(line, "\r\n")) {
		left -= strlen(line);
		if (!*method) {
			if (sscanf(line, "%15s %8191s HTTP/1.%c", method, path, &minor) != 3)
				return respond(fd, "400 Bad Request", false, 0, "", 0);
			keep = minor != '0';
		} else if (!strncasecmp(line, "Range:", 6)) {
			sscanf(line + 6, "%63s", range);
		} else if (!strncasecmp(line, "If-Range:", 9)) {
			if_range = true;	/* there is no validator that it could match */
		} else if (!strncasecmp(line, "Connection:", 11)) {
			keep = strcasestr(line, keep ? "close" : "keep-alive") ? !keep : keep;
		} else if (!strncasecmp(line, "Transfer-Encoding:", 18) ||
			   (!strncasecmp(line, "Content-Length:", 15) && atoll(line + 15))) {
			return respond(fd, "413 Content Too Large", false, 0, "", 0);
		}
	}
	if (feof(in) || ferror(in))
		return false;
	if (!strchr(line, '\n'))
		return respond(fd, "431 Request Header Fields Too Large", false, 0, "", 0);
	get = !strcmp(method, "GET");
	if (!get && strcmp(method, "HEAD"))
		return respond(fd, "501 Not Implemented", false, 0, "", 0);
	file = open_file(directory, path, &st);
	if (file < 0)
		return respond(fd, "404 Not Found", keep, 0, "", 0);

	end = st.st_size;
	status = get && !if_range ? apply_range(range, &first, &end, fields) : "200 OK";
	get = get && first < end;
	keep = respond(fd, status, keep, end - first, fields, get ? MSG_MORE : 0);
	for (off_t offset = first; get && offset < end;) {
		if (sendfile(fd, file, &offset, end - offset) <= 0)
			get = keep = false;	/* the client is gone, or the file has shrunk */
	}
	close(file);
	return keep;
}

static int serve(int fd, int directory, struct keyblob_agent *agent)
{
	const char *const alpn[] = { "http/1.1", NULL };
	struct keyblob_options options = { .size = sizeof(options), .alpn = alpn };
	struct timeval idle = { .tv_sec = 30 };
	FILE *in = fdopen(fd, "r");
	char rest[HEAD_MAX];

	if (keyblob_accept(agent, fd, &options, NULL) < 0)
		errx(1, "handshake failed: %s", keyblob_agent_error(agent));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
	while (answer(in, fd, directory))
		;
	/* Were something left unread, closing would reset the connection. */
	while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	int listener, directory, fd, option, port = 8443, on = 1, off = 0;
	socklen_t len = sizeof(address);
	struct keyblob_agent *agent;
	const char *path = NULL;

	while ((option = getopt(argc, argv, "a:p:")) != -1) {
		if (option == 'a')
			path = optarg;
		else
			port = option == 'p' ? atoi(optarg) : -1;
	}
	if (optind != argc - 1 || port < 0 || port > 65535)
		errx(2, "usage: https-file-server [-a AGENT] [-p PORT] DIRECTORY");
	directory = open(argv[optind], O_PATH | O_DIRECTORY);
	if (directory < 0)
		err(1, "%s", argv[optind]);
	if (keyblob_agent_open(path, &agent) < 0)
		errx(1, "%s", keyblob_agent_error(NULL));

	address.sin6_port = htons(port);
	listener = socket(AF_INET6, SOCK_STREAM, 0);	/* and IPv4 */
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 512) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		err(1, "port %d", port);
	dprintf(STDOUT_FILENO, "listening on port %d\n", ntohs(address.sin6_port));

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);	/* children need no waiting for */
	for (;; close(fd)) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
			return serve(fd, directory, agent);
	}
}
