#include "manager/scribe.h"

#include "bundles/index.h"
#include "manager/arrears.h"
#include "manager/pile.h"
#include "manager/succession.h"
#include "sync/head.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Assignments' bodies that wait for their signature; their lists and variables make few of them
 * long. */
#define WAITING_BYTES_MAX (512 * 1024)

/* An assignment that is to be signed and logged with others. */
struct waiting {
    struct topic topic;
    struct span body;
    bool announced; /* by … */
    struct topic_name agent;
    struct head head;
};

/* The newest trust documents: all answers to joins have the same. */
struct walk {
    uint32_t newest; /* 0: none is known */
    uint32_t count;
    size_t len[TRUST_WALK_MAX];
    uint8_t bytes[TRUST_WALK_MAX][TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
};

struct scribe {
    struct keyring *keys;
    struct ledger *ledger;
    struct depot *depot;

    struct digest *gone; /* chunks to drop after the commit */
    size_t gone_count;
    size_t gone_cap;
    struct arrears behind; /* status rows */

    struct desired desired;
    struct manifest manifest;
    uint8_t body[DOCUMENT_MAX];
    uint8_t envelope[DOCUMENT_MAX + ENVELOPE_OVERHEAD];
    uint8_t assignment[ASSIGNMENT_SIGNED_MAX];
    struct pile pile;
    struct waiting waiting[PILE_MAX]; /* by their places in the pile */
    struct buffer bodies;             /* theirs */
    uint8_t bodies_memory[WAITING_BYTES_MAX];
    struct walk walk;
    uint8_t chunk[CHUNK_MAX];
};

static int persist_agent(struct scribe *s, const struct manager *m, uint32_t number,
                         struct errmsg *em);
static int persist_replaced(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em);
static int wait_for_others(struct scribe *s, const struct waiting *w, struct errmsg *em);
static int log_assignment(struct scribe *s, uint32_t place, struct errmsg *em);
static int erase_agent(struct scribe *s, const struct key_id *id, struct errmsg *em);
static int persist_variable(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em);
static int persist_document(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em);
static int persist_head(struct scribe *s, const struct manager *m, uint32_t index,
                        struct errmsg *em);
static int persist_assignment(struct scribe *s, const struct manager *m, uint32_t number,
                              uint64_t now_s, struct errmsg *em);
static int persist_trust(struct scribe *s, const struct manager *m, const struct manager_event *ev,
                         struct errmsg *em);
static int take_heirs(struct scribe *s, const struct trust *t, uint64_t now_s, struct errmsg *em);
static int seal_all_again(struct scribe *s, struct errmsg *em);
static int seal_again(struct scribe *s, const struct control_row *row, struct errmsg *em);
static int read_walk(struct scribe *s, uint32_t newest);
static int persist_bundle(struct scribe *s, const struct manager *m, uint32_t index,
                          struct errmsg *em);
static int persist_bundle_gone(struct scribe *s, const struct manager *m, uint32_t index,
                               struct errmsg *em);
static int add_index_chunk(struct scribe *s, uint32_t bundle, const struct chunk_ref *ref,
                           struct errmsg *em);
static int seal(struct scribe *s, enum message type, struct span body, struct buffer *out,
                struct errmsg *em);
static int publish_head(struct scribe *s, const struct topic_name *name, const struct head *head,
                        struct errmsg *em);
static void note_gone(void *context, const struct digest *chunk);

struct scribe *scribe_new(struct keyring *keys, struct ledger *ledger, struct depot *depot)
{
    struct scribe *s = calloc(1, sizeof *s);
    if (s) {
        s->keys = keys;
        s->ledger = ledger;
        s->depot = depot;
        s->bodies = buffer_on(s->bodies_memory, sizeof s->bodies_memory);
    }
    return s;
}

void scribe_free(struct scribe *s)
{
    if (!s)
        return;
    arrears_free(&s->behind);
    free(s->gone);
    free(s);
}

/* Whatever else is logged for the cells comes after the assignments before it: documents count on
 * them [assignment-6]. */
static bool waits_for_assignments(enum persist_type type)
{
    return type == PERSIST_DOCUMENT || type == PERSIST_HEAD || type == PERSIST_TRUST ||
           type == PERSIST_REPLACED;
}

int scribe_persist(struct scribe *s, const struct manager *m, const struct persist *p,
                   const struct manager_event *ev, struct errmsg *em)
{
    int rv = waits_for_assignments(p->type) ? scribe_settle(s, em) : 0;
    if (rv == 0 && p->type == PERSIST_AGENT && ev->type == MANAGER_JOIN)
        rv = ledger_newcomer(s->ledger, p->index, ev->join.told, em);
    if (rv < 0)
        return rv;
    switch (p->type) {
    case PERSIST_AGENT:
    case PERSIST_STATUS:
        return persist_agent(s, m, p->index, em);
    case PERSIST_HEARTBEAT:
        return arrears_add(&s->behind, p->index) ? 0 : persist_agent(s, m, p->index, em);
    case PERSIST_COHORT:
        return ledger_cohort(s->ledger, p->index, manager_cohort(m, p->index), em);
    case PERSIST_DOCUMENT:
        return persist_document(s, m, p->index, em);
    case PERSIST_HEAD:
        return persist_head(s, m, p->index, em);
    case PERSIST_ASSIGNMENT:
        return persist_assignment(s, m, p->index, ev->now_s, em);
    case PERSIST_TRUST:
        return persist_trust(s, m, ev, em);
    case PERSIST_BATCH:
        return ledger_batch(s->ledger, p->index, manager_batch(m, p->index), em);
    case PERSIST_BUNDLE:
        return persist_bundle(s, m, p->index, em);
    case PERSIST_BUNDLE_GONE:
        return persist_bundle_gone(s, m, p->index, em);
    case PERSIST_DEPLOYMENT:
        return ledger_deployment(s->ledger, p->index, manager_deployment(m, p->index), em);
    case PERSIST_VARIABLE:
        return persist_variable(s, m, p->index, em);
    case PERSIST_EPOCH:
        return ledger_set(s->ledger, LEDGER_EPOCH, p->index, em);
    case PERSIST_REPLACED:
        return persist_replaced(s, m, p->index, em);
    case PERSIST_TAINT:
        return ledger_taint(s->ledger, p->index, manager_taint(m, p->index), em);
    case PERSIST_GROUP:
        return ledger_group(s->ledger, p->index, manager_group(m, p->index), em);
    case PERSIST_BUDGET:
        return ledger_budget(s->ledger, p->index, manager_budget(m, p->index), em);
    case PERSIST_SUCCESSOR:
        return ledger_successor(s->ledger, p->index, manager_successor(m, p->index), em);
    }
    assert(false);
    return ERR_RANGE;
}

/* ---- agents ---- */

static int persist_agent(struct scribe *s, const struct manager *m, uint32_t number,
                         struct errmsg *em)
{
    struct exception exceptions[EXCEPTIONS_MAX];
    uint32_t stints[EXCEPTIONS_MAX];
    size_t count = manager_exceptions(m, number, exceptions);
    manager_stints(m, number, stints);
    arrears_remove(&s->behind, number);
    return ledger_agent(s->ledger, number, manager_agent(m, number), exceptions, stints, count, em);
}

int scribe_catch_up(struct scribe *s, const struct manager *m, uint32_t max, struct errmsg *em)
{
    int rv = 0;
    for (uint32_t i = 0; rv == 0 && i < max && s->behind.count > 0; i++)
        rv = persist_agent(s, m, arrears_take(&s->behind), em);
    return rv < 0 ? rv : s->behind.count > 0;
}

static int persist_assignment(struct scribe *s, const struct manager *m, uint32_t number,
                              uint64_t now_s, struct errmsg *em)
{
    uint32_t lists[RECORDS_MAX];
    struct permit permits[PERMITS_MAX];
    uint32_t count = manager_lists(m, number, lists);
    uint32_t permit_count = manager_permits(m, number, permits);
    int rv = ledger_lists(s->ledger, number, manager_agent_taints(m, number), lists, count, permits,
                          permit_count, manager_slot_permits(m, number), em);
    if (rv < 0)
        return rv;
    const struct agent_row *row = manager_agent(m, number);
    if (row->flags & AGENT_REVOKED)
        return erase_agent(s, &row->id, em);
    struct assignment a;
    struct buffer body = buffer_on(s->body, sizeof s->body);
    manager_assignment(m, number, now_s, &a);
    rv = assignment_write(&a, &body);
    if (rv < 0)
        return errmsg_set(em, rv, "agent %u: its assignment is too large", number);
    struct waiting w = {
        .topic = topic_make(&(struct topic_name){.kind = TOPIC_AGENT_DOC, .agent = row->id}),
        .body = span_buffer(&body),
        .announced = true,
        .agent = {.kind = TOPIC_AGENT_HEAD, .agent = row->id},
        .head = {.revision = row->assigned, .trust_version = manager_trust(m)->version}};
    return wait_for_others(s, &w, em);
}

/* Copies the body. */
static int wait_for_others(struct scribe *s, const struct waiting *w, struct errmsg *em)
{
    bool full = pile_count(&s->pile) == PILE_MAX || s->bodies.cap - s->bodies.len < w->body.len;
    int rv = full ? scribe_settle(s, em) : 0;
    if (rv < 0)
        return rv;
    uint8_t *kept = s->bodies.data + s->bodies.len;
    memcpy(kept, w->body.data, w->body.len);
    s->bodies.len += w->body.len;
    uint32_t place = pile_add(&s->pile, w->body);
    s->waiting[place] = *w;
    s->waiting[place].body = span_of(kept, w->body.len);
    return 0;
}

int scribe_settle(struct scribe *s, struct errmsg *em)
{
    uint32_t count = pile_count(&s->pile);
    int rv = count > 0
                 ? pile_sign(&s->pile, MESSAGE_ASSIGNMENT, &s->keys->signing, &s->keys->online)
                 : 0;
    if (rv < 0)
        errmsg_set(em, rv, "cannot sign %u assignments: %s", count, err_name(rv));
    for (uint32_t i = 0; rv == 0 && i < count; i++)
        rv = log_assignment(s, i, em);
    pile_clear(&s->pile);
    s->bodies.len = 0;
    return rv;
}

static int log_assignment(struct scribe *s, uint32_t place, struct errmsg *em)
{
    const struct waiting *w = &s->waiting[place];
    struct buffer out = buffer_on(s->assignment, sizeof s->assignment);
    int rv = pile_write(&s->pile, MESSAGE_ASSIGNMENT, place, w->body, &out);
    if (rv < 0)
        return errmsg_set(em, rv, "%s: there is no room for it", w->topic.text);
    rv = ledger_publish(s->ledger, w->topic.text, span_buffer(&out), em);
    return rv < 0 || !w->announced ? rv : publish_head(s, &w->agent, &w->head, em);
}

/* Nothing is kept for this id any more; most never had anything. */
static int erase_agent(struct scribe *s, const struct key_id *id, struct errmsg *em)
{
    static const enum topic_kind kinds[] = {TOPIC_AGENT_HEAD, TOPIC_AGENT_DOC};
    int rv = scribe_settle(s, em);
    for (int i = 0; i < 2 && rv == 0; i++) {
        struct topic topic = topic_make(&(struct topic_name){.kind = kinds[i], .agent = *id});
        struct buffer old = buffer_on(s->envelope, sizeof s->envelope);
        rv = ledger_published(s->ledger, topic.text, &old, em);
        if (rv == 0)
            rv = ledger_publish(s->ledger, topic.text, SPAN_NONE, em);
        else if (rv == ERR_NOT_FOUND)
            rv = 0;
    }
    return rv;
}

static int persist_replaced(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em)
{
    const struct replaced_row *row = manager_replaced(m, index);
    int rv = ledger_replaced(s->ledger, index, row, em);
    return rv < 0 ? rv : erase_agent(s, &row->id, em);
}

static int persist_variable(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em)
{
    const struct variable_text *text;
    const struct variable_row *row = manager_variable(m, index, &text);
    return ledger_variable(s->ledger, index, row, text, em);
}

/* ---- documents ---- */

static int persist_document(struct scribe *s, const struct manager *m, uint32_t index,
                            struct errmsg *em)
{
    const struct cohort *c = manager_cohort(m, index);
    struct buffer body = buffer_on(s->body, sizeof s->body);
    struct buffer out = buffer_on(s->envelope, sizeof s->envelope);
    struct topic doc = topic_make(&(struct topic_name){.kind = TOPIC_COHORT_DOC, .cohort = c->key});
    manager_document(m, index, &s->desired);
    int rv = desired_write(&s->desired, &body);
    if (rv < 0)
        return errmsg_set(em, rv, "cohort %u: its document is too large", index);
    rv = seal(s, MESSAGE_DESIRED, span_buffer(&body), &out, em);
    if (rv == 0)
        rv = ledger_publish(s->ledger, doc.text, span_buffer(&out), em);
    return rv < 0 ? rv : persist_head(s, m, index, em);
}

static int persist_head(struct scribe *s, const struct manager *m, uint32_t index,
                        struct errmsg *em)
{
    const struct cohort *c = manager_cohort(m, index);
    int rv = ledger_cohort(s->ledger, index, c, em);
    for (uint32_t lane = 0; rv == 0 && lane < manager_lanes(m, index); lane++)
        rv = publish_head(
            s, &(struct topic_name){.kind = TOPIC_COHORT_HEAD, .cohort = c->key, .lane = lane},
            &(struct head){
                .revision = c->revision, .trust_version = c->trust_version, .atlas = c->atlas},
            em);
    return rv;
}

static int publish_head(struct scribe *s, const struct topic_name *name, const struct head *head,
                        struct errmsg *em)
{
    uint8_t bytes[HEAD_MAX];
    struct buffer out = buffer_on(bytes, sizeof bytes);
    struct topic topic = topic_make(name);
    int rv = head_write(head, &out);
    assert(rv == 0);
    (void)rv;
    return ledger_publish(s->ledger, topic.text, span_buffer(&out), em);
}

static int seal(struct scribe *s, enum message type, struct span body, struct buffer *out,
                struct errmsg *em)
{
    int rv = envelope_seal(type, body, &s->keys->signing, out);
    return rv < 0 ? errmsg_set(em, rv, "cannot sign a document: %s", err_name(rv)) : 0;
}

/* ---- trust documents ---- */

/* What is signed anew comes before the heads that lead to it, and after what makes it believed. */
static int persist_trust(struct scribe *s, const struct manager *m, const struct manager_event *ev,
                         struct errmsg *em)
{
    const struct trust *t = manager_trust(m);
    struct topic topic =
        topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = t->version});
    int rv = ledger_trust(s->ledger, t->version, em);
    if (rv == 0)
        rv = ledger_publish(s->ledger, topic.text, ev->command->trust.envelope, em);
    return rv < 0 ? rv : take_heirs(s, t, ev->now_s, em);
}

