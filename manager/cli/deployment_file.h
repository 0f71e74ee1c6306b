/*
 * deployment_file: a deployment written down in YAML, read strictly: unknown keys, wrong types and
 * what isn't built yet are refused with FILE:LINE:COLUMN. It knows no manager; it is a text in and
 * a value out.
 */
#ifndef DUNLIN_MANAGER_CLI_DEPLOYMENT_FILE_H
#define DUNLIN_MANAGER_CLI_DEPLOYMENT_FILE_H

#include "base/span.h"
#include "crypto/sign.h"
#include "manager/cli/bundle_name.h"
#include "manager/core/pick.h"
#include "manager/core/roster.h"
#include "sync/rules.h"
#include "sync/topic.h"

#include <stdint.h>

/* Far more than anyone writes by hand. */
#define DEPLOYMENT_FILE_MAX 65536
#define PRIORITY_MAX 1000000
/* As many agents as a deployment names, by their ids. */
#define AGENTS_TEXT_MAX (ROSTER_NAMED_MAX * (2 * KEY_ID_LEN + 1))

/* What the file sets a variable to. */
struct file_variable {
    char name[VARIABLE_NAME_MAX + 1];
    char value[VARIABLE_VALUE_MAX + 1];
};

/* About 80 KiB, most of it variables. */
struct deployment_file {
    char deployment[NAME_MAX_LEN + 1];
    struct bundle_name bundle;
    bool placed; /* it says where: otherwise the deployment's placement stays as it is */
    bool all;
    char select[SELECTOR_TEXT_MAX + 1]; /* "" with `all` */
    char agents[AGENTS_TEXT_MAX]; /* "ID,ID,…": for these and no others; "": for all that the
                                     selector matches */
    char facts[FACT_FILTER_TEXT_MAX + 1]; /* "": whatever they have told of themselves */
    char tolerate[TOLERATE_TEXT_MAX + 1]; /* taints, with commas */
    char pick[PICK_TEXT_MAX];             /* ""; as it is: only where the placement is */
    char sort[FACT_ORDER_TEXT_MAX + 1];   /* by this fact; "": by chance */
    uint32_t priority;
    bool priority_stays; /* it is as it is, */
    bool keep_stays;     /* and so is this: files say both, or mean 0 and false */
    uint32_t history;    /* versions to remember; 0: as it is */
    bool paused;
    bool keep;
    bool ordered; /* it says what comes before: otherwise that stays as it is */
    uint32_t after_count;
    char after[DEPENDENCIES_MAX][NAME_MAX_LEN + 1];
    bool valued; /* it sets variables: otherwise those of the deployment stay as they are */
    uint32_t variable_count;
    struct file_variable variables[VARIABLES_NEEDED_MAX];
    bool planned;     /* it says how: otherwise the deployment's plan stays as it is */
    struct plan plan; /* complete */
};

/* One more, if it can be an agent's id, the beginning of one, or a number, and there is room. */
int deployment_file_name(struct deployment_file *d, struct span agent, struct errmsg *em);

/* `path` is for the error's sentence. ERR_USAGE, or ERR_NO_MEMORY. */
int deployment_file_read(struct deployment_file *d, const char *path, struct span text,
                         struct errmsg *em);

#endif
