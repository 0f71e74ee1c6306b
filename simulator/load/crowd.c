#include "simulator/load/crowd.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define URL_PLAIN "mqtt://"
#define URL_TLS "mqtts://"

static int set_up(struct crowd *c, struct errmsg *em);
static void read_clocks(struct crowd *c);
static void wake_due(struct crowd *c);
static void give_turns(struct crowd *c);
static int wait_for(const struct crowd *c, int wait_ms);
static void publish_counters(struct crowd *c);
static void set_goal(struct crowd *c, const struct order *o);
static bool reached(const struct crowd *c, const struct member *m);
static bool runs(const struct crowd *c, const struct member *m);
static bool is_paused(const struct member *m);
static bool moved(const struct crowd *c, const struct member *m);
static void check(struct crowd *c, const struct order *o);
static void check_one(struct crowd *c, const struct member *m, const struct order *o);
static void see_cohort(struct crowd *c, const struct member *m);
static const struct tls_options *on_secure(void *context, struct line *l);
static void on_opened(void *context, struct line *l);
static void on_packet(void *context, struct line *l, const struct packet *p);
static void on_down(void *context, struct line *l, const char *reason);
static void disarm(struct crowd *c, struct member *m);
static uint64_t key(const struct crowd *c, uint32_t at);
static void swap(struct crowd *c, uint32_t a, uint32_t b);
static void sift_up(struct crowd *c, uint32_t at);
static void sift_down(struct crowd *c, uint32_t at);

struct crowd *crowd_new(const struct crowd_options *options, struct errmsg *em)
{
    struct crowd *c = calloc(1, sizeof *c);
    if (!c) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    c->options = *options;
    if (set_up(c, em) < 0) {
        crowd_free(c);
        return NULL;
    }
    return c;
}

static int set_up(struct crowd *c, struct errmsg *em)
{
    const struct hub_handler handler = {.context = c,
                                        .secure = on_secure,
                                        .opened = on_opened,
                                        .packet = on_packet,
                                        .down = on_down};
    c->rng.state = c->options.seed;
    c->scratch = arena_on(c->scratch_room, sizeof c->scratch_room);
    c->members = calloc(c->options.count, sizeof *c->members);
    c->heap = calloc((size_t)c->options.count + 1, sizeof *c->heap);
    c->trunks = calloc((size_t)c->options.trunks + 1, sizeof *c->trunks);
    c->opener = chunk_opener_new();
    if (!c->members || !c->heap || !c->trunks || !c->opener)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    read_clocks(c);
    for (uint32_t i = 0; i < c->options.count; i++)
        member_init(c, &c->members[i], i);
    return hub_init(&c->hub, &handler, em);
}

void crowd_free(struct crowd *c)
{
    for (uint32_t i = 0; c->members && i < c->options.count; i++)
        member_free(c, &c->members[i]);
    for (uint32_t i = 0; c->trunks && i < c->options.trunks; i++) {
        line_cut(&c->hub, &c->trunks[i].line);
        trunk_free(&c->trunks[i]);
    }
    hub_close(&c->hub);
    lore_free(&c->lore);
    chunk_opener_free(c->opener);
    free(c->heap);
    free(c->trunks);
    free(c->members);
    free(c);
}

/* ---- a turn ---- */

bool crowd_turn(struct crowd *c, int wait_ms)
{
    read_clocks(c);
    wake_due(c);
    give_turns(c);
    publish_counters(c);
    return hub_service(&c->hub, wait_for(c, wait_ms));
}

static void read_clocks(struct crowd *c)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    c->now_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    c->now_ms = clock_monotonic_ms() + c->ahead_ms;
    c->wall_s = clock_wall_s() + c->ahead_ms / 1000;
}

static void wake_due(struct crowd *c)
{
    while (c->heap_count > 0 && c->members[c->heap[1] - 1].wake_ms <= c->now_ms) {
        struct member *m = &c->members[c->heap[1] - 1];
        crowd_arm(c, m, UINT64_MAX);
        member_wake(c, m);
    }
}

/* A broker's queue of new connections is short, and what stands beyond it waits a second. */
static void give_turns(struct crowd *c)
{
    for (uint32_t i = 0; i <= CROWD_CELLS_MAX; i++) {
        struct crowd_cell *cell = &c->cells[i];
        uint32_t max = i == CROWD_DOOR ? c->options.joins_max : c->options.greetings_max;
        while (cell->head && cell->greeting < max) {
            struct member *m = &c->members[cell->head - 1];
            cell->head = m->next;
            cell->tail = cell->head ? cell->tail : 0;
            m->next = 0;
            m->cell = (uint16_t)i;
            m->greeting = true;
            cell->greeting++;
            member_connect(c, m);
        }
        if (i == c->cell_count && i < CROWD_DOOR)
            i = CROWD_DOOR - 1;
    }
}

