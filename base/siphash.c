#include "base/siphash.h"

#include "base/endian.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline struct state begin(uint64_t k0, uint64_t k1)
{
    return (struct state){
        .v0 = k0 ^ 0x736f6d6570736575u,
        .v1 = k1 ^ 0x646f72616e646f6du,
        .v2 = k0 ^ 0x6c7967656e657261u,
        .v3 = k1 ^ 0x7465646279746573u,
    };
}

static inline uint64_t end(struct state *s, uint64_t last)
{
    absorb(s, last);
    s->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_LEN], struct span data)
{
    struct state s = begin(le64_read(key), le64_read(key + 8));
    size_t whole = data.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        absorb(&s, le64_read(data.data + i));
    uint64_t last = (uint64_t)data.len << 56;
    for (size_t i = whole; i < data.len; i++)
        last |= (uint64_t)data.data[i] << (8 * (i - whole));
    return end(&s, last);
}

uint64_t siphash_pair(uint64_t k0, uint64_t k1, uint64_t first, uint64_t second)
{
    struct state s = begin(k0, k1);
    absorb(&s, first);
    absorb(&s, second);
    return end(&s, UINT64_C(16) << 56);
}
