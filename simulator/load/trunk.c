#include "simulator/load/trunk.h"

#include "base/siphash.h"

#include <assert.h>
#include <stdlib.h>

#define CHANNELS_MIN 64
#define OWED_MIN 64
#define NOBODY UINT32_MAX

/* A packet that isn't acknowledged, and whose it is. */
struct trunk_owed {
    uint16_t id;
    uint32_t seat; /* NOBODY: it is acknowledged, and older ones aren't */
};

static void owe(struct trunk *t, uint32_t seat);
static uint32_t settle(struct trunk *t, uint16_t id);
static struct trunk_channel *find_channel(const struct trunk *t, uint64_t key);
static struct trunk_channel *open_channel(struct trunk *t, uint64_t key);
static void grow_channels(struct trunk *t);
static void tune_in(struct trunk_channel *ch, uint32_t seat);
static bool tune_out(struct trunk_channel *ch, uint32_t seat);
static void spread(struct trunk *t, const struct packet *p, trunk_hand *hand, void *context);
static void *grow(void *list, size_t count, size_t size);

/* ---- seats ---- */

void trunk_sit(struct trunk *t, uint32_t seat)
{
    if (t->seat_count == t->seat_cap) {
        t->seat_cap = t->seat_cap ? 2 * t->seat_cap : 64;
        t->seats = grow(t->seats, t->seat_cap, sizeof *t->seats);
    }
    t->seats[t->seat_count++] = seat;
}

/* What a simulator of a fleet has no memory for can't be simulated. */
static void *grow(void *list, size_t count, size_t size)
{
    void *more = realloc(list, count * size);
    if (!more)
        abort();
    return more;
}

uint32_t trunk_clear(struct trunk *t)
{
    uint32_t sat = t->seat_count;
    for (uint32_t i = 0; i < t->channel_cap; i++)
        free(t->channels[i].ears);
    free(t->channels);
    free(t->owed);
    t->channels = NULL;
    t->owed = NULL;
    t->channel_count = t->channel_cap = 0;
    t->owed_first = t->owed_count = t->owed_cap = 0;
    t->seat_count = 0;
    return sat;
}

void trunk_free(struct trunk *t)
{
    trunk_clear(t);
    free(t->seats);
    t->seats = NULL;
    t->seat_cap = 0;
}

/* ---- saying ---- */

void trunk_publish(struct hub *h, struct trunk *t, uint32_t seat, const char *topic,
                   struct span payload)
{
    line_publish(h, &t->line, topic, payload, false);
    owe(t, seat);
}

static uint64_t key_of(struct span topic)
{
    static const uint8_t key[SIPHASH_KEY_LEN];
    return siphash(key, topic) | 1; /* never 0 */
}

void trunk_subscribe(struct hub *h, struct trunk *t, uint32_t seat, const char *const *topics,
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        tune_in(open_channel(t, key_of(span_text(topics[i]))), seat);
    line_subscribe(h, &t->line, topics, count, 0);
    owe(t, seat);
}

unsigned trunk_unsubscribe(struct hub *h, struct trunk *t, uint32_t seat, const char *const *topics,
                           size_t count)
{
    const char *silent[PACKET_TOPICS_MAX];
    size_t silent_count = 0;
    assert(count <= PACKET_TOPICS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct trunk_channel *ch = find_channel(t, key_of(span_text(topics[i])));
        if (ch && tune_out(ch, seat))
            silent[silent_count++] = topics[i];
    }
    if (silent_count == 0)
        return 0;
    line_unsubscribe(h, &t->line, silent, silent_count);
    owe(t, seat);
    return 1;
}

/* ---- acknowledgements ---- */

static void owe(struct trunk *t, uint32_t seat)
{
    if (t->owed_count == t->owed_cap) {
        uint32_t cap = t->owed_cap ? 2 * t->owed_cap : OWED_MIN;
        struct trunk_owed *more = grow(NULL, cap, sizeof *more);
        for (uint32_t i = 0; i < t->owed_count; i++)
            more[i] = t->owed[(t->owed_first + i) % t->owed_cap];
        free(t->owed);
        t->owed = more;
        t->owed_first = 0;
        t->owed_cap = cap;
    }
    t->owed[(t->owed_first + t->owed_count++) % t->owed_cap] =
        (struct trunk_owed){.id = t->line.id, .seat = seat};
}

