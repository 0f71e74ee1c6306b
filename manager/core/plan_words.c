#include "manager/core/plan_words.h"

#include "base/date.h"
#include "base/duration.h"
#include "sync/topic.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* How much of a bad value a sentence shows. */
#define VALUE_SHOWN 60

static int set_name(const struct plan_key *key, char *out, const char *text, struct errmsg *em);
static int set_selector(const struct plan_key *key, char *out, const char *text, struct errmsg *em);
static int set_amount(const struct plan_key *key, struct amount *out, const char *text,
                      struct errmsg *em);
static int set_rate(const struct plan_key *key, struct rate *out, const char *text,
                    struct errmsg *em);
static int set_percent(const struct plan_key *key, uint32_t *out, const char *text,
                       struct errmsg *em);
static int set_time(const struct plan_key *key, uint32_t *out, const char *text, struct errmsg *em);
static int set_moment(const struct plan_key *key, uint64_t *out, const char *text,
                      struct errmsg *em);
static int set_flag(const struct plan_key *key, bool *out, const char *text, struct errmsg *em);
static int set_number(const struct plan_key *key, uint32_t *out, const char *text,
                      struct errmsg *em);
static int set_cron(const struct plan_key *key, char *out, const char *text, struct errmsg *em);
static int set_zone(const struct plan_key *key, struct schedule *out, const char *text,
                    struct errmsg *em);
static int set_choice(const struct plan_key *key, uint8_t *out, const char *text,
                      struct errmsg *em);

static const char *const remedies[] = {[REMEDY_PAUSE] = "pause",
                                       [REMEDY_ABORT] = "abort",
                                       [REMEDY_ROLL_BACK] = "rollback",
                                       [REMEDY_COUNT] = NULL};
static const char *const overlaps[] = {[OVERLAP_SUPERSEDE] = "supersede",
                                       [OVERLAP_QUEUE] = "queue",
                                       [OVERLAP_REFUSE] = "refuse",
                                       [OVERLAP_COUNT] = NULL};

static const struct plan_key whole_keys[] = {
    {.name = "start", .form = PLAN_MOMENT, .offset = offsetof(struct plan, start_s)},
    {.name = "max_failed", .form = PLAN_MAXIMUM, .offset = offsetof(struct plan, max_failed)},
    {.name = "on_failure",
     .form = PLAN_CHOICE,
     .offset = offsetof(struct plan, on_failure),
     .words = remedies},
    {.name = "new_version",
     .form = PLAN_CHOICE,
     .offset = offsetof(struct plan, overlap),
     .words = overlaps},
    {.name = "quorum", .form = PLAN_PERCENT, .offset = offsetof(struct plan, quorum)},
    {.name = "reachable_within",
     .form = PLAN_TIME,
     .offset = offsetof(struct plan, reachable_within_s)},
    {.name = "wait_for_first",
     .form = PLAN_TIME,
     .offset = offsetof(struct plan, wait_for_first_s)},
    {.name = "deadline", .form = PLAN_TIME, .offset = offsetof(struct plan, deadline_s)},
    {.name = "rate", .form = PLAN_RATE, .offset = offsetof(struct plan, rate)},
    {.name = "returning", .form = PLAN_AMOUNT, .offset = offsetof(struct plan, returning)},
    {.name = "window",
     .form = PLAN_BOTH,
     .offset = offsetof(struct plan, window),
     .part = PLAN_WINDOW},
    {.name = "retries", .form = PLAN_NUMBER, .offset = offsetof(struct plan, retries)},
    {.name = "back_off", .form = PLAN_TIME, .offset = offsetof(struct plan, back_off_s)},
    {.name = "stages",
     .form = PLAN_LIST,
     .offset = offsetof(struct plan, stages),
     .required = true},
};

