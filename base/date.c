#include "base/date.h"

#include <stdio.h>
#include <string.h>

#define DAY_S 86400u
/* The Gregorian calendar repeats itself after 400 years. */
#define ERA_YEARS 400u
#define ERA_DAYS 146097u
/* From the first of March of the year 0, where years that begin in March end with the leap day. */
#define DAYS_TO_1970 719468u

/*
 * Both ways by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013: days_from_civil
 * and civil_from_days.
 */
struct date date_of(uint64_t seconds)
{
    if (seconds > DATE_MAX_S)
        seconds = DATE_MAX_S;
    unsigned days = (unsigned)(seconds / DAY_S) + DAYS_TO_1970;
    unsigned second = (unsigned)(seconds % DAY_S);
    unsigned era = days / ERA_DAYS, in_era = days % ERA_DAYS;
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned from_march = (5 * in_year + 2) / 153;
    unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct date){
        .year = year + era * ERA_YEARS + (month <= 2),
        .month = month,
        .day = in_year - (153 * from_march + 2) / 5 + 1,
        .hour = second / 3600,
        .minute = second / 60 % 60,
        .second = second % 60,
    };
}

uint64_t date_seconds(const struct date *d)
{
    unsigned year = d->year - (d->month <= 2);
    unsigned era = year / ERA_YEARS, in_era = year % ERA_YEARS;
    unsigned from_march = d->month > 2 ? d->month - 3 : d->month + 9;
    unsigned in_year = (153 * from_march + 2) / 5 + d->day - 1;
    unsigned days = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    uint64_t since_1970 = (uint64_t)era * ERA_DAYS + days - DAYS_TO_1970;
    return since_1970 * DAY_S + d->hour * 3600 + d->minute * 60 + d->second;
}

struct date_text date_text(uint64_t seconds)
{
    struct date d = date_of(seconds);
    struct date_text t;
    snprintf(t.text, sizeof t.text, "%04u-%02u-%02uT%02u:%02u:%02uZ", d.year % 10000, d.month % 100,
             d.day % 100, d.hour % 100, d.minute % 100, d.second % 100);
    return t;
}

/* Digits where the pattern has a 0, and else what it has; their numbers in turn. */
static bool read_pattern(const char **text, const char *pattern, unsigned *numbers)
{
    const char *at = *text;
    for (const char *p = pattern; *p; p++, at++) {
        bool digit = *p == '0';
        if (digit ? *at < '0' || *at > '9' : *at != *p)
            return false;
        if (digit && (p == pattern || p[-1] != '0'))
            *numbers = 0;
        if (digit)
            *numbers = 10 * *numbers + (unsigned)(*at - '0');
        if (digit && p[1] != '0')
            numbers++;
    }
    *text = at;
    return true;
}

/* What doesn't exist comes back as another day. */
static bool is_real(const struct date *d)
{
    if (d->year < 1970 || d->month < 1 || d->month > 12 || d->day < 1 || d->day > 31)
        return false;
    struct date same = date_of(date_seconds(d));
    return same.month == d->month && same.day == d->day && d->hour < 24 && d->minute < 60 &&
           d->second < 60;
}

/* Seconds east of UTC. */
static bool read_offset(const char *text, int64_t *east_s)
{
    unsigned n[2];
    bool east = *text == '+';
    *east_s = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if ((!east && *text != '-') || !read_pattern(&(const char *){text + 1}, "00:00", n) ||
        text[sizeof "+00:00" - 1] || n[0] > 23 || n[1] > 59)
        return false;
    *east_s = (int64_t)(n[0] * 3600 + n[1] * 60) * (east ? 1 : -1);
    return true;
}

bool date_read(const char *text, uint64_t *seconds)
{
    unsigned n[6];
    int64_t east_s;
    if (!read_pattern(&text, "0000-00-00", n) || (*text != 'T' && *text != ' '))
        return false;
    text++;
    if (!read_pattern(&text, "00:00:00", n + 3) || !read_offset(text, &east_s))
        return false;
    struct date d = {n[0], n[1], n[2], n[3], n[4], n[5]};
    if (!is_real(&d))
        return false;
    int64_t at_s = (int64_t)date_seconds(&d) - east_s;
    *seconds = (uint64_t)at_s;
    return at_s >= 0 && at_s <= (int64_t)DATE_MAX_S;
}
