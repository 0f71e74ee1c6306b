#include "manager/cli/units.h"

#include "base/duration.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MINUTE_S 60u
#define HOUR_S (60u * MINUTE_S)
#define DAY_S (24u * HOUR_S)

struct units_text units_bytes(uint64_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct units_text t;
    size_t unit = 0;
    double value = (double)bytes;
    /* What would round to 1024 is one of the next unit. */
    while (value >= 1023.5 && unit + 1 < sizeof names / sizeof names[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(t.text, sizeof t.text, "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0, value,
             names[unit]);
    return t;
}

struct units_text units_count(uint64_t n, const char *noun)
{
    struct units_text t;
    snprintf(t.text, sizeof t.text, "%" PRIu64 " %.30s%s", n, noun, n == 1 ? "" : "s");
    return t;
}

struct units_text units_of(uint64_t part, uint64_t whole, const char *word)
{
    struct units_text t;
    if (whole == 0)
        snprintf(t.text, sizeof t.text, "none");
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 " of %" PRIu64 " %.20s", part, whole, word);
    return t;
}

struct units_text units_span(uint64_t seconds)
{
    struct units_text t;
    if (seconds < 2 * MINUTE_S)
        snprintf(t.text, sizeof t.text, "%" PRIu64 " s", seconds);
    else if (seconds < 2 * HOUR_S)
        snprintf(t.text, sizeof t.text, "%" PRIu64 " min", (seconds + MINUTE_S / 2) / MINUTE_S);
    else if (seconds < 2 * DAY_S)
        snprintf(t.text, sizeof t.text, "%" PRIu64 " h", (seconds + HOUR_S / 2) / HOUR_S);
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 " days", (seconds + DAY_S / 2) / DAY_S);
    return t;
}

struct units_text units_ago(int64_t then_s, int64_t now_s)
{
    struct units_text t = {.text = "just now"};
    if (then_s > now_s + 1)
        snprintf(t.text, sizeof t.text, "in %.40s", units_span((uint64_t)(then_s - now_s)).text);
    else if (now_s > then_s + 1)
        snprintf(t.text, sizeof t.text, "%.40s ago", units_span((uint64_t)(now_s - then_s)).text);
    return t;
}

int units_time(const char *iso8601, int64_t *seconds)
{
    struct tm tm = {0};
    const char *end = strptime(iso8601, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || strcmp(end, "Z") != 0)
        return ERR_FORMAT;
    *seconds = timegm(&tm);
    return 0;
}

int units_since(const char *text, int64_t now_s, int64_t *seconds)
{
    char moment[32];
    uint64_t ago_s;
    snprintf(moment, sizeof moment, "%.12sT00:00:00Z", text);
    if (units_time(text, seconds) == 0 || units_time(moment, seconds) == 0)
        return 0;
    int rv = duration_read(text, &ago_s);
    *seconds = rv == 0 && ago_s < (uint64_t)now_s ? now_s - (int64_t)ago_s : 0;
    return rv;
}
