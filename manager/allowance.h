/*
 * allowance: how often requests at the door are heeded: those of a device of the fleet, those of
 * all others with one token, and those of nobody's. It knows neither what they ask for nor what
 * time it is.
 *
 * What is only claimed costs the claimant: a device's own requests are counted when it has proved
 * that they are, so that a copy of its token keeps nobody from asking again.
 */
#ifndef DUNLIN_MANAGER_ALLOWANCE_H
#define DUNLIN_MANAGER_ALLOWANCE_H

#include "crypto/sign.h"
#include "manager/flood.h"

/* [join-11] A device asks a dozen times in its first minute without an answer, then less and less
 * often. */
#define ALLOWANCE_REQUESTS 20u
/* Wrong proofs of one token. Each costs the manager the check of a signature: 4 ms of a busy
 * processor, so one that leaked can take a twenty-fifth of it. */
#define ALLOWANCE_LIES 600u
#define ALLOWANCE_LIES_AT_ONCE 20u
/* Requests with a wrong secret, or for tokens that there never were; of everybody together. */
#define ALLOWANCE_GUESSES 3000u
#define ALLOWANCE_GUESSES_AT_ONCE 500u

/* All but those at once are by the minute. */
struct allowance {
    struct flood requests;       /* by device of the fleet, and by place of a token */
    struct flood lies;           /* by token */
    struct flood_bucket guesses; /* requests that nobody's secret opens */
};

/* Who asks to join, by a request that its token's secret opens. It takes that to be counted here,
 * or anybody could keep a device out by guessing. */
struct asker {
    uint32_t batch, index; /* its token */
    uint32_t uses;         /* how many devices that one is for */
    struct key_id id;      /* of the key that it names */
    bool known;            /* the fleet has a device of this id */
    bool proves;           /* it is answered only when it has that key */
};

/* `key` as in flood_init. */
void allowance_init(struct allowance *a, const uint8_t key[static SIPHASH_KEY_LEN]);

/* Whether its proof is worth a look, and its request an answer. Counts only what it drops. */
enum flood_answer allowance_look(struct allowance *a, const struct asker *who, uint64_t now_ms);
/* Counts one that was looked at. `proven`: it has the key, or need not prove it. */
void allowance_spend(struct allowance *a, const struct asker *who, bool proven, uint64_t now_ms);

/* Counts a request of another kind by a device of the fleet, which has proved that it is its. */
enum flood_answer allowance_count(struct allowance *a, const struct key_id *device,
                                  uint64_t now_ms);
/* Counts a request that no token's secret opens. */
enum flood_answer allowance_guess(struct allowance *a, uint64_t now_ms);

#endif
