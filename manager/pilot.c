#include "manager/pilot.h"

#include "base/endian.h"
#include "crypto/digest.h"
#include "manager/core/manager.h"
#include "sync/topic.h"

#include <stdlib.h>

/* As generations have: the numbers of epoch e begin behind those of all epochs before. */
#define EPOCH_BITS 20
#define FOREIGN (UINT32_C(1) << 31)
/* Until an agent counts as gone it may be silent for two and a half of its heartbeats. */
#define HEARTBEATS 3

/* An envelope, on the heap: the largest is as long as a message may be. */
struct sheet {
    uint8_t body[ATLAS_MAX];
    uint8_t envelope[MESSAGE_MAX];
};

static int sort_cells(struct atlas *a, struct errmsg *em);
static int recall(struct homes *h, struct ledger *ledger, struct sheet *s, bool *same,
                  struct errmsg *em);
static bool equals(const struct atlas *a, const struct atlas *b);
static int recall_before(struct homes *h, struct ledger *ledger);
static int keep_before(const struct homes *h, struct ledger *ledger, struct errmsg *em);
static int issue(const struct pilot *p, struct homes *h, struct ledger *ledger, struct sheet *s,
                 struct errmsg *em);
static uint32_t base_of(const struct pilot *p);

uint32_t pilot_own(size_t index)
{
    return (uint32_t)index + 1;
}

uint32_t pilot_foreign(const char *url)
{
    struct digest d = digest_of(span_text(url));
    return FOREIGN | le32_read(d.bytes);
}

int pilot_open(const struct pilot *p, struct homes *h, struct ledger *ledger, struct errmsg *em)
{
    struct sheet *s = malloc(sizeof *s);
    bool same = false;
    if (!s)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = sort_cells(&h->now, em);
    if (rv == 0)
        rv = recall(h, ledger, s, &same, em);
    if (rv == 0 && !same)
        rv = keep_before(h, ledger, em);
    if (rv == 0 && (!same || h->now.number < base_of(p)))
        rv = issue(p, h, ledger, s, em);
    for (uint32_t i = 0; i < h->before.count; i++)
        h->before.cells[i].url = SPAN_NONE;
    homes_forget(h);
    free(s);
    return rv;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct atlas_cell *)a)->number, y = ((const struct atlas_cell *)b)->number;
    return (x > y) - (x < y);
}

static int sort_cells(struct atlas *a, struct errmsg *em)
{
    qsort(a->cells, a->count, sizeof a->cells[0], by_number);
    for (uint32_t i = 1; i < a->count; i++)
        if (a->cells[i].number == a->cells[i - 1].number)
            return errmsg_set(em, ERR_RANGE,
                              "%.*s and %.*s can't be told apart: write one of them another way",
                              (int)a->cells[i - 1].url.len, (const char *)a->cells[i - 1].url.data,
                              (int)a->cells[i].url.len, (const char *)a->cells[i].url.data);
    return 0;
}

/* The atlas in force, and whether it is of the same cells. Otherwise it is the one before now. */
static int recall(struct homes *h, struct ledger *ledger, struct sheet *s, bool *same,
                  struct errmsg *em)
{
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_ATLAS});
    struct buffer kept = buffer_on(s->envelope, sizeof s->envelope);
    struct envelope e;
    h->before.count = 0;
    int rv = ledger_published(ledger, topic.text, &kept, em);
    if (rv == ERR_NOT_FOUND)
        return 0;
    if (rv == 0 && (envelope_read(MESSAGE_ATLAS, span_buffer(&kept), &e) < 0 ||
                    atlas_read(e.body, &h->before) < 0))
        rv = errmsg_set(em, ERR_DAMAGED, "%s: what was published there can't be read", topic.text);
    if (rv < 0)
        return rv;
    h->now.number = h->before.number;
    h->now.spread_s = h->before.spread_s;
    *same = equals(&h->now, &h->before);
    return *same ? recall_before(h, ledger) : 0;
}

