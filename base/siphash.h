/*
 * siphash: SipHash-2-4, a keyed 64-bit hash of short inputs (Aumasson and Bernstein, INDOCRYPT
 * 2012). It places agents behind gates and fills hash tables; it is no signature.
 */
#ifndef DUNLIN_BASE_SIPHASH_H
#define DUNLIN_BASE_SIPHASH_H

#include "base/span.h"

#define SIPHASH_KEY_LEN 16

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_LEN], struct span data);

#endif
