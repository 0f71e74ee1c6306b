/*
 * bundle_name: "app@2", a bundle's name and version as people write them together.
 * It knows nothing of bundles.
 */
#ifndef DUNLIN_MANAGER_CLI_BUNDLE_NAME_H
#define DUNLIN_MANAGER_CLI_BUNDLE_NAME_H

#include "base/err.h"
#include "sync/limits.h"

struct bundle_name {
    char name[NAME_MAX_LEN + 1];
    char version[NAME_MAX_LEN + 1];
};

/* Splits at the '@' and checks both halves. ERR_USAGE with what is wrong. */
int bundle_name_parse(struct bundle_name *b, const char *text, struct errmsg *em);

/* A name of a deployment or bundle, or a version: ERR_USAGE with what it may be made of. `what`
 * says which. */
int bundle_name_check(const char *what, const char *text, struct errmsg *em);

#endif
