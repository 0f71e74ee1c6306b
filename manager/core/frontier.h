/*
 * frontier: how far a number may rise until some group has more members up to it than there is room
 * for, where a member may be of several groups. It walks through them again and again, digit by
 * digit from the highest on, in 34 KiB however many there are, and knows nothing of what they are.
 */
#ifndef DUNLIN_MANAGER_CORE_FRONTIER_H
#define DUNLIN_MANAGER_CORE_FRONTIER_H

#include <stdbool.h>
#include <stdint.h>

#define FRONTIER_GROUPS_MAX 32
#define FRONTIER_DIGIT_BITS 8
#define FRONTIER_DIGITS (1u << FRONTIER_DIGIT_BITS)
/* No group stopped it. */
#define FRONTIER_NO_GROUP FRONTIER_GROUPS_MAX

struct frontier {
    uint32_t room[FRONTIER_GROUPS_MAX]; /* behind what is known */
    unsigned known;                     /* bits from this one on are known: */
    uint64_t prefix;
    unsigned shift; /* of the digit that is looked at now */
    uint64_t value; /* once frontier_next said no more */
    uint32_t group; /* the one that the next number would be too many for */
    uint32_t seen[FRONTIER_DIGITS];
    uint32_t counts[FRONTIER_DIGITS][FRONTIER_GROUPS_MAX];
};

/* Begins with room for nobody: the caller says `room`. */
void frontier_begin(struct frontier *f);
/* A number and its groups, as bits; none: it holds up nothing, and is told from those that do. */
void frontier_see(struct frontier *f, uint64_t number, uint32_t groups);
/*
 * After all of them were seen: true when they must be seen once more. With false, every group has
 * room for those of its members that are at most `value`, and whoever comes next is too many for
 * `group`; or `value` is UINT64_MAX, and there is room for all.
 */
bool frontier_next(struct frontier *f);

#endif
