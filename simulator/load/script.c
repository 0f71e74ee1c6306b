#include "simulator/load/script.h"

#include "base/endian.h"
#include "base/siphash.h"

#include <stdio.h>

static uint32_t draw(uint32_t agent, uint8_t purpose);

uint32_t script_group(uint32_t agent)
{
    return agent % SCRIPT_GROUPS;
}

struct labels script_labels(uint32_t group, bool moved)
{
    struct labels l;
    const char *env = group == 0 ? "staging" : group <= SCRIPT_CANARIES ? "canary" : "prod";
    snprintf(l.text, sizeof l.text, "env=%s%s,site=s%u", env, moved ? ",moved=yes" : "", group);
    return l;
}

uint32_t script_group_size(const struct script *s, uint32_t group)
{
    return s->agents / SCRIPT_GROUPS + (group < s->agents % SCRIPT_GROUPS);
}

uint32_t script_count_spares(uint32_t spares)
{
    uint32_t each = (spares + SCRIPT_GROUPS - 1) / SCRIPT_GROUPS;
    return each < SCRIPT_SPARES_EACH ? each : SCRIPT_SPARES_EACH;
}

struct labels script_spare(uint32_t i)
{
    struct labels l = {.text = "site=none"};
    if (i <= SCRIPT_SPARES_MAX)
        snprintf(l.text, sizeof l.text, "site=s%u", (i - 1) % SCRIPT_GROUPS);
    return l;
}

bool script_moves(uint32_t agent)
{
    uint32_t group = script_group(agent);
    return group == 5 || group == 15;
}

bool script_fails(const struct script *s, uint32_t agent)
{
    return draw(agent, 1) < s->fail_per_mille;
}

bool script_fetches(const struct script *s, uint32_t agent)
{
    return draw(agent, 2) < s->fetch_per_mille;
}

static uint32_t draw(uint32_t agent, uint8_t purpose)
{
    uint8_t key[SIPHASH_KEY_LEN] = {purpose}, bytes[4];
    le32_write(bytes, agent);
    return (uint32_t)(siphash(key, span_of(bytes, sizeof bytes)) % 1000);
}

uint32_t script_count_moved(const struct script *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->agents; i++)
        count += script_moves(i);
    return count;
}

uint32_t script_count_failing(const struct script *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->agents; i++)
        count += script_fails(s, i);
    return count;
}

uint32_t script_count_fetching(const struct script *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->agents; i++)
        count += script_fetches(s, i);
    return count;
}
