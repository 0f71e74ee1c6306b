#include "sync/window.h"

#include "base/date.h"
#include "sync/message.h"

#define WINDOW_FIELDS 8 /* minutes, hours, days, months, weekdays, either, length, zone */
#define DAY_S 86400
/* A 29th of February comes again within these. */
#define SEARCH_DAYS (8 * 366)

/* ---- as bytes ---- */

void window_put(struct wire_writer *w, const struct window *window)
{
    if (window->length_s == 0) {
        wire_put_nil(w);
        return;
    }
    wire_put_array(w, WINDOW_FIELDS);
    wire_put_u64(w, window->minutes);
    wire_put_u64(w, window->hours);
    wire_put_u64(w, window->days);
    wire_put_u64(w, window->months);
    wire_put_u64(w, window->weekdays);
    wire_put_bool(w, window->either);
    wire_put_u64(w, window->length_s);
    if (window->zoned)
        wire_put_u64(w, (uint64_t)((int64_t)window->east_s + WINDOW_WEST_S_MAX));
    else
        wire_put_nil(w);
}

/* A set of these bits, not empty. */
static uint64_t get_set(struct wire_reader *r, uint64_t bits)
{
    uint64_t set = wire_get_u64(r, UINT64_MAX);
    if (set == 0 || set & ~bits)
        wire_fail(r, ERR_RANGE);
    return set;
}

void window_get(struct wire_reader *r, struct window *window)
{
    *window = (struct window){0};
    if (wire_get_nil(r))
        return;
    uint32_t extra = message_enter_array(r, WINDOW_FIELDS);
    window->minutes = get_set(r, (UINT64_C(1) << 60) - 1);
    window->hours = (uint32_t)get_set(r, (1u << 24) - 1);
    window->days = (uint32_t)get_set(r, UINT32_MAX - 1);
    window->months = (uint16_t)get_set(r, (1u << 13) - 2);
    window->weekdays = (uint8_t)get_set(r, (1u << 7) - 1);
    window->either = wire_get_bool(r);
    window->length_s = (uint32_t)wire_get_u64(r, WINDOW_LENGTH_S_MAX);
    window->zoned = !wire_get_nil(r);
    if (window->zoned)
        window->east_s =
            (int32_t)wire_get_u64(r, WINDOW_WEST_S_MAX + WINDOW_EAST_S_MAX) - WINDOW_WEST_S_MAX;
    wire_skip(r, extra);
    if (window->length_s < WINDOW_LENGTH_S_MIN)
        wire_fail(r, ERR_RANGE);
}

/* ---- the calendar ---- */

/* Days since 1970, which began on a Thursday. As cron(8) has it: where both the day of the month
 * and that of the week are restricted, either will do. */
static bool has_day(const struct window *w, int64_t day)
{
    struct date date = date_of((uint64_t)day * DAY_S);
    bool by_date = w->days >> date.day & 1;
    bool by_weekday = w->weekdays >> (day + 4) % 7 & 1;
    return w->months >> date.month & 1 &&
           (w->either ? by_date || by_weekday : by_date && by_weekday);
}

/* The last minute of a day, not after `limit`, at which it opens; -1: none. */
static int last_opening(const struct window *w, int limit)
{
    for (int hour = limit / 60; hour >= 0; hour--) {
        if (!(w->hours >> hour & 1))
            continue;
        for (int minute = hour == limit / 60 ? limit % 60 : 59; minute >= 0; minute--)
            if (w->minutes >> minute & 1)
                return hour * 60 + minute;
    }
    return -1;
}

/* The first one, not before `from`. */
static int first_opening(const struct window *w, int from)
{
    for (int at = from; at < DAY_S / 60; at++)
        if (w->hours >> at / 60 & 1 && w->minutes >> at % 60 & 1)
            return at;
    return -1;
}

static int64_t face_of(const struct window *w, uint64_t wall_s, int32_t east_s)
{
    return (int64_t)(wall_s < DATE_MAX_S ? wall_s : DATE_MAX_S) + (w->zoned ? w->east_s : east_s);
}

/* Only its last opening can still be in force: the one before closes earlier. */
bool window_is_open(const struct window *w, uint64_t wall_s, int32_t east_s)
{
    int64_t face = face_of(w, wall_s, east_s);
    int64_t day = face / DAY_S;
    int limit = (int)(face % DAY_S / 60);
    for (; face >= 0 && day >= 0 && face - (day + 1) * DAY_S < w->length_s; day--) {
        int minute = has_day(w, day) ? last_opening(w, limit) : -1;
        if (minute >= 0)
            return face - (day * DAY_S + minute * 60) < w->length_s;
        limit = DAY_S / 60 - 1;
    }
    return false;
}

uint64_t window_opens_s(const struct window *w, uint64_t wall_s, int32_t east_s)
{
    int64_t face = face_of(w, wall_s, east_s), ahead = face - (int64_t)wall_s;
    int64_t day = face / DAY_S, end = day + SEARCH_DAYS;
    int from = (int)((face % DAY_S + 59) / 60);
    for (; face >= 0 && day < end; day++) {
        int minute = has_day(w, day) ? first_opening(w, from) : -1;
        if (minute >= 0)
            return (uint64_t)(day * DAY_S + minute * 60 - ahead);
        from = 0;
    }
    return 0;
}