static int wait_for(const struct crowd *c, int wait_ms)
{
    uint64_t until_ms = c->heap_count ? c->members[c->heap[1] - 1].wake_ms : UINT64_MAX;
    if (until_ms <= c->now_ms)
        return 0;
    return until_ms - c->now_ms < (uint64_t)wait_ms ? (int)(until_ms - c->now_ms) : wait_ms;
}

static void publish_counters(struct crowd *c)
{
    struct board *b = c->options.board;
    b->traffic = c->hub.counters;
    b->checked = c->lore.checked;
    b->remembered = c->lore.remembered;
    b->checked_us = c->lore.checked_us;
}

/* ---- orders ---- */

void crowd_obey(struct crowd *c, const struct order *o)
{
    read_clocks(c);
    if (o->type == ORDER_GOAL)
        set_goal(c, o);
    if (o->type == ORDER_JOIN)
        c->cells[CROWD_DOOR].at = o->at;
    if (o->type == ORDER_WARP)
        c->ahead_ms += o->ms;
    if (o->type == ORDER_CHECK)
        check(c, o);
    if (o->type == ORDER_FLOOR)
        c->floor = o->floor;
    if (o->type == ORDER_FLOOR && o->floor == FLOOR_JOIN)
        c->cells[CROWD_DOOR].at = o->at;
    if (o->type == ORDER_CUT || (o->type == ORDER_FLOOR && o->floor >= FLOOR_RETURN))
        trunks_cut(c);
    for (uint32_t i = 0; i < c->options.count; i++) {
        struct member *m = &c->members[i];
        if (o->type == ORDER_JOIN && m->state == MEMBER_BLANK)
            member_join(c, m);
        if (o->type == ORDER_START && m->state == MEMBER_JOINED)
            member_start(c, m);
        if (o->type == ORDER_CUT)
            member_cut(c, m);
        if (o->type == ORDER_FLOOR)
            floor_play(c, m, o->floor);
    }
    publish_counters(c);
    __atomic_store_n(&c->options.board->orders, c->options.board->orders + 1, __ATOMIC_RELEASE);
}

static void set_goal(struct crowd *c, const struct order *o)
{
    struct board *b = c->options.board;
    c->order = *o;
    b->met = 0;
    b->tally = (struct tally){0};
    for (uint32_t i = 0; i < c->options.count; i++) {
        c->members[i].met = false;
        c->members[i].told = 0;
        crowd_look(c, &c->members[i]);
    }
}

/* A connection's time begins with itself, everything else's with the phase. */
void crowd_look(struct crowd *c, struct member *m)
{
    if (m->met || !reached(c, m))
        return;
    bool own = c->order.goal == GOAL_JOINED || (c->order.goal == GOAL_UP && !c->order.from_phase);
    uint64_t from_us = own ? m->since_us : c->order.began_us;
    m->met = true;
    read_clocks(c);
    tally_add(&c->options.board->tally, c->now_us > from_us ? c->now_us - from_us : 0);
    c->options.board->met++;
}

static bool reached(const struct crowd *c, const struct member *m)
{
    bool acknowledged = seat_is_settled(m);
    switch (c->order.goal) {
    case GOAL_NONE:
        return false;
    case GOAL_ECHO:
        return m->bare == BARE_DONE && m->line.open == 0 && m->open == 0;
    case GOAL_JOINED:
        return m->state >= MEMBER_JOINED;
    case GOAL_UP:
        return m->state == MEMBER_RUNNING && acknowledged && !m->core.hello;
    case GOAL_RUNS:
        return acknowledged && !m->core.dirty && runs(c, m);
    case GOAL_PAUSED:
        return acknowledged && !m->core.dirty && is_paused(m) == c->order.paused;
    case GOAL_MOVED:
        return acknowledged && !m->core.dirty && moved(c, m);
    case GOAL_TOLD:
        return acknowledged && m->told > 0;
    }
    return false;
}

static bool runs(const struct crowd *c, const struct member *m)
{
    if (m->held_count != 1 || !digest_equal(&m->held[0].wanted.bundle, &c->order.bundle))
        return false;
    return m->held[0].phase == PHASE_SETTLED || m->held[0].phase == PHASE_ROLLED_BACK;
}

