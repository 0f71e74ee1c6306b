/*
 * profile: how a link behaves: how long a message takes, when there is a link at all, and how it
 * ends. It draws what it is told to draw, and knows no device.
 *
 * There is a link while three things hold: it is in one of the spells that `up` and `down` make in
 * turn; it is within the window that opens every `every`; and its region has no outage.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_PROFILE_H
#define DUNLIN_SIMULATOR_FLEET_PROFILE_H

#include "base/err.h"
#include "base/rng.h"
#include "base/span.h"

#include <stdbool.h>

#define PROFILE_NAME_MAX 31
#define PROFILE_REGIONS_MAX 1000

/* Evenly between the two, both included. */
struct range {
    uint64_t min;
    uint64_t max;
};

enum profile_phase {
    PHASE_OF_AGENT,  /* each has its window at a time of its own */
    PHASE_OF_REGION, /* all of a region at the same */
    PHASE_OF_ALL,    /* everybody at the same */
    PHASE_OF_COUNT,
};

struct profile {
    char name[PROFILE_NAME_MAX + 1];
    struct range delay_ms; /* of each message, one way */
    uint64_t bandwidth;    /* bytes a second, of content */
    struct range up_ms;    /* 0: for ever */
    struct range down_ms;
    uint64_t every_ms; /* 0: the window is always open */
    uint64_t window_ms;
    uint8_t phase; /* enum profile_phase: of the window */
    uint32_t regions;
    uint64_t outage_every_ms; /* of a region, on average; 0: none */
    struct range outage_ms;
    uint32_t cuts_per_mille; /* of messages that are lost with their link */
    uint32_t half_per_mille; /* of links that end without the broker's hearing of it */
};

/* Links without a fault: 20 ms, 1 MiB a second, always there. */
extern const struct profile profile_plain;

/* Reads a profile's YAML: ERR_USAGE with FILE:LINE:COLUMN and a sentence. */
int profile_read(const char *path, struct span text, struct profile *p, struct errmsg *em);
/* One of those that are built in, by its name, or of a file, when there is a '/' or a '.' in it. */
int profile_find(const char *name, struct profile *p, struct errmsg *em);
/* Their files, as texts; a NULL name behind the last. */
struct profile_text {
    const char *name;
    const char *text;
};
extern const struct profile_text profiles_builtin[];
/* The names of those that are built in, by rising index; NULL behind the last. */
const char *profile_name(size_t index);

uint64_t range_draw(const struct range *r, struct rng *rng);

#endif