/* Whose packet it was; NOBODY: no such was sent. */
static uint32_t settle(struct trunk *t, uint16_t id)
{
    uint32_t seat = NOBODY;
    for (uint32_t i = 0; seat == NOBODY && i < t->owed_count; i++) {
        struct trunk_owed *o = &t->owed[(t->owed_first + i) % t->owed_cap];
        if (o->seat == NOBODY || o->id != id)
            continue;
        seat = o->seat;
        o->seat = NOBODY;
    }
    while (t->owed_count > 0 && t->owed[t->owed_first].seat == NOBODY) {
        t->owed_first = (t->owed_first + 1) % t->owed_cap;
        t->owed_count--;
    }
    return seat;
}

/* ---- topics ---- */

/* NULL: nobody ever asked for it. */
static struct trunk_channel *find_channel(const struct trunk *t, uint64_t key)
{
    for (uint32_t i = 0; i < t->channel_cap; i++) {
        struct trunk_channel *ch = &t->channels[(key + i) % t->channel_cap];
        if (ch->key == key)
            return ch;
        if (ch->key == 0)
            return NULL;
    }
    return NULL;
}

static struct trunk_channel *open_channel(struct trunk *t, uint64_t key)
{
    struct trunk_channel *ch = find_channel(t, key);
    if (ch)
        return ch;
    if (4 * (t->channel_count + 1) > 3 * t->channel_cap)
        grow_channels(t);
    uint64_t at = key % t->channel_cap;
    while (t->channels[at].key != 0)
        at = (at + 1) % t->channel_cap;
    t->channel_count++;
    t->channels[at].key = key;
    return &t->channels[at];
}

static void grow_channels(struct trunk *t)
{
    uint32_t cap = t->channel_cap ? 2 * t->channel_cap : CHANNELS_MIN;
    struct trunk_channel *more = grow(NULL, cap, sizeof *more);
    memset(more, 0, cap * sizeof *more);
    for (uint32_t i = 0; i < t->channel_cap; i++) {
        uint64_t at = t->channels[i].key % cap;
        while (t->channels[i].key != 0 && more[at].key != 0)
            at = (at + 1) % cap;
        if (t->channels[i].key != 0)
            more[at] = t->channels[i];
    }
    free(t->channels);
    t->channels = more;
    t->channel_cap = cap;
}

static void tune_in(struct trunk_channel *ch, uint32_t seat)
{
    uint32_t i = 0;
    while (i < ch->count && ch->ears[i].seat != seat)
        i++;
    if (i == ch->cap) {
        ch->cap = ch->cap ? 2 * ch->cap : 1;
        ch->ears = grow(ch->ears, ch->cap, sizeof *ch->ears);
    }
    ch->count += i == ch->count;
    ch->ears[i] = (struct trunk_ear){.seat = seat, .waits = true};
}

/* True when it was the last one. */
static bool tune_out(struct trunk_channel *ch, uint32_t seat)
{
    uint32_t i = 0;
    while (i < ch->count && ch->ears[i].seat != seat)
        i++;
    if (i == ch->count)
        return false;
    ch->ears[i] = ch->ears[--ch->count];
    return ch->count == 0;
}

/* ---- what comes ---- */

void trunk_take(struct trunk *t, const struct packet *p, trunk_hand *hand, void *context)
{
    bool answer =
        p->type == PACKET_PUBACK || p->type == PACKET_SUBACK || p->type == PACKET_UNSUBACK;
    uint32_t seat = answer ? settle(t, p->id) : NOBODY;
    if (seat != NOBODY)
        hand(context, seat, p);
    if (p->type == PACKET_PUBLISH)
        spread(t, p, hand, context);
}

/* From the end: whoever leaves is replaced by one that has been given it already. The table may
 * move meanwhile. */
static void spread(struct trunk *t, const struct packet *p, trunk_hand *hand, void *context)
{
    uint64_t key = key_of(p->topic);
    struct trunk_channel *ch = find_channel(t, key);
    for (uint32_t i = ch ? ch->count : 0; i > 0; i--) {
        ch = find_channel(t, key);
        struct trunk_ear *ear = i <= ch->count ? &ch->ears[i - 1] : NULL;
        if (!ear || (p->retained && !ear->waits))
            continue;
        ear->waits = false;
        hand(context, ear->seat, p);
    }
}
