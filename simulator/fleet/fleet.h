/*
 * fleet: the verb `dunlin-sim fleet`: options from a command line, runs, and what is printed of
 * them. It knows nothing of what happens in a run.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_FLEET_H
#define DUNLIN_SIMULATOR_FLEET_FLEET_H

#include "simulator/fleet/flock.h"

/* The words after "dunlin-sim", "fleet" first; the exit code: 0 done, 1 failed, 2 wrong use. */
int fleet_main(int argc, char *argv[]);

/* What can break: X(flag, field of struct flock_faults, its value's word, the most, the most in a
 * swarm, help). */
#define FLEET_FAULTS(X)                                                                            \
    X("power-cuts", power_cuts, "PERMILLE", 100000, 5000, "of devices, each day")                  \
    X("lost-writes", lost_writes, "PERMILLE", 500, 100,                                            \
      "of writes to a device's disk, half of them with a power cut")                               \
    X("rotten", rotten, "PERMILLE", 500, 200,                                                      \
      "of downloads, found damaged when they are unpacked")                                        \
    X("clock-jumps", clock_jumps, "PERMILLE", 100000, 2000, "of devices, each day: up to a month") \
    X("one-way", one_way, "PERMILLE", 100000, 5000,                                                \
      "of devices, each day: a link that carries one way only, until somebody notices")            \
    X("duplicates", duplicates, "PERMILLE", 1000, 300, "of messages")                              \
    X("late", late, "PERMILLE", 500, 100, "of statuses, which later ones overtake")                \
    X("clones", clones, "N", 64, 3, "devices with a copy of another's disk")                       \
    X("manager-kills", manager_kills, "N", 10000, 50, "a day")                                     \
    X("cell-kills", cell_kills, "N", 10000, 50, "a day; every other time it forgets all")          \
    X("pauses", pauses, "N", 1000, 20, "a day: the operator pauses the deployment, up to an hour") \
    X("removals", removals, "N", 10000, 3, "devices that the operator takes out, in all")          \
    X("aborts", aborts, "N", 1000, 4, "a day: the operator aborts a rollout")                      \
    X("rollbacks", rollbacks, "N", 1000, 3, "a day: the operator goes back a version")             \
    X("second-tries", second_tries, "N", 1000, 4, "a day: the operator retries where it failed")   \
    X("versions", versions, "N", 1000, 4, "a day: a newer version, amid a rollout or behind it")   \
    X("relabels", relabels, "N", 100000, 40,                                                       \
      "in all: a device gets other labels, of another stage or of none")                           \
    X("cordons", cordons, "N", 100000, 20, "in all: a device is cordoned, for up to six hours")    \
    X("paces", paces, "N", 1000, 6,                                                                \
      "a day: the operator sets a rollout's rate or start, or a stage's concurrency")              \
    X("lying-disks", lying_disks, "PERMILLE", 1000, 500,                                           \
      "of power cuts: what the disk said that it had kept since a while is lost")                  \
    X("queue-max", queue_max, "BYTES", 1u << 30, 500,                                              \
      "of statuses that a broker keeps for a manager that is away; 0: all")

/* The command that makes this run, as one line. */
#define COMMAND_MAX 2048
void fleet_command(const struct flock_options *o, char out[static COMMAND_MAX]);
/* And back: its words without "dunlin-sim", with one heartbeat. ERR_USAGE with a sentence. */
int fleet_read(int argc, char *argv[], struct flock_options *o, struct errmsg *em);

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
/* One of its figures, by its name in that document. */
double spread_figure(const struct outcome *run, const char *name);

/* ---- plot.c ---- */

/* How the new version spread, what brokers and manager had to do in each hour, and what a device's
 * day costs: DIR/spread.svg, load.svg and cost.svg, by gnuplot, each from a .csv beside it. */
int plot_draw(const struct outcome *runs, size_t count, const char *dir, struct errmsg *em);

/* ---- swarm.c ---- */

/* Small fleets with random options, one seed after the other, for so long or for so many seeds;
 * ends with the first that fails, made as small as it still fails. The exit code. */
int swarm_run(uint64_t first_seed, uint64_t seconds, uint64_t seeds);
/* What fails with these options does so still with those that this leaves. */
void swarm_shrink(struct flock_options *o);

#endif
