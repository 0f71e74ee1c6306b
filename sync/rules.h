/*
 * rules: what a record tells a device to obey by itself, with or without a link: which deployments
 * come before this one, when something new may begin, and how often what failed is tried again. It
 * knows neither what time it is nor what runs on the device.
 */
#ifndef DUNLIN_SYNC_RULES_H
#define DUNLIN_SYNC_RULES_H

#include "sync/window.h"

/* What fails so often is not mended by trying. */
#define RETRIES_MAX 10
/* A day: a try is never further away. */
#define BACK_OFF_S_MAX 86400
/* Whoever was away for longer has come back. */
#define ASKS_AFTER_S_MAX (90u * 86400)
#define ORDER_MAX 65536u
/* Deployments that one depends on; more is a sign that they belong into one bundle. */
#define DEPENDENCIES_MAX 8

struct dependencies {
    uint32_t count;
    uint32_t numbers[DEPENDENCIES_MAX]; /* of deployments, strictly rising from 1 */
};

struct rules {
    struct dependencies after; /* begun only while these are Ready at their target */
    struct window window;      /* begun only while it is open */
    uint32_t retries;          /* what failed is tried again so many times, */
    uint32_t back_off_s;       /* the first time after this, then after twice this, … */
    /* Who was out of touch for so long when it was let in, asks first, and begins with a permit
     * (sync/assignment.h); 0: nobody asks. */
    uint32_t asks_after_s;
    /* 0, or: all ask but those that a gate of `next` came to while they were in touch, which moved
     * in this very order (permit.c of the agent). A number of the manager's own, up to ORDER_MAX.
     */
    uint32_t order;
};

bool dependencies_equal(const struct dependencies *a, const struct dependencies *b);
bool dependencies_have(const struct dependencies *d, uint32_t deployment);

/* One element: nil, when there is nothing to obey. */
void rules_put(struct wire_writer *w, const struct rules *rules);
/* The rules of `deployment`, which can't depend on itself. */
void rules_get(struct wire_reader *r, uint32_t deployment, struct rules *rules);

#endif
