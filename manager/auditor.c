#include "manager/auditor.h"

#include "base/endian.h"
#include "base/siphash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Batches whose joins are gathered at a time; one more makes entries of them all. */
#define GATHERED_MAX 64
/* Kinds of entries whose last time is known. A stranger who pushes others out gains an entry, and
 * the bucket bounds that. */
#define KINDS_MAX 256

/* Actions of bounded entries: the types of alarms, and refusals. Any more share the last one. */
#define ACTIONS_MAX 16

/* Entries of one action. */
struct share {
    uint64_t hash;     /* 0: free */
    uint64_t filled_s; /* its bucket would be full at this time */
    uint64_t unwritten;
};

/* An entry without its number, time and detail. */
struct kind {
    uint64_t hash;   /* 0: free */
    uint64_t action; /* whose share counts for it when another kind takes its place */
    uint64_t written_s;
    uint64_t unwritten; /* since then */
};

/* What is known of bounded entries. */
struct tally {
    struct kind kinds[KINDS_MAX];
    size_t next_kind;
    struct share shares[ACTIONS_MAX];
    bool owed;       /* counts on the disk are not these … */
    bool told;       /* … since some were told of, and must not be again */
    uint64_t kept_s; /* when they were written last */
};

/* On the disk: hash, action (0: it is a share), time and count of each that isn't 0. */
#define COUNT_LEN 32
#define COUNTS_LEN ((KINDS_MAX + ACTIONS_MAX) * COUNT_LEN)

struct auditor {
    struct ledger *ledger;
    uint32_t told;      /* up to this number agents' joins are in the log */
    uint32_t newest;    /* number that was gathered since */
    bool again;         /* so was one that had another device before */
    uint64_t settled_s; /* when joins were written last */
    struct audit_joins joins[GATHERED_MAX];
    size_t join_count;
    struct tally tally;
    struct tally committed; /* the same, as of the last commit, … */
    bool changed;           /* … and they differ */
};

static void load_counts(struct auditor *a);
static int append(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em);
static int write_joins(struct auditor *a, uint64_t now_s, struct errmsg *em);
static struct kind *kind_of(struct auditor *a, const struct audit_entry *e);
static struct share *share_of(struct auditor *a, uint64_t action);
static uint64_t hash_of(const char *text);
static bool take_one(struct share *s, uint64_t now_s);
static void tell_unwritten(struct tally *t, struct audit_entry *e, uint64_t *count,
                           const char *what);
static bool keeps_now(const struct tally *t, uint64_t now_s);

struct auditor *auditor_new(struct ledger *ledger)
{
    struct auditor *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->ledger = ledger;
    a->told = (uint32_t)ledger_setting(ledger, LEDGER_JOINS_TOLD);
    load_counts(a);
    return a;
}

void auditor_free(struct auditor *a)
{
    free(a);
}

/* Who has joined by now may be whom it is about. */
int auditor_add(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em)
{
    int rv = write_joins(a, now_s, em);
    return rv < 0 ? rv : append(a, e, now_s, em);
}

static int append(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em)
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

/* A clock that was ahead and is set right keeps nothing quiet until that time comes again. */
static bool is_lately(uint64_t then_s, uint64_t now_s)
{
    return now_s < then_s + AUDITOR_QUIET_S && then_s < now_s + AUDITOR_QUIET_S;
}

int auditor_add_bounded(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em)
{
    struct kind *kind = kind_of(a, e);
    struct share *share = share_of(a, kind->action);
    bool quiet = kind->written_s > 0 && is_lately(kind->written_s, now_s);
    a->changed = true;
    if (quiet || !take_one(share, now_s)) {
        ++*(quiet ? &kind->unwritten : &share->unwritten);
        a->tally.owed = true;
        return 0;
    }
    tell_unwritten(&a->tally, e, &kind->unwritten, "times before");
    tell_unwritten(&a->tally, e, &share->unwritten, "of others that are not told of");
    kind->written_s = now_s;
    int rv = auditor_add(a, e, now_s, em);
    return rv < 0 ? rv : 1;
}

