#include "agent/core/wall.h"

struct wall wall_start(uint64_t floor_s, uint64_t now_ms)
{
    return (struct wall){.floor_s = floor_s <= WALL_S_MAX ? floor_s : 0, .since_ms = now_ms};
}

void wall_learn(struct wall *w, uint64_t signed_s, uint64_t now_ms)
{
    if (signed_s <= WALL_S_MAX && signed_s > wall_floor_s(w, now_ms))
        *w = wall_start(signed_s, now_ms);
}

void wall_learn_online(struct wall *w, uint64_t signed_s, uint64_t rooted_s, uint64_t system_s,
                       uint64_t now_ms)
{
    bool running = system_s >= rooted_s;
    if (!running || signed_s <= system_s || signed_s - system_s <= WALL_AHEAD_S)
        wall_learn(w, signed_s, now_ms);
}

uint64_t wall_floor_s(const struct wall *w, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > w->since_ms ? now_ms - w->since_ms : 0;
    return w->floor_s + passed_ms / 1000;
}

uint64_t wall_guess_s(const struct wall *w, uint64_t system_s, uint64_t now_ms)
{
    return wall_is_floor(w, system_s, now_ms) ? wall_floor_s(w, now_ms) : system_s;
}

bool wall_is_floor(const struct wall *w, uint64_t system_s, uint64_t now_ms)
{
    return system_s < wall_floor_s(w, now_ms);
}
