/*
 * What cells are to retain next: documents from the ledger's log, content from the depot.
 */
#include "base/log.h"
#include "manager/daemon_parts.h"

#include <stdlib.h>

static void address(struct daemon *d, size_t cell, const struct recent_row *row, uint64_t behind,
                    struct cell_publication *out);
static int next_chunk(struct daemon *d, uint64_t after, struct cell_publication *out,
                      struct errmsg *em);
static bool read_chunk(struct daemon *d, const struct bulk_row *row, struct span *frame);
static bool was_checked(struct daemon *d, uint64_t serial);

int daemon_retained(void *context, size_t cell, enum cell_lane lane, uint64_t after,
                    uint64_t behind, struct cell_publication *out)
{
    struct daemon *d = context;
    struct errmsg em;
    struct recent_row row;
    int rv;
    if (lane == CELL_BULK) {
        rv = next_chunk(d, after, out, &em);
    } else {
        rv = recent_next(d->recent, after, &row, &em);
        if (rv == 1)
            address(d, cell, &row, behind, out);
    }
    if (rv < 0 && !d->unreadable[lane])
        log_event(LOG_ERROR, "feed-failed", "what=\"%s\"", em.text);
    d->unreadable[lane] = rv < 0;
    return rv;
}

/* What is one agent's own is kept on its homes; it goes where it was and isn't to be any more. */
static void address(struct daemon *d, size_t cell, const struct recent_row *row, uint64_t behind,
                    struct cell_publication *out)
{
    bool own = row->name.kind == TOPIC_AGENT_HEAD || row->name.kind == TOPIC_AGENT_DOC;
    bool known = row->serial <= behind;
    bool serve = !own || cells_serve(d->cells, cell, &row->name.agent);
    bool served = known && (!own || cells_served(d->cells, cell, &row->name.agent));
    *out = (struct cell_publication){.serial = row->serial};
    if (serve != served)
        out->topic = row->topic;
    if (serve)
        out->payload = row->payload;
}

static int next_chunk(struct daemon *d, uint64_t after, struct cell_publication *out,
                      struct errmsg *em)
{
    struct bulk_row row;
    int rv = ledger_next_bulk(d->ledger, after, &row, em);
    if (rv <= 0)
        return rv;
    d->topic = topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = row.chunk});
    *out = (struct cell_publication){.serial = row.serial, .topic = d->topic.text};
    if (!row.erased && !read_chunk(d, &row, &out->payload))
        out->topic = NULL;
    return 1;
}

/*
 * Each file is compared with its name once, whichever cell asks first: fifty cells would pay for it
 * fifty times. A damaged one is dropped, so that a push of its bundle brings it back.
 */
static bool read_chunk(struct daemon *d, const struct bulk_row *row, struct span *frame)
{
    struct errmsg em;
    struct buffer out = buffer_on(d->frame, sizeof d->frame);
    struct buffer plain = buffer_on(d->plain, sizeof d->plain);
    int rv = was_checked(d, row->serial) ? 0 : depot_get_plain(d->depot, &row->chunk, &plain, &em);
    if (rv == 0)
        rv = depot_get(d->depot, &row->chunk, &out, &em);
    *frame = span_buffer(&out);
    if (rv == 0)
        return true;
    log_event(LOG_ERROR, "chunk-lost", "what=\"%s\"", em.text);
    if (rv == ERR_DAMAGED)
        depot_remove(d->depot, &row->chunk);
    return false;
}

/* Says whether this serial was asked for before, and remembers that it was. */
static bool was_checked(struct daemon *d, uint64_t serial)
{
    size_t byte = (size_t)(serial / 8);
    if (byte >= d->checked_cap) {
        size_t cap = byte + 4096;
        uint8_t *more = realloc(d->checked, cap);
        if (!more)
            return false;
        memset(more + d->checked_cap, 0, cap - d->checked_cap);
        d->checked = more;
        d->checked_cap = cap;
    }
    uint8_t bit = (uint8_t)(1u << serial % 8);
    bool before = d->checked[byte] & bit;
    d->checked[byte] |= bit;
    return before;
}