static bool is_trusted(const struct trust *t, enum fleet_key which, const struct public_key *key)
{
    struct key_id id = key_id_of(key);
    return which == FLEET_ONLINE ? trust_has(t, TRUST_ONLINE, key) : trust_has_authority(t, &id);
}

/* From here on the manager signs with the keys that it had kept ready. */
static int take_heirs(struct scribe *s, const struct trust *t, uint64_t now_s, struct errmsg *em)
{
    struct fleet_keys keys = *ledger_keys(s->ledger);
    bool taken[FLEET_KEY_COUNT];
    int rv = 0;
    for (int i = 0; i < FLEET_KEY_COUNT; i++)
        taken[i] =
            s->keys->heirs[i].drawn && is_trusted(t, (enum fleet_key)i, &s->keys->heirs[i].key);
    if (taken[FLEET_ONLINE]) {
        keys.signing = keys.heirs[FLEET_ONLINE].secret;
        keys.heirs[FLEET_ONLINE] = (struct heir){.stolen = false};
    }
    if (taken[FLEET_AUTHORITY])
        rv = succession_take(&keys, now_s);
    if (rv == 0 && (taken[FLEET_ONLINE] || taken[FLEET_AUTHORITY]))
        rv = keyring_init(s->keys, &keys);
    if (rv < 0)
        errmsg_set(em, rv, "the new key can't be used: %s", err_name(rv));
    else if (taken[FLEET_ONLINE] || taken[FLEET_AUTHORITY])
        rv = ledger_set_keys(s->ledger, &keys, em);
    explicit_bzero(&keys, sizeof keys);
    return rv == 0 && taken[FLEET_ONLINE] ? seal_all_again(s, em) : rv;
}

