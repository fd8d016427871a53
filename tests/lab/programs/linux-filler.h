/* SPDX-License-Identifier: GPL-2.0-only */
/* What lab-tool writes into a large initrd, and linux-init finds there: bytes that no program can
 * make smaller. */
#pragma once

#include <stdint.h>

#define FILLER_SEED 0x9e3779b97f4a7c15u
#define FILLER_PIECE 2048	/* numbers; the file is a multiple of so many */

static inline uint64_t next_of_filler(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