static bool equals(const struct atlas *a, const struct atlas *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->cells[i].number == b->cells[i].number &&
               span_equal(a->cells[i].url, b->cells[i].url);
    return same;
}

static int recall_before(struct homes *h, struct ledger *ledger)
{
    h->before.count = 0;
    for (unsigned i = 0; i < ATLAS_CELLS_MAX; i++) {
        uint32_t number = (uint32_t)ledger_setting(ledger, LEDGER_BEFORE + i);
        if (number == 0)
            break;
        h->before.cells[h->before.count++] = (struct atlas_cell){.number = number};
    }
    h->moving = ledger_setting(ledger, LEDGER_MOVING_UNTIL) != 0;
    return 0;
}

/* Whoever is on the way to where the last atlas sent it has as good as arrived: it hears of this
 * one wherever it is. */
static int keep_before(const struct homes *h, struct ledger *ledger, struct errmsg *em)
{
    int rv = 0;
    for (unsigned i = 0; rv == 0 && i < ATLAS_CELLS_MAX; i++) {
        uint32_t number = i < h->before.count ? h->before.cells[i].number : 0;
        if (ledger_setting(ledger, LEDGER_BEFORE + i) != number)
            rv = ledger_set(ledger, LEDGER_BEFORE + i, number, em);
    }
    return rv;
}

static uint32_t base_of(const struct pilot *p)
{
    return (p->epoch - 1) << EPOCH_BITS;
}

/* In a new epoch it may be of the same cells: then nobody moves. */
static int issue(const struct pilot *p, struct homes *h, struct ledger *ledger, struct sheet *s,
                 struct errmsg *em)
{
    const struct policy *policy = &p->policy;
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_ATLAS});
    struct buffer body = buffer_on(s->body, sizeof s->body);
    struct buffer out = buffer_on(s->envelope, sizeof s->envelope);
    uint64_t takes_s = (uint64_t)policy->reconnect_spread_s + policy->fetch_spread_s +
                       (uint64_t)HEARTBEATS * policy->heartbeat_s + PILOT_SLACK_S;
    if (h->now.number < base_of(p))
        h->now.number = base_of(p);
    h->now.number++;
    h->now.spread_s = policy->reconnect_spread_s;
    h->moving = h->before.count > 0;
    int rv = atlas_write(&h->now, &body);
    if (rv < 0)
        return errmsg_set(em, ERR_RANGE, "%u brokers: their addresses are too long together",
                          h->now.count);
    rv = envelope_seal(MESSAGE_ATLAS, span_buffer(&body), &p->keys->signing, &out);
    if (rv < 0)
        return errmsg_set(em, rv, "cannot sign the list of brokers: %s", err_name(rv));
    rv = ledger_publish(ledger, topic.text, span_buffer(&out), em);
    if (rv == 0)
        rv = ledger_set(ledger, LEDGER_ATLAS, h->now.number, em);
    int64_t until_s = h->moving ? (int64_t)(p->now_s + takes_s) : 0;
    return rv < 0 ? rv : ledger_set(ledger, LEDGER_MOVING_UNTIL, until_s, em);
}

int pilot_tend(const struct pilot *p, struct homes *h, struct ledger *ledger, struct errmsg *em)
{
    bool behind = h->now.number < base_of(p);
    bool over = h->moving && p->now_s >= (uint64_t)ledger_setting(ledger, LEDGER_MOVING_UNTIL);
    struct sheet *s = behind ? malloc(sizeof *s) : NULL;
    int rv = 0;
    if (!behind && !over)
        return 0;
    if (behind)
        rv = s ? issue(p, h, ledger, s, em) : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    else
        rv = ledger_set(ledger, LEDGER_MOVING_UNTIL, 0, em);
    h->moving &= behind || rv < 0;
    homes_forget(h);
    free(s);
    return rv < 0 ? rv : 1;
}
