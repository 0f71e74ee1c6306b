/*
 * why: the one reason for the state of a deployment on an agent: what an operator would have to act
 * on first. It finds the reason and its facts, and knows no words for them.
 */
#ifndef DUNLIN_MANAGER_CORE_WHY_H
#define DUNLIN_MANAGER_CORE_WHY_H

#include "manager/core/manager.h"

/* What an operator must act on first comes first; only who is Ready is so whoever is cordoned,
 * paused or held. */
enum why_reason {
    WHY_REVOKED,
    WHY_REMOVED,
    WHY_UNAPPROVED,  /* an operator has to let it in */
    WHY_QUARANTINED, /* two devices seem to be it */
    WHY_CUT_OFF,     /* it floods */
    WHY_NOT_NAMED,   /* the deployment is for others, one by one */
    WHY_NOT_SELECTED,
    WHY_TAINTED, /* it has a taint that the deployment doesn't tolerate */
    WHY_NOT_PICKED,
    WHY_CROWDED,     /* it has as many others as an agent takes */
    WHY_FAILED,      /* for good, and nothing runs; */
    WHY_ROLLED_BACK, /* or the version before does */
    WHY_OFFLINE,
    WHY_STALE,     /* its document has expired: something withholds news from it */
    WHY_APPLYING,  /* what it has begun it brings to an end, … */
    WHY_VERIFYING, /* … whatever an operator says meanwhile */
    WHY_CORDONED,
    WHY_PAUSED, /* the deployment */
    WHY_ABORTED,
    WHY_STOPPED,   /* too many agents failed */
    WHY_LATE,      /* it joined when the rollout had begun */
    WHY_HELD,      /* its stage, or its turn in it, has not come */
    WHY_BUDGET,    /* as many agents are out of Ready as a budget allows */
    WHY_RATE,      /* as many were let in as the rate allows for now */
    WHY_AFTER,     /* another deployment has to be Ready on it first */
    WHY_STUCK,     /* that one failed there, or is not for it */
    WHY_WINDOW,    /* the window in which it may begin is closed */
    WHY_CLOCK,     /* and the device doesn't know the time */
    WHY_RETURNING, /* it came back behind an open gate, and so many others are at work there */
    WHY_RETRYING,  /* it failed, and is tried again */
    WHY_DISK,
    WHY_NO_CONTENT, /* chunks don't come */
    WHY_NO_VALUE,   /* a variable that it needs has none */
    WHY_DOWNLOADING,
    WHY_MODIFIED,  /* somebody has changed it on the device */
    WHY_NOT_HEARD, /* it has not said that it holds the newest document */
    WHY_NOT_TOLD,  /* it has more to tell than a report holds */
    WHY_QUEUED,    /* it has other work first */
    WHY_READY,
    WHY_COUNT,
};

struct why {
    enum why_reason reason;
    enum why_reason then; /* of WHY_OFFLINE and WHY_STALE: what it would be otherwise */
    uint32_t number;
    uint32_t deployment; /* index */
    uint32_t wanted;     /* generation that it is to run now */
    uint32_t running;    /* generation, as far as known; 0: none */
    enum cause cause;
    bool overdue;       /* it takes longer than its rollout's deadline */
    uint64_t heard_s;   /* its last report; 0: none yet */
    uint64_t since_s;   /* of WHY_NOT_HEARD: when its newest document was made */
    struct taint taint; /* of WHY_TAINTED */
    bool unsorted;   /* of WHY_NOT_PICKED: it has not told the number that the pick is sorted by; */
    bool unlabelled; /* or lacks the label that it is by; */
    bool ungrouped;  /* or has a value of it beyond those that are told apart */
    struct selector_miss miss; /* of WHY_NOT_SELECTED */
    uint32_t stage;            /* of WHY_HELD: its own; STAGES_MAX: by share, and not known yet */
    struct stage_count count;  /* of WHY_HELD: of the stage that the rollout is in */
    uint32_t budget;           /* of WHY_BUDGET: its index; */
    bool asks;                 /* and no gate holds it up, but it has to ask */
    uint64_t until_s;          /* of WHY_RATE */
    /* Of WHY_AFTER and WHY_STUCK: the first that is missing, if it is for this agent at all. Of
     * WHY_QUEUED: what it is at, if it said so. */
    struct agent_deployment other;
    bool other_there;
    bool outranked; /* of WHY_QUEUED: that one has a higher priority, and so comes first */
    const struct schedule *window;  /* of WHY_WINDOW */
    struct returning_use returning; /* of WHY_RETURNING, */
    bool permitted;                 /* and whether it is told already that it may begin */
};

/* The number and index must be in range, and the deployment not removed. Goes once over the fleet
 * where a stage is the reason. */
void manager_why(const struct manager *m, uint32_t number, uint32_t deployment, uint64_t now_s,
                 struct arena *scratch, struct why *out);

#endif
