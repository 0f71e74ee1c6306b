#include "manager/core/plan.h"

#include "base/date.h"
#include "base/duration.h"
#include "sync/topic.h"
#include "sync/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* version, max_failed, on_failure, overlap, quorum, reachable, deadline, window, retries, back-off,
 * stages, implied, returning, what it waits for the first, rate, start, as it was written */
#define PLAN_FIELDS 17
/* name, selector, share, concurrency, before, after, window, max_failed, rate, as it was written */
#define STAGE_FIELDS 10
/* What it says, start, rate, max_failed, concurrency, returning, quorum, deadline; none of these
 * where it says nothing. */
#define PACE_FIELDS 8
/* What was written before there were further fields ends there: then these say nothing. */
#define PLAN_FIELDS_FIRST 14
#define STAGE_FIELDS_FIRST 7
#define PACE_FIELDS_FIRST 5
#define PLAN_VERSION 1

/* Digits, then `%` or nothing. */
bool amount_read(const char *text, struct amount *out)
{
    uint64_t n = 0;
    const char *digits = text;
    for (; *text >= '0' && *text <= '9' && n <= UINT32_MAX; text++)
        n = 10 * n + (uint64_t)(*text - '0');
    *out = (struct amount){.value = (uint32_t)n, .percent = *text == '%'};
    text += out->percent;
    return text > digits + out->percent && !*text && n <= UINT32_MAX;
}

uint32_t amount_of(struct amount a, uint32_t whole)
{
    if (a.value == 0)
        return whole;
    uint64_t n = a.percent ? ((uint64_t)whole * a.value + 99) / 100 : a.value;
    return n < whole ? (uint32_t)n : whole;
}

static uint32_t borne(struct amount a, uint32_t members)
{
    return a.value ? amount_of(a, members) : 0;
}

static bool is_said(struct amount a)
{
    return a.value > 0 || a.percent;
}

uint32_t plan_may_fail(const struct plan *p, uint32_t stage, uint32_t members)
{
    struct amount own = p->stages[stage].max_failed;
    uint32_t whole = borne(p->max_failed, members), few = borne(own, members);
    if (!is_said(own))
        return whole;
    return is_said(p->max_failed) && whole < few ? whole : few;
}

const struct rate *plan_rate(const struct plan *p, uint32_t stage)
{
    return p->stages[stage].rate.span_s ? &p->stages[stage].rate : &p->rate;
}

uint32_t rate_agents(const struct rate *rate, uint32_t members)
{
    return rate->agents.percent ? amount_of(rate->agents, members) : rate->agents.value;
}

/* The last ones come in at the beginning of a span. */
uint64_t rate_takes_s(const struct rate *rate, uint32_t members)
{
    uint32_t most = rate_agents(rate, members);
    return most && members ? (uint64_t)((members - 1) / most) * rate->span_s : 0;
}

void rate_text(const struct rate *rate, char out[static RATE_TEXT_MAX])
{
    snprintf(out, RATE_TEXT_MAX, "%" PRIu32 "%s/%s", rate->agents.value,
             rate->agents.percent ? "%" : "", duration_write(rate->span_s).text);
}

static bool leaves_some_out(const struct plan_stage *s)
{
    return s->selector[0] || s->share.value != 0;
}

static int check_window(const struct schedule *s, struct errmsg *em)
{
    struct window compiled;
    int rv = schedule_compile(s, &compiled, em);
    return rv < 0 ? errmsg_wrap(em, ERR_USAGE, "window") : 0;
}

static int check_rate(const struct rate *r, struct errmsg *em)
{
    if (r->span_s == 0 || r->span_s >= RATE_SPAN_S_MIN)
        return 0;
    return errmsg_set(em, ERR_USAGE, "rate: %s is shorter than a minute: say it for one",
                      duration_write(r->span_s).text);
}

