#include "bundles/chunker.h"

/*
 * Normalised chunking at level 2: two bits more than log2(CHUNK_AVERAGE) must be zero before the
 * average length, two fewer behind it. The bits tested are the topmost, because those depend on
 * the most bytes; the paper spreads its masks for the same reason.
 */
#define MASK_STRICT (((1ull << 18) - 1) << (64 - 18))
#define MASK_LOOSE (((1ull << 14) - 1) << (64 - 14))

static void skip_to_min(struct chunker *c, struct span bytes, size_t *at);
static bool roll(struct chunker *c, struct span bytes, size_t *at, uint32_t until, uint64_t mask);

/* The first 256 outputs of SplitMix64 from the seed 0x64756e6c696e, "dunlin". */
static const uint64_t gear[256] = {
    0x23c9bb5fe8765b66, 0x402e26a6d3ed7f24, 0x8964946b5a1d9914, 0x15573ee2cb728235,
    0x3f81e72ef21d7acb, 0x590112538b4a807d, 0xf39bcec952a8e86d, 0x44e9a19019a7b212,
    0x0c557842e8b2cb96, 0x7e8a6911ad386dd1, 0xd8bab7292ad33781, 0x348d8fbad94908cb,
    0x690fcf687a3b8b8e, 0x25d346277deaf946, 0x3db771d814409ef2, 0x88a36ed77527af6b,
    0x83506e3de7362fb6, 0x2180f0ff0d4b51c0, 0x6636f70bdfd258e3, 0x32130808eb94bcb0,
    0x81709aaef4cfa057, 0xfbfce3993a59e824, 0xa70b771c5318de51, 0xacdbbe19d3d204d1,
    0x88eedfa31736acba, 0x34026454222bf8af, 0x5bf1841fabcb7681, 0x62cf34288662a2e6,
    0x0c3c012e868a0360, 0xd00d7287b851313d, 0x26c41f960dffb315, 0xfb776baa70cd74fa,
    0x8e37d7c85f13e3ac, 0x93e9e48cdb16000c, 0x391c11ddcffbb7ec, 0xffc71c848707064c,
    0x3fd30df204c275e9, 0xcae6cad7b6d4a04c, 0xda9af7cee4b3e550, 0x666016a81962cdc3,
    0x0dc24e3f8f55ef06, 0x6f8e859351b5e96d, 0x9dae4b25663544e3, 0xf3f2fba3ed138959,
    0xe08228327c376cc7, 0xd6a65726d973d8a6, 0x81cfcd147e553228, 0x248f7b5569ea7ce7,
    0x6589f6324b97741e, 0x9bd26dd777b362cf, 0x4b9b1a2df4a4687a, 0x04105eca771b941e,
    0x81e4f9305abc6ea3, 0xfadf8f88133e2371, 0x933916ed2374871c, 0x539bb7e176e4006b,
    0xb638ffabd15f7add, 0x3bfd33cb92f1ad1b, 0x9dd75e8ff1d7a38a, 0x37dd7246e1b71261,
    0x6d9cc7791f60120d, 0x561439c5ae49ac0c, 0x73966a8d6bfefa8c, 0x2f97249745616e39,
    0x83a3c26beef85fa3, 0x0b2d139d9d41b739, 0x390a535066c0d9e2, 0xd4126635d2ab69bf,
    0x975c13afa5d3db75, 0x8b9776f3b29256f8, 0xede7d5f699d844ef, 0x05fa980389bce1d2,
    0x54a914df4c35a08c, 0xab31541bc84f9418, 0x6bab37935f8ed6f5, 0x8db477295341096e,
    0x53cf14d622ebd0e1, 0xd8b2137052712214, 0xcd2407a3d642f698, 0xf2a41c4087ac5d00,
    0xfd7d34b37e2d63c9, 0x445fba391389ad20, 0xa719ff77560cdabe, 0x12cfdf5827e721d5,
    0x60f69e05cfea591a, 0x9b967176f60960a1, 0x8420d9e34102d485, 0x6832ca39600a700c,
    0x34e1ecb42b9b0193, 0x7fb3e84156ebebcb, 0x1fdcc92cbd4b1b72, 0x8731362f78b32316,
    0x7b0be7c6b0e54a35, 0x1c4af1c0605efdcb, 0xdf4934c5b5c5df01, 0x754f2b90a182c1e8,
    0xd8685feb40ed478a, 0x42fe8e88d0890cc1, 0x8e644a82f1753e3d, 0x2f082cc822079a67,
    0x41a5958c843bf50f, 0x45be99c50f750376, 0xbc098542f88189f0, 0xeb5f5564bcbb2b23,
    0x6d434fdc23cc165c, 0x6bf3b9758c51fac0, 0x6ee08b1a607d2b55, 0xec1fc11ca2e553cf,
    0x3eb921fa8ff83743, 0xa7ec79ee2a3562b0, 0x7556be94e39e67d3, 0x74a5c5fd0c5717a8,
    0xa2f1aa2b094514cd, 0xa22a6eaecd1c6dfc, 0x0aceb824eaa17955, 0xe521c3ea2ed9a2b1,
    0xc563bf382b8afc69, 0x1ecdb769df7260c6, 0x4e891b5f517e6ca2, 0x0401086c1e3444bc,
    0xb73e066c9832d4e9, 0x4e590f1958364262, 0x00722b615bd401db, 0xb1969420eaeb09eb,
    0x3648862776e8d22a, 0xa975e00367eb42d1, 0x2d7b20298bd7f1ff, 0x69d2adaa66ef5c2b,
    0xe49c31183a50d71f, 0x1324865d0ce74bab, 0xdc88bf0c3699d7bd, 0x3b3f4e7965992ae1,
    0x8a4371949534eda7, 0x5441d1cef7f8ccea, 0xbd152d08d9a127c9, 0x5a18632c4c55f1f7,
    0xf5f0d1a840923625, 0x4fba530c900b5e46, 0xaf505daa0e86916b, 0x0ccd1cbde8a95453,
    0x847b6dc5a5c81941, 0x35968a286ef1d090, 0xa47afc5a6ade3f17, 0x0b7069774458f56f,
    0x966a1cea9bd40991, 0x01bc4f595ae84259, 0xd19c9d9a8513b5e6, 0x0a0e9225b7cc4d6d,
    0xc8a82da926be11f6, 0x5e3330deb28fe36f, 0xd005ef53437239c1, 0xa68f43982ebb7edf,
    0xa901f6d8a1ac9305, 0x7c55b4b926577eb2, 0x3224af431a21d6bc, 0xb60ed5922dd08dbd,
    0xca993bd33910829c, 0xc32b54a58eb0a031, 0x4fd2e1644cc5961f, 0xcdce84f7de7f3a3a,
    0x94a24274e531ef10, 0x19d5e67347d8d1ad, 0x08f5ba8d3296cc62, 0x06f6fde462e57ac5,
    0x9f77b67d1da57073, 0x345583f3a7a35bc0, 0x4ea04fad41b27c13, 0x67d5e6c664a2279b,
    0x73abfd76093bfb2c, 0xef30d68d294cdfd8, 0xf8391e41ca34c192, 0xc8cf02ef6447821f,
    0x4ccb3cb6fae4c2ce, 0xbeb108f89b9f3e9e, 0x1cb5f058cd651e87, 0x437dc446fdc4530c,
    0xca320624b4ad7416, 0xc01a32820e6fb4b7, 0x8152fb4118671cd8, 0x411fb9fe7ff8c753,
    0x98a66a80996c403d, 0x7660af9d607bfd43, 0xb30c76f769f76031, 0x4aa98c791dc4ed44,
    0x16051a0d58920d1e, 0x21fdfa127a9f10e7, 0xbcbe5533e429355b, 0x29e749c3ac433772,
    0x78bf34f6b827c121, 0x3cd8348444ff0b92, 0x0eada240f3a0e9b6, 0x4cd11e10bde37054,
    0xed9b442b87d66fbc, 0x2b4ba0bd506b3da8, 0xebd049bdd7e7fad8, 0x5ce5c5858724d92b,
    0xbea5df31d14fc87f, 0xab1e08fdb3d8d0b0, 0x1e86617017d75273, 0xb4c8cf939427cc10,
    0x978a060e980f9fa7, 0x7f92ce0db5f8e1db, 0x23cdc631a87ac56b, 0x5a93134d8853638d,
    0xed260c1490af79d2, 0x0d203ffb186f452b, 0x12400909e4a91858, 0x4d606ec382a931a1,
    0x991e51afa08b0053, 0x591601752c900429, 0x37ec23cfb6acf8dc, 0x6987bfdbf67fc766,
    0xc87f5ce192f6201c, 0x4539bcb903ab70c4, 0xfcfe6e7cd3493f02, 0x7035619b0e01bea5,
    0x239adf5edde35e3a, 0x88f3dc8b17f10394, 0xc0171bccbb4ee189, 0xfd1a286018836965,
    0x3926281efe9ddd11, 0xcf527fe791063032, 0xec9840b7b6c9d8f5, 0x02ffa15b5bdffaf2,
    0xad9d189ecaf10152, 0xc069fc1c9d625665, 0x3c92535645958ec5, 0xc35874db6d04256d,
    0x0bad15dcab6d1942, 0x4e15487500c8877b, 0x8075a8f0eb0cb803, 0x439d3ff14d50dc55,
    0xbbf7881af059f410, 0x4d2719fd8111e3dc, 0x37c7e3dc19fcfd76, 0x5631bb77684859e8,
    0x205b954c5f192bb3, 0x0308a6a24b62f1e9, 0x6994ad084a134c55, 0xdafc122feb4a27ae,
    0xb160dee2bfc99f2e, 0xfe3ad5f6d9e5d331, 0x57b8af5181db95fd, 0x0b76673c60aca259,
    0x9163babaf6b3aba7, 0x56b740cbc62c1e9a, 0x78d46226e2abef98, 0x61cbe40b96cba19b,
    0x426c237f30b835c7, 0xa60e420c74085182, 0xebc66fad61081a4d, 0x6ff9d30e45ab4a95,
    0xfe8e2d8878de98b5, 0x2ccfe3015e0bb138, 0x943b46c1824390d6, 0x0eb61376eb84f0d1,
};

