/*
 * intake: how much of what agents say is let in, and who says so much more that it has to be cut
 * off. It knows nothing of messages, nor of how that is done, and reads no clock.
 */
#ifndef DUNLIN_MANAGER_INTAKE_H
#define DUNLIN_MANAGER_INTAKE_H

#include "crypto/sign.h"
#include "manager/flood.h"

/* A good agent says one thing a second at most, and seldom more than that in a quarter of an hour.
 * What waited in a broker for a manager that was away comes at once: two days of heartbeats. */
#define INTAKE_PER_MINUTE (64 * 60)
#define INTAKE_BURST 256
/*
 * So much beyond that is dropped before an agent is cut off: a good one doesn't say that in nine
 * hours. At 10,000 a second it takes three. What comes with as many a second again as are let in is
 * dropped for ever: it does no harm.
 */
#define INTAKE_EXCESS 32768

struct intake {
    struct flood heard;
    struct flood excess; /* of what that drops */
};

enum intake_answer {
    INTAKE_ADMIT,
    INTAKE_BEGIN,   /* drop it; it is the first one */
    INTAKE_DROP,    /* drop it */
    INTAKE_CUT_OFF, /* the same, and it is time */
};

void intake_init(struct intake *in, const uint8_t key[static SIPHASH_KEY_LEN]);
/*
 * One more by this agent. What comes through a broker that others run, in whoever's name, has a
 * share of its own there (`broker`; 0: all of our own), so that it drowns nothing else. `fresh`:
 * the agent itself has said it, and while we listened; nothing else gets anybody cut off. Who has
 * to be begins anew with that.
 */
enum intake_answer intake_count(struct intake *in, const struct key_id *agent, uint32_t broker,
                                bool fresh, uint64_t now_ms);

#endif
