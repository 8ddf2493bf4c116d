/* SPDX-License-Identifier: GPL-2.0-only */
/* For targets in the agent: doubles of what is not part of them, and promises of several. */
#ifndef FUZZ_AGENT_H
#define FUZZ_AGENT_H

#include "../../userspace/agent/handshake.h"

/* How often something was logged, or said to be wrong with a handshake. */
extern unsigned int agent_complaints;

/* Of parameters that were taken from @from, of @len bytes. */
void agent_check_params(const struct handshake_params *params, const void *from, size_t len);

/* Of a refusal. */
void agent_check_refusal(const struct handshake_result *refusal);

#endif
