/*
 * plan: how a deployment's new versions reach its agents: stages, one behind the other, what opens
 * and what ends each of them, and when to stop. It knows no agents: it is what an operator wrote.
 */
#ifndef DUNLIN_MANAGER_CORE_PLAN_H
#define DUNLIN_MANAGER_CORE_PLAN_H

#include "manager/core/schedule.h"
#include "manager/core/selector.h"
#include "sync/limits.h"
#include "sync/rules.h"

#define STAGES_MAX 16
/* Longer waits are a mistake. */
#define PLAN_WAIT_S_MAX (90u * 86400)
/* A plan as bytes, with STAGES_MAX full-length names and selectors. */
#define PLAN_BYTES_MAX 16384

/* So many, or so many of a hundred; 0: all. */
struct amount {
    uint32_t value;
    bool percent;
};

/* A shorter one would have a new document sent to everybody all the time. */
#define RATE_SPAN_S_MIN 60
/* "100%/90d", with any number */
#define RATE_TEXT_MAX 64

/* So many agents in so long; a span of 0: any number. */
struct rate {
    struct amount agents;
    uint32_t span_s;
};

/* What must be so before a stage begins, or before it is left. */
struct threshold {
    bool approval;   /* an operator says so */
    uint32_t wait_s; /* since the stage before ended; at its end, since its last success */
};

/* What operators may set of a plan while it is followed: concurrency of a stage, rate and
 * max_failed of a stage or of the whole, and the others of the whole. */
enum pace_key {
    PACE_START,
    PACE_RATE,
    PACE_MAX_FAILED,
    PACE_CONCURRENCY,
    PACE_RETURNING,
    PACE_QUORUM,
    PACE_DEADLINE,
    PACE_KEY_COUNT,
};

struct pace {
    uint8_t says;     /* enum pace_key, as bits: of the others nothing is said */
    uint64_t start_s; /* 0: at any time */
    struct rate rate; /* a span of 0: none */
    struct amount max_failed;
    struct amount concurrency;
    struct amount returning; /* 0: all of them */
    uint32_t quorum;         /* percent */
    uint32_t deadline_s;     /* 0: none */
};

/* Those of these keys, as bits, are as they are in the other one; and those that differ. */
void pace_take(struct pace *p, const struct pace *from, unsigned keys);
unsigned pace_compare(const struct pace *a, const struct pace *b);

struct plan_stage {
    char name[NAME_MAX_LEN + 1];
    char selector[SELECTOR_TEXT_MAX + 1]; /* "": every agent */
    struct amount share;                  /* of those that no earlier stage has had */
    struct amount concurrency;            /* at work at the same time */
    struct amount max_failed;             /* of its agents, besides the plan's */
    struct rate rate;                     /* none: the plan's */
    struct threshold before, after;
    struct schedule window; /* none: the plan's */
    struct pace was;        /* where some was set since it was written: as it was written */
};

enum plan_remedy {
    REMEDY_PAUSE,     /* wait for the operator */
    REMEDY_ABORT,     /* nobody else begins */
    REMEDY_ROLL_BACK, /* everybody goes back to the version before */
    REMEDY_COUNT,
};

/* What a new version does to a rollout that isn't over. */
enum plan_overlap { OVERLAP_SUPERSEDE, OVERLAP_QUEUE, OVERLAP_REFUSE, OVERLAP_COUNT };

struct plan {
    uint32_t count; /* of stages; 0: everybody gets a new version at once */
    struct plan_stage stages[STAGES_MAX];
    /* Of a stage's agents; 0: nothing is said of it. That none may fail is said as 0%. */
    struct amount max_failed;
    uint8_t on_failure; /* enum plan_remedy: when more have */
    uint8_t overlap;    /* enum plan_overlap */
    uint32_t quorum;    /* percent of a stage's reachable agents that are Ready: so many end it also
                           while others are at work; who isn't at work any more holds up none */
    struct rate rate;   /* at which agents are let in, where their stage has none */
    uint32_t reachable_within_s; /* who was heard of so lately is waited for */
    uint32_t wait_for_first_s;   /* what it waits for the first Ready of a stage; 0: for ever */
    uint32_t deadline_s; /* who is at it for longer, over all tries, counts as failed; 0: none */
    /* What devices obey by themselves; also where there are no stages. */
    struct schedule window; /* of the stages that have none */
    uint32_t retries;       /* of a version that failed on a device */
    uint32_t back_off_s;    /* before the first one; each is twice as long as the one before */
    /* Of the deployment's agents, at work at a time of those that came back; 0: all of them. */
    struct amount returning;
    uint64_t start_s; /* nobody is let in before; 0: at any time */
    bool implied; /* it was written without stages; a budget makes it go through one of everybody */
    struct pace was; /* the same of the whole */
};

#define PLAN_DEFAULT ((struct plan){.quorum = 100, .reachable_within_s = 300, .back_off_s = 300})

/* Reads "3" or "10%"; false for any other text. */
bool amount_read(const char *text, struct amount *out);

/* How many `a` means of a whole: percents are rounded up, and more than the whole is the whole. */
uint32_t amount_of(struct amount a, uint32_t whole);

/* How many of so many agents of a stage may fail: of what the plan and the stage say, the less;
 * none, where neither says anything. */
uint32_t plan_may_fail(const struct plan *p, uint32_t stage, uint32_t members);

/* The rate of a stage. How many it lets in within a span, where it had so many agents; and how long
 * it takes at least to let so many in. */
const struct rate *plan_rate(const struct plan *p, uint32_t stage);
uint32_t rate_agents(const struct rate *rate, uint32_t members);
uint64_t rate_takes_s(const struct rate *rate, uint32_t members);
/* "100/1h", "10%/30m" */
void rate_text(const struct rate *rate, char out[static RATE_TEXT_MAX]);

/* Adds the stage "rest" for whom the others leave out. ERR_USAGE with a sentence for a plan that
 * can't be followed: no quorum, two stages of one name, a selector that is none. */
int plan_complete(struct plan *p, struct errmsg *em);

/* One stage of everybody, for a plan without; and as it was written. */
void plan_imply(struct plan *p);
void plan_strip(struct plan *p);

/* Sets what an operator says of a stage, or of the whole (STAGES_MAX). ERR_USAGE with a sentence
 * for what can't be followed, which changes nothing; 1: it was so already. */
int plan_set_pace(struct plan *p, uint32_t stage, const struct pace *pace, struct errmsg *em);
/* What is otherwise than it was written, as it is now. */
struct pace plan_pace(const struct plan *p, uint32_t stage);
/* Which keys may be set there, as bits. */
unsigned plan_pace_keys(uint32_t stage);
/* As it was written; and as it is, as if it had been written so. */
void plan_put_back(struct plan *p);
void plan_settle(struct plan *p);

/* As bytes to keep: ERR_NO_MEMORY when they don't fit; ERR_FORMAT or ERR_RANGE for bytes that
 * plan_write never made. */
int plan_write(const struct plan *p, struct buffer *out);
int plan_read(struct span bytes, struct plan *p);

#endif