size_t chunker_scan(struct chunker *c, struct span bytes, bool *cut)
{
    size_t at = 0;
    skip_to_min(c, bytes, &at);
    *cut = roll(c, bytes, &at, CHUNK_AVERAGE, MASK_STRICT) ||
           roll(c, bytes, &at, CHUNK_MAX, MASK_LOOSE) || c->len == CHUNK_MAX;
    if (*cut)
        *c = (struct chunker){0};
    return at;
}

/* No cut may fall before CHUNK_MIN, so these bytes need no hashing. */
static void skip_to_min(struct chunker *c, struct span bytes, size_t *at)
{
    if (c->len >= CHUNK_MIN)
        return;
    size_t n = CHUNK_MIN - c->len;
    if (n > bytes.len)
        n = bytes.len;
    c->len += (uint32_t)n;
    *at = n;
}

/* Hashes on until the chunk is `until` bytes long; true behind the byte where the hash says cut. */
static bool roll(struct chunker *c, struct span bytes, size_t *at, uint32_t until, uint64_t mask)
{
    if (c->len >= until)
        return false;
    size_t start = *at, end = bytes.len;
    if (end - start > until - c->len)
        end = start + (until - c->len);
    uint64_t hash = c->hash;
    size_t i = start;
    bool cut = false;
    while (i < end && !cut) {
        hash = (hash << 1) + gear[bytes.data[i++]];
        cut = (hash & mask) == 0;
    }
    c->hash = hash;
    c->len += (uint32_t)(i - start);
    *at = i;
    return cut;
}
