/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's types, for module code that is built for user space. */
#ifndef SHIM_TYPES_H
#define SHIM_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define __aligned(n)	__attribute__((aligned(n)))
#define __read_mostly
#define __init
#define __exit

#endif
