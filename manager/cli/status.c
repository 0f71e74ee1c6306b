/* status: the fleet at a glance. */
#include "manager/cli/deployment.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>

/* Unknown devices whose ids are printed; --json has more. */
#define ORPHANS_NAMED 4

static int status(struct cli *cli);
static int print_head(struct cli *cli, const json_t *s);
static void add_agents(struct table *t, const json_t *agents);
static void add_cells(struct table *t, const json_t *cells);
static void add_atlas(struct table *t, const json_t *status);
static void add_orphans(struct table *t, const json_t *orphans);
/* Where there are several: how many agents the emptiest and the fullest were last heard from. */
static void add_atlas(struct table *t, const json_t *status)
{
    const json_t *cells = json_object_get(status, "cells"), *cell;
    const json_t *atlas = json_object_get(status, "atlas");
    uint64_t least = UINT64_MAX, most = 0;
    size_t i;
    if (json_array_size(cells) < 2)
        return;
    json_array_foreach(cells, i, cell)
    {
        uint64_t agents = field_number(cell, "agents");
        least = agents < least ? agents : least;
        most = agents > most ? agents : most;
    }
    table_cell(t, PAINT_NONE, "%s", "");
    table_cell(t, PAINT_NONE,
               "%" PRIu64 " to %" PRIu64 " agents heard on each, by list %" PRIu64 "%s", least,
               most, field_number(atlas, "number"),
               json_is_true(json_object_get(atlas, "moving")) ? ": they are on their way" : "");
}

static void add_flood(struct table *t, const json_t *counters);
static void add_alarms(struct table *t, const json_t *alarms);
static void add_notes(struct table *t, const json_t *notes);

const struct verb status_verbs[1] = {
    {
        .name = "status",
        .summary = "show the fleet at a glance, and the host to join at",
        .run = status,
    },
};

static int status(struct cli *cli)
{
    json_t *s;
    int rv = cli_call(cli, "GET", "/v1/status", NULL, &s);
    if (rv < 0 || !s)
        return rv;
    rv = print_head(cli, s);
    putchar('\n');
    if (rv == 0)
        rv = deployment_print_table(cli, json_object_get(s, "deployments"));
    json_decref(s);
    return rv;
}

static int print_head(struct cli *cli, const json_t *s)
{
    struct table *t = table_new(2, NULL);
    table_cell(t, PAINT_DIM, "manager");
    table_cell(t, PAINT_NONE, "version %s, epoch %" PRIu64, field_text(s, "version"),
               field_number(s, "epoch"));
    table_cell(t, PAINT_DIM, "join with");
    table_cell(t, PAINT_NONE, "dunlin-agent join %s TOKEN --dir DIR", field_text(s, "join_url"));
    if (json_is_true(json_object_get(s, "plain"))) {
        table_cell(t, PAINT_DIM, "links");
        table_cell(t, PAINT_BAD, "plain, without TLS: for tests on this machine only");
    }
    if (*field_text(s, "api")) {
        table_cell(t, PAINT_DIM, "operators");
        table_cell(t, PAINT_NONE, "%s, with credentials: dunlin admin create",
                   field_text(s, "api"));
    }
    table_cell(t, PAINT_DIM, "agents");
    add_agents(t, json_object_get(s, "agents"));
    table_cell(t, PAINT_DIM, "brokers");
    add_cells(t, json_object_get(s, "cells"));
    add_atlas(t, s);
    table_cell(t, PAINT_DIM, "cohorts");
    table_cell(t, PAINT_NONE, "%s", units_count(field_number(s, "cohorts"), "label set").text);
    add_orphans(t, json_object_get(s, "orphans"));
    add_flood(t, json_object_get(s, "counters"));
    add_alarms(t, json_object_get(s, "alarms"));
    add_notes(t, json_object_get(s, "notes"));
    return cli_print(cli, t);
}

