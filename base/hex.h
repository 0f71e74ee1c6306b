/*
 * hex: bytes to lower-case hexadecimal text and back.
 * It knows nothing of what the bytes mean.
 */
#ifndef DUNLIN_BASE_HEX_H
#define DUNLIN_BASE_HEX_H

#include "base/span.h"

/* Writes 2 * bytes.len digits and a NUL into `out`, which must have room for them. */
void hex_write(struct span bytes, char *out);

/* Reads exactly 2 * len digits (either case) and nothing after them. 0 or ERR_FORMAT. */
int hex_read(const char *text, uint8_t *out, size_t len);

#endif
