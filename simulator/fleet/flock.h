/*
 * flock: a fleet in virtual time, up to a million devices: the two real cores, and between them
 * links, brokers and disks that fail as they are told to. The same options and seed give the same
 * run on every machine. While it runs it looks whether anything is as it must never be.
 *
 * Against `world`, which tells the same in bytes for a few devices, values go over its wires, not
 * messages: nothing is encoded, sealed, signed or MACed. That is tested there, and by real brokers.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_FLOCK_H
#define DUNLIN_SIMULATOR_FLEET_FLOCK_H

#include "manager/core/manager.h"
#include "simulator/fleet/profile.h"

/* Kinds of links in one fleet. */
#define FLOCK_LINKS_MAX 8
#define FLOCK_CELLS_MAX 64
#define FLOCK_BUNDLES_MAX 8
/* Label sets: three environments times so many regions. */
#define FLOCK_SITES_MAX 100

#define FLOCK_LINK_NAME_MAX 128

struct flock_link {
    char name[FLOCK_LINK_NAME_MAX]; /* of the profile, or of its file */
    struct profile profile;
    uint32_t share; /* of the fleet: against those of the other links */
};

/* How often something breaks, while faults are on. Per mille of devices and day, or in a day. */
struct flock_faults {
    uint32_t power_cuts;    /* per mille of devices and day */
    uint32_t lost_writes;   /* per mille of writes to a device's disk: it says that it can't */
    uint32_t rotten;        /* per mille of downloads, found damaged when they are unpacked */
    uint32_t clock_jumps;   /* per mille of devices and day: up to a month, either way */
    uint32_t one_way;       /* per mille of devices and day: a link that carries one way only */
    uint32_t duplicates;    /* per mille of messages */
    uint32_t late;          /* per mille of statuses, which later ones overtake */
    uint32_t lying_disks;   /* per mille of power cuts: what it said that it had kept is lost */
    uint32_t clones;        /* devices with a copy of another's disk, in all */
    uint32_t manager_kills; /* in a day */
    uint32_t cell_kills;    /* in a day; every other broker has lost its memory */
    uint32_t pauses;        /* in a day: an operator's, each for up to an hour */
    uint32_t removals;      /* devices that an operator takes out of the fleet, in all */
    uint32_t aborts;        /* in a day: of a rollout that is on its way */
    uint32_t rollbacks;     /* in a day */
    uint32_t second_tries;  /* in a day: of those that failed */
    uint32_t versions;      /* in a day: behind the second one, amid its rollout or not */
    uint32_t paces;         /* in a day: what an operator sets of a rollout on its way */
    uint32_t relabels;      /* of devices, in all */
    uint32_t cordons;       /* of devices, in all, each for up to six hours */
    uint32_t queue_max;     /* bytes for a manager that is away; 0: any number (cell_queues) */
};

struct flock;

struct flock_options {
    uint64_t seed;
    uint32_t agents;
    uint32_t cells;
    uint32_t sites;
    uint64_t run_ms; /* with faults; then they end, and the fleet has `rest_ms` to come to rest */
    uint64_t rest_ms;
    uint64_t join_ms;    /* devices are switched on over this time */
    uint64_t deploy_ms;  /* the new version, in three stages; 0: none */
    uint64_t approve_ms; /* so long after that the operator lets the last stage begin; 0: at once */
    uint64_t tick_ms;    /* of the manager */
    struct policy policy;
    uint64_t bundle_bytes;
    uint32_t failing_per_mille; /* of devices, where the new version's health check fails */
    struct amount concurrency;
    uint32_t deadline_s; /* of a device in a rollout; 0: none */
    uint32_t retries;    /* of a version that failed on a device, */
    uint32_t back_off_s; /* the first of them after this */
    uint32_t returning;  /* agents that come back, at work at a time; 0: all of them */
    uint32_t budget; /* agents out of Ready at a time, from the new version on; 0: all of them */
    struct flock_faults faults;
    uint32_t link_count;
    struct flock_link links[FLOCK_LINKS_MAX];
    /* A test breaks something behind anything that happens, to see whether it is noticed; else
     * NULL. */
    void (*meddle)(struct flock *f);
};