static const struct plan_key stage_keys[] = {
    {.name = "name",
     .form = PLAN_NAME,
     .offset = offsetof(struct plan_stage, name),
     .required = true},
    {.name = "select", .form = PLAN_SELECTOR, .offset = offsetof(struct plan_stage, selector)},
    {.name = "share", .form = PLAN_AMOUNT, .offset = offsetof(struct plan_stage, share)},
    {.name = "concurrency",
     .form = PLAN_AMOUNT,
     .offset = offsetof(struct plan_stage, concurrency)},
    {.name = "max_failed", .form = PLAN_MAXIMUM, .offset = offsetof(struct plan_stage, max_failed)},
    {.name = "rate", .form = PLAN_RATE, .offset = offsetof(struct plan_stage, rate)},
    {.name = "before",
     .form = PLAN_BOTH,
     .offset = offsetof(struct plan_stage, before),
     .part = PLAN_THRESHOLD},
    {.name = "after",
     .form = PLAN_BOTH,
     .offset = offsetof(struct plan_stage, after),
     .part = PLAN_THRESHOLD},
    {.name = "window",
     .form = PLAN_BOTH,
     .offset = offsetof(struct plan_stage, window),
     .part = PLAN_WINDOW},
};

static const struct plan_key threshold_keys[] = {
    {.name = "approval", .form = PLAN_FLAG, .offset = offsetof(struct threshold, approval)},
    {.name = "wait", .form = PLAN_TIME, .offset = offsetof(struct threshold, wait_s)},
};

static const struct plan_key window_keys[] = {
    {.name = "cron",
     .form = PLAN_CRON,
     .offset = offsetof(struct schedule, cron),
     .required = true},
    {.name = "for",
     .form = PLAN_TIME,
     .offset = offsetof(struct schedule, length_s),
     .required = true},
    {.name = "zone", .form = PLAN_ZONE, .offset = 0},
};

static const struct plan_key pace_keys[PACE_KEY_COUNT] = {
    [PACE_START] = {.name = "start", .form = PLAN_MOMENT, .offset = offsetof(struct pace, start_s)},
    [PACE_RATE] = {.name = "rate", .form = PLAN_RATE, .offset = offsetof(struct pace, rate)},
    [PACE_MAX_FAILED] = {.name = "max_failed",
                         .form = PLAN_MAXIMUM,
                         .offset = offsetof(struct pace, max_failed)},
    [PACE_CONCURRENCY] = {.name = "concurrency",
                          .form = PLAN_AMOUNT,
                          .offset = offsetof(struct pace, concurrency)},
    [PACE_RETURNING] = {.name = "returning",
                        .form = PLAN_AMOUNT,
                        .offset = offsetof(struct pace, returning)},
    [PACE_QUORUM] = {.name = "quorum",
                     .form = PLAN_PERCENT,
                     .offset = offsetof(struct pace, quorum)},
    [PACE_DEADLINE] = {.name = "deadline",
                       .form = PLAN_TIME,
                       .offset = offsetof(struct pace, deadline_s)},
};

/* What is said where there is none. */
static const char *const pace_none[PACE_KEY_COUNT] = {[PACE_START] = "now",
                                                      [PACE_RATE] = "none",
                                                      [PACE_RETURNING] = "none",
                                                      [PACE_DEADLINE] = "none"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name;
    const struct plan_key *keys;
    size_t count;
} parts[PLAN_PART_COUNT] = {
    [PLAN_WHOLE] = {"a rollout", whole_keys, COUNT(whole_keys)},
    [PLAN_STAGE] = {"a stage", stage_keys, COUNT(stage_keys)},
    [PLAN_THRESHOLD] = {"what comes before or after a stage", threshold_keys,
                        COUNT(threshold_keys)},
    [PLAN_WINDOW] = {"a window", window_keys, COUNT(window_keys)},
    [PLAN_PACE] = {"what is set of a rollout", pace_keys, COUNT(pace_keys)},
};

const char *plan_part_name(enum plan_part part)
{
    return parts[part].name;
}

const struct plan_key *plan_keys(enum plan_part part, size_t *count)
{
    *count = parts[part].count;
    return parts[part].keys;
}