static int check_stage(const struct plan *p, uint32_t index, struct errmsg *em)
{
    const struct plan_stage *s = &p->stages[index];
    struct selector selector;
    if (!name_valid(span_text(s->name)))
        return errmsg_set(em, ERR_USAGE,
                          "stage %u: '%.80s' is no name: letters, digits, '.', '_', '-'", index + 1,
                          s->name);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(p->stages[i].name, s->name) == 0)
            return errmsg_set(em, ERR_USAGE, "two stages are called %s", s->name);
    if (s->share.percent && s->share.value > 100)
        return errmsg_set(em, ERR_USAGE, "stage %s: %u%% of its agents are more than all", s->name,
                          s->share.value);
    if (s->before.wait_s > PLAN_WAIT_S_MAX || s->after.wait_s > PLAN_WAIT_S_MAX)
        return errmsg_set(em, ERR_USAGE, "stage %s: waits longer than %u days", s->name,
                          PLAN_WAIT_S_MAX / 86400);
    int rv = selector_parse(&selector, span_text(s->selector), em);
    if (rv == 0)
        rv = check_window(&s->window, em);
    if (rv == 0)
        rv = check_rate(&s->rate, em);
    return rv < 0 ? errmsg_wrap(em, ERR_USAGE, "stage %s", s->name) : 0;
}

/* Of a device all of whose tries fail at once. */
static uint64_t back_offs_s(const struct plan *p)
{
    uint64_t all_s = 0;
    for (uint32_t i = 0; i < p->retries; i++) {
        uint64_t one_s = (uint64_t)p->back_off_s << i;
        all_s += one_s < BACK_OFF_S_MAX ? one_s : BACK_OFF_S_MAX;
    }
    return all_s;
}

/* A deadline is for all tries together, and the waits between them: a last one that it leaves no
 * time for is a mistake. */
static int check_deadline(const struct plan *p, struct errmsg *em)
{
    uint64_t all_s = back_offs_s(p);
    if (p->deadline_s == 0 || all_s < p->deadline_s)
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "deadline: %s are for all tries together, and %u retries alone wait %s "
                      "(back_off: %s)",
                      duration_write(p->deadline_s).text, p->retries, duration_write(all_s).text,
                      duration_write(p->back_off_s).text);
}

static int check_rules(const struct plan *p, struct errmsg *em)
{
    if (p->retries > RETRIES_MAX)
        return errmsg_set(em, ERR_USAGE, "retries: more than %d", RETRIES_MAX);
    if (p->back_off_s > BACK_OFF_S_MAX)
        return errmsg_set(em, ERR_USAGE, "back_off: is longer than a day");
    if (p->count == 0 && (p->rate.span_s > 0 || p->start_s > 0))
        return errmsg_set(em, ERR_USAGE,
                          "%s: without stages everybody gets a version at once; write one, like "
                          "stages: [{name: all}]",
                          p->start_s > 0 ? "start" : "rate");
    int rv = check_deadline(p, em);
    if (rv == 0)
        rv = check_rate(&p->rate, em);
    return rv < 0 ? rv : check_window(&p->window, em);
}

/* As long as no stage says anything, that none may fail need not be said. */
static void forget_zero(struct plan *p)
{
    bool said = p->max_failed.value > 0;
    for (uint32_t i = 0; i < p->count; i++)
        said |= is_said(p->stages[i].max_failed);
    p->max_failed.percent &= said;
}

int plan_complete(struct plan *p, struct errmsg *em)
{
    int rules = check_rules(p, em);
    forget_zero(p);
    if (rules < 0 || p->count == 0)
        return rules;
    if (p->quorum < 1 || p->quorum > 100)
        return errmsg_set(em, ERR_USAGE, "a quorum of %u%%: it is between 1 and 100", p->quorum);
    for (uint32_t i = 0; i < p->count; i++) {
        int rv = check_stage(p, i, em);
        if (rv < 0)
            return rv;
        if (i + 1 < p->count && !leaves_some_out(&p->stages[i]))
            return errmsg_set(em, ERR_USAGE, "stage %s takes every agent: none is left for %s",
                              p->stages[i].name, p->stages[i + 1].name);
    }
    const struct plan_stage *last = &p->stages[p->count - 1];
    if (!leaves_some_out(last))
        return 0;
    if (p->count == STAGES_MAX)
        return errmsg_set(em, ERR_USAGE,
                          "%d stages that each leave agents out: the last must take the rest",
                          STAGES_MAX);
    p->stages[p->count] = (struct plan_stage){.name = "rest",
                                              .concurrency = last->concurrency,
                                              .max_failed = last->max_failed,
                                              .rate = last->rate};
    return check_stage(p, p->count++, em);
}

void plan_imply(struct plan *p)
{
    p->implied = true;
    p->count = 1;
    p->stages[0] = (struct plan_stage){.name = "all"};
}

void plan_strip(struct plan *p)
{
    if (p->implied)
        p->count = 0;
    p->implied = false;
}

/* ---- what is set on the way ---- */

