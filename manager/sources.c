#include "manager/sources.h"

#include "crypto/random.h"

#include <assert.h>

static void key_of(const struct sockaddr *from, uint8_t key[static 16]);
static struct source *find(struct sources *s, const uint8_t key[static 16]);

void sources_init(struct sources *s, const struct source_limits *limits)
{
    memset(s, 0, sizeof *s);
    s->limits = *limits;
    random_bytes(s->hash_key, sizeof s->hash_key);
}

int sources_admit(struct sources *s, const struct sockaddr *from, uint64_t now_ms)
{
    uint8_t key[16];
    key_of(from, key);
    struct source *source = find(s, key);
    if (!source)
        return ERR_BUSY;
    if (memcmp(source->key, key, sizeof key) != 0) {
        *source = (struct source){.open = 0};
        memcpy(source->key, key, sizeof key);
    }
    bool may = bucket_fill(&source->connects, &s->limits.connects, now_ms);
    if (!may || source->open >= s->limits.at_a_time)
        return ERR_REFUSED;
    bucket_take(&source->connects);
    source->open++;
    return (int)(source - s->table);
}

void sources_leave(struct sources *s, int place)
{
    assert(s->table[place].open > 0);
    s->table[place].open--;
}

void sources_forgive(struct sources *s, int place)
{
    bucket_put_back(&s->table[place].connects);
}

bool sources_was_full(const struct sources *s, int place)
{
    return bucket_was_full(&s->table[place].connects, &s->limits.connects);
}

/* Whoever has an IPv6 network has all of its addresses. */
static void key_of(const struct sockaddr *from, uint8_t key[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(key, 0, 16);
    if (from->sa_family == AF_INET6) {
        memcpy(&v6, from, sizeof v6);
        bool is_mapped = memcmp(v6.sin6_addr.s6_addr, mapped, sizeof mapped) == 0;
        memcpy(key, v6.sin6_addr.s6_addr, is_mapped ? 16 : 8);
    } else if (from->sa_family == AF_INET) {
        memcpy(&v4, from, sizeof v4);
        memcpy(key, mapped, sizeof mapped);
        memcpy(key + sizeof mapped, &v4.sin_addr, 4);
    }
}

/* Its own entry, or the one of who was silent longest and has nothing open; NULL when all have. */
static struct source *find(struct sources *s, const uint8_t key[static 16])
{
    uint64_t set = siphash(s->hash_key, span_of(key, 16)) % SOURCES_SETS;
    struct source *first = &s->table[set * SOURCES_WAYS], *oldest = NULL;
    for (struct source *e = first; e < first + SOURCES_WAYS; e++) {
        if (e->connects.seen_ms > 0 && memcmp(e->key, key, 16) == 0)
            return e;
        if (e->open == 0 && (!oldest || e->connects.seen_ms < oldest->connects.seen_ms))
            oldest = e;
    }
    return oldest;
}
