#include "simulator/load/lore.h"

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

static struct lore_trust *find_trust(struct lore *l, const struct digest *name, bool *fresh);
static void keep_trust(struct lore *l, struct lore_trust *t, int rv, uint64_t from_us);
static struct digest name_of(struct span before, const struct span *envelopes, size_t count);
static uint64_t now_us(void);
static struct lore_document **find_document(struct lore *l, const struct digest *name);
static struct lore_document *open_document(struct lore *l, const struct lore_trust *t,
                                           struct span envelope, struct lore_document **at);
static void copy_document(struct desired *to, const struct desired *from);
static struct lore_place *find_place(struct lore *l, const struct assignment *a);
static void forget_document(struct lore_document *d);

void lore_free(struct lore *l)
{
    for (size_t i = 0; i < LORE_TRUSTS_MAX; i++)
        free(l->trusts[i]);
    for (size_t i = 0; i < LORE_PLACES_MAX; i++)
        free(l->places[i]);
    for (size_t i = 0; i < LORE_DOCUMENTS_MAX; i++)
        forget_document(l->documents[i]);
    *l = (struct lore){0};
}

static void forget_document(struct lore_document *d)
{
    if (d)
        free(d->spares);
    free(d);
}

const struct lore_trust *lore_walk(struct lore *l, const struct root_pin *pin,
                                   const struct span *envelopes, size_t count)
{
    struct digest name = name_of(span_of(pin->bytes, sizeof pin->bytes), envelopes, count);
    bool fresh;
    uint64_t from_us = now_us();
    struct lore_trust *t = find_trust(l, &name, &fresh);
    if (t && fresh)
        keep_trust(l, t, trust_walk(pin, envelopes, count, &t->trust), from_us);
    return t && t->good ? t : NULL;
}

const struct lore_trust *lore_follow(struct lore *l, const struct lore_trust *before,
                                     struct span envelope)
{
    struct digest name = name_of(span_of(before->name.bytes, DIGEST_LEN), &envelope, 1);
    bool fresh;
    uint64_t from_us = now_us();
    struct lore_trust *t = find_trust(l, &name, &fresh);
    if (t && fresh)
        keep_trust(l, t, trust_follows(&before->trust, envelope, &t->trust), from_us);
    return t && t->good ? t : NULL;
}

static struct lore_trust *find_trust(struct lore *l, const struct digest *name, bool *fresh)
{
    size_t i = 0;
    while (i < LORE_TRUSTS_MAX && l->trusts[i] && !digest_equal(&l->trusts[i]->name, name))
        i++;
    if (i == LORE_TRUSTS_MAX)
        return NULL;
    *fresh = !l->trusts[i];
    l->remembered += !*fresh;
    if (*fresh)
        l->trusts[i] = calloc(1, sizeof *l->trusts[i]);
    if (*fresh && l->trusts[i])
        l->trusts[i]->name = *name;
    return l->trusts[i];
}

static void keep_trust(struct lore *l, struct lore_trust *t, int rv, uint64_t from_us)
{
    t->good = rv == 0;
    l->checked++;
    l->checked_us += now_us() - from_us;
}

static struct digest name_of(struct span before, const struct span *envelopes, size_t count)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, before);
    for (size_t i = 0; i < count; i++) {
        struct digest d = digest_of(envelopes[i]);
        digest_add(&s, span_of(d.bytes, DIGEST_LEN));
    }
    return digest_end(&s);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct lore_document *lore_document(struct lore *l, const struct lore_trust *t,
                                    struct span envelope)
{
    struct digest name = digest_of(envelope);
    struct lore_document **place = find_document(l, &name);
    struct lore_document *d = place ? *place : NULL;
    bool known = d && digest_equal(&d->name, &name);
    l->remembered += known;
    if (place && !known)
        d = open_document(l, t, envelope, place);
    if (!d)
        return NULL;
    d->name = name;
    d->holders++;
    d->asked = ++l->questions;
    return d;
}

/* Where it is, or is to be; NULL: all are held. */
static struct lore_document **find_document(struct lore *l, const struct digest *name)
{
    struct lore_document **oldest = NULL;
    for (size_t i = 0; i < LORE_DOCUMENTS_MAX; i++) {
        struct lore_document *d = l->documents[i];
        if (!d || digest_equal(&d->name, name))
            return &l->documents[i];
        if (d->holders == 0 && (!oldest || d->asked < (*oldest)->asked))
            oldest = &l->documents[i];
    }
    return oldest;
}

static struct lore_document *open_document(struct lore *l, const struct lore_trust *t,
                                           struct span envelope, struct lore_document **at)
{
    struct span body;
    uint64_t from_us = now_us();
    if (!*at)
        *at = calloc(1, sizeof **at);
    struct lore_document *d = *at;
    if (!d)
        return NULL;
    static struct desired read;
    d->name = (struct digest){0};
    d->holders = 0;
    int rv = trust_open(&t->trust, TRUST_ONLINE, MESSAGE_DESIRED, envelope, &body);
    if (rv == 0)
        rv = desired_read(body, &read);
    if (rv == 0)
        copy_document(&d->document, &read);
    l->checked++;
    l->checked_us += now_us() - from_us;
    if (rv < 0)
        return NULL;
    d->signer = trust_signer(&t->trust, TRUST_ONLINE, MESSAGE_DESIRED, envelope);
    free(d->spares);
    d->spares = spare_rows(&d->document, &d->signer, &d->spare_count);
    return d->spares ? d : NULL;
}

/* Most of one with few records is room, which takes no memory as long as nobody writes there. */
static void copy_document(struct desired *to, const struct desired *from)
{
    memcpy(to, from, offsetof(struct desired, records) + from->count * sizeof from->records[0]);
    to->variables_len = from->variables_len;
    memcpy(to->variables, from->variables, from->variables_len);
}

void lore_release(struct lore_document *d)
{
    if (d)
        d->holders--;
}

struct lore_place *lore_assignment(struct lore *l, const struct lore_trust *t, struct span envelope,
                                   bool really, struct assignment *a)
{
    struct envelope e;
    struct span body = SPAN_NONE;
    uint64_t from_us = now_us();
    int rv = really ? trust_open(&t->trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, envelope, &body)
                    : envelope_read(MESSAGE_ASSIGNMENT, envelope, &e);
    if (rv == 0)
        rv = assignment_read(really ? body : e.body, a);
    l->checked += really;
    l->checked_us += really ? now_us() - from_us : 0;
    return rv < 0 ? NULL : find_place(l, a);
}

static struct lore_place *find_place(struct lore *l, const struct assignment *a)
{
    for (size_t i = 0; i < LORE_PLACES_MAX; i++) {
        struct lore_place *p = l->places[i];
        if (!p) {
            p = l->places[i] = malloc(sizeof *p);
            if (p)
                p->assignment = *a;
            return p;
        }
        if (memcmp(&p->assignment.cohort, &a->cohort, sizeof a->cohort) == 0 &&
            strcmp(p->assignment.labels.text, a->labels.text) == 0)
            return p;
    }
    return NULL;
}