#define FLOCK_DEFAULT                                                                              \
    ((struct flock_options){.seed = 1,                                                             \
                            .agents = 1000,                                                        \
                            .cells = 1,                                                            \
                            .sites = 10,                                                           \
                            .run_ms = 86400000,                                                    \
                            .rest_ms = 86400000,                                                   \
                            .join_ms = 3600000,                                                    \
                            .deploy_ms = 2 * 3600000,                                              \
                            .tick_ms = 1000,                                                       \
                            .policy = POLICY_DEFAULT,                                              \
                            .bundle_bytes = 1 << 20,                                               \
                            .back_off_s = 300,                                                     \
                            .concurrency = {.value = 10, .percent = true}})

/* Sums over the whole run. */
struct flock_counts {
    uint64_t happenings;
    uint64_t agent_steps;
    uint64_t manager_steps;
    uint64_t joins;
    uint64_t connects;
    uint64_t statuses;  /* that reached the manager */
    uint64_t wills;     /* of lost links, as well */
    uint64_t documents; /* signed */
    uint64_t assignments;
    uint64_t heads;      /* delivered to devices */
    uint64_t fetched;    /* documents, by devices */
    uint64_t bytes_up;   /* MQTT packets, from devices */
    uint64_t bytes_down; /* to devices, without content */
    uint64_t bytes_content;
    uint64_t writes; /* commits on devices' disks */
    uint64_t power_cuts;
    uint64_t lapses; /* of disks, to what they were */
    uint64_t manager_kills;
    uint64_t cell_kills;
    uint64_t one_ways;
    uint64_t duplicates;
    uint64_t late;
    uint64_t rotten;
    uint64_t pauses;
    uint64_t removals;
    uint64_t approvals;
    uint64_t aborts;
    uint64_t rollbacks;
    uint64_t second_tries;
    uint64_t versions;
    uint64_t paces;
    uint64_t relabels;
    uint64_t cordons;
    uint64_t retries;   /* by devices themselves */
    uint64_t overdue;   /* that a device was at work for far longer than its deadline */
    uint64_t overflown; /* statuses that brokers had no room to keep */
    uint64_t let_in;    /* by gates, into a slot of a stage; counted in small fleets */
};

/* What brokers and manager had to do in an hour. */
struct flock_hour {
    uint64_t statuses;      /* that reached the manager, … */
    uint64_t statuses_peak; /* … and in one second at most */
    uint64_t messages;      /* that brokers sent to devices */
    uint64_t connects;
};

struct flock_result {
    struct flock_counts counts;
    struct flock_counts days; /* the same when faults ended, and links were what they are: … */
    uint64_t days_ms;         /* … then */
    uint64_t digest;          /* of everything that happened */
    uint64_t rested_ms;       /* when all was at rest, once faults had ended; 0: never */
    uint32_t ready;           /* run the new version at the end */
    uint32_t failed;          /* went back to the version before */
    /* When so many per mille of those that came to run it in the end did, from the deployment on;
     * ms. UINT64_MAX: not before faults ended. */
    uint64_t reached_ms[4];   /* 500, 900, 990, 1000 */
    size_t reached_count;     /* before that */
    uint32_t *reached_s;      /* of each of these, by rising time */
    struct flock_hour *hours; /* until faults ended, */
    size_t hour_count;        /* so many */
    char fault[256];          /* the first thing that must not be, or "" */
};

/* One run; `progress` is told now and then, and may be NULL. Its result is freed by flock_free. */
typedef void flock_progress(void *context, uint64_t now_ms, uint64_t end_ms,
                            const struct flock_counts *counts);
void flock_run(const struct flock_options *o, flock_progress *progress, void *context,
               struct flock_result *out);
void flock_free(struct flock_result *r);

#endif
