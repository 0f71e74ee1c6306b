/*
 * inventory: what the device says of itself, kept current: looked at now and then, and told when it
 * differs from what was told last; and once a day, since what a broker has acknowledged may not
 * have come to the manager. It knows nothing of who asks for it.
 */
#ifndef DUNLIN_AGENT_INVENTORY_H
#define DUNLIN_AGENT_INVENTORY_H

#include "agent/link.h"
#include "agent/store.h"
#include "sync/telling.h"

/* The machine is looked at this often. */
#define INVENTORY_LOOK_MS 3600000
/* It is told after a start, and then this often. */
#define INVENTORY_AGAIN_MS 86400000
/* So long after the link is up the manager has subscribed again, if its broker forgot it. */
#define INVENTORY_SETTLE_MS 2000

struct inventory {
    struct store *store;
    const char *dir;
    struct facts now;
    bool owed;   /* to be told */
    int message; /* its id on the link; 0: none is under way */
    uint64_t look_ms;
    uint64_t again_ms; /* told again, however it is */
    uint64_t tell_ms;  /* UINT64_MAX: there is no link */
};

/* `store` and `dir`, whose disk it is about, are borrowed. */
void inventory_init(struct inventory *v, struct store *store, const char *dir);
uint64_t inventory_due_ms(const struct inventory *v);
/* Looks, and tells what has changed; `seq` is that of the next status. */
void inventory_tend(struct inventory *v, struct link *link, uint32_t seq, uint64_t now_ms);
void inventory_link_changed(struct inventory *v, bool up, uint64_t now_ms);
/* A broker has this message. */
void inventory_acknowledged(struct inventory *v, int message);

#endif