/* What it has signed before as well. Each goes to the end of the log; assignments share signatures.
 */
static int seal_all_again(struct scribe *s, struct errmsg *em)
{
    struct control_row row = {0};
    int rv = 1;
    while (rv == 1)
        rv = ledger_next_control(s->ledger, row.serial, &row, em);
    uint64_t last = row.serial;
    for (row.serial = 0; rv >= 0 && row.serial < last;) {
        rv = ledger_next_control(s->ledger, row.serial, &row, em);
        if (rv == 1 && row.serial <= last)
            rv = seal_again(s, &row, em);
    }
    return rv < 0 ? rv : 0;
}

static int seal_again(struct scribe *s, const struct control_row *row, struct errmsg *em)
{
    struct topic topic;
    struct envelope e;
    struct buffer out = buffer_on(s->envelope, sizeof s->envelope);
    enum topic_kind kind = topic_read(row->topic).kind;
    enum message type = kind == TOPIC_COHORT_DOC ? MESSAGE_DESIRED
                        : kind == TOPIC_ATLAS    ? MESSAGE_ATLAS
                                                 : MESSAGE_ASSIGNMENT;
    bool document = type != MESSAGE_ASSIGNMENT || kind == TOPIC_AGENT_DOC;
    if (!document || row->payload.len == 0)
        return 0;
    snprintf(topic.text, sizeof topic.text, "%s", row->topic);
    if (envelope_read(type, row->payload, &e) < 0)
        return errmsg_set(em, ERR_DAMAGED, "%s: what was published there can't be read",
                          topic.text);
    if (type == MESSAGE_ASSIGNMENT)
        return wait_for_others(s, &(struct waiting){.topic = topic, .body = e.body}, em);
    int rv = seal(s, type, e.body, &out, em);
    return rv < 0 ? rv : ledger_publish(s->ledger, topic.text, span_buffer(&out), em);
}

