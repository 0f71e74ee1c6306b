#include "manager/core/state.h"

#include "base/endian.h"

#include <assert.h>

/* Ids are digests, so their first bytes are as good as a hash. */
static uint32_t first_slot(const struct manager *m, const struct key_id *id)
{
    return (uint32_t)le64_read(id->bytes) & m->slot_mask;
}

uint32_t fleet_add(struct manager *m, const struct agent_row *row)
{
    assert(m->agent_count < m->options.limits.agents);
    uint32_t number = ++m->agent_count;
    m->agents[number - 1] = *row;
    fleet_name(m, number, &row->id);
    return number;
}

/* The slot of an id that it had before stays taken until the next start: with another id behind it,
 * nobody finds it there. */
void fleet_name(struct manager *m, uint32_t number, const struct key_id *id)
{
    uint32_t slot = first_slot(m, id);
    m->agents[number - 1].id = *id;
    while (m->slots[slot])
        slot = (slot + 1) & m->slot_mask;
    m->slots[slot] = number;
}

struct agent_row *fleet_agent(struct manager *m, uint32_t number)
{
    return number >= 1 && number <= m->agent_count ? &m->agents[number - 1] : NULL;
}

uint32_t fleet_find(const struct manager *m, const struct key_id *id)
{
    uint32_t slot = first_slot(m, id);
    while (m->slots[slot]) {
        if (key_id_equal(&m->agents[m->slots[slot] - 1].id, id))
            return m->slots[slot];
        slot = (slot + 1) & m->slot_mask;
    }
    return 0;
}

void fleet_assign(struct turn *t, uint32_t number)
{
    fleet_agent(t->m, number)->flags &= (uint16_t)~AGENT_ASSIGNED;
    fleet_tell(t, number);
}

void fleet_tell(struct turn *t, uint32_t number)
{
    struct agent_row *row = fleet_agent(t->m, number);
    row->assigned = epoch_next(t->m, row->assigned);
    persist(t, PERSIST_AGENT, number);
    persist(t, PERSIST_STATUS, number);
    persist(t, PERSIST_ASSIGNMENT, number);
}

bool fleet_reaches(const struct agent_row *row, uint32_t within_s, uint64_t now_s,
                   uint64_t *until_s)
{
    uint64_t end_s = (uint64_t)row->last_seen_s + within_s;
    if (row->flags & (AGENT_QUARANTINED | AGENT_ONLINE))
        return !(row->flags & AGENT_QUARANTINED);
    if (end_s > now_s && end_s < *until_s)
        *until_s = end_s;
    return end_s > now_s;
}

static uint32_t take_node(struct manager *m)
{
    if (m->node_free) {
        uint32_t link = m->node_free;
        m->node_free = m->nodes[link - 1].next;
        return link;
    }
    return m->node_count < m->node_max ? ++m->node_count : 0;
}

static void give_back(struct manager *m, uint32_t link)
{
    while (link) {
        uint32_t next = m->nodes[link - 1].next;
        m->nodes[link - 1].next = m->node_free;
        m->node_free = link;
        link = next;
    }
}

int fleet_set_exceptions(struct manager *m, struct agent_row *row, const struct exception *list,
                         const uint32_t *stints, size_t count)
{
    give_back(m, row->exceptions);
    row->exceptions = 0;
    uint32_t head = 0;
    for (size_t i = count; i-- > 0;) {
        uint32_t link = take_node(m);
        if (!link) {
            give_back(m, head);
            return ERR_NO_MEMORY;
        }
        uint32_t deployment = list[i].deployment;
        m->nodes[link - 1] = (struct told){
            .next = head,
            .generation = list[i].generation,
            .running = list[i].running,
            .stint = stints ? stints[i] : 0,
            .deployment = (uint16_t)(deployment < UINT16_MAX ? deployment : UINT16_MAX),
            .state = list[i].state,
            .cause = list[i].cause,
        };
        head = link;
    }
    row->exceptions = head;
    return 0;
}

size_t manager_exceptions(const struct manager *m, uint32_t number,
                          struct exception out[static EXCEPTIONS_MAX])
{
    size_t count = 0;
    uint32_t link = manager_agent(m, number)->exceptions;
    for (; link && count < EXCEPTIONS_MAX; link = m->nodes[link - 1].next) {
        const struct told *e = &m->nodes[link - 1];
        out[count++] = (struct exception){.deployment = e->deployment,
                                          .generation = e->generation,
                                          .running = e->running,
                                          .state = e->state,
                                          .cause = e->cause};
    }
    return count;
}

void manager_stints(const struct manager *m, uint32_t number, uint32_t out[static EXCEPTIONS_MAX])
{
    uint32_t link = manager_agent(m, number)->exceptions;
    for (size_t i = 0; link && i < EXCEPTIONS_MAX; link = m->nodes[link - 1].next)
        out[i++] = m->nodes[link - 1].stint;
}

void manager_load_stints(struct manager *m, uint32_t number, const uint32_t *stints)
{
    uint32_t link = manager_agent(m, number)->exceptions;
    for (; link; link = m->nodes[link - 1].next)
        m->nodes[link - 1].stint = *stints++;
}
