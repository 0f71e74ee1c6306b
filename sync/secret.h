/*
 * secret: a variable's value as it is sealed to a cohort or to one agent, and the keys for that.
 * It knows nothing of who may have which key. All keys follow from one that the manager keeps in a
 * file of its own, apart from its database.
 */
#ifndef DUNLIN_SYNC_SECRET_H
#define DUNLIN_SYNC_SECRET_H

#include "crypto/mac.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "sync/topic.h"
#include "sync/variables.h"

/* A cohort's key, sealed to an agent. */
#define SECRET_COHORT_LEN (SEAL_SECRET_LEN + VARIABLE_SEALED_MORE)

/* [secret-1] What the join's answer gives an agent, what seals a cohort's values, and what seals
 * them in the manager's database. */
struct seal_secret secret_of_agent(const struct mac_key *fleet, uint32_t number,
                                   const struct key_id *agent);
struct seal_secret secret_of_cohort(const struct mac_key *fleet, const struct cohort_key *cohort);
struct seal_secret secret_at_rest(const struct mac_key *fleet);

/*
 * [secret-2] Appends the value, sealed, VARIABLE_SEALED_MORE bytes longer. Bound to its name; the
 * same value of a name has the same nonce whomever it is sealed to.
 */
int secret_seal(const struct mac_key *fleet, const struct seal_secret *to, struct span name,
                struct span value, struct buffer *out);
/* Appends the value. ERR_SIGNATURE when it was sealed to another, under another name, or changed.
 */
int secret_open(const struct seal_secret *with, struct span name, struct span sealed,
                struct buffer *out);
/* Appends what is sealed to one sealed to another, under the same nonce. */
int secret_reseal(const struct seal_secret *from, const struct seal_secret *to, struct span name,
                  struct span sealed, struct buffer *out);

/* The cohort's key as an agent gets it in its assignment, and back. */
void secret_cohort_seal(const struct mac_key *fleet, const struct cohort_key *cohort,
                        uint32_t number, const struct key_id *agent,
                        uint8_t out[static SECRET_COHORT_LEN]);
int secret_cohort_open(const struct seal_secret *agent, const struct cohort_key *cohort,
                       const uint8_t sealed[static SECRET_COHORT_LEN], struct seal_secret *out);

#endif
