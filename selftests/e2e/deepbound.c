// SPDX-License-Identifier: GPL-2.0-only
/* The plugin of deepbind.c: listens, on any port. */
#include <sys/socket.h>

int deepbound(void);

int deepbound(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 || listen(fd, 1);
}
