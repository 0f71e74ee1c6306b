#include "base/duration.h"
#include "simulator/fleet/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Points of a curve. */
#define POINTS 500

static const char SCRIPT[] =
    "set datafile separator ','\n"
    "set grid\n"
    "set style fill solid 0.7\n"
    "set terminal svg size 800,450 font 'sans,12' background 'white'\n"
    "set output 'spread.svg'\n"
    "set key bottom right\n"
    "set yrange [0:101]\n"
    "set xlabel 'hours since the deployment'\n"
    "set ylabel '%% of the fleet that run it'\n"
    "plot for [i=0:%zu] 'spread.csv' index i using 1:2 with steps lw 2 title columnheader(1)\n"
    "set output 'cost.svg'\n"
    "set key top right\n"
    "set yrange [0:*]\n"
    "set xlabel 'heartbeat every'\n"
    "set ylabel 'a device and day'\n"
    "set style data histograms\n"
    "plot 'cost.csv' using 2:xtic(1) title 'KiB sent', \\\n"
    "    '' using 3 title 'KiB received, without content', '' using 4 title 'commits to its disk'\n"
    "set terminal svg size 800,900 font 'sans,12' background 'white'\n"
    "set output 'load.svg'\n"
    "set style data steps\n"
    "set ylabel 'a second'\n"
    "set xlabel 'hours'\n"
    "set multiplot layout 3,1\n"
    "set title 'reports to the manager, in the busiest second of each hour'\n"
    "plot for [i=0:%zu] 'load.csv' index i using 1:3 lw 2 title columnheader(1)\n"
    "set title 'messages from brokers to devices'\n"
    "plot for [i=0:%zu] 'load.csv' index i using 1:4 lw 2 title columnheader(1)\n"
    "set title 'connections'\n"
    "plot for [i=0:%zu] 'load.csv' index i using 1:5 lw 2 title columnheader(1)\n"
    "unset multiplot\n";

static FILE *create(const char *dir, const char *name, struct errmsg *em)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        errmsg_set(em, ERR_IO, "can't write %s: %s", path, strerror(errno));
    return f;
}

static void write_spread(const struct outcome *o, FILE *out)
{
    const struct flock_result *r = &o->result;
    fprintf(out, "\"heartbeat %s\"\n", duration_write(o->options.policy.heartbeat_s).text);
    for (size_t i = 0; r->reached_count && i <= POINTS; i++) {
        size_t at = (r->reached_count - 1) * i / POINTS;
        fprintf(out, "%.4f,%.3f\n", r->reached_s[at] / 3600.0,
                100.0 * (double)(at + 1) / o->options.agents);
    }
    fputs("\n\n", out);
}

/* Hour, reports a second and at most, messages and connections a second. */
static void write_load(const struct outcome *o, FILE *out)
{
    fprintf(out, "\"heartbeat %s\"\n", duration_write(o->options.policy.heartbeat_s).text);
    for (size_t i = 0; i < o->result.hour_count; i++) {
        const struct flock_hour *h = &o->result.hours[i];
        fprintf(out, "%zu,%.3f,%" PRIu64 ",%.3f,%.3f\n", i, (double)h->statuses / 3600,
                h->statuses_peak, (double)h->messages / 3600, (double)h->connects / 3600);
    }
    fputs("\n\n", out);
}

static void write_cost(const struct outcome *o, FILE *out)
{
    fprintf(out, "\"%s\",%.3f,%.3f,%.3f\n", duration_write(o->options.policy.heartbeat_s).text,
            spread_figure(o, "kib_up_a_day"), spread_figure(o, "kib_down_a_day"),
            spread_figure(o, "writes_a_day"));
}

static int write_data(const struct outcome *runs, size_t count, const char *dir, const char *name,
                      void write(const struct outcome *, FILE *), struct errmsg *em)
{
    FILE *out = create(dir, name, em);
    if (!out)
        return ERR_IO;
    for (size_t i = 0; i < count; i++)
        write(&runs[i], out);
    bool failed = ferror(out);
    failed |= fclose(out) != 0;
    return failed ? errmsg_set(em, ERR_IO, "can't write %s/%s", dir, name) : 0;
}

static int write_script(size_t count, const char *dir, struct errmsg *em)
{
    FILE *out = create(dir, "plots.gp", em);
    if (!out)
        return ERR_IO;
    fprintf(out, SCRIPT, count - 1, count - 1, count - 1, count - 1);
    return fclose(out) == 0 ? 0 : errmsg_set(em, ERR_IO, "can't write %s/plots.gp", dir);
}

int plot_draw(const struct outcome *runs, size_t count, const char *dir, struct errmsg *em)
{
    char command[4200];
    int rv = write_data(runs, count, dir, "spread.csv", write_spread, em);
    if (rv == 0)
        rv = write_data(runs, count, dir, "load.csv", write_load, em);
    if (rv == 0)
        rv = write_data(runs, count, dir, "cost.csv", write_cost, em);
    if (rv == 0)
        rv = write_script(count, dir, em);
    snprintf(command, sizeof command, "cd '%s' && gnuplot plots.gp", dir);
    if (rv == 0 && system(command) != 0)
        rv = errmsg_set(
            em, ERR_NOT_FOUND,
            "no plots: gnuplot failed, or isn't there (apt-get install gnuplot-nox); their "
            "data are in %s/*.csv",
            dir);
    return rv;
}