int scribe_trust(struct scribe *s, const struct manager *m, struct span list[static TRUST_WALK_MAX])
{
    struct walk *w = &s->walk;
    uint32_t newest = manager_trust(m)->version;
    int rv = w->newest == newest ? 0 : read_walk(s, newest);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < w->count; i++)
        list[i] = span_of(w->bytes[i], w->len[i]);
    return (int)w->count;
}

static int read_walk(struct scribe *s, uint32_t newest)
{
    struct walk *w = &s->walk;
    int rv = 0;
    *w = (struct walk){.count = newest < TRUST_WALK_MAX ? newest : TRUST_WALK_MAX};
    for (uint32_t i = 0; rv == 0 && i < w->count; i++) {
        struct buffer out = buffer_on(w->bytes[i], sizeof w->bytes[i]);
        rv = ledger_get_trust(s->ledger, newest - w->count + 1 + i, &out, NULL);
        w->len[i] = out.len;
    }
    w->newest = rv < 0 ? 0 : newest;
    return rv;
}

/* ---- bundles ---- */

/*
 * The manifest is a chunk like the others. The files are synced before the rows that promise them
 * can be committed.
 */
static int persist_bundle(struct scribe *s, const struct manager *m, uint32_t index,
                          struct errmsg *em)
{
    const struct bundle_row *row = manager_bundle(m, index);
    struct buffer plain = buffer_on(s->chunk, sizeof s->chunk);
    int rv = depot_get_plain(s->depot, &row->digest, &plain, em);
    if (rv < 0)
        return rv;
    if (manifest_peek(span_buffer(&plain), &s->manifest) < 0)
        return errmsg_set(em, ERR_FORMAT, "%s@%s: its manifest can't be read", row->name,
                          row->version);
    rv = ledger_bundle(s->ledger, index, row, em);
    if (rv == 0)
        rv = ledger_bundle_chunk(s->ledger, index, &row->digest, em);
    for (uint32_t i = 0; rv == 0 && i < s->manifest.index_count; i++)
        rv = add_index_chunk(s, index, &s->manifest.index[i], em);
    return rv < 0 ? rv : depot_sync(s->depot, em);
}

