#include "base/date.h"

#include <stdio.h>

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