/* ---- from text ---- */

int plan_set(const struct plan_key *key, void *part, const char *text, struct errmsg *em)
{
    void *at = (char *)part + key->offset;
    switch (key->form) {
    case PLAN_NAME:
        return set_name(key, at, text, em);
    case PLAN_SELECTOR:
        return set_selector(key, at, text, em);
    case PLAN_AMOUNT:
    case PLAN_MAXIMUM:
        return set_amount(key, at, text, em);
    case PLAN_RATE:
        return set_rate(key, at, text, em);
    case PLAN_PERCENT:
        return set_percent(key, at, text, em);
    case PLAN_TIME:
        return set_time(key, at, text, em);
    case PLAN_MOMENT:
        return set_moment(key, at, text, em);
    case PLAN_FLAG:
        return set_flag(key, at, text, em);
    case PLAN_CHOICE:
        return set_choice(key, at, text, em);
    case PLAN_NUMBER:
        return set_number(key, at, text, em);
    case PLAN_CRON:
        return set_cron(key, at, text, em);
    case PLAN_ZONE:
        return set_zone(key, at, text, em);
    case PLAN_BOTH:
    case PLAN_LIST:
        break;
    }
    return ERR_USAGE; /* no single value */
}

static int set_name(const struct plan_key *key, char *out, const char *text, struct errmsg *em)
{
    if (!name_valid(span_text(text)))
        return errmsg_set(em, ERR_USAGE,
                          "%s: \"%.*s\": a name is 1 to %d letters, digits, '.', '_' or '-', and "
                          "begins with none of '.-'",
                          key->name, VALUE_SHOWN, text, NAME_MAX_LEN);
    snprintf(out, NAME_MAX_LEN + 1, "%s", text);
    return 0;
}

static int set_selector(const struct plan_key *key, char *out, const char *text, struct errmsg *em)
{
    struct selector selector;
    int rv = selector_parse(&selector, span_text(text), em);
    if (rv < 0)
        return errmsg_wrap(em, ERR_USAGE, "%s", key->name);
    if (selector.count == 0)
        return errmsg_set(em, ERR_USAGE, "%s: is empty; leave it out for every agent", key->name);
    snprintf(out, SELECTOR_TEXT_MAX + 1, "%s", text);
    return 0;
}

static int set_amount(const struct plan_key *key, struct amount *out, const char *text,
                      struct errmsg *em)
{
    if (!amount_read(text, out))
        return errmsg_set(em, ERR_USAGE,
                          "%s: \"%.*s\" is neither a number of agents, like 3, nor a share of "
                          "them, like 10%%",
                          key->name, VALUE_SHOWN, text);
    if (out->percent && out->value > 100)
        return errmsg_set(em, ERR_USAGE, "%s: %u%% is more than all", key->name, out->value);
    if (out->value == 0 && key->form != PLAN_MAXIMUM)
        return errmsg_set(em, ERR_USAGE,
                          "%s: with none nobody ever gets the version; leave it out "
                          "for all",
                          key->name);
    out->percent |= out->value == 0; /* so that it is said */
    return 0;
}

static int set_rate(const struct plan_key *key, struct rate *out, const char *text,
                    struct errmsg *em)
{
    char agents[VALUE_SHOWN];
    size_t len = strcspn(text, "/");
    int rv = text[len] == '\0' || len >= sizeof agents ? ERR_FORMAT : 0;
    snprintf(agents, sizeof agents, "%.*s", (int)(rv < 0 ? 0 : len), text);
    if (rv == 0)
        rv = set_amount(key, &out->agents, agents, em);
    if (rv == 0)
        rv = set_time(key, &out->span_s, text + len + 1, em);
    if (rv == ERR_FORMAT || (rv == 0 && out->span_s == 0))
        return errmsg_set(em, ERR_USAGE,
                          "%s: \"%.*s\" is no rate; write so many agents in so long, like 100/1h "
                          "or 10%%/30m",
                          key->name, VALUE_SHOWN, text);
    return rv;
}