static int add_index_chunk(struct scribe *s, uint32_t bundle, const struct chunk_ref *ref,
                           struct errmsg *em)
{
    struct buffer plain = buffer_on(s->chunk, sizeof s->chunk);
    struct chunk_ref content;
    int rv = ledger_bundle_chunk(s->ledger, bundle, &ref->digest, em);
    if (rv == 0)
        rv = depot_get_plain(s->depot, &ref->digest, &plain, em);
    if (rv < 0)
        return rv;
    int count = index_count(span_buffer(&plain));
    if (count < 0)
        return errmsg_set(em, count, "chunk %s holds no index", digest_hex(&ref->digest).text);
    for (int i = 0; rv == 0 && i < count; i++) {
        rv = index_get(span_buffer(&plain), (size_t)i, &content);
        if (rv < 0)
            return errmsg_set(em, rv, "chunk %s: reference %d of %d can't be read",
                              digest_hex(&ref->digest).text, i + 1, count);
        rv = ledger_bundle_chunk(s->ledger, bundle, &content.digest, em);
    }
    return rv;
}

static int persist_bundle_gone(struct scribe *s, const struct manager *m, uint32_t index,
                               struct errmsg *em)
{
    int rv = ledger_bundle(s->ledger, index, manager_bundle(m, index), em);
    return rv < 0 ? rv : ledger_bundle_erase(s->ledger, index, s, note_gone, em);
}

static void note_gone(void *context, const struct digest *chunk)
{
    struct scribe *s = context;
    if (s->gone_count == s->gone_cap) {
        size_t cap = s->gone_cap ? s->gone_cap * 2 : 1024;
        struct digest *more = realloc(s->gone, cap * sizeof *more);
        if (!more)
            return; /* it stays on the disk; a later bundle may use it again */
        s->gone = more;
        s->gone_cap = cap;
    }
    s->gone[s->gone_count++] = *chunk;
}

/* Another bundle may have come within the same commit. */
void scribe_committed(struct scribe *s)
{
    for (size_t i = 0; i < s->gone_count; i++)
        if (!ledger_chunk_needed(s->ledger, &s->gone[i]))
            depot_remove(s->depot, &s->gone[i]);
    s->gone_count = 0;
}

void scribe_rolled_back(struct scribe *s)
{
    arrears_forgive(&s->behind); /* the core is as the disk says */
    s->gone_count = 0;
    pile_clear(&s->pile);
    s->bodies.len = 0;
}