static void tell_unwritten(struct tally *t, struct audit_entry *e, uint64_t *count,
                           const char *what)
{
    size_t len = strlen(e->detail);
    if (*count == 0)
        return;
    audit_text(e->detail + len, sizeof e->detail - len, "%sand %" PRIu64 " %s", len > 0 ? " " : "",
               *count, what);
    *count = 0;
    t->owed = t->told = true;
}

/* Never 0. */
static uint64_t hash_of(const char *text)
{
    static const uint8_t key[16] = "dunlin auditor";
    return siphash(key, span_text(text)) | 1;
}

static struct share *share_of(struct auditor *a, uint64_t action)
{
    struct share *shares = a->tally.shares;
    size_t i = 0;
    while (i < ACTIONS_MAX - 1 && shares[i].hash != 0 && shares[i].hash != action)
        i++;
    shares[i].hash = action;
    return &shares[i];
}

/* The next place. What was there is not told of as such any more, but it is counted. */
static struct kind *new_kind(struct auditor *a)
{
    struct kind *kind = &a->tally.kinds[a->tally.next_kind++ % KINDS_MAX];
    if (kind->unwritten > 0)
        share_of(a, kind->action)->unwritten += kind->unwritten;
    return kind;
}

static struct kind *kind_of(struct auditor *a, const struct audit_entry *e)
{
    char text[AUDIT_ACTOR_MAX + AUDIT_ACTION_MAX + AUDIT_OBJECT_MAX];
    snprintf(text, sizeof text, "%s\n%s\n%s", e->actor, e->action, e->object);
    uint64_t hash = hash_of(text);
    for (size_t i = 0; i < KINDS_MAX; i++)
        if (a->tally.kinds[i].hash == hash)
            return &a->tally.kinds[i];
    struct kind *kind = new_kind(a);
    *kind = (struct kind){.hash = hash, .action = hash_of(e->action)};
    return kind;
}

uint64_t auditor_untold(const struct auditor *a, const char *action)
{
    uint64_t hash = hash_of(action), count = 0;
    for (size_t i = 0; i < ACTIONS_MAX; i++)
        count += a->tally.shares[i].hash == hash ? a->tally.shares[i].unwritten : 0;
    for (size_t i = 0; i < KINDS_MAX; i++)
        count += a->tally.kinds[i].action == hash ? a->tally.kinds[i].unwritten : 0;
    return count;
}

/* The bucket as one number: when it would be full again. A clock set back leaves it full. */
static bool take_one(struct share *s, uint64_t now_s)
{
    const uint64_t whole_s = (uint64_t)AUDITOR_BURST * AUDITOR_REFILL_S;
    if (s->filled_s < now_s || s->filled_s > now_s + whole_s)
        s->filled_s = now_s;
    if (s->filled_s + AUDITOR_REFILL_S > now_s + whole_s)
        return false;
    s->filled_s += AUDITOR_REFILL_S;
    return true;
}

/* ---- counts on the disk ---- */

static void put_count(struct buffer *out, const struct kind *k)
{
    uint8_t *at = out->data + out->len;
    if (k->unwritten == 0)
        return;
    le64_write(at, k->hash);
    le64_write(at + 8, k->action);
    le64_write(at + 16, k->written_s);
    le64_write(at + 24, k->unwritten);
    out->len += COUNT_LEN;
}

int auditor_keep(struct auditor *a, uint64_t now_s, struct errmsg *em)
{
    uint8_t memory[COUNTS_LEN];
    struct buffer counts = buffer_on(memory, sizeof memory);
    struct tally *t = &a->tally;
    if (!t->owed)
        return 0;
    for (size_t i = 0; i < ACTIONS_MAX; i++)
        put_count(&counts,
                  &(struct kind){.hash = t->shares[i].hash, .unwritten = t->shares[i].unwritten});
    for (size_t i = 0; i < KINDS_MAX; i++)
        put_count(&counts, &t->kinds[i]);
    t->owed = t->told = false;
    t->kept_s = now_s;
    a->changed = true;
    return ledger_keep_untold(a->ledger, span_buffer(&counts), em);
}