static int set_percent(const struct plan_key *key, uint32_t *out, const char *text,
                       struct errmsg *em)
{
    struct amount a;
    if (!amount_read(text, &a) || !a.percent || a.value < 1 || a.value > 100)
        return errmsg_set(em, ERR_USAGE, "%s: \"%.*s\" is no share of agents from 1%% to 100%%",
                          key->name, VALUE_SHOWN, text);
    *out = a.value;
    return 0;
}

static int set_time(const struct plan_key *key, uint32_t *out, const char *text, struct errmsg *em)
{
    uint64_t seconds = 0;
    int rv = duration_read(text, &seconds);
    if (rv == ERR_FORMAT)
        return errmsg_set(em, ERR_USAGE,
                          "%s: \"%.*s\" is no time; write it with a unit, like 30s, 10m, 2h or 1d",
                          key->name, VALUE_SHOWN, text);
    if (rv < 0 || seconds > PLAN_WAIT_S_MAX)
        return errmsg_set(em, ERR_USAGE, "%s: is longer than %u days", key->name,
                          PLAN_WAIT_S_MAX / 86400);
    *out = (uint32_t)seconds;
    return 0;
}

static int set_moment(const struct plan_key *key, uint64_t *out, const char *text,
                      struct errmsg *em)
{
    if (date_read(text, out) && *out > 0)
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%s: \"%.*s\" is no moment; write it like 2026-12-01T02:00:00Z, or with an "
                      "offset, like +01:00, for Z",
                      key->name, VALUE_SHOWN, text);
}

static int set_flag(const struct plan_key *key, bool *out, const char *text, struct errmsg *em)
{
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0)
        return 0;
    return errmsg_set(em, ERR_USAGE, "%s: must be true or false, not %.*s", key->name, VALUE_SHOWN,
                      text);
}

static int set_choice(const struct plan_key *key, uint8_t *out, const char *text, struct errmsg *em)
{
    char all[VALUE_SHOWN] = "";
    for (uint8_t i = 0; key->words[i]; i++) {
        if (strcmp(key->words[i], text) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s",
                 i == 0              ? ""
                 : key->words[i + 1] ? ", "
                                     : " or ",
                 key->words[i]);
    }
    return errmsg_set(em, ERR_USAGE, "%s: must be %s, not \"%.*s\"", key->name, all, VALUE_SHOWN,
                      text);
}

static int set_number(const struct plan_key *key, uint32_t *out, const char *text,
                      struct errmsg *em)
{
    struct amount a;
    if (!amount_read(text, &a) || a.percent)
        return errmsg_set(em, ERR_USAGE, "%s: \"%.*s\" is not a whole number", key->name,
                          VALUE_SHOWN, text);
    *out = a.value;
    return 0;
}

static int set_cron(const struct plan_key *key, char *out, const char *text, struct errmsg *em)
{
    struct window window;
    if (strlen(text) > CRON_TEXT_MAX)
        return errmsg_set(em, ERR_USAGE, "%s: is longer than %d characters", key->name,
                          CRON_TEXT_MAX);
    if (schedule_parse_cron(text, &window, em) < 0)
        return errmsg_wrap(em, ERR_USAGE, "%s", key->name);
    snprintf(out, CRON_TEXT_MAX + 1, "%s", text);
    return 0;
}

static int set_zone(const struct plan_key *key, struct schedule *out, const char *text,
                    struct errmsg *em)
{
    if (schedule_parse_zone(text, out))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "%s: \"%.*s\" is neither device, nor UTC, nor an offset to it, like +02:00",
                      key->name, VALUE_SHOWN, text);
}