static bool is_paused(const struct member *m)
{
    const struct desired *d = m->document ? &m->document->document : NULL;
    for (uint32_t i = 0; d && m->held_count == 1 && i < d->count; i++)
        if (d->records[i].deployment == m->held[0].deployment)
            return d->records[i].flags & RECORD_PAUSED;
    return false;
}

static bool moved(const struct crowd *c, const struct member *m)
{
    const struct assignment *a = &m->place->assignment;
    return script_moves(crowd_agent(c, m)) && strstr(a->labels.text, "moved=yes") && m->document &&
           memcmp(&m->document->document.cohort, &a->cohort, sizeof a->cohort) == 0;
}

/* ---- is everything as it should be? ---- */

static void check(struct crowd *c, const struct order *o)
{
    c->options.board->cohorts = 0;
    for (uint32_t i = 0; i < c->options.count; i++) {
        check_one(c, &c->members[i], o);
        see_cohort(c, &c->members[i]);
    }
}

static void check_one(struct crowd *c, const struct member *m, const struct order *o)
{
    uint32_t agent = crowd_agent(c, m);
    bool fails = script_fails(&c->options.script, agent);
    struct labels labels = script_labels(script_group(agent), script_moves(agent));
    const struct held *h = m->held;
    if (!seat_is_up(m) || m->core.link != LINK_UP)
        crowd_fault(c, m, "it is not connected");
    if (strcmp(m->place->assignment.labels.text, labels.text) != 0)
        crowd_fault(c, m, "its labels are %s, not %s", m->place->assignment.labels.text,
                    labels.text);
    if (!m->document || memcmp(&m->document->document.cohort, &m->place->assignment.cohort,
                               sizeof(struct cohort_key)) != 0)
        crowd_fault(c, m, "it has no document of its cohort");
    if (m->held_count != 1)
        crowd_fault(c, m, "it has %u deployments instead of one", m->held_count);
    else if (!digest_equal(&h->wanted.bundle, &o->bundle) ||
             !digest_equal(&h->running.bundle, fails ? &o->before : &o->bundle) ||
             h->phase != (fails ? PHASE_ROLLED_BACK : PHASE_SETTLED))
        crowd_fault(c, m, "it is %s with generation %u, running %u, and should %s",
                    agent_phase_name(h), h->wanted.generation, h->running.generation,
                    fails ? "have gone back" : "run the second version");
}

/* All of a cohort have to hold the same document in the end. */
static void see_cohort(struct crowd *c, const struct member *m)
{
    struct board *b = c->options.board;
    struct revision held = m->document ? m->document->document.revision : (struct revision){0};
    uint32_t i = 0;
    while (i < b->cohorts &&
           memcmp(&b->cohort[i].key, &m->place->assignment.cohort, sizeof b->cohort[i].key) != 0)
        i++;
    if (i == BOARD_COHORTS_MAX)
        return;
    if (i == b->cohorts)
        b->cohort[b->cohorts++] =
            (struct cohort_seen){.key = m->place->assignment.cohort, .revision = held};
    b->cohort[i].agents++;
    if (revision_compare(b->cohort[i].revision, held) != 0)
        crowd_fault(c, m, "it holds document %u.%u, others of its cohort %u.%u", held.epoch,
                    held.number, b->cohort[i].revision.epoch, b->cohort[i].revision.number);
}

void crowd_fault(struct crowd *c, const struct member *m, const char *fmt, ...)
{
    struct board *b = c->options.board;
    uint32_t at = b->faults++;
    va_list ap;
    if (at >= BOARD_FAULTS_MAX)
        return;
    int len = snprintf(b->fault[at], BOARD_FAULT_LEN, "agent %u (%.12s): ", m->number,
                       key_id_hex(&m->id).text);
    va_start(ap, fmt);
    vsnprintf(b->fault[at] + len, BOARD_FAULT_LEN - (size_t)len, fmt, ap);
    va_end(ap);
}

/* ---- brokers ---- */

const struct device_seed *crowd_seed(const struct crowd *c, const struct member *m)
{
    return &c->options.seeds[crowd_agent(c, m)];
}

uint32_t crowd_agent(const struct crowd *c, const struct member *m)
{
    return c->options.first + m->index;
}

int crowd_cell(struct crowd *c, const char *url)
{
    uint32_t i = 0;
    while (i < c->cell_count && strcmp(c->cells[i].url, url) != 0)
        i++;
    if (i < c->cell_count)
        return (int)i;
    struct crowd_cell *cell = &c->cells[i];
    char host[64];
    unsigned port;
    const char *scheme = c->options.keys ? URL_TLS : URL_PLAIN;
    size_t skip = strlen(scheme);
    if (i == CROWD_CELLS_MAX || strncmp(url, scheme, skip) != 0 ||
        sscanf(url + skip, "%63[0-9.]:%u", host, &port) != 2)
        return -1;
    cell->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &cell->at.sin_addr) != 1)
        return -1;
    snprintf(cell->url, sizeof cell->url, "%s", url);
    return (int)c->cell_count++;
}

