/*
 * endian: little-endian integers in byte arrays, whatever the processor and alignment.
 * It checks no bounds; the caller has done so.
 */
#ifndef DUNLIN_BASE_ENDIAN_H
#define DUNLIN_BASE_ENDIAN_H

#include <stdint.h>

static inline uint32_t le32_read(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64_read(const uint8_t *p)
{
    return (uint64_t)le32_read(p) | (uint64_t)le32_read(p + 4) << 32;
}

/* Written out, so that compilers make one store of it. */
static inline void le32_write(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void le64_write(uint8_t *p, uint64_t v)
{
    le32_write(p, (uint32_t)v);
    le32_write(p + 4, (uint32_t)(v >> 32));
}

#endif
