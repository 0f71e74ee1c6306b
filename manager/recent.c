#include "manager/recent.h"

#include <stdio.h>
#include <stdlib.h>

struct kept {
    uint64_t serial;
    struct topic topic;
    struct topic_name name;
    uint8_t *payload; /* NULL: empty */
    size_t len;
};

/* Holds all rows behind serial `from`, up to `to`. */
struct recent {
    struct ledger *ledger;
    uint64_t from, to;
    size_t bytes;
    uint32_t first, count;
    struct kept rows[RECENT_ROWS_MAX];
};

static void begin_at(struct recent *r, uint64_t serial);
static void keep(void *context, const struct control_row *row);
static void drop_oldest(struct recent *r);
static struct kept *at(struct recent *r, uint32_t i);
static uint32_t find_behind(struct recent *r, uint64_t serial);
static int read_old(struct recent *r, uint64_t after, struct recent_row *row, struct errmsg *em);

struct recent *recent_new(struct ledger *ledger)
{
    struct recent *r = calloc(1, sizeof *r);
    if (r)
        r->ledger = ledger;
    return r;
}

void recent_free(struct recent *r)
{
    while (r && r->count > 0)
        drop_oldest(r);
    free(r);
}

int recent_next(struct recent *r, uint64_t after, struct recent_row *row, struct errmsg *em)
{
    if (after > r->to)
        begin_at(r, after);
    int rv = after < r->to ? 1 : ledger_next_controls(r->ledger, after, RECENT_READ, keep, r, em);
    if (rv <= 0)
        return rv;
    if (after < r->from)
        return read_old(r, after, row, em);
    const struct kept *k = at(r, find_behind(r, after));
    *row = (struct recent_row){.serial = k->serial,
                               .topic = k->topic.text,
                               .name = k->name,
                               .payload = span_of(k->payload, k->len)};
    return 1;
}

void recent_forget(struct recent *r)
{
    begin_at(r, 0);
}

/* ---- the rows in memory ---- */

/* Nobody has come so far yet. */
static void begin_at(struct recent *r, uint64_t serial)
{
    while (r->count > 0)
        drop_oldest(r);
    r->from = r->to = serial;
}

/* Without memory nothing is kept, and what is there begins behind it. */
static void keep(void *context, const struct control_row *row)
{
    struct recent *r = context;
    uint8_t *payload = row->payload.len > 0 ? malloc(row->payload.len) : NULL;
    while (r->count > 0 &&
           (r->count == RECENT_ROWS_MAX || r->bytes + row->payload.len > RECENT_BYTES_MAX ||
            (row->payload.len > 0 && !payload)))
        drop_oldest(r);
    r->to = row->serial;
    if (row->payload.len > 0 && !payload) {
        r->from = row->serial;
        return;
    }
    struct kept *k = at(r, r->count++);
    *k = (struct kept){.serial = row->serial,
                       .name = topic_read(row->topic),
                       .payload = payload,
                       .len = row->payload.len};
    snprintf(k->topic.text, sizeof k->topic.text, "%s", row->topic);
    if (payload)
        memcpy(payload, row->payload.data, k->len);
    r->bytes += k->len;
}

static void drop_oldest(struct recent *r)
{
    struct kept *k = at(r, 0);
    r->from = k->serial;
    r->bytes -= k->len;
    free(k->payload);
    r->first = (r->first + 1) % RECENT_ROWS_MAX;
    r->count--;
}

static struct kept *at(struct recent *r, uint32_t i)
{
    return &r->rows[(r->first + i) % RECENT_ROWS_MAX];
}

/* The first row with a higher serial, of which there is one. */
static uint32_t find_behind(struct recent *r, uint64_t serial)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (at(r, middle)->serial > serial)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- what is older ---- */

static int read_old(struct recent *r, uint64_t after, struct recent_row *row, struct errmsg *em)
{
    struct control_row old;
    int rv = ledger_next_control(r->ledger, after, &old, em);
    if (rv == 1)
        *row = (struct recent_row){.serial = old.serial,
                                   .topic = old.topic,
                                   .name = topic_read(old.topic),
                                   .payload = old.payload};
    return rv;
}
