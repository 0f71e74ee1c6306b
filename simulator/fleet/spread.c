#include "base/duration.h"
#include "manager/cli/table.h"
#include "simulator/fleet/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define DAY_MS 86400000.0
/* Points in a plot. */
#define POINTS 500

/* ---- what a run comes to ---- */

/* Of each device and day. */
static double a_day(const struct outcome *o, uint64_t sum)
{
    double days = (double)o->result.now_ms / DAY_MS;
    return days > 0 ? (double)sum / days / o->options.agents : 0;
}

static double a_second(const struct outcome *o, uint64_t sum)
{
    return o->result.now_ms ? (double)sum * 1000 / (double)o->result.now_ms : 0;
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

COUNT(reached_50, (double)o->result.reached_ms[0] / 60000)
COUNT(reached_90, (double)o->result.reached_ms[1] / 60000)
COUNT(reached_99, (double)o->result.reached_ms[2] / 60000)
COUNT(reached_100, (double)o->result.reached_ms[3] / 60000)
COUNT(ready, o->result.ready)
COUNT(failed, o->result.failed)
COUNT(bytes_up, a_day(o, o->result.counts.bytes_up) / 1024)
COUNT(bytes_down, a_day(o, o->result.counts.bytes_down) / 1024)
COUNT(content, a_day(o, o->result.counts.bytes_content) / 1024)
COUNT(writes, a_day(o, o->result.counts.writes))
COUNT(connects, a_day(o, o->result.counts.connects))
COUNT(statuses, a_second(o, o->result.counts.statuses))
COUNT(statuses_peak, (double)o->result.counts.statuses_peak)
COUNT(heads, a_second(o, o->result.counts.heads))
COUNT(documents, (double)o->result.counts.documents)
COUNT(happenings, (double)o->result.counts.happenings / 1e6)
COUNT(steps, (double)o->result.counts.agent_steps / 1e6)
COUNT(processor, o->processor_s)
COUNT(memory, (double)o->memory / (1 << 20))

static const struct figure figures[] = {
    {"reached_50_min", "half of them run the new version after", reached_50, 1, "min"},
    {"reached_90_min", "90 %", reached_90, 1, "min"},
    {"reached_99_min", "99 %", reached_99, 1, "min"},
    {"reached_100_min", "all that come to run it", reached_100, 1, "min"},
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
            table_cell(t, PAINT_NONE, "%.*f", figures[k].digits, figures[k].of(&runs[i]));
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
        for (size_t k = 0; k < FIGURES; k++)
            json_object_set_new(run, figures[k].name, json_real(figures[k].of(&runs[i])));
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

/* ---- plots ---- */

static int write_spread(const struct outcome *o, FILE *out)
{
    const struct flock_result *r = &o->result;
    fprintf(out, "\"heartbeat %s\"\n", duration_write(o->options.policy.heartbeat_s).text);
    for (size_t i = 0; r->reached_count && i <= POINTS; i++) {
        size_t at = (r->reached_count - 1) * i / POINTS;
        fprintf(out, "%.4f,%.3f\n", r->reached_s[at] / 3600.0,
                100.0 * (double)(at + 1) / o->options.agents);
    }
    return fprintf(out, "\n\n") < 0 ? ERR_IO : 0;
}

static FILE *create(const char *dir, const char *name, struct errmsg *em)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        errmsg_set(em, ERR_IO, "can't write %s: %s", path, strerror(errno));
    return f;
}

int spread_plot(const struct outcome *runs, size_t count, const char *dir, struct errmsg *em)
{
    char command[4200];
    FILE *data = create(dir, "spread.csv", em);
    FILE *script = data ? create(dir, "spread.gp", em) : NULL;
    if (!script) {
        if (data)
            fclose(data);
        return ERR_IO;
    }
    for (size_t i = 0; i < count; i++)
        write_spread(&runs[i], data);
    fprintf(
        script,
        "set terminal svg size 800,450 font 'sans,12'\nset output 'spread.svg'\n"
        "set datafile separator ','\nset key bottom right\nset grid\nset yrange [0:101]\n"
        "set xlabel 'hours since the deployment'\nset ylabel '%% of the fleet that run it'\n"
        "plot for [i=0:%zu] 'spread.csv' index i using 1:2 with steps lw 2 title columnheader(1)\n",
        count - 1);
    bool failed = fclose(data) | fclose(script);
    snprintf(command, sizeof command, "cd '%s' && gnuplot spread.gp", dir);
    if (failed)
        return errmsg_set(em, ERR_IO, "can't write in %s", dir);
    if (system(command) != 0)
        return errmsg_set(
            em, ERR_NOT_FOUND,
            "no plot: gnuplot failed, or isn't there (apt-get install gnuplot-nox); the "
            "data is in %s/spread.csv",
            dir);
    return 0;
}
