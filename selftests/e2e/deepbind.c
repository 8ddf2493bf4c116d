// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose plugin prefers its own libraries' functions, for run-programs.sh: loads
 * deepbound.so, which its RUNPATH alone leads to, and has it listen.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(void)
{
	int (*deepbound)(void);
	void *plugin = dlopen("deepbound.so", RTLD_NOW | RTLD_DEEPBIND);

	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&deepbound = dlsym(plugin, "deepbound");
	return deepbound ? deepbound() : 1;
}
