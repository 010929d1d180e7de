/* Completions frames put together from completions that were packed when they came.
 *
 * A ServerMessage with a Completions body is two tags and lengths around the packed parts; writing those here
 * saves unpacking the parts again. Usage: sum up the body with completions_grow while completions_fits, then
 * completions_begin and one completions_add for each part. Pure. */
#ifndef RPC_COMPLETIONS_H
#define RPC_COMPLETIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The body of Completions with one part of `part_bytes` more. */
size_t completions_grow(size_t body_bytes, uint32_t part_bytes);
bool completions_fits(size_t body_bytes);
/* The whole frame around such a body, header included. */
size_t completions_frame_bytes(size_t body_bytes);
/* Write what goes before the parts, and a part; both return where the next one goes. */
uint8_t *completions_begin(uint8_t *at, size_t body_bytes);
uint8_t *completions_add(uint8_t *at, const uint8_t *part, uint32_t part_bytes);

#endif
