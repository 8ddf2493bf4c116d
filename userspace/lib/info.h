/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KB_INFO_H
#define KB_INFO_H

#include "keyblob.h"
#include "message.h"

struct keyblob_info *kb_info_from_reply(const struct kb_reply *reply);

#endif /* KB_INFO_H */
