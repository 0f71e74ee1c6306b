/*
 * board: what the coordinator and its worker processes tell each other: orders through a pipe, and
 * a page of shared memory for each worker, which it alone writes. It knows nothing of agents.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_BOARD_H
#define DUNLIN_SIMULATOR_LOAD_BOARD_H

#include "crypto/digest.h"
#include "simulator/load/hub.h"
#include "simulator/load/tally.h"
#include "sync/revision.h"
#include "sync/topic.h"

/* Faults that are told in full, of each worker. */
#define BOARD_FAULTS_MAX 16
#define BOARD_FAULT_LEN 160
/* Label sets. */
#define BOARD_COHORTS_MAX 64

/* What an agent has to come to for a phase to be over for it. */
enum goal_type {
    GOAL_NONE,
    GOAL_JOINED, /* it has its number, and what came with it holds */
    GOAL_UP,     /* its hello is acknowledged by its broker */
    GOAL_RUNS,   /* `bundle` runs, or was tried and taken back, and a status said so */
    GOAL_PAUSED, /* it holds a document with its deployment `paused`, or not, and a status said so
                  */
    GOAL_MOVED,  /* it holds its other labels and their document, and a status said so */
    GOAL_TOLD,   /* a status more is acknowledged */
    GOAL_ECHO,   /* of a floor: all is said, heard and acknowledged */
};

enum order_type {
    ORDER_GOAL,  /* begin to count for `goal` */
    ORDER_JOIN,  /* all blank devices ask to join */
    ORDER_START, /* all that have joined start */
    ORDER_CUT,   /* all links are lost at once */
    ORDER_WARP,  /* `ms` pass */
    ORDER_CHECK, /* look whether all is as it should be */
    ORDER_FLOOR, /* play `floor`, as bare clients */
    ORDER_END,
};

/* What agents say and hear in a phase, said and heard by clients that know nothing. */
enum floor_type {
    FLOOR_JOIN,     /* at the door: a request, and an answer */
    FLOOR_CONNECT,  /* a greeting, a subscription of two topics, a hello; a head that is there, and
                       the document asked for, had, and no longer asked for */
    FLOOR_STATUS,   /* a status from each */
    FLOOR_NOTICE,   /* one publication to each, and nothing asked or said for it */
    FLOOR_CONTENT,  /* to those that fetch, a bundle's chunks: asked for together, each had and no
                       longer asked for */
    FLOOR_DOCUMENT, /* a head, the document as above, a status */
    FLOOR_RETURN,   /* the link cut, with a last will; then as FLOOR_CONNECT, the document known */
    FLOOR_OVER,     /* the links are cut */
    FLOOR_COUNT,
};

struct order {
    enum order_type type;
    enum goal_type goal;
    enum floor_type floor;
    struct digest bundle; /* with GOAL_RUNS, and with ORDER_CHECK: the second version */
    struct digest before; /* with ORDER_CHECK: the first one */
    bool paused;
    uint64_t began_us; /* when the goal was set */
    bool from_phase;   /* with GOAL_UP: count from then, not from each one's own beginning */
    uint64_t ms;
    struct sockaddr_in at; /* with ORDER_JOIN and FLOOR_JOIN */
};

struct cohort_seen {
    struct cohort_key key;
    struct revision revision;
    uint32_t agents;
};

struct board {
    uint32_t orders; /* carried out */
    uint32_t met;    /* agents that have come to the goal */
    uint32_t joined;
    uint32_t trunks;    /* connections that its agents share */
    uint64_t statuses;  /* sent by agents */
    uint64_t chunks;    /* that came and hold */
    uint64_t documents; /* desired documents and assignments that came and hold */
    uint64_t retries;   /* of requests to join */
    struct hub_counters traffic;
    uint64_t checked, remembered, checked_us; /* signatures, as in lore.h */
    struct tally tally;                       /* of the goal */
    uint32_t faults;
    char fault[BOARD_FAULTS_MAX][BOARD_FAULT_LEN];
    uint32_t cohorts;
    struct cohort_seen cohort[BOARD_COHORTS_MAX]; /* filled in by ORDER_CHECK */
};

#endif