#define OF_WHOLE                                                                                   \
    (1u << PACE_START | 1u << PACE_RATE | 1u << PACE_MAX_FAILED | 1u << PACE_RETURNING |           \
     1u << PACE_QUORUM | 1u << PACE_DEADLINE)
#define OF_STAGE (1u << PACE_RATE | 1u << PACE_MAX_FAILED | 1u << PACE_CONCURRENCY)

unsigned plan_pace_keys(uint32_t stage)
{
    return stage == STAGES_MAX ? OF_WHOLE : OF_STAGE;
}

static struct pace pace_of(const struct plan *p, uint32_t stage)
{
    if (stage == STAGES_MAX)
        return (struct pace){.says = OF_WHOLE,
                             .start_s = p->start_s,
                             .rate = p->rate,
                             .max_failed = p->max_failed,
                             .returning = p->returning,
                             .quorum = p->quorum,
                             .deadline_s = p->deadline_s};
    const struct plan_stage *s = &p->stages[stage];
    return (struct pace){.says = OF_STAGE,
                         .rate = s->rate,
                         .max_failed = s->max_failed,
                         .concurrency = s->concurrency};
}

static void put_pace_of(struct plan *p, uint32_t stage, const struct pace *pace)
{
    if (stage == STAGES_MAX) {
        p->start_s = pace->start_s;
        p->rate = pace->rate;
        p->max_failed = pace->max_failed;
        p->returning = pace->returning;
        p->quorum = pace->quorum;
        p->deadline_s = pace->deadline_s;
        return;
    }
    p->stages[stage].rate = pace->rate;
    p->stages[stage].max_failed = pace->max_failed;
    p->stages[stage].concurrency = pace->concurrency;
}

static struct pace *was_of(struct plan *p, uint32_t stage)
{
    return stage == STAGES_MAX ? &p->was : &p->stages[stage].was;
}

void pace_take(struct pace *p, const struct pace *from, unsigned keys)
{
    if (keys & 1u << PACE_START)
        p->start_s = from->start_s;
    if (keys & 1u << PACE_RATE)
        p->rate = from->rate;
    if (keys & 1u << PACE_MAX_FAILED)
        p->max_failed = from->max_failed;
    if (keys & 1u << PACE_CONCURRENCY)
        p->concurrency = from->concurrency;
    if (keys & 1u << PACE_RETURNING)
        p->returning = from->returning;
    if (keys & 1u << PACE_QUORUM)
        p->quorum = from->quorum;
    if (keys & 1u << PACE_DEADLINE)
        p->deadline_s = from->deadline_s;
    p->says = (uint8_t)(p->says | keys);
}

static bool same_amount(struct amount a, struct amount b)
{
    return a.value == b.value && a.percent == b.percent;
}

unsigned pace_compare(const struct pace *a, const struct pace *b)
{
    bool rate = a->rate.span_s == b->rate.span_s && same_amount(a->rate.agents, b->rate.agents);
    return (unsigned)(a->start_s != b->start_s) << PACE_START | (unsigned)!rate << PACE_RATE |
           (unsigned)!same_amount(a->max_failed, b->max_failed) << PACE_MAX_FAILED |
           (unsigned)!same_amount(a->concurrency, b->concurrency) << PACE_CONCURRENCY |
           (unsigned)!same_amount(a->returning, b->returning) << PACE_RETURNING |
           (unsigned)(a->quorum != b->quorum) << PACE_QUORUM |
           (unsigned)(a->deadline_s != b->deadline_s) << PACE_DEADLINE;
}

/* What is set to what was written is as it was. */
int plan_set_pace(struct plan *p, uint32_t stage, const struct pace *pace, struct errmsg *em)
{
    struct plan next = *p;
    struct pace now = pace_of(p, stage), then = now, *was = was_of(&next, stage);
    assert((pace->says & ~now.says) == 0);
    pace_take(&then, pace, pace->says);
    pace_take(was, &now, pace->says & ~(unsigned)was->says);
    was->says = (uint8_t)(was->says & pace_compare(was, &then));
    put_pace_of(&next, stage, &then);
    int rv = plan_complete(&next, em);
    if (rv < 0)
        return rv;
    *p = next;
    return pace_compare(&now, &then) == 0;
}

struct pace plan_pace(const struct plan *p, uint32_t stage)
{
    struct pace now = pace_of(p, stage);
    now.says = stage == STAGES_MAX ? p->was.says : p->stages[stage].was.says;
    return now;
}

