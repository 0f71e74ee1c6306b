#include "manager/cli/preview.h"

#include "base/duration.h"
#include "manager/cli/rollout.h"
#include "manager/core/schedule.h"

#include <inttypes.h>
#include <stdarg.h>

/* What a stage waits for: two approvals, two times, and a window with its zone and its moment. */
#define WAITS_TEXT_MAX 384
#define ZONE_SHOWN 18

/* Agents that are named, of those that come and of those that go; --json has more. */
#define NAMED_MAX 20

static int print_stages(struct cli *cli, const json_t *stages);
static int print_extent(struct cli *cli, const json_t *preview);
static void print_conflict(const json_t *other);
static void add_transfer(struct table *t, const json_t *transfer);
static void add_absence(struct table *t, const json_t *away);

int preview_changes(struct cli *cli, const json_t *preview)
{
    struct table *t = table_new(4, NULL);
    size_t i;
    json_t *change;
    json_array_foreach(json_object_get(preview, "changes"), i, change)
    {
        const char *from = field_text(change, "from"), *to = field_text(change, "to");
        table_cell(t, PAINT_NONE, "  %s", field_text(change, "what"));
        table_cell(t, *from ? PAINT_BAD : PAINT_DIM, "%s", *from ? from : "-");
        table_cell(t, PAINT_DIM, "->");
        table_cell(t, *to ? PAINT_GOOD : PAINT_DIM, "%s", *to ? to : "-");
    }
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    printf("%s: nothing would change\n", field_text(preview, "name"));
    return 0;
}

int preview_print(struct cli *cli, const json_t *preview)
{
    const json_t *stages = json_object_get(preview, "stages");
    const char *confirm = field_text(preview, "confirm");
    if (!json_is_true(json_object_get(preview, "changed")))
        return preview_changes(cli, preview);
    printf(
        "%s %s, for %s:\n", field_text(preview, "name"),
        json_is_true(json_object_get(preview, "new")) ? "would be new" : "would change",
        units_of(field_number(preview, "targets"), field_number(preview, "fleet"), "agents").text);
    int rv = preview_changes(cli, preview);
    if (rv == 0 && json_array_size(stages) > 0)
        rv = print_stages(cli, stages);
    if (rv == 0)
        rv = print_extent(cli, preview);
    if (rv == 0)
        print_conflict(json_object_get(preview, "on_its_way"));
    if (rv == 0 && *confirm)
        printf("\n%s: it takes --confirm\n", confirm);
    return rv;
}

static void print_conflict(const json_t *other)
{
    if (json_is_object(other))
        printf("\nversion %s is on its way, in stage %s: %s\n", field_text(other, "version"),
               field_text(other, "stage"),
               json_is_true(json_object_get(other, "waits")) ? "this one would wait for its end"
                                                             : "this one would supersede it");
}

/* An estimate: as long as the last version took, or as its rate has it take at least, and what the
 * plan waits. */
static void print_expected(struct table *t, const json_t *stage)
{
    uint64_t took_s = field_number(stage, "took_s"), waits_s = field_number(stage, "waits_s");
    uint64_t rate_s = field_number(stage, "rate_s");
    if (took_s < rate_s) {
        took_s = 0;
        waits_s += rate_s;
    }
    if (field_number(stage, "members") == 0)
        table_cell(t, PAINT_DIM, "-");
    else if (took_s == 0 && waits_s > 0)
        table_cell(t, PAINT_DIM, "at least %s, which it waits", duration_write(waits_s).text);
    else if (took_s == 0)
        table_cell(t, PAINT_DIM, "not known yet");
    else
        table_cell(t, PAINT_NONE, "about %s, as the last time",
                   duration_write(took_s + waits_s).text);
}

struct waits_text {
    char text[WAITS_TEXT_MAX];
};

__attribute__((format(printf, 2, 3))) static void add_wait(struct waits_text *t, const char *fmt,
                                                           ...)
{
    size_t used = strlen(t->text);
    va_list ap;
    if (used > 0)
        used += (size_t)snprintf(t->text + used, sizeof t->text - used, ", ");
    va_start(ap, fmt);
    vsnprintf(t->text + used, sizeof t->text - used, fmt, ap);
    va_end(ap);
}

static void add_threshold(struct waits_text *t, const json_t *what, const char *when)
{
    uint64_t wait_s = field_number(what, "wait_s");
    if (json_is_true(json_object_get(what, "approval")))
        add_wait(t, "your approval%s", when);
    if (wait_s > 0)
        add_wait(t, "%s%s", duration_write(wait_s).text, when);
}

static void add_window(struct waits_text *t, const json_t *window)
{
    const char *zone = field_text(window, "zone");
    uint64_t opens_in_s = field_number(window, "opens_in_s");
    if (!json_is_object(window))
        return;
    add_wait(t, "window %.*s for %s by %.*s", CRON_TEXT_MAX, field_text(window, "cron"),
             duration_write(field_number(window, "for_s")).text, ZONE_SHOWN,
             strcmp(zone, "device") == 0 ? "the device's clock" : zone);
    if (opens_in_s > 0)
        add_wait(t, "which opens in %s", duration_write(opens_in_s).text);
}

static struct waits_text waits_of(const json_t *stage)
{
    struct waits_text t = {.text = ""};
    add_threshold(&t, json_object_get(stage, "before"), "");
    add_window(&t, json_object_get(stage, "window"));
    add_threshold(&t, json_object_get(stage, "after"), " at its end");
    return t;
}

