// SPDX-License-Identifier: GPL-2.0-only
/* Defects, so that scripts/lint sees each analyser of the module find one. Never loaded. */

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/types.h>

struct planted {
	__be16 port;
	u8 text[30];
};

int planted_mixed_endian(const struct planted *p);
int planted_use_after_free(struct planted *p);
int planted_null(struct planted *p);

int planted_mixed_endian(const struct planted *p)
{
	return p->port + 1;
}

int planted_use_after_free(struct planted *p)
{
	kfree(p);
	return p->text[0];
}

int planted_null(struct planted *p)
{
	int unused;

	return p ? 0 : p->text[0];
}

MODULE_LICENSE("GPL");
