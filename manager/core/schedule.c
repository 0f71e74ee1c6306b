#include "manager/core/schedule.h"

#include "base/duration.h"

#include <stdio.h>
#include <string.h>

/* How much of a bad field a sentence shows. */
#define FIELD_SHOWN 40
#define FIELDS 5
/* Where a search for a first opening begins: any day will do. */
#define SOME_DAY_S 1700000000

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of `min` and what follows; NULL: none */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[FIELDS] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, months},
    {"day of the week", 0, 7, weekdays},
};

/* One field being read. */
struct reading {
    const struct field *field;
    struct span whole; /* for sentences */
    const char *at, *end;
    struct errmsg *em;
};

static int refuse(struct reading *r, const char *what)
{
    return errmsg_set(r->em, ERR_USAGE, "%s \"%.*s\": %s", r->field->name,
                      (int)(r->whole.len < FIELD_SHOWN ? r->whole.len : FIELD_SHOWN),
                      (const char *)r->whole.data, what);
}

static bool takes(struct reading *r, char c)
{
    bool there = r->at < r->end && *r->at == c;
    r->at += there;
    return there;
}

/* Names are known by three letters, in capitals or not. */
static bool is_name(const struct reading *r, const char *name)
{
    bool same = r->end - r->at >= 3;
    for (int i = 0; same && i < 3; i++)
        same = (r->at[i] | 0x20) == name[i];
    return same;
}

/* Digits, or a name; negative: neither. */
static int read_number(struct reading *r)
{
    const char *begin = r->at;
    int n = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && n < 1000; r->at++)
        n = 10 * n + (*r->at - '0');
    if (r->at > begin)
        return n;
    for (int i = 0; r->field->names && r->field->names[i]; i++)
        if (is_name(r, r->field->names[i])) {
            r->at += 3;
            return r->field->min + i;
        }
    return -1;
}

/* "*", "5", "1-5", each perhaps with "/2"; a single number with a step goes to the end. */
static int read_range(struct reading *r, uint64_t *set)
{
    int first = r->field->min, last = r->field->max, step = 1;
    bool all = takes(r, '*'), single = false;
    if (!all) {
        first = read_number(r);
        single = !takes(r, '-');
        last = single ? first : read_number(r);
    }
    if (first < 0 || last < 0)
        return refuse(r, r->field->names ? "is no number, no name like mon or jan, and no *"
                                         : "is no number and no *");
    if (takes(r, '/')) {
        step = read_number(r);
        last = single ? r->field->max : last;
        if (step < 1 || step > r->field->max)
            return refuse(r, "a step is a number from 1 on");
    }
    if (first < r->field->min || last > r->field->max)
        return refuse(r, "is out of range");
    if (first > last)
        return refuse(r, "the range goes backwards");
    for (int i = first; i <= last; i += step)
        *set |= UINT64_C(1) << i;
    return 0;
}

static int read_field(struct reading *r, uint64_t *set)
{
    do {
        int rv = read_range(r, set);
        if (rv < 0)
            return rv;
    } while (takes(r, ','));
    return r->at == r->end ? 0 : refuse(r, "numbers are joined by , and -, and a step by /");
}

/* The next word of the text. */
static struct span next_word(const char **text)
{
    const char *begin = *text + strspn(*text, " ");
    size_t len = strcspn(begin, " ");
    *text = begin + len;
    return span_of((const uint8_t *)begin, len);
}

int schedule_parse_cron(const char *text, struct window *out, struct errmsg *em)
{
    uint64_t sets[FIELDS] = {0};
    bool starred[FIELDS];
    const char *rest = text;
    for (int i = 0; i < FIELDS; i++) {
        struct span word = next_word(&rest);
        struct reading r = {.field = &fields[i],
                            .whole = word,
                            .at = (const char *)word.data,
                            .end = (const char *)word.data + word.len,
                            .em = em};
        if (word.len == 0)
            return errmsg_set(em, ERR_USAGE,
                              "\"%.*s\" has %d fields, and five are needed: minute, hour, day of "
                              "the month, month, day of the week",
                              FIELD_SHOWN, text, i);
        starred[i] = *r.at == '*';
        int rv = read_field(&r, &sets[i]);
        if (rv < 0)
            return rv;
    }
    if (next_word(&rest).len > 0)
        return errmsg_set(em, ERR_USAGE, "\"%.*s\" has more than five fields", FIELD_SHOWN, text);
    out->minutes = sets[0];
    out->hours = (uint32_t)sets[1];
    out->days = (uint32_t)sets[2];
    out->months = (uint16_t)sets[3];
    out->weekdays = (uint8_t)((sets[4] & 0x7f) | sets[4] >> 7);
    out->either = !starred[2] && !starred[4];
    return 0;
}

/* ---- zones ---- */

static int two_digits(const char *text)
{
    bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
    return digits ? 10 * (text[0] - '0') + (text[1] - '0') : -1;
}

bool schedule_parse_zone(const char *text, struct schedule *out)
{
    out->zoned = strcmp(text, "device") != 0;
    out->east_s = 0;
    if (!out->zoned || strcmp(text, "UTC") == 0)
        return true;
    if (strlen(text) != strlen("+00:00") || (text[0] != '+' && text[0] != '-') || text[3] != ':')
        return false;
    int hours = two_digits(text + 1), minutes = two_digits(text + 4);
    if (hours < 0 || minutes < 0 || minutes > 59)
        return false;
    out->east_s = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
    return out->east_s >= -WINDOW_WEST_S_MAX && out->east_s <= WINDOW_EAST_S_MAX;
}

void schedule_zone_text(const struct schedule *s, char out[static ZONE_TEXT_MAX])
{
    unsigned minutes = (unsigned)(s->east_s < 0 ? -s->east_s : s->east_s) / 60;
    if (!s->zoned)
        snprintf(out, ZONE_TEXT_MAX, "device");
    else if (s->east_s == 0)
        snprintf(out, ZONE_TEXT_MAX, "UTC");
    else
        snprintf(out, ZONE_TEXT_MAX, "%c%02u:%02u", s->east_s < 0 ? '-' : '+', minutes / 60 % 100,
                 minutes % 60);
}

/* ---- the whole ---- */

int schedule_compile(const struct schedule *s, struct window *out, struct errmsg *em)
{
    *out = (struct window){.zoned = s->zoned, .east_s = s->east_s, .length_s = s->length_s};
    if (!s->cron[0]) {
        out->length_s = 0;
        return 0;
    }
    int rv = schedule_parse_cron(s->cron, out, em);
    if (rv < 0)
        return errmsg_wrap(em, rv, "cron");
    if (s->length_s < WINDOW_LENGTH_S_MIN || s->length_s > WINDOW_LENGTH_S_MAX)
        return errmsg_set(em, ERR_USAGE, "for: %s is not between 1m and 7d",
                          duration_write(s->length_s).text);
    if (window_opens_s(out, SOME_DAY_S, 0) == 0)
        return errmsg_set(em, ERR_USAGE, "cron: \"%s\" never comes: no month has such a day",
                          s->cron);
    return 0;
}
