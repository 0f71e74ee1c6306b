/*
 * gate: says which agents of a cohort a record, or its next version, is already meant for.
 * It knows nothing of rollouts; the manager picks the numbers, and every agent decides by itself.
 */
#ifndef DUNLIN_SYNC_GATE_H
#define DUNLIN_SYNC_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct gate {
    uint64_t
        threshold; /* an agent passes when its hash is at most this; UINT64_MAX lets all pass */
    uint32_t enrolled_before; /* and its number is below this; UINT32_MAX lets all pass */
};

#define GATE_OPEN ((struct gate){.threshold = UINT64_MAX, .enrolled_before = UINT32_MAX})

/* Where the agent stands in this deployment's order: siphash(salt || deployment number, its
 * number). The manager gives numbers, so nobody chooses a place; and a device that takes another's
 * place has its number, and with it this place. */
uint64_t gate_hash(uint64_t salt, uint32_t deployment, uint32_t number);

/* True for one that lets everybody pass. */
bool gate_is_open(const struct gate *g);

bool gate_passes(const struct gate *g, uint64_t hash, uint32_t number);

#endif
