/*
 * taint: what keeps deployments off an agent unless they say that they tolerate it, as Kubernetes
 * has it: KEY=VALUE:NoSchedule lets nothing new come, KEY=VALUE:NoExecute also sends off what is
 * there. It knows texts only, no agents.
 */
#ifndef DUNLIN_MANAGER_CORE_TAINT_H
#define DUNLIN_MANAGER_CORE_TAINT_H

#include "base/labels.h"

#include <stdint.h>

/* Different ones in a fleet: an agent's are a word of bits. */
#define TAINTS_MAX 64
#define TAINT_TEXT_MAX (LABEL_KEY_MAX + LABEL_VALUE_MAX + 16)
/* Tolerations of a deployment, with commas between them. */
#define TOLERATE_TEXT_MAX 255

enum taint_effect { TAINT_NO_SCHEDULE, TAINT_NO_EXECUTE, TAINT_EFFECT_COUNT };

struct taint {
    char key[LABEL_KEY_MAX + 1]; /* "": none */
    char value[LABEL_VALUE_MAX + 1];
    uint8_t effect; /* enum taint_effect */
};

/* "KEY=VALUE:EFFECT", or "KEY:EFFECT". ERR_USAGE with a sentence. */
int taint_parse(struct span text, struct taint *t, struct errmsg *em);
void taint_text(const struct taint *t, char out[static TAINT_TEXT_MAX]);
bool taint_equal(const struct taint *a, const struct taint *b);

/* Patterns of taints, with commas: "KEY", "KEY=VALUE", each with or without ":EFFECT", or "*".
 * ERR_USAGE with a sentence. */
int tolerations_check(const char *text, struct errmsg *em);
/* One of them is for this taint. The text has been checked. */
bool tolerations_cover(const char *text, const struct taint *t);

#endif