static void add_agents(struct table *t, const json_t *agents)
{
    uint64_t total = field_number(agents, "total"), online = field_number(agents, "online");
    uint64_t stale = field_number(agents, "stale"), waiting = field_number(agents, "waiting");
    uint64_t quarantined = field_number(agents, "quarantined");
    uint64_t cut_off = field_number(agents, "cut_off");
    uint64_t cordoned = field_number(agents, "cordoned");
    char more[96] = "", queue[64] = "";
    if (stale > 0)
        snprintf(more, sizeof more, ", %" PRIu64 " stale", stale);
    if (quarantined > 0)
        snprintf(more + strlen(more), sizeof more - strlen(more), ", %" PRIu64 " quarantined",
                 quarantined);
    if (cut_off > 0)
        snprintf(more + strlen(more), sizeof more - strlen(more), ", %" PRIu64 " cut off", cut_off);
    if (cordoned > 0)
        snprintf(more + strlen(more), sizeof more - strlen(more), ", %" PRIu64 " cordoned",
                 cordoned);
    if (waiting > 0)
        snprintf(queue, sizeof queue, ", %" PRIu64 " waiting to be approved", waiting);
    if (total == 0)
        table_cell(t, waiting ? PAINT_BUSY : PAINT_NONE, "none%s", queue);
    else
        table_cell(t, online == total && stale + waiting == 0 ? PAINT_GOOD : PAINT_BUSY, "%s%s%s",
                   units_of(online, total, "online").text, more, queue);
}

/* Devices that joined after the backup from which this manager was put back. */
static void add_orphans(struct table *t, const json_t *orphans)
{
    char ids[256] = "";
    size_t i;
    json_t *orphan;
    json_array_foreach(orphans, i, orphan)
    {
        if (i < ORPHANS_NAMED)
            snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%.12s", i ? ", " : "",
                     field_text(orphan, "id"));
    }
    if (!ids[0])
        return;
    table_cell(t, PAINT_DIM, "unknown");
    table_cell(t, PAINT_BAD, "%s%s: %s this fleet's keys and must join again", ids,
               json_array_size(orphans) > ORPHANS_NAMED ? ", …" : "",
               json_array_size(orphans) > 1 ? "they have" : "it has");
}

/* "2 of 3 up", and the URL of each that isn't. */
static void add_cells(struct table *t, const json_t *cells)
{
    char down[512] = "";
    size_t i, used = 0;
    uint64_t up = 0;
    json_t *cell;
    json_array_foreach(cells, i, cell)
    {
        bool is_up = strcmp(field_text(cell, "state"), "up") == 0;
        up += is_up;
        if (is_up || used >= sizeof down)
            continue;
        int n = snprintf(down + used, sizeof down - used, ", %s is %s", field_text(cell, "url"),
                         field_text(cell, "state"));
        used += n < 0 ? 0 : (size_t)n;
    }
    table_cell(t, used ? PAINT_BAD : PAINT_GOOD, "%s%s",
               units_of(up, json_array_size(cells), "up").text, down);
}

static void add_flood(struct table *t, const json_t *counters)
{
    uint64_t flooded = field_number(counters, "flooded");
    if (flooded == 0)
        return;
    table_cell(t, PAINT_DIM, "dropped");
    table_cell(t, PAINT_BAD, "%s of agents that say too much; the manager's log names them",
               units_count(flooded, "message").text);
}

/* "; 12 more, 897 only counted", or nothing. */
static void word_others(const json_t *alarm, char *out, size_t cap)
{
    uint64_t count = field_number(alarm, "count"), counted = field_number(alarm, "only_counted");
    out[0] = '\0';
    if (count > 1)
        snprintf(out, cap, "; %" PRIu64 " more", count - 1);
    if (counted > 0)
        snprintf(out + strlen(out), cap - strlen(out), "%s %" PRIu64 " only counted",
                 count > 1 ? "," : ";", counted);
}

/* Nothing when nothing was wrong; else how many in the last day, and of each kind the newest. */
static void add_alarms(struct table *t, const json_t *alarms)
{
    const json_t *alarm;
    char others[80];
    size_t i;
    uint64_t count = field_number(alarms, "last_day");
    if (count == 0)
        return;
    table_cell(t, PAINT_DIM, "alarms");
    table_cell(t, PAINT_BAD, "%" PRIu64 " in the last day: dunlin audit --since 1d --action alarm",
               count);
    json_array_foreach(json_object_get(alarms, "last"), i, alarm)
    {
        word_others(alarm, others, sizeof others);
        table_cell(t, PAINT_NONE, "%s", "");
        table_cell(t, PAINT_BAD, "%s: %s, by %s, %s%s", field_text(alarm, "action"),
                   field_text(alarm, "object"), field_text(alarm, "actor"),
                   field_ago(alarm, "time", "").text, others);
    }
}

static void add_notes(struct table *t, const json_t *notes)
{
    const json_t *note;
    size_t i;
    json_array_foreach(notes, i, note)
    {
        table_cell(t, PAINT_DIM, "note");
        table_cell(t, PAINT_BUSY, "%s", json_string_value(note));
    }
}
