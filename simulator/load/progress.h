/*
 * progress: how far a phase has come, on standard error: a bar where that is a terminal, a line for
 * each phase elsewhere.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_PROGRESS_H
#define DUNLIN_SIMULATOR_LOAD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool terminal;
    const char *name; /* of the phase */
    uint64_t drawn_us;
};

void progress_open(struct progress *p);
void progress_begin(struct progress *p, const char *name);
/* As often as one likes; it is drawn ten times a second. */
void progress_show(struct progress *p, uint32_t done, uint32_t all, uint64_t now_us);
void progress_end(struct progress *p, double seconds);

#endif
