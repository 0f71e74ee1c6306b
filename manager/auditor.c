#include "manager/auditor.h"

#include "base/siphash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Batches whose joins are gathered at a time; one more makes the oldest an entry. */
#define GATHERED_MAX 16
/* Kinds of entries whose last time is known. A stranger who pushes others out gains an entry, and
 * the bucket bounds that. */
#define KINDS_MAX 256

/* An entry without its number, time and detail. */
struct kind {
    uint64_t hash; /* 0: free */
    uint64_t written_s;
    uint64_t unwritten; /* since then */
};

struct auditor {
    struct ledger *ledger;
    struct audit_joins joins[GATHERED_MAX];
    size_t join_count;
    struct kind kinds[KINDS_MAX];
    size_t next_kind;
    uint64_t filled_s; /* the bucket would be full at this time */
};

static int write_joins(struct auditor *a, const struct manager *m, const struct audit_joins *joins,
                       uint64_t now_s, struct errmsg *em);
static struct kind *kind_of(struct auditor *a, const struct audit_entry *e);
static bool take_one(struct auditor *a, uint64_t now_s);

struct auditor *auditor_new(struct ledger *ledger)
{
    struct auditor *a = calloc(1, sizeof *a);
    if (a)
        a->ledger = ledger;
    return a;
}

void auditor_free(struct auditor *a)
{
    free(a);
}

int auditor_add(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em)
{
    struct digest before;
    int rv = ledger_audit_last(a->ledger, &e->number, &before, em);
    if (rv < 0)
        return rv;
    e->number++;
    e->time_s = now_s;
    e->chain = audit_chain(&before, e);
    return ledger_audit_add(a->ledger, e, em);
}

int auditor_add_bounded(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em)
{
    struct kind *kind = kind_of(a, e);
    bool quiet = kind->written_s > 0 && now_s < kind->written_s + AUDITOR_QUIET_S;
    if (quiet || !take_one(a, now_s)) {
        kind->unwritten++;
        return 0;
    }
    size_t len = strlen(e->detail);
    if (kind->unwritten > 0)
        audit_text(e->detail + len, sizeof e->detail - len, "%sand %" PRIu64 " times before",
                   len > 0 ? " " : "", kind->unwritten);
    kind->unwritten = 0;
    kind->written_s = now_s;
    int rv = auditor_add(a, e, now_s, em);
    return rv < 0 ? rv : 1;
}

static struct kind *kind_of(struct auditor *a, const struct audit_entry *e)
{
    static const uint8_t key[16] = "dunlin auditor";
    char text[AUDIT_ACTOR_MAX + AUDIT_ACTION_MAX + AUDIT_OBJECT_MAX];
    snprintf(text, sizeof text, "%s\n%s\n%s", e->actor, e->action, e->object);
    uint64_t hash = siphash(key, span_text(text)) | 1;
    for (size_t i = 0; i < KINDS_MAX; i++)
        if (a->kinds[i].hash == hash)
            return &a->kinds[i];
    struct kind *kind = &a->kinds[a->next_kind++ % KINDS_MAX];
    *kind = (struct kind){.hash = hash};
    return kind;
}

/* The bucket as one number: when it would be full again. A clock set back leaves it full. */
static bool take_one(struct auditor *a, uint64_t now_s)
{
    const uint64_t whole_s = (uint64_t)AUDITOR_BURST * AUDITOR_REFILL_S;
    if (a->filled_s < now_s || a->filled_s > now_s + whole_s)
        a->filled_s = now_s;
    if (a->filled_s + AUDITOR_REFILL_S > now_s + whole_s)
        return false;
    a->filled_s += AUDITOR_REFILL_S;
    return true;
}

/* ---- joins ---- */

int auditor_join(struct auditor *a, const struct manager *m, uint32_t number, uint64_t now_s,
                 struct errmsg *em)
{
    uint32_t batch = manager_agent(m, number)->batch;
    for (size_t i = 0; i < a->join_count; i++)
        if (a->joins[i].batch == batch) {
            a->joins[i].count++;
            a->joins[i].last = number;
            return 0;
        }
    if (a->join_count == GATHERED_MAX) {
        int rv = auditor_settle(a, m, now_s, em);
        if (rv < 0)
            return rv;
    }
    a->joins[a->join_count++] =
        (struct audit_joins){.batch = batch, .count = 1, .first = number, .last = number};
    return 0;
}

int auditor_settle(struct auditor *a, const struct manager *m, uint64_t now_s, struct errmsg *em)
{
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < a->join_count; i++)
        rv = write_joins(a, m, &a->joins[i], now_s, em);
    a->join_count = 0;
    return rv;
}

static int write_joins(struct auditor *a, const struct manager *m, const struct audit_joins *joins,
                       uint64_t now_s, struct errmsg *em)
{
    struct audit_entry e = {0};
    audit_join(&e, m, joins);
    return auditor_add(a, &e, now_s, em);
}

void auditor_rolled_back(struct auditor *a)
{
    a->join_count = 0;
    memset(a->kinds, 0, sizeof a->kinds);
}
