/*
 * rollout: how far a deployment's newest version has come, asked for once or followed to its end.
 */
#ifndef DUNLIN_MANAGER_CLI_ROLLOUT_H
#define DUNLIN_MANAGER_CLI_ROLLOUT_H

#include "manager/cli/deployment.h"

/* All stages together. */
struct rollout_sum {
    char version[64];
    char queued[64]; /* the version that comes after it; "": none */
    char state[16];  /* running, waiting, paused, stopped, aborted, done */
    char stage[64];  /* the present one; "": none */
    char waits_for[16];
    bool staged;
    uint64_t targets, ready, pending, failed;
    uint64_t away;    /* of those pending: out of reach */
    uint64_t at_work; /* of those pending: let in, and in reach */
};

/* Asks the manager; the whole answer is the caller's to release when `answer` isn't NULL. */
int rollout_ask(struct cli *cli, const char *name, struct rollout_sum *sum, json_t **answer);

/* The sum in words: "3 of 4 ready, 1 pending". */
struct deployment_counts_text rollout_text(const struct rollout_sum *sum);
/* The same in a line of its own, with the stage; it changes when something worth a line does. */
struct rollout_line {
    char text[512];
};
struct rollout_line rollout_line(const char *name, const struct rollout_sum *sum);

/* False for the stage that takes the rest of the agents, when there are none. */
bool rollout_shows(const json_t *stage);

/* Nothing more happens by itself, but for agents that come back. */
bool rollout_is_over(const struct rollout_sum *sum);
/* Of one that is over: 0, or ERR_REFUSED with a sentence when it went wrong. */
int rollout_verdict(struct cli *cli, const char *name, const struct rollout_sum *sum);

/* Waits between two looks at a rollout. */
void rollout_pause(void);

/* rollout_table.c: a line for each stage, and what happens next. */
int rollout_print(struct cli *cli, const json_t *rollout);
/* A line of what was set on the way, if something was. */
void rollout_print_set(const json_t *rollout);

/* rollout_live.c: the same on a terminal, drawn again and again in one place. All-zero is one that
 * has drawn nothing yet. */
#define ROLLOUT_SAMPLES 60
struct rollout_live {
    unsigned rows; /* of the last picture */
    uint64_t sampled_ms[ROLLOUT_SAMPLES];
    uint64_t sampled_ready[ROLLOUT_SAMPLES];
    uint64_t samples; /* ever taken */
};

/* True when standard output can be drawn on. */
bool rollout_live_can(void);
void rollout_live_draw(struct rollout_live *live, const struct rollout_sum *sum,
                       const json_t *rollout);

#endif
