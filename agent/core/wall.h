/*
 * wall: how late it is at least, as an agent knows without trusting its clock: a floor made of
 * signed times and of time that passed, and the best guess made of that and the machine's calendar.
 * It reads no clock; a calendar that is wrong, or that somebody set, never moves the floor.
 */
#ifndef DUNLIN_AGENT_CORE_WALL_H
#define DUNLIN_AGENT_CORE_WALL_H

#include <stdbool.h>
#include <stdint.h>

/* The last second of the year 9999: what is later is no time, and would make the sums overflow. */
#define WALL_S_MAX UINT64_C(253402300799)
/* A calendar may be so far behind and still be right about the year. Brokers' certificates, which
 * are renewed a month before their end, outlive a mistake of that size. */
#define WALL_AHEAD_S UINT64_C(1209600)

struct wall {
    uint64_t floor_s;  /* it was at least this late … */
    uint64_t since_ms; /* … at this monotonic time */
};

/* From what was kept, or built in. What is no time counts as 0. */
struct wall wall_start(uint64_t floor_s, uint64_t now_ms);
/* It is at least as late as something that was signed. Nothing moves back; what is no time is
 * ignored. */
void wall_learn(struct wall *w, uint64_t signed_s, uint64_t now_ms);
/*
 * The same for what a key signed that may be stolen one day, and dates things far ahead: a calendar
 * that isn't behind `rooted_s`, the newest time that root keys signed or that was built in, is
 * believed more, and the floor moves at most WALL_AHEAD_S beyond it.
 */
void wall_learn_online(struct wall *w, uint64_t signed_s, uint64_t rooted_s, uint64_t system_s,
                       uint64_t now_ms);

/* It is at least this late: what to keep over a restart. */
uint64_t wall_floor_s(const struct wall *w, uint64_t now_ms);
/* How late it is, as far as one can tell: `system_s` unless that is before the floor. */
uint64_t wall_guess_s(const struct wall *w, uint64_t system_s, uint64_t now_ms);
/* The machine's calendar is behind what is known for sure: don't believe it. */
bool wall_is_floor(const struct wall *w, uint64_t system_s, uint64_t now_ms);

#endif
