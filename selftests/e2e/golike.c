// SPDX-License-Identifier: GPL-2.0-only
/* A dynamic program with the note that Go's linker leaves, for run-programs.sh; not a Go one. */
#include <stdint.h>
#include <stdio.h>

static const struct {
	uint32_t name_size, size, type;
	char name[4], build[4];
} note __attribute__((section(".note.go.buildid"), aligned(4), used)) = {
	4, 4, 4, "Go", "none"
};

int main(void)
{
	return puts("run") < 0;
}
