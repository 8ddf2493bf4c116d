/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_IMPORT_H
#define KB_IMPORT_H

#include <stddef.h>

int kb_import(int fd, const void *blob_tx, const void *blob_rx, char *error, size_t size);

#endif /* KB_IMPORT_H */
