/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading and unloading the module, whose file KEYBLOB_KO names. */
#ifndef SELFTESTS_MODULE_H
#define SELFTESTS_MODULE_H

/* They return 0 or a negative errno: -EAGAIN where the module is in use. */
int module_load(void);
int module_unload(void);

/* module_unload_patiently() - sockets that have been closed may need a moment to go */
int module_unload_patiently(void);

#endif
