/*
 * siphash: SipHash-2-4, a keyed 64-bit hash of short inputs (Aumasson and Bernstein, INDOCRYPT
 * 2012). It places agents behind gates and fills hash tables; it is no signature.
 */
#ifndef DUNLIN_BASE_SIPHASH_H
#define DUNLIN_BASE_SIPHASH_H

#include "base/span.h"

#define SIPHASH_KEY_LEN 16

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_LEN], struct span data);

/* The same of 16 bytes, which are two little-endian words as the key is: a fleet is walked through
 * in half the time. */
uint64_t siphash_pair(uint64_t k0, uint64_t k1, uint64_t first, uint64_t second);

#endif
