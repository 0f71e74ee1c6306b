#include "manager/core/plan.h"

#include "base/date.h"
#include "base/duration.h"
#include "sync/topic.h"
#include "sync/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* version, max_failed, on_failure, overlap, quorum, reachable, deadline, window, retries, back-off,
 * stages, implied, returning, what it waits for the first, rate, start */
#define PLAN_FIELDS 16
/* name, selector, share, concurrency, before, after, window, max_failed, rate */
#define STAGE_FIELDS 9
/* What was written before there were further fields ends there: then these say nothing. */
#define PLAN_FIELDS_FIRST 14
#define STAGE_FIELDS_FIRST 7
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
    }
    wire_put_bool(&w, p->implied);
    put_amount(&w, p->returning);
    wire_put_u64(&w, p->wait_for_first_s);
    put_rate(&w, &p->rate);
    wire_put_u64(&w, p->start_s);
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
    return wire_done(&r);
}
