/*
 * ranking: which agents a pick takes that is sorted by a fact: those that are in stay, the best of
 * the others come until as many are in as are wanted. The facts that picks are sorted by are kept
 * as one column of numbers each, since all agents are compared with all others.
 */
#include "manager/core/rank.h"
#include "manager/core/state.h"

#include <assert.h>

/* Everybody, and nobody. */
#define CUT_ALL ((struct cut){.some = true, .place = UINT64_MAX, .hash = UINT64_MAX})
#define CUT_NONE ((struct cut){0})

/* ---- columns ---- */

static uint64_t *column_of(const struct manager *m, struct span key)
{
    for (uint32_t i = 0; i < COLUMNS_MAX; i++)
        if (span_equal(span_text(m->columns[i].key), key))
            return m->columns[i].numbers;
    return NULL;
}

static bool is_used(const struct manager *m, const struct column *c)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++) {
        uint32_t d = m->lists[i].deployment;
        if (d && m->deployments[d - 1].roster.sort[0] &&
            span_equal(fact_order_key(m->deployments[d - 1].roster.sort), span_text(c->key)))
            return true;
    }
    return false;
}

static struct column *place_for(const struct manager *m)
{
    for (uint32_t i = 0; i < COLUMNS_MAX; i++)
        if (!m->columns[i].key[0] || !is_used(m, &m->columns[i]))
            return (struct column *)&m->columns[i];
    return NULL;
}

bool ranking_is_possible(const struct manager *m, const struct roster *r)
{
    return !r->sort[0] || column_of(m, fact_order_key(r->sort)) || place_for(m);
}

void ranking_mean(struct manager *m, const struct roster *r)
{
    struct span key = fact_order_key(r->sort);
    if (!r->sort[0] || column_of(m, key))
        return;
    struct column *c = place_for(m);
    assert(c);
    *c = (struct column){.numbers = m->column_numbers +
                                    (size_t)(c - m->columns) * m->options.limits.agents};
    memcpy(c->key, key.data, key.len);
    memset(c->numbers, 0, m->options.limits.agents * sizeof *c->numbers);
}

void ranking_hear(struct manager *m, uint32_t number, const struct facts *facts)
{
    for (uint32_t i = 0; i < COLUMNS_MAX; i++)
        if (m->columns[i].key[0])
            m->columns[i].numbers[number - 1] =
                fact_order_number(span_text(m->columns[i].key), facts);
}

bool ranking_knows(const struct manager *m, const struct deployment_row *d, uint32_t number)
{
    const uint64_t *numbers = column_of(m, fact_order_key(d->roster.sort));
    return numbers && numbers[number - 1] > 0;
}

/* ---- the walk ---- */

/* What an agent is ranked by. */
struct candidate {
    uint64_t place, hash;
    bool in;
};

struct walk {
    const struct manager *m;
    const struct whom *whom, *present;
    const char *sort;
    const uint64_t *numbers; /* NULL: nobody asked for this fact yet */
    uint32_t next;
};

static struct walk walk_over(const struct whom *whom, const struct whom *present)
{
    const char *sort = whom->d->roster.sort;
    return (struct walk){.m = whom->m,
                         .whom = whom,
                         .present = present,
                         .sort = sort,
                         .numbers = column_of(whom->m, fact_order_key(sort)),
                         .next = 1};
}

static bool is_eligible(const struct walk *w, uint32_t number)
{
    return whom_has(w->whom, number) && !pick_passes_over(w->m, w->whom->index, number);
}

static struct candidate candidate_of(const struct walk *w, uint32_t number)
{
    return (struct candidate){
        .place = fact_order_place(w->sort, w->numbers ? w->numbers[number - 1] : 0),
        .hash = gate_hash(w->whom->d->salt, w->whom->index + 1, number),
        .in = w->present && pick_has(w->present, number)};
}

static bool next(struct walk *w, struct candidate *c)
{
    while (w->next <= w->m->agent_count) {
        uint32_t number = w->next++;
        if (!is_eligible(w, number))
            continue;
        *c = candidate_of(w, number);
        return true;
    }
    w->next = 1;
    return false;
}

/* ---- where the line is drawn ---- */

/* Of those that share a place, as many as are left come by their hashes. */
static uint64_t cut_ties(struct walk *w, struct rank *rank, bool in, uint64_t place, uint32_t left)
{
    struct candidate c;
    rank_begin(rank, left);
    do {
        while (next(w, &c))
            if (c.in == in && c.place == place)
                rank_see(rank, c.hash);
    } while (rank_next(rank));
    return rank->value;
}

/* The best `k` of those that are in, or are not. There are as many. */
static struct cut cut_at(struct walk *w, struct rank *rank, bool in, uint32_t k)
{
    struct candidate c;
    uint32_t before = 0, at = 0;
    if (k == 0)
        return CUT_NONE;
    rank_begin(rank, k);
    do {
        while (next(w, &c))
            if (c.in == in)
                rank_see(rank, c.place);
    } while (rank_next(rank));
    struct cut cut = {.some = true, .place = rank->value, .hash = UINT64_MAX};
    while (next(w, &c)) {
        before += c.in == in && c.place < cut.place;
        at += c.in == in && c.place == cut.place;
    }
    if (before + at > k)
        cut.hash = cut_ties(w, rank, in, cut.place, k - before);
    return cut;
}

struct ranking ranking_settle(const struct whom *whom, const struct whom *present,
                              const struct pick *pick, struct arena *scratch)
{
    struct rank *rank = arena_alloc(scratch, sizeof *rank);
    struct walk w = walk_over(whom, present);
    struct candidate c;
    uint32_t size = 0, in = 0;
    assert(rank);
    while (next(&w, &c)) {
        size++;
        in += c.in;
    }
    uint32_t wanted = amount_of(pick->amount, size);
    if (in > wanted)
        return (struct ranking){.stay = cut_at(&w, rank, true, wanted), .come = CUT_NONE};
    if (size <= wanted)
        return (struct ranking){.stay = CUT_ALL, .come = CUT_ALL};
    return (struct ranking){.stay = CUT_ALL, .come = cut_at(&w, rank, false, wanted - in)};
}

bool ranking_has(const struct ranking *r, const struct whom *whom, const struct whom *present,
                 uint32_t number)
{
    struct walk w = walk_over(whom, present);
    if (!is_eligible(&w, number))
        return false;
    struct candidate c = candidate_of(&w, number);
    const struct cut *cut = c.in ? &r->stay : &r->come;
    return cut->some && (c.place < cut->place || (c.place == cut->place && c.hash <= cut->hash));
}
