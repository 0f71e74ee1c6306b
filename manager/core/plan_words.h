/*
 * plan_words: a plan's keys and values as operators write them: one table for files and for the
 * API, of what there is in a plan, in a stage, and before or after one. It knows neither YAML nor
 * JSON: a value comes and goes as a text.
 */
#ifndef DUNLIN_MANAGER_CORE_PLAN_WORDS_H
#define DUNLIN_MANAGER_CORE_PLAN_WORDS_H

#include "manager/core/plan.h"

#include <stddef.h>

/* Keys of one part. */
#define PLAN_KEYS_MAX 16
/* The longest value is a selector. */
#define PLAN_VALUE_MAX (SELECTOR_TEXT_MAX + 1)

enum plan_part {
    PLAN_WHOLE,     /* struct plan */
    PLAN_STAGE,     /* struct plan_stage */
    PLAN_THRESHOLD, /* struct threshold */
    PLAN_WINDOW,    /* struct schedule */
    PLAN_PACE,      /* struct pace: what is set on the way */
    PLAN_PART_COUNT,
};

enum plan_form {
    PLAN_NAME,
    PLAN_SELECTOR,
    PLAN_AMOUNT,  /* "3" or "10%", none of them 0 */
    PLAN_MAXIMUM, /* the same, and 0 is one too, which is kept as 0% */
    PLAN_RATE,    /* "100/1h" or "10%/30m" */
    PLAN_PERCENT, /* "90%" */
    PLAN_TIME,    /* "30m" */
    PLAN_MOMENT,  /* "2026-12-01T02:00:00Z" */
    PLAN_FLAG,    /* true or false */
    PLAN_CHOICE,  /* one of some words */
    PLAN_NUMBER,  /* "3", or none */
    PLAN_CRON,    /* "0 2 * * 1-5" */
    PLAN_ZONE,    /* "device", "UTC" or "+02:00" */
    PLAN_BOTH,    /* a part of its own */
    PLAN_LIST,    /* the stages */
};

struct plan_key {
    const char *name;
    enum plan_form form;
    size_t offset; /* of its value in the part */
    bool required;
    const char *const *words; /* of a choice, by value; NULL ends */
    enum plan_part part;      /* of PLAN_BOTH */
};

/* What a part is called in a sentence: "a rollout", "a stage", "before and after". */
const char *plan_part_name(enum plan_part part);
/* Its keys; `*count` is at most PLAN_KEYS_MAX. */
const struct plan_key *plan_keys(enum plan_part part, size_t *count);

/* Sets one value, of any form but PLAN_BOTH and PLAN_LIST, in the part's struct. ERR_USAGE with a
 * sentence that begins with the key. */
int plan_set(const struct plan_key *key, void *part, const char *text, struct errmsg *em);
/* The text that sets it to what it is. */
void plan_get(const struct plan_key *key, const void *part, char out[static PLAN_VALUE_MAX]);

/* One key of a pace, by its place among PLAN_PACE's keys (enum pace_key): as plan_set, and that it
 * is said; "none" is no rate, deadline, or limit of those that come back, and "now" no start to
 * wait for. As text: false where it isn't said. */
int pace_set(struct pace *p, size_t key, const char *text, struct errmsg *em);
bool pace_get(const struct pace *p, size_t key, char out[static PLAN_VALUE_MAX]);
/* True where it need not be said: it is what it is in a plan, a stage or a threshold that says
 * nothing of it. */
bool plan_is_default(enum plan_part part, const struct plan_key *key, const void *value);
/* The same of a part of its own, as a whole. */
bool plan_part_is_default(const struct plan_key *key, const void *value);

#endif