int pace_set(struct pace *p, size_t key, const char *text, struct errmsg *em)
{
    assert(key < PACE_KEY_COUNT);
    struct pace next = *p;
    int rv = 0;
    if (pace_none[key] && strcmp(text, pace_none[key]) == 0)
        pace_take(&next, &(struct pace){0}, 1u << key);
    else
        rv = plan_set(&pace_keys[key], &next, text, em);
    next.says = (uint8_t)(next.says | 1u << key);
    if (rv == 0)
        *p = next;
    return rv;
}

/* ---- to text ---- */

void plan_get(const struct plan_key *key, const void *part, char out[static PLAN_VALUE_MAX])
{
    const void *at = (const char *)part + key->offset;
    const struct amount *amount = at;
    switch (key->form) {
    case PLAN_NAME:
    case PLAN_SELECTOR:
        snprintf(out, PLAN_VALUE_MAX, "%s", (const char *)at);
        return;
    case PLAN_AMOUNT:
    case PLAN_MAXIMUM:
        snprintf(out, PLAN_VALUE_MAX, "%" PRIu32 "%s", amount->value, amount->percent ? "%" : "");
        return;
    case PLAN_RATE:
        rate_text(at, out);
        return;
    case PLAN_PERCENT:
        snprintf(out, PLAN_VALUE_MAX, "%" PRIu32 "%%", *(const uint32_t *)at);
        return;
    case PLAN_TIME:
        snprintf(out, PLAN_VALUE_MAX, "%s", duration_write(*(const uint32_t *)at).text);
        return;
    case PLAN_MOMENT:
        snprintf(out, PLAN_VALUE_MAX, "%s", date_text(*(const uint64_t *)at).text);
        return;
    case PLAN_FLAG:
        snprintf(out, PLAN_VALUE_MAX, "%s", *(const bool *)at ? "true" : "false");
        return;
    case PLAN_CHOICE:
        snprintf(out, PLAN_VALUE_MAX, "%s", key->words[*(const uint8_t *)at]);
        return;
    case PLAN_NUMBER:
        snprintf(out, PLAN_VALUE_MAX, "%" PRIu32, *(const uint32_t *)at);
        return;
    case PLAN_CRON:
        snprintf(out, PLAN_VALUE_MAX, "%s", (const char *)at);
        return;
    case PLAN_ZONE:
        schedule_zone_text(at, out);
        return;
    case PLAN_BOTH:
    case PLAN_LIST:
        break;
    }
    assert(key->form != PLAN_BOTH && key->form != PLAN_LIST); /* no single value */
}

bool pace_get(const struct pace *p, size_t key, char out[static PLAN_VALUE_MAX])
{
    assert(key < PACE_KEY_COUNT);
    bool none = !(pace_compare(p, &(struct pace){0}) >> key & 1);
    if (pace_none[key] && none)
        snprintf(out, PLAN_VALUE_MAX, "%s", pace_none[key]);
    else if (key == PACE_CONCURRENCY && p->concurrency.value == 0)
        snprintf(out, PLAN_VALUE_MAX, "100%%");
    else
        plan_get(&pace_keys[key], p, out);
    return p->says >> key & 1;
}

bool plan_is_default(enum plan_part part, const struct plan_key *key, const void *value)
{
    static const struct plan whole = PLAN_DEFAULT;
    static const struct plan_stage stage;
    static const struct threshold threshold;
    static const struct schedule window;
    static const void *const defaults[PLAN_PART_COUNT] = {[PLAN_WHOLE] = &whole,
                                                          [PLAN_STAGE] = &stage,
                                                          [PLAN_THRESHOLD] = &threshold,
                                                          [PLAN_WINDOW] = &window};
    char is[PLAN_VALUE_MAX], was[PLAN_VALUE_MAX];
    plan_get(key, value, is);
    plan_get(key, defaults[part], was);
    return strcmp(is, was) == 0;
}

bool plan_part_is_default(const struct plan_key *key, const void *value)
{
    const void *part = (const char *)value + key->offset;
    for (size_t i = 0; i < parts[key->part].count; i++)
        if (!plan_is_default(key->part, &parts[key->part].keys[i], part))
            return false;
    return true;
}
