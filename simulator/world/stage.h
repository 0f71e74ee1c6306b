/*
 * stage: what all parts of a simulated world stand on: the virtual clock, the events to come, one
 * random sequence, the trace of what happened, and the first thing that must not have happened.
 * It knows nothing of agents, managers and brokers.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_STAGE_H
#define DUNLIN_SIMULATOR_WORLD_STAGE_H

#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calendar when a world begins: 2023-11-14 22:13:20 UTC. */
#define STAGE_WALL_S 1700000000u
#define STAGE_FAULT_MAX 256

/* `tag` is the caller's, to tell what has been overtaken by events; `payload` is freed afterwards.
 */
typedef void stage_fn(void *context, uint64_t tag, void *payload);

struct stage_event {
    uint64_t at_ms;
    uint64_t serial; /* of two at the same time the older comes first */
    stage_fn *run;
    void *context;
    uint64_t tag;
    void *payload;
};

struct stage {
    uint64_t now_ms;
    struct rng rng;
    struct stage_event *events; /* a binary heap, the next one first */
    size_t event_count;
    size_t event_room;
    uint64_t serial;
    char *trace; /* lines, NUL-terminated */
    size_t trace_len;
    size_t trace_room;
    char fault[STAGE_FAULT_MAX]; /* the first one, or "" */
};

void stage_open(struct stage *s, uint64_t seed);
void stage_close(struct stage *s);

uint64_t stage_wall_s(const struct stage *s);

/* Calls `run` at `at_ms`, or as soon as it can when that has passed. `payload` is NULL or from
 * malloc. */
void stage_at(struct stage *s, uint64_t at_ms, stage_fn *run, void *context, uint64_t tag,
              void *payload);

/* Moves on to the next event and runs it; false, with the clock at `until_ms`, when there is none
 * until then. */
bool stage_next(struct stage *s, uint64_t until_ms);

/* Adds a line "t=12.345 …" to the trace. */
void stage_trace(struct stage *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something that must never happen has happened: kept, and traced, once. */
void stage_fault(struct stage *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