static int print_stages(struct cli *cli, const json_t *stages)
{
    static const char *const titles[] = {"STAGE", "AGENTS", "TO FETCH", "EXPECTED", "WAITS FOR"};
    struct table *t = table_new(5, titles);
    size_t i;
    json_t *stage;
    json_array_foreach((json_t *)stages, i, stage)
    {
        if (!rollout_shows(stage))
            continue;
        table_cell(t, PAINT_NONE, "%s", field_text(stage, "name"));
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(stage, "members"));
        table_cell(t, PAINT_NONE, "%s", units_bytes(field_number(stage, "fetch_bytes")).text);
        print_expected(t, stage);
        struct waits_text waits = waits_of(stage);
        table_cell(t, *waits.text ? PAINT_NONE : PAINT_DIM, "%s", *waits.text ? waits.text : "-");
    }
    putchar('\n');
    return cli_print(cli, t);
}

/* How many, and the first of them by number. */
static void add_agents(struct table *t, const char *title, enum paint paint, uint64_t count,
                       const json_t *agents)
{
    char text[NAMED_MAX * 11 + 1] = "";
    size_t i, used = 0;
    json_t *number;
    json_array_foreach((json_t *)(uintptr_t)agents, i, number)
    {
        if (i == NAMED_MAX)
            break;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i ? " " : "",
                                 (int64_t)json_integer_value(number));
    }
    table_cell(t, PAINT_DIM, "%s", title);
    table_cell(t, paint, "%s: %s%s", units_count(count, "agent").text, text,
               count > NAMED_MAX ? " …" : "");
}

static int print_extent(struct cli *cli, const json_t *preview)
{
    struct table *t = table_new(2, NULL);
    const char *start = field_text(preview, "start");
    struct waits_text window = {.text = ""};
    add_window(&window, json_object_get(preview, "window"));
    uint64_t joining = field_number(preview, "joining"), leaving = field_number(preview, "leaving");
    if (*start) {
        table_cell(t, PAINT_DIM, "starts");
        table_cell(t, PAINT_NONE, "at %s, in %s", start,
                   duration_write(field_number(preview, "starts_in_s")).text);
    }
    if (json_array_size(json_object_get(preview, "stages")) == 0 && *window.text) {
        table_cell(t, PAINT_DIM, "waits for");
        table_cell(t, PAINT_NONE, "%s", window.text);
    }
    table_cell(t, PAINT_DIM, "touched");
    table_cell(t, PAINT_NONE, "%s", units_count(field_number(preview, "touched"), "agent").text);
    if (joining > 0)
        add_agents(t, "new there", PAINT_NONE, joining, json_object_get(preview, "joining_agents"));
    if (leaving > 0)
        add_agents(t, "taken off", PAINT_BAD, leaving, json_object_get(preview, "leaving_agents"));
    if (json_array_size(json_object_get(preview, "budgets")) > 0) {
        table_cell(t, PAINT_DIM, "under");
        table_cell(t, PAINT_NONE, "budget %s", field_names(preview, "budgets").text);
    }
    add_transfer(t, json_object_get(preview, "transfer"));
    add_absence(t, json_object_get(preview, "away"));
    putchar('\n');
    return cli_print(cli, t);
}

/* Nothing where the manager can't tell. */
static void add_transfer(struct table *t, const json_t *transfer)
{
    if (!json_is_object(transfer))
        return;
    const char *from = field_text(transfer, "from");
    uint64_t bytes = field_number(transfer, "bytes"), held = field_number(transfer, "held_bytes");
    uint64_t chunks = field_number(transfer, "chunks");
    table_cell(t, PAINT_DIM, "content");
    table_cell(t, PAINT_NONE, "%s in %s, before compression", units_bytes(bytes).text,
               units_count(chunks, "chunk").text);
    if (*from) {
        table_cell(t, PAINT_DIM, "to fetch");
        table_cell(t, PAINT_NONE, "%s in %s where %s runs: %s compressed",
                   units_bytes(bytes - held).text,
                   units_count(chunks - field_number(transfer, "held_chunks"), "chunk").text, from,
                   units_bytes(field_number(transfer, "fetch_bytes")).text);
    }
    table_cell(t, PAINT_DIM, *from ? "elsewhere" : "to fetch");
    table_cell(t, PAINT_NONE, "%s compressed, lists of chunks included",
               units_bytes(field_number(transfer, "packed_bytes")).text);
    uint64_t cells = field_number(transfer, "cells");
    table_cell(t, PAINT_DIM, "all links");
    table_cell(t, PAINT_NONE, "%s; %s%s by each of %s",
               units_bytes(field_number(transfer, "all_bytes")).text, cells > 1 ? "about " : "",
               units_bytes(field_number(transfer, "cell_bytes")).text,
               units_count(cells, "broker").text);
}

/* The largest unit says enough of an estimate. */
static uint64_t rounded(uint64_t s)
{
    static const uint64_t units[] = {86400, 3600, 60};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (s >= 2 * units[i])
            return (s + units[i] - 1) / units[i] * units[i];
    return s;
}

/* Who is gone for good counts among those that are away, and is never back. */
static void add_absence(struct table *t, const json_t *away)
{
    if (!json_is_object(away))
        return;
    table_cell(t, PAINT_DIM, "away");
    table_cell(t, PAINT_NONE,
               "%s; if they come back as they used to, half of them within %s, nine of ten "
               "within %s",
               units_count(field_number(away, "agents"), "agent").text,
               duration_write(rounded(field_number(away, "half_s"))).text,
               duration_write(rounded(field_number(away, "most_s"))).text);
}
