#include "simulator/load/crowd.h"

#include <stdio.h>

static struct trunk *trunk_for(struct crowd *c, const struct member *m);
static void take_seat(struct crowd *c, struct member *m, struct trunk *t);
static void hand(void *context, uint32_t seat, const struct packet *p);

bool seat_is_up(const struct member *m)
{
    return (m->trunk ? m->trunk->line.state : m->line.state) == LINE_UP;
}

bool seat_is_settled(const struct member *m)
{
    return seat_is_up(m) && (m->trunk ? m->open : m->line.open) == 0;
}

/* ---- coming and going ---- */

/* Devices join on connections of their own. */
void seat_connect(struct crowd *c, struct member *m)
{
    struct trunk *t = m->cell == CROWD_DOOR ? NULL : trunk_for(c, m);
    if (t)
        take_seat(c, m, t);
    else
        line_open(&c->hub, &m->line, &c->cells[m->cell].at, c->options.from);
}

/* Neighbours in the crowd share one, as they say things together. NULL: there are none. */
static struct trunk *trunk_for(struct crowd *c, const struct member *m)
{
    const struct crowd_options *o = &c->options;
    if (o->trunks == 0)
        return NULL;
    uint32_t of_cell = (o->trunks - m->cell % o->cells + o->cells - 1) / o->cells;
    uint32_t nth = (uint32_t)((uint64_t)m->index * of_cell / o->count);
    return &c->trunks[m->cell % o->cells + nth * o->cells];
}

static void take_seat(struct crowd *c, struct member *m, struct trunk *t)
{
    static const struct packet greeted = {.type = PACKET_CONNACK};
    m->trunk = t;
    trunk_sit(t, m->index);
    if (t->line.state == LINE_UP)
        member_packet(c, m, &greeted);
    else if (t->line.state == LINE_DOWN)
        line_open(&c->hub, &t->line, &c->cells[m->cell].at, c->options.from);
}

/* Sessions have one last will each, so those of the agents aren't with the broker: a trunk that
 * comes back says them, each before its agent's hello. */
bool seat_cut(struct crowd *c, struct member *m)
{
    bool connected = m->trunk || m->line.fd_plus > 0;
    line_cut(&c->hub, &m->line);
    m->trunk = NULL;
    m->open = 0;
    return connected;
}

void trunks_cut(struct crowd *c)
{
    for (uint32_t i = 0; i < c->options.trunks; i++) {
        line_cut(&c->hub, &c->trunks[i].line);
        trunk_clear(&c->trunks[i]);
    }
}

/* ---- what its line tells ---- */

void trunks_opened(struct crowd *c, struct trunk *t)
{
    char name[32];
    snprintf(name, sizeof name, "trunk-%u-%u", c->options.first, (uint32_t)(t - c->trunks));
    line_greet(&c->hub, &t->line, &(struct packet_connect){.client_id = name});
}

void trunks_packet(struct crowd *c, struct trunk *t, const struct packet *p)
{
    if (p->type != PACKET_CONNACK) {
        trunk_take(t, p, hand, c);
        return;
    }
    if (p->code != 0) {
        line_cut(&c->hub, &t->line);
        trunks_down(c, t);
        return;
    }
    c->options.board->trunks += t->was_up ? 0 : 1;
    t->was_up = true;
    for (uint32_t i = 0; i < t->seat_count; i++)
        member_packet(c, &c->members[t->seats[i]], p);
}

static void hand(void *context, uint32_t seat, const struct packet *p)
{
    struct crowd *c = context;
    struct member *m = &c->members[seat];
    m->open -= p->type != PACKET_PUBLISH && m->open > 0;
    member_packet(c, m, p);
}

void trunks_down(struct crowd *c, struct trunk *t)
{
    uint32_t sat = trunk_clear(t);
    for (uint32_t i = 0; i < sat; i++) {
        struct member *m = &c->members[t->seats[i]];
        seat_cut(c, m);
        member_down(c, m);
    }
}

/* ---- what it says ---- */

void seat_publish(struct crowd *c, struct member *m, const char *topic, struct span payload)
{
    m->open += m->trunk != NULL;
    if (m->trunk)
        trunk_publish(&c->hub, m->trunk, m->index, topic, payload);
    else
        line_publish(&c->hub, &m->line, topic, payload, false);
}

void seat_subscribe(struct crowd *c, struct member *m, const char *const *topics, size_t count)
{
    m->open += m->trunk != NULL;
    if (m->trunk)
        trunk_subscribe(&c->hub, m->trunk, m->index, topics, count);
    else
        line_subscribe(&c->hub, &m->line, topics, count, 0);
}

void seat_unsubscribe(struct crowd *c, struct member *m, const char *const *topics, size_t count)
{
    if (m->trunk)
        m->open += trunk_unsubscribe(&c->hub, m->trunk, m->index, topics, count);
    else
        line_unsubscribe(&c->hub, &m->line, topics, count);
}
