/*
 * flood: how often anybody may do something: a bucket for whoever did it lately, in a table that
 * never grows. It knows nothing of what it is that they do, and reads no clock.
 */
#ifndef DUNLIN_MANAGER_FLOOD_H
#define DUNLIN_MANAGER_FLOOD_H

#include "base/siphash.h"
#include "manager/bucket.h"

/* Of those whose hashes meet in a set, the ones that spoke last have a bucket; a new one is full.
 * So the table needs no room for a fleet, only for its flooders. */
#define FLOOD_SETS 1024
#define FLOOD_WAYS 4

/* Zeroed, it is one that was never drawn from. */
struct flood_bucket {
    struct bucket bucket;
    uint32_t name; /* of whose it is, as far as that isn't in the set's number */
    bool empty;    /* it ran out, and has not been full since */
};

struct flood {
    struct bucket_limits limits;
    uint8_t key[SIPHASH_KEY_LEN];
    struct flood_bucket sets[FLOOD_SETS][FLOOD_WAYS];
};

enum flood_answer {
    FLOOD_ADMIT,
    FLOOD_BEGIN, /* drop it; it is the first one */
    FLOOD_DROP,
};

/* `key` keeps others from finding names that share a set. */
void flood_init(struct flood *f, const struct bucket_limits *limits,
                const uint8_t key[static SIPHASH_KEY_LEN]);
/* Counts one more by whoever has this name. */
enum flood_answer flood_count(struct flood *f, struct span name, uint64_t now_ms);
/* As if it had never done anything. */
void flood_forget(struct flood *f, struct span name);
/* Whether one more would be admitted. It counts nothing. */
bool flood_has_room(struct flood *f, struct span name, uint64_t now_ms);

/* The same for a bucket that stands alone. */
enum flood_answer flood_draw(struct flood_bucket *b, const struct bucket_limits *limits,
                             uint64_t now_ms);

#endif
