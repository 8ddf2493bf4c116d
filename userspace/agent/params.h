/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an application may ask for, whichever way its request comes.
 */
#ifndef KEYBLOBD_PARAMS_H
#define KEYBLOBD_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handshake.h"

/*
 * The protocols to offer or accept: a ProtocolNameList (RFC 7301 section 3.1) without its
 * outer length, which has to outlive @params. False: malformed, or too many.
 */
bool params_set_alpn(struct handshake_params *params, const uint8_t *list, size_t len);

/* Whom a client connects to. False: @refusal says what is wrong with @name. */
bool params_set_peer(struct handshake_params *params, const char *name,
		     struct handshake_result *refusal);

#endif
