/*
 * backup: copies a fleet out of a manager's folder, also while a manager runs there, and puts a
 * copy back into a new folder as a restored manager's. It knows nothing of agents and brokers.
 */
#ifndef DUNLIN_MANAGER_BACKUP_H
#define DUNLIN_MANAGER_BACKUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct backup_made {
    uint64_t chunks;
    uint64_t missing; /* which a bundle needs, and the folder hasn't */
};

/*
 * Makes the folder OUT (mode 0700) with all of DIR's fleet as of one moment: what is pushed or
 * deployed meanwhile is in it or not, but nothing half. Chunks are hard links where that is
 * possible. OUT has another name until it is whole. ERR_EXISTS when it is there already.
 */
int backup_make(const char *dir, const char *out, struct backup_made *made, struct errmsg *em);

struct backup_restored {
    uint32_t epoch;
    uint64_t revoked; /* token batches */
    uint64_t chunks;
};

/*
 * Makes the folder DIR from the backup OUT, which stays as it is: with the next epoch, and without
 * the tokens, which may have been used or revoked since the backup, unless `keep_tokens`. DIR has
 * another name until it is whole. ERR_EXISTS when there is something in DIR.
 */
int backup_restore(const char *out, const char *dir, bool keep_tokens, uint64_t now_s,
                   struct backup_restored *restored, struct errmsg *em);

#endif
