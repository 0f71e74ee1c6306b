/*
 * head: the tiny retained message that tells agents which document is the newest.
 * It promises nothing: it is not signed, and an agent believes only the document it leads to.
 */
#ifndef DUNLIN_SYNC_HEAD_H
#define DUNLIN_SYNC_HEAD_H

#include "base/span.h"
#include "sync/limits.h"
#include "sync/revision.h"

#define HEAD_MAX 64

struct head {
    struct revision revision; /* of the document */
    uint32_t trust_version;   /* of the newest trust document */
    uint32_t atlas;           /* number of the newest atlas; 0: it says nothing of that */
};

int head_write(const struct head *h, struct buffer *out);
int head_read(struct span bytes, struct head *h);

#endif