static void put_back(struct plan *p, uint32_t stage)
{
    struct pace now = pace_of(p, stage), *was = was_of(p, stage);
    pace_take(&now, was, was->says);
    put_pace_of(p, stage, &now);
}

void plan_put_back(struct plan *p)
{
    put_back(p, STAGES_MAX);
    for (uint32_t i = 0; i < p->count; i++)
        put_back(p, i);
    plan_settle(p);
}

void plan_settle(struct plan *p)
{
    p->was = (struct pace){0};
    for (uint32_t i = 0; i < p->count; i++)
        p->stages[i].was = (struct pace){0};
}

/* ---- as bytes ---- */

static void put_amount(struct wire_writer *w, struct amount a)
{
    wire_put_u64(w, (uint64_t)a.value << 1 | a.percent);
}

static void get_amount(struct wire_reader *r, struct amount *a)
{
    uint64_t packed = wire_get_u64(r, (uint64_t)UINT32_MAX << 1 | 1);
    a->value = (uint32_t)(packed >> 1);
    a->percent = packed & 1;
}

static void put_rate(struct wire_writer *w, const struct rate *r)
{
    wire_put_array(w, 2);
    put_amount(w, r->agents);
    wire_put_u64(w, r->span_s);
}

static void get_rate(struct wire_reader *r, struct rate *out)
{
    wire_get_array(r, 2, 2);
    get_amount(r, &out->agents);
    out->span_s = (uint32_t)wire_get_u64(r, PLAN_WAIT_S_MAX);
}

static void put_pace(struct wire_writer *w, const struct pace *p)
{
    wire_put_array(w, p->says ? PACE_FIELDS : 0);
    if (!p->says)
        return;
    wire_put_u64(w, p->says);
    wire_put_u64(w, p->start_s);
    put_rate(w, &p->rate);
    put_amount(w, p->max_failed);
    put_amount(w, p->concurrency);
    put_amount(w, p->returning);
    wire_put_u64(w, p->quorum);
    wire_put_u64(w, p->deadline_s);
}

static void get_pace(struct wire_reader *r, unsigned keys, struct pace *out)
{
    uint32_t fields = wire_get_array(r, 0, PACE_FIELDS);
    if (fields == 0)
        return;
    uint64_t says = wire_get_u64(r, keys);
    bool whole = fields == PACE_FIELDS, first = fields == PACE_FIELDS_FIRST;
    if (!(whole || (first && says < 1u << PACE_RETURNING)) || says == 0 || says & ~(uint64_t)keys)
        wire_fail(r, ERR_FORMAT);
    out->says = (uint8_t)says;
    out->start_s = wire_get_u64(r, DATE_MAX_S);
    get_rate(r, &out->rate);
    get_amount(r, &out->max_failed);
    get_amount(r, &out->concurrency);
    if (first)
        return;
    get_amount(r, &out->returning);
    out->quorum = (uint32_t)wire_get_u64(r, 100);
    out->deadline_s = (uint32_t)wire_get_u64(r, PLAN_WAIT_S_MAX);
}

static void put_threshold(struct wire_writer *w, const struct threshold *t)
{
    wire_put_array(w, 2);
    wire_put_bool(w, t->approval);
    wire_put_u64(w, t->wait_s);
}

static void get_threshold(struct wire_reader *r, struct threshold *t)
{
    wire_get_array(r, 2, 2);
    t->approval = wire_get_bool(r);
    t->wait_s = (uint32_t)wire_get_u64(r, PLAN_WAIT_S_MAX);
}

static void put_schedule(struct wire_writer *w, const struct schedule *s)
{
    wire_put_array(w, 3);
    wire_put_text(w, span_text(s->cron));
    wire_put_u64(w, s->length_s);
    wire_put_u64(w, s->zoned ? 1u + (uint32_t)(s->east_s + WINDOW_WEST_S_MAX) : 0);
}

/* Whose clock: 0, or one more than the offset. */
static void get_schedule(struct wire_reader *r, struct schedule *s)
{
    wire_get_array(r, 3, 3);
    wire_get_text_into(r, s->cron, sizeof s->cron);
    s->length_s = (uint32_t)wire_get_u64(r, WINDOW_LENGTH_S_MAX);
    uint64_t zone = wire_get_u64(r, 1 + WINDOW_WEST_S_MAX + WINDOW_EAST_S_MAX);
    s->zoned = zone != 0;
    s->east_s = zone ? (int32_t)(zone - 1) - WINDOW_WEST_S_MAX : 0;
}

