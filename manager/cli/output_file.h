/*
 * output_file: a file with secrets that grows beside its place and takes it when it is complete.
 * It knows nothing of what is written.
 */
#ifndef DUNLIN_MANAGER_CLI_OUTPUT_FILE_H
#define DUNLIN_MANAGER_CLI_OUTPUT_FILE_H

#include "base/file.h"

#include <stdio.h>

struct output_file {
    FILE *stream; /* to write to; NULL when it isn't open */
    char path[FILE_PATH_MAX];
    char fresh[FILE_PATH_MAX];
};

/* Opens with mode 0600. Refused where something other than an empty file is. */
int output_file_open(struct output_file *f, const char *path, struct errmsg *em);
/* Syncs all to disk and gives it its name. Closes in any case. */
int output_file_finish(struct output_file *f, struct errmsg *em);
/* Closes and removes what was written; nothing when it isn't open. */
void output_file_drop(struct output_file *f);

#endif
