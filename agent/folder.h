/*
 * folder: the agent's DIR: found or made, with its absolute path, and held by one program at a
 * time. It knows nothing of what stands in it.
 */
#ifndef DUNLIN_AGENT_FOLDER_H
#define DUNLIN_AGENT_FOLDER_H

#include "base/file.h"

/* A longer DIR would leave no room for the paths below it. */
#define FOLDER_PATH_MAX 1024

struct folder {
    char path[FILE_PATH_MAX]; /* absolute, without links */
    int lock;                 /* -1: not held */
};

/* Makes DIR (mode 0700) when it is missing. Doesn't hold it. */
int folder_make(struct folder *f, const char *dir, struct errmsg *em);
/* ERR_NOT_FOUND when there is none. Doesn't hold it. */
int folder_find(struct folder *f, const char *dir, struct errmsg *em);
/* Holds it until folder_close. ERR_BUSY when another dunlin-agent does. */
int folder_hold(struct folder *f, struct errmsg *em);
void folder_close(struct folder *f);

#endif
