/*
 * variable: what operators set a name to, and for whom. It knows the rows, and nothing of how
 * values travel.
 */
#ifndef DUNLIN_MANAGER_CORE_VARIABLE_H
#define DUNLIN_MANAGER_CORE_VARIABLE_H

#include "base/span.h"
#include "manager/core/selector.h"
#include "sync/limits.h"

/* Whom a value is for. Of those that are for an agent, the later kind counts, and of two selectors
 * the one that was set last. */
enum scope {
    SCOPE_NONE,       /* the row is free */
    SCOPE_DEPLOYMENT, /* every agent, in one deployment: its file says so */
    SCOPE_ALL,
    SCOPE_SELECTOR,
    SCOPE_AGENT,
    SCOPE_COUNT,
};

struct variable_row {
    char name[VARIABLE_NAME_MAX + 1];
    uint8_t scope; /* enum scope */
    bool secret;
    uint16_t len;
    uint32_t of;    /* the deployment's index + 1, or the agent's number */
    uint32_t order; /* of the change that set it: they are counted */
    uint32_t from;  /* versions have values of a moment, which is the count of changes: from this */
    uint32_t until; /* one on, up to this one, it is the value; 0: it is today's */
    uint64_t since_s;
};

/* The long part of a row. */
struct variable_text {
    char selector[SELECTOR_TEXT_MAX + 1];
    uint8_t value[VARIABLE_VALUE_MAX]; /* in clear */
};

/* Names that one command sets. */
#define VARIABLES_SET_MAX 8

/* What a name is set to. Borrowed. */
struct setting {
    const char *name;
    const char *value;
};

/* As a moment: now. */
#define VALUES_NEWEST UINT32_MAX

/* How a change of values comes to a deployment's agents. */
enum values_way {
    VALUES_AT_ONCE,   /* it has no stages */
    VALUES_BY_STAGES, /* as a version does */
    VALUES_LATER,     /* when what is on its way is over */
};

#endif
