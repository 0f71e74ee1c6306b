/*
 * fuzz: what every fuzz target offers: it feeds one hostile input to one parser and crashes when
 * anything is wrong. Targets keep no state between inputs.
 */
#ifndef DUNLIN_TEST_FUZZ_H
#define DUNLIN_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. The bytes are borrowed for the call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
