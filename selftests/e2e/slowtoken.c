// SPDX-License-Identifier: GPL-2.0-only
/*
 * SoftHSM as a token with moods: a PKCS#11 library for module-path= that passes everything
 * on to the library SLOWTOKEN_LIBRARY. Files in the directory SLOWTOKEN say how it is:
 *
 *   delay-ms    how long a signature takes, as long as the file is there
 *   pulled-out  if there, the token is not
 *   last-try    if there, the token says that the next wrong PIN locks it
 *   logins      gets a line per login
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST *real, ours;

static int open_control(const char *name, int flags)
{
	const char *directory = getenv("SLOWTOKEN");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory ? directory : "", name);
	return open(path, flags | O_CLOEXEC, 0666);
}

static bool control_exists(const char *name)
{
	int fd = open_control(name, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static long delay_ms(void)
{
	int fd = open_control("delay-ms", O_RDONLY);
	char text[16] = "";

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		perror("delay-ms");
	close(fd);
	return atol(text);
}

static CK_RV slow_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len,
		       CK_BYTE *signature, CK_ULONG *signature_len)
{
	const struct timespec step = { .tv_nsec = 10000000 };
	long ms;

	for (ms = 0; ms < delay_ms(); ms += 10)
		nanosleep(&step, NULL);
	if (control_exists("pulled-out"))
		return CKR_DEVICE_REMOVED;
	return real->C_Sign(session, data, data_len, signature, signature_len);
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = real->C_GetTokenInfo(slot, info);

	if (control_exists("pulled-out"))
		return CKR_TOKEN_NOT_PRESENT;
	if (rv == CKR_OK && control_exists("last-try"))
		info->flags |= CKF_USER_PIN_FINAL_TRY;
	return rv;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	CK_RV rv = real->C_Login(session, user, pin, len);
	int fd = open_control("logins", O_WRONLY | O_APPEND | O_CREAT);

	if (fd < 0 || dprintf(fd, "login 0x%lx\n", rv) < 0)
		perror("logins");
	if (fd >= 0)
		close(fd);
	return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	const char *path = getenv("SLOWTOKEN_LIBRARY");
	void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	CK_C_GetFunctionList get = library ? dlsym(library, "C_GetFunctionList") : NULL;

	if (!get || get(&real) != CKR_OK) {
		fprintf(stderr, "slowtoken: SLOWTOKEN_LIBRARY: %s\n", path ? dlerror() : "not set");
		return CKR_GENERAL_ERROR;
	}
	ours = *real;
	ours.C_GetFunctionList = C_GetFunctionList;
	ours.C_GetTokenInfo = token_info;
	ours.C_Login = login;
	ours.C_Sign = slow_sign;
	*list = &ours;
	return CKR_OK;
}
