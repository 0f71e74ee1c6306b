/*
 * bits: one bit for each of many numbers, in an array of bytes. It checks no bounds; the caller has
 * done so.
 */
#ifndef DUNLIN_BASE_BITS_H
#define DUNLIN_BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool bits_have(const uint8_t *bits, uint32_t number)
{
    return bits[number / 8] >> number % 8 & 1;
}

static inline void bits_set(uint8_t *bits, uint32_t number, bool on)
{
    uint8_t bit = (uint8_t)(1u << number % 8);
    bits[number / 8] = (uint8_t)(on ? bits[number / 8] | bit : bits[number / 8] & ~bit);
}

#endif
