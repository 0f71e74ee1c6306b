/*
 * load: a whole fleet's life on real sockets, real brokers and a real manager: the coordinator of
 * its worker processes. It knows nothing of packets.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_LOAD_H
#define DUNLIN_SIMULATOR_LOAD_LOAD_H

#include "simulator/load/devices.h"
#include "simulator/load/measure.h"
#include "simulator/load/progress.h"

#define LOAD_AGENTS_MAX 1000000
/* Well below what a manager has in its life. */
#define LOAD_DEPLOYMENTS_MAX 10000
/* Shared ones: one process holds them all. */
#define LOAD_CONNECTIONS_MAX 10000

struct load_options {
    uint32_t agents;
    const char *manager; /* its folder; NULL: a temporary one */
    const char *keys;    /* the file with device keys; NULL: the user's */
    uint32_t fail_per_mille;
    uint32_t fetch_per_mille;
    uint32_t deployments; /* with the one that agents run; the others are spares, and those
                           * beyond SCRIPT_SPARES_MAX select nobody */
    uint32_t connections; /* that agents share; 0: each has its own */
    bool tls;             /* mutual, on all links */
    bool json;
};

struct load {
    struct load_options options;
    struct script script;
    char dir[FILE_PATH_MAX]; /* the manager's folder */
    bool temporary;
    volatile bool stop;        /* Ctrl-C, or a fault that ends it */
    uint32_t workers, brokers; /* processes; brokers that a manager of ours gets */
    struct boss boss;
    struct devices devices;
    struct device_seed *seeds;
    struct sockaddr_in door;
    struct digest bundles[2];
    struct team team;
    struct progress progress;
    struct cost floors[FLOOR_COUNT]; /* all zero: not measured */
    struct tally asked;              /* how long answers took while statuses came */
    uint32_t measure_count;
    struct measure measures[MEASURES_MAX];
    uint32_t faults; /* of the coordinator: what the manager says differently */
    char fault[BOARD_FAULTS_MAX][BOARD_FAULT_LEN];
};

/* Plays it all, and prints the report. 0; ERR_REFUSED when something was not as it should be, which
 * is printed; ERR_BUSY when it was stopped; else what went wrong. */
int load_run(const struct load_options *options, struct errmsg *em);

/* Of ADDRESS:PORT, with "mqtt://" or "mqtts://" before it or nothing. ERR_FORMAT. */
int load_address(const char *url, struct sockaddr_in *at);

/* ---- phases.c: the life of a fleet ---- */

int phases_play(struct load *l, struct errmsg *em);

/* ---- floors.c: the same messages without a manager ---- */

int floors_measure(struct load *l, struct errmsg *em);
/* So many commits of one row, one after the other, to the disk where the manager's folder is: what
 * a log takes that is written to and nothing else. */
int floors_commits(struct load *l, uint64_t count, struct cost *cost, struct errmsg *em);

/* ---- report.c ---- */

void report_print(const struct load *l);

#endif