void crowd_want(struct crowd *c, struct member *m, unsigned cell)
{
    struct crowd_cell *there = &c->cells[cell];
    m->next = 0;
    if (there->tail)
        c->members[there->tail - 1].next = m->index + 1;
    else
        there->head = m->index + 1;
    there->tail = m->index + 1;
}

void crowd_greeted(struct crowd *c, struct member *m)
{
    c->cells[m->cell].greeting -= m->greeting;
    m->greeting = false;
}

static struct member *member_of(struct line *l)
{
    return (struct member *)((char *)l - offsetof(struct member, line));
}

/* NULL: it is a member's own. */
static struct trunk *trunk_of(struct crowd *c, struct line *l)
{
    uintptr_t at = (uintptr_t)l, first = (uintptr_t)c->trunks;
    bool shared = at >= first && at < first + c->options.trunks * sizeof *c->trunks;
    return shared ? (struct trunk *)((char *)l - offsetof(struct trunk, line)) : NULL;
}

/* At the door a device has no certificate yet. */
static const struct tls_options *on_secure(void *context, struct line *l)
{
    static struct tls_options o;
    static struct key_id authority;
    const struct crowd *c = context;
    if (!c->options.keys)
        return NULL;
    const struct member *m = member_of(l);
    bool door = m->cell == CROWD_DOOR;
    memcpy(authority.bytes, crowd_seed(c, m)->token.authority, sizeof authority.bytes);
    o = (struct tls_options){
        .authorities = &authority,
        .authority_count = 1,
        .certificate = door ? SPAN_NONE : span_of(m->certificate, m->certificate_len),
        .key = door ? NULL : &c->options.keys[crowd_agent(c, m)].secret,
        .now_s = c->wall_s,
    };
    return &o;
}

static void on_opened(void *context, struct line *l)
{
    struct trunk *t = trunk_of(context, l);
    if (t)
        trunks_opened(context, t);
    else
        member_opened(context, member_of(l));
}

static void on_packet(void *context, struct line *l, const struct packet *p)
{
    struct trunk *t = trunk_of(context, l);
    if (t)
        trunks_packet(context, t, p);
    else
        member_packet(context, member_of(l), p);
}

static void on_down(void *context, struct line *l, const char *reason)
{
    struct trunk *t = trunk_of(context, l);
    (void)reason; /* brokers may close, and the core tries again */
    if (t)
        trunks_down(context, t);
    else
        member_down(context, member_of(l));
}

/* ---- timers: a binary heap whose entries know where they are ---- */

void crowd_arm(struct crowd *c, struct member *m, uint64_t at_ms)
{
    m->wake_ms = at_ms;
    if (at_ms == UINT64_MAX) {
        disarm(c, m);
        return;
    }
    if (m->heap_at == 0) {
        m->heap_at = ++c->heap_count;
        c->heap[m->heap_at] = m->index + 1;
    }
    sift_up(c, m->heap_at);
    sift_down(c, m->heap_at);
}

static void disarm(struct crowd *c, struct member *m)
{
    uint32_t hole = m->heap_at;
    if (hole == 0)
        return;
    swap(c, hole, c->heap_count--);
    m->heap_at = 0;
    if (hole > c->heap_count)
        return;
    sift_up(c, hole);
    sift_down(c, hole);
}

static uint64_t key(const struct crowd *c, uint32_t at)
{
    return c->members[c->heap[at] - 1].wake_ms;
}

static void swap(struct crowd *c, uint32_t a, uint32_t b)
{
    uint32_t was = c->heap[a];
    c->heap[a] = c->heap[b];
    c->heap[b] = was;
    c->members[c->heap[a] - 1].heap_at = a;
    c->members[c->heap[b] - 1].heap_at = b;
}

static void sift_up(struct crowd *c, uint32_t at)
{
    for (; at > 1 && key(c, at) < key(c, at / 2); at /= 2)
        swap(c, at, at / 2);
}

static void sift_down(struct crowd *c, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at; child <= 2 * at + 1 && child <= c->heap_count; child++)
            if (key(c, child) < key(c, least))
                least = child;
        if (least == at)
            return;
        swap(c, at, least);
        at = least;
    }
}
