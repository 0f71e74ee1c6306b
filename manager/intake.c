#include "manager/intake.h"

#include "base/endian.h"

/* An agent's id, and the broker. */
#define NAME_LEN (KEY_ID_LEN + 4)

static const struct bucket_limits heard_limits = {.per_minute = INTAKE_PER_MINUTE,
                                                  .burst = INTAKE_BURST};
static const struct bucket_limits excess_limits = {.per_minute = INTAKE_PER_MINUTE,
                                                   .burst = INTAKE_EXCESS};

void intake_init(struct intake *in, const uint8_t key[static SIPHASH_KEY_LEN])
{
    flood_init(&in->heard, &heard_limits, key);
    flood_init(&in->excess, &excess_limits, key);
}

enum intake_answer intake_count(struct intake *in, const struct key_id *agent, uint32_t broker,
                                bool fresh, uint64_t now_ms)
{
    uint8_t bytes[NAME_LEN];
    memcpy(bytes, agent->bytes, KEY_ID_LEN);
    le32_write(bytes + KEY_ID_LEN, broker);
    struct span name = span_of(bytes, sizeof bytes);
    enum flood_answer heard = flood_count(&in->heard, name, now_ms);
    if (heard == FLOOD_ADMIT)
        return INTAKE_ADMIT;
    if (!fresh || flood_count(&in->excess, name, now_ms) == FLOOD_ADMIT)
        return heard == FLOOD_BEGIN ? INTAKE_BEGIN : INTAKE_DROP;
    flood_forget(&in->excess, name);
    return INTAKE_CUT_OFF;
}
