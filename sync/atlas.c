#include "sync/atlas.h"

#include "base/endian.h"
#include "base/siphash.h"
#include "sync/message.h"

#include <assert.h>

/* number, spread, cells */
#define ATLAS_FIELDS 3
/* number, URL */
#define CELL_FIELDS 2

int atlas_write(const struct atlas *a, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    assert(a->count > 0 && a->count <= ATLAS_CELLS_MAX);
    message_begin(&w, MESSAGE_ATLAS, ATLAS_FIELDS);
    wire_put_u64(&w, a->number);
    wire_put_u64(&w, a->spread_s);
    wire_put_array(&w, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        wire_put_array(&w, CELL_FIELDS);
        wire_put_u64(&w, a->cells[i].number);
        wire_put_text(&w, a->cells[i].url);
    }
    return wire_end(&w);
}

static void get_cell(struct wire_reader *r, uint32_t before, struct atlas_cell *cell)
{
    uint32_t extra = message_enter_array(r, CELL_FIELDS);
    cell->number = (uint32_t)wire_get_u64(r, UINT32_MAX);
    cell->url = wire_get_text(r, CELL_URL_MAX);
    wire_skip(r, extra);
    if (cell->number <= before || cell->url.len == 0)
        wire_fail(r, ERR_FORMAT);
}

int atlas_read(struct span body, struct atlas *a)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_ATLAS, ATLAS_FIELDS), before = 0;
    a->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    a->spread_s = (uint32_t)wire_get_u64(&r, ATLAS_SPREAD_S_MAX);
    a->count = wire_get_array(&r, 1, ATLAS_CELLS_MAX);
    for (uint32_t i = 0; i < a->count && !r.error; i++) {
        get_cell(&r, before, &a->cells[i]);
        before = a->cells[i].number;
    }
    wire_skip(&r, extra);
    if (a->number == 0)
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}

/*
 * Highest random weight (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates",
 * IEEE/ACM Transactions on Networking 6(1), 1998): each pair has a weight that no other cell has a
 * part in, so that a cell that comes or goes changes nobody's order but by itself.
 */
uint64_t atlas_weight(uint32_t cell, const struct key_id *agent)
{
    return siphash_pair(cell, 0, le64_read(agent->bytes), le64_read(agent->bytes + 8));
}

/* Of equals the one with the lower number comes first. */
uint32_t atlas_order(const struct atlas *a, const struct key_id *agent, uint32_t max,
                     uint32_t order[])
{
    uint64_t weights[CELLS_MAX];
    uint32_t count = 0;
    assert(max > 0 && max <= CELLS_MAX);
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t weight = atlas_weight(a->cells[i].number, agent);
        if (count == max && weight <= weights[max - 1])
            continue;
        uint32_t at = count < max ? count++ : max - 1;
        for (; at > 0 && weights[at - 1] < weight; at--) {
            weights[at] = weights[at - 1];
            order[at] = order[at - 1];
        }
        weights[at] = weight;
        order[at] = i;
    }
    return count;
}
