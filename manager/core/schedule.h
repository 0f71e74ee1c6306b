/*
 * schedule: a window as operators write it: a cron expression for when it opens, how long it stays
 * open, and whose clock counts. It compiles that to the sets of bits that devices test.
 */
#ifndef DUNLIN_MANAGER_CORE_SCHEDULE_H
#define DUNLIN_MANAGER_CORE_SCHEDULE_H

#include "base/err.h"
#include "sync/window.h"

/* A cron expression; longer ones are better written as two stages. */
#define CRON_TEXT_MAX 100
/* "+05:45", "UTC", "device" */
#define ZONE_TEXT_MAX 8

struct schedule {
    char cron[CRON_TEXT_MAX + 1]; /* "": at any time */
    uint32_t length_s;
    bool zoned;     /* `east_s` counts; else the device's own clock */
    int32_t east_s; /* of UTC */
};

/*
 * The five fields of cron(8): minute, hour, day of the month, month, day of the week. Each is `*`,
 * numbers, names (jan, mon), ranges and steps of them, joined by commas; 7 is Sunday, too. Where
 * neither kind of day begins with `*`, either will do. ERR_USAGE with a sentence.
 */
int schedule_parse_cron(const char *text, struct window *out, struct errmsg *em);
/* "device", "UTC", "+02:00", "-03:30". */
bool schedule_parse_zone(const char *text, struct schedule *out);
void schedule_zone_text(const struct schedule *s, char out[static ZONE_TEXT_MAX]);

/* ERR_USAGE also for one that is too short or too long, or never opens. */
int schedule_compile(const struct schedule *s, struct window *out, struct errmsg *em);

#endif
