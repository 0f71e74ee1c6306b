/*
 * random: unpredictable bytes from the operating system.
 * Cores and formats never include it; drivers draw and hand the bytes over.
 */
#ifndef DUNLIN_CRYPTO_RANDOM_H
#define DUNLIN_CRYPTO_RANDOM_H

#include <stddef.h>

/* Fills the buffer. It aborts when the system has no randomness: nothing safe can be done without.
 */
void random_bytes(void *out, size_t len);

#endif
