/*
 * fleet: the verb `dunlin-sim fleet`: options from a command line, runs, and what is printed of
 * them. It knows nothing of what happens in a run.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_FLEET_H
#define DUNLIN_SIMULATOR_FLEET_FLEET_H

#include "simulator/fleet/flock.h"

/* The words after "dunlin-sim", "fleet" first; the exit code: 0 done, 1 failed, 2 wrong use. */
int fleet_main(int argc, char *argv[]);

/* The command that makes this run, as one line. */
#define COMMAND_MAX 2048
void fleet_command(const struct flock_options *o, char out[static COMMAND_MAX]);

/* ---- spread.c ---- */

/* One run and what it took. */
struct outcome {
    struct flock_options options;
    struct flock_result result;
    double processor_s;
    uint64_t memory; /* bytes, at most so far */
};

/* As tables for people; several runs, which differ in their heartbeats, side by side. */
void spread_print(const struct outcome *runs, size_t count);
/* One JSON document. */
int spread_json(const struct outcome *runs, size_t count);
/* How the new version spread, as DIR/spread.svg by gnuplot, from DIR/spread.csv. */
int spread_plot(const struct outcome *runs, size_t count, const char *dir, struct errmsg *em);

/* ---- swarm.c ---- */

/* Small fleets with random options, one seed after the other, for so long or for so many seeds;
 * ends with the first that fails, made as small as it still fails. The exit code. */
int swarm_run(uint64_t first_seed, uint64_t seconds, uint64_t seeds);

#endif