int plan_write(const struct plan *p, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    assert(p->count <= STAGES_MAX);
    wire_put_array(&w, PLAN_FIELDS);
    wire_put_u64(&w, PLAN_VERSION);
    put_amount(&w, p->max_failed);
    wire_put_u64(&w, p->on_failure);
    wire_put_u64(&w, p->overlap);
    wire_put_u64(&w, p->quorum);
    wire_put_u64(&w, p->reachable_within_s);
    wire_put_u64(&w, p->deadline_s);
    put_schedule(&w, &p->window);
    wire_put_u64(&w, p->retries);
    wire_put_u64(&w, p->back_off_s);
    wire_put_array(&w, p->count);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_stage *s = &p->stages[i];
        wire_put_array(&w, STAGE_FIELDS);
        wire_put_text(&w, span_text(s->name));
        wire_put_text(&w, span_text(s->selector));
        put_amount(&w, s->share);
        put_amount(&w, s->concurrency);
        put_threshold(&w, &s->before);
        put_threshold(&w, &s->after);
        put_schedule(&w, &s->window);
        put_amount(&w, s->max_failed);
        put_rate(&w, &s->rate);
        put_pace(&w, &s->was);
    }
    wire_put_bool(&w, p->implied);
    put_amount(&w, p->returning);
    wire_put_u64(&w, p->wait_for_first_s);
    put_rate(&w, &p->rate);
    wire_put_u64(&w, p->start_s);
    put_pace(&w, &p->was);
    return wire_end(&w);
}

static void get_stage(struct wire_reader *r, struct plan_stage *s)
{
    uint32_t fields = wire_get_array(r, STAGE_FIELDS_FIRST, STAGE_FIELDS);
    wire_get_text_into(r, s->name, sizeof s->name);
    wire_get_text_into(r, s->selector, sizeof s->selector);
    get_amount(r, &s->share);
    get_amount(r, &s->concurrency);
    get_threshold(r, &s->before);
    get_threshold(r, &s->after);
    get_schedule(r, &s->window);
    if (fields > STAGE_FIELDS_FIRST)
        get_amount(r, &s->max_failed);
    if (fields > STAGE_FIELDS_FIRST + 1)
        get_rate(r, &s->rate);
    if (fields > STAGE_FIELDS_FIRST + 2)
        get_pace(r, OF_STAGE, &s->was);
}

int plan_read(struct span bytes, struct plan *p)
{
    struct wire_reader r = wire_reader_on(bytes);
    memset(p, 0, sizeof *p);
    uint32_t fields = wire_get_array(&r, PLAN_FIELDS_FIRST, PLAN_FIELDS);
    if (wire_get_u64(&r, UINT32_MAX) != PLAN_VERSION)
        wire_fail(&r, ERR_FORMAT);
    get_amount(&r, &p->max_failed);
    p->on_failure = (uint8_t)wire_get_u64(&r, REMEDY_COUNT - 1);
    p->overlap = (uint8_t)wire_get_u64(&r, OVERLAP_COUNT - 1);
    p->quorum = (uint32_t)wire_get_u64(&r, 100);
    p->reachable_within_s = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    p->deadline_s = (uint32_t)wire_get_u64(&r, PLAN_WAIT_S_MAX);
    get_schedule(&r, &p->window);
    p->retries = (uint32_t)wire_get_u64(&r, RETRIES_MAX);
    p->back_off_s = (uint32_t)wire_get_u64(&r, BACK_OFF_S_MAX);
    p->count = wire_get_array(&r, 0, STAGES_MAX);
    for (uint32_t i = 0; i < p->count && !r.error; i++)
        get_stage(&r, &p->stages[i]);
    p->implied = wire_get_bool(&r);
    get_amount(&r, &p->returning);
    p->wait_for_first_s = (uint32_t)wire_get_u64(&r, PLAN_WAIT_S_MAX);
    if (fields > PLAN_FIELDS_FIRST)
        get_rate(&r, &p->rate);
    if (fields > PLAN_FIELDS_FIRST + 1)
        p->start_s = wire_get_u64(&r, DATE_MAX_S);
    if (fields > PLAN_FIELDS_FIRST + 2)
        get_pace(&r, OF_WHOLE, &p->was);
    return wire_done(&r);
}
