#include "base/duration.h"
#include "manager/cli/table.h"
#include "simulator/fleet/fleet.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000.0

/* ---- what a run comes to ---- */

/* Of each device and day, as all figures of the days before faults ended. */
static double a_day(const struct outcome *o, uint64_t sum)
{
    double days = (double)o->result.days_ms / DAY_MS;
    return days > 0 ? (double)sum / days / o->options.agents : 0;
}

static double a_second(const struct outcome *o, uint64_t sum)
{
    return o->result.days_ms ? (double)sum * 1000 / (double)o->result.days_ms : 0;
}

static double peak(const struct flock_result *r)
{
    uint64_t most = 0;
    for (size_t i = 0; i < r->hour_count; i++)
        most = r->hours[i].statuses_peak > most ? r->hours[i].statuses_peak : most;
    return (double)most;
}

/* NAN: not in those days. */
static double reached_min(const struct outcome *o, size_t mark)
{
    uint64_t ms = o->result.reached_ms[mark];
    return ms == UINT64_MAX ? NAN : (double)ms / 60000;
}

/* A figure that is printed and written alike. */
struct figure {
    const char *name; /* in JSON */
    const char *title;
    double (*of)(const struct outcome *o);
    int digits;
    const char *unit;
};

#define COUNT(name, expression)                                                                    \
    static double name(const struct outcome *o)                                                    \
    {                                                                                              \
        return expression;                                                                         \
    }

COUNT(reached_50, reached_min(o, 0))
COUNT(reached_90, reached_min(o, 1))
COUNT(reached_99, reached_min(o, 2))
COUNT(reached_100, reached_min(o, 3))
COUNT(ready, o->result.ready)
COUNT(failed, o->result.failed)
COUNT(bytes_up, a_day(o, o->result.days.bytes_up) / 1024)
COUNT(bytes_down, a_day(o, o->result.days.bytes_down) / 1024)
COUNT(content, a_day(o, o->result.days.bytes_content) / 1024)
COUNT(writes, a_day(o, o->result.days.writes))
COUNT(connects, a_day(o, o->result.days.connects))
COUNT(statuses, a_second(o, o->result.days.statuses))
COUNT(statuses_peak, peak(&o->result))
COUNT(heads, a_second(o, o->result.days.heads))
COUNT(documents, (double)o->result.days.documents)
COUNT(happenings, (double)o->result.counts.happenings / 1e6)
COUNT(steps, (double)o->result.counts.agent_steps / 1e6)
COUNT(processor, o->processor_s)
COUNT(memory, (double)o->memory / (1 << 20))

static const struct figure figures[] = {
    {"reached_50_min", "half of those that come to run it, after", reached_50, 1, "min"},
    {"reached_90_min", "90 %", reached_90, 1, "min"},
    {"reached_99_min", "99 %", reached_99, 1, "min"},
    {"reached_100_min", "all of them", reached_100, 1, "min"},
    {"ready", "run it at the end", ready, 0, ""},
    {"failed", "went back from it", failed, 0, ""},
    {"kib_up_a_day", "sent by a device in a day", bytes_up, 1, "KiB"},
    {"kib_down_a_day", "sent to it, without content", bytes_down, 1, "KiB"},
    {"kib_content_a_day", "content", content, 1, "KiB"},
    {"writes_a_day", "commits to its disk", writes, 1, "a day"},
    {"connects_a_day", "links that it makes", connects, 1, "a day"},
    {"statuses_a_second", "reports to the manager", statuses, 1, "a second"},
    {"statuses_peak", "at most", statuses_peak, 0, "in a second"},
    {"heads_a_second", "announcements by the brokers", heads, 1, "a second"},
    {"documents", "documents signed", documents, 0, ""},
    {"happenings_million", "what happened", happenings, 1, "million"},
    {"agent_steps_million", "steps of agents' cores", steps, 1, "million"},
    {"processor_s", "processor time of this run", processor, 1, "s"},
    {"memory_mib", "memory, at most", memory, 0, "MiB"},
};
#define FIGURES (sizeof figures / sizeof figures[0])

double spread_figure(const struct outcome *run, const char *name)
{
    for (size_t k = 0; k < FIGURES; k++)
        if (strcmp(figures[k].name, name) == 0)
            return figures[k].of(run);
    return NAN;
}

static void put_figure(struct table *t, const struct figure *figure, const struct outcome *run)
{
    double value = figure->of(run);
    if (isnan(value))
        table_cell(t, PAINT_NONE, "not in %u d", (unsigned)(run->options.run_ms / 86400000));
    else
        table_cell(t, PAINT_NONE, "%.*f", figure->digits, value);
}

void spread_print(const struct outcome *runs, size_t count)
{
    struct table *t = table_new(count + 2, NULL);
    table_cell(t, PAINT_DIM, "heartbeat every");
    for (size_t i = 0; i < count; i++)
        table_cell(t, PAINT_BOLD, "%s", duration_write(runs[i].options.policy.heartbeat_s).text);
    table_cell(t, PAINT_DIM, "%s", "");
    for (size_t k = 0; k < FIGURES; k++) {
        table_cell(t, PAINT_DIM, "%s", figures[k].title);
        for (size_t i = 0; i < count; i++)
            put_figure(t, &figures[k], &runs[i]);
        table_cell(t, PAINT_DIM, "%s", figures[k].unit);
    }
    table_print(t, stdout, table_colour(stdout));
    for (size_t i = 0; i < count; i++)
        printf("digest %016" PRIx64 "\n", runs[i].result.digest);
}

int spread_json(const struct outcome *runs, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        char digest[17], command[COMMAND_MAX];
        json_t *run = json_object();
        fleet_command(&runs[i].options, command);
        snprintf(digest, sizeof digest, "%016" PRIx64, runs[i].result.digest);
        json_object_set_new(run, "command", json_string(command));
        for (size_t k = 0; k < FIGURES; k++) {
            double value = figures[k].of(&runs[i]);
            json_object_set_new(run, figures[k].name,
                                isnan(value) ? json_null() : json_real(value));
        }
        json_object_set_new(run, "rested_s",
                            json_integer((json_int_t)(runs[i].result.rested_ms / 1000)));
        json_object_set_new(run, "digest", json_string(digest));
        json_object_set_new(run, "fault", json_string(runs[i].result.fault));
        json_array_append_new(list, run);
    }
    json_t *all = json_object();
    json_object_set_new(all, "runs", list);
    int rv = json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    putchar('\n');
    json_decref(all);
    return rv;
}
