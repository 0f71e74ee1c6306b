#include "manager/allowance.h"

#include "base/endian.h"

static const struct bucket_limits request_limits = {.per_minute = ALLOWANCE_REQUESTS,
                                                    .burst = ALLOWANCE_REQUESTS};
static const struct bucket_limits lie_limits = {.per_minute = ALLOWANCE_LIES,
                                                .burst = ALLOWANCE_LIES_AT_ONCE};
static const struct bucket_limits guess_limits = {.per_minute = ALLOWANCE_GUESSES,
                                                  .burst = ALLOWANCE_GUESSES_AT_ONCE};

/* What an allowance is kept under. */
struct name {
    uint32_t batch, index, place;
};

static struct span name_of(const struct asker *who, struct name *room);
static struct span token_of(const struct asker *who, struct name *room);

void allowance_init(struct allowance *a, const uint8_t key[static SIPHASH_KEY_LEN])
{
    flood_init(&a->requests, &request_limits, key);
    flood_init(&a->lies, &lie_limits, key);
    a->guesses = (struct flood_bucket){0};
}

enum flood_answer allowance_look(struct allowance *a, const struct asker *who, uint64_t now_ms)
{
    struct name room;
    struct span name = name_of(who, &room);
    if (!flood_has_room(&a->requests, name, now_ms))
        return flood_count(&a->requests, name, now_ms);
    name = token_of(who, &room);
    if (who->proves && !flood_has_room(&a->lies, name, now_ms))
        return flood_count(&a->lies, name, now_ms);
    return FLOOD_ADMIT;
}

void allowance_spend(struct allowance *a, const struct asker *who, bool proven, uint64_t now_ms)
{
    struct name room;
    if (proven)
        flood_count(&a->requests, name_of(who, &room), now_ms);
    else
        flood_count(&a->lies, token_of(who, &room), now_ms);
}

enum flood_answer allowance_count(struct allowance *a, const struct key_id *device, uint64_t now_ms)
{
    return flood_count(&a->requests, span_of(device->bytes, sizeof device->bytes), now_ms);
}

enum flood_answer allowance_guess(struct allowance *a, uint64_t now_ms)
{
    return flood_draw(&a->guesses, &guess_limits, now_ms);
}

/*
 * A device of the fleet has one of its own. Who has a token for many devices is one of many: those
 * that are none yet share as many places as it has uses, so that keys which somebody makes up get
 * no more answers.
 */
static struct span name_of(const struct asker *who, struct name *room)
{
    if (who->known)
        return span_of(who->id.bytes, sizeof who->id.bytes);
    *room = (struct name){
        .batch = who->batch, .index = who->index, .place = le32_read(who->id.bytes) % who->uses};
    return span_of(room, sizeof *room);
}

static struct span token_of(const struct asker *who, struct name *room)
{
    *room = (struct name){.batch = who->batch, .index = who->index};
    return span_of(room, sizeof *room);
}
