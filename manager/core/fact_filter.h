/*
 * fact_filter: what a device must have said of itself: "arch=arm64,memory_mib>=2Ki,model in (A,B)".
 * All terms must hold. It knows no agents; it is matched against facts.
 */
#ifndef DUNLIN_MANAGER_CORE_FACT_FILTER_H
#define DUNLIN_MANAGER_CORE_FACT_FILTER_H

#include "base/err.h"
#include "sync/join.h"

#define FACT_FILTER_TEXT_MAX 255

/* KEY=V, KEY!=V, KEY>N, KEY>=N, KEY<N, KEY<=N, KEY in (V,W), KEY notin (V,W), KEY or !KEY, with
 * commas between terms; "fact." may stand before a key. Numbers may have Ki, Mi, Gi or Ti behind
 * them. ERR_USAGE with a sentence; "" is sound. */
int fact_filter_check(const char *text, struct errmsg *em);

/* What was never said is neither equal to anything, nor more, nor less. The text has been checked.
 */
bool fact_filter_matches(const char *text, const struct facts *facts);
/* False where it matches; else the first term that doesn't hold, borrowed from the text. */
bool fact_filter_misses(const char *text, const struct facts *facts, struct span *out);
/* What a term asks for. */
struct span fact_filter_key(struct span term);

/* The key without a "fact." before it; and whether devices can tell anything under it. */
struct span fact_key(struct span key);
bool fact_key_valid(struct span key);
/* What the device has said of this, or NULL. */
const struct fact *fact_find(const struct facts *facts, struct span key);
/* "3", "512Mi": false for what is no such number, or too large. */
bool fact_number(struct span text, uint64_t *out);

#endif