/* What can't be read is lost, and nothing else with it. */
static void load_counts(struct auditor *a)
{
    uint8_t memory[COUNTS_LEN];
    struct buffer counts = buffer_on(memory, sizeof memory);
    if (ledger_untold(a->ledger, &counts) < 0)
        return;
    for (const uint8_t *at = memory; at + COUNT_LEN <= memory + counts.len; at += COUNT_LEN) {
        const struct kind k = {.hash = le64_read(at),
                               .action = le64_read(at + 8),
                               .written_s = le64_read(at + 16),
                               .unwritten = le64_read(at + 24)};
        if (k.action == 0)
            share_of(a, k.hash)->unwritten += k.unwritten;
        else
            *new_kind(a) = k;
    }
    a->committed = a->tally;
}

/* Strangers make no disk busy by what isn't told of. */
static bool keeps_now(const struct tally *t, uint64_t now_s)
{
    return t->owed && (t->told || now_s < t->kept_s || now_s >= t->kept_s + AUDITOR_KEEP_S);
}

/* ---- joins ---- */

static struct audit_joins *joins_of(struct auditor *a, uint32_t batch, bool waiting)
{
    for (size_t i = 0; i < a->join_count; i++)
        if (a->joins[i].batch == batch && a->joins[i].waiting == waiting)
            return &a->joins[i];
    return NULL;
}

int auditor_join(struct auditor *a, const struct manager *m, uint32_t number, uint64_t now_s,
                 struct errmsg *em)
{
    const struct agent_row *row = manager_agent(m, number);
    bool waiting = row->flags & AGENT_WAITING, again = number <= a->told;
    bool full = a->join_count == GATHERED_MAX && !joins_of(a, row->batch, waiting);
    int rv = full || again ? write_joins(a, now_s, em) : 0;
    if (rv < 0)
        return rv;
    struct audit_joins *joins = joins_of(a, row->batch, waiting);
    if (!joins) {
        joins = &a->joins[a->join_count++];
        *joins = (struct audit_joins){
            .batch = row->batch, .first = number, .id = row->id, .waiting = waiting};
    }
    joins->count++;
    joins->last = number;
    a->again |= again;
    a->newest = number > a->newest ? number : a->newest;
    return 0;
}

/* Numbers only rise, so that the highest one that was told of says whom a manager that was killed
 * before owes the log. */
static int write_joins(struct auditor *a, uint64_t now_s, struct errmsg *em)
{
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < a->join_count; i++) {
        struct audit_entry e = {0};
        audit_join(&e, &a->joins[i]);
        rv = append(a, &e, now_s, em);
    }
    if (rv == 0 && a->newest > a->told)
        rv = ledger_set(a->ledger, LEDGER_JOINS_TOLD, a->newest, em);
    if (rv < 0)
        return rv;
    a->told = a->newest > a->told ? a->newest : a->told;
    a->settled_s = a->join_count > 0 ? now_s : a->settled_s;
    a->join_count = 0;
    a->again = false;
    return 0;
}

int auditor_settle(struct auditor *a, uint64_t now_s, struct errmsg *em)
{
    bool now = a->again || now_s != a->settled_s;
    int rv = a->join_count > 0 && now ? write_joins(a, now_s, em) : 0;
    return rv == 0 && keeps_now(&a->tally, now_s) ? auditor_keep(a, now_s, em) : rv;
}

void auditor_committed(struct auditor *a)
{
    if (a->changed)
        a->committed = a->tally;
    a->changed = false;
}

int auditor_resume(struct auditor *a, const struct manager *m, uint64_t now_s, struct errmsg *em)
{
    int rv = 0;
    for (uint32_t n = a->told + 1; rv == 0 && n <= manager_agent_count(m); n++)
        rv = auditor_join(a, m, n, now_s, em);
    return rv;
}

void auditor_rolled_back(struct auditor *a)
{
    a->told = (uint32_t)ledger_setting(a->ledger, LEDGER_JOINS_TOLD);
    a->newest = 0;
    a->again = false;
    a->settled_s = 0;
    a->join_count = 0;
    a->tally = a->committed;
    a->changed = false;
}
