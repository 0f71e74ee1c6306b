#include "manager/cli/rollout.h"
#include "manager/core/plan_words.h"

#include <inttypes.h>

static void add_counts(struct table *t, const json_t *stage);
static void add_members(struct table *t, const json_t *stage);
static void add_failed(struct table *t, const json_t *stage);
static void print_returning(const json_t *rollout);

bool rollout_shows(const json_t *stage)
{
    const char *state = field_text(stage, "state");
    bool present = *state && strcmp(state, "pending") != 0 && strcmp(state, "done") != 0;
    return present || strcmp(field_text(stage, "name"), "rest") != 0 ||
           field_number(stage, "members") > 0;
}

/* Where the version is the one of before, it is asked for again, or what changes are values. */
static void print_head(const json_t *rollout)
{
    const char *version = field_text(rollout, "version"), *from = field_text(rollout, "from");
    const char *queued = field_text(rollout, "queued");
    struct names_text values = field_names(rollout, "values");
    bool same = strcmp(version, from) == 0;
    printf("%s version %s", field_text(rollout, "name"), version);
    if (*from && !same)
        printf(" after %s", from);
    else if (same && !*values.text)
        printf(" again");
    if (*values.text)
        printf(" with other values of %s", values.text);
    printf(" for %s", units_count(field_number(rollout, "targets"), "agent").text);
    if (*queued)
        printf(", then version %s", queued);
    else if (json_is_true(json_object_get(rollout, "values_wait")))
        printf(", then other values");
    printf("\n\n");
}

int rollout_print(struct cli *cli, const json_t *rollout)
{
    static const char *const titles[] = {"STAGE",     "STATE",   "AGENTS", "FAILED", "AT WORK",
                                         "RETURNING", "TO COME", "AWAY",   "STUCK"};
    bool staged = json_is_true(json_object_get(rollout, "staged"));
    struct table *t = table_new(staged ? 9 : 4, titles);
    const char *next = field_text(rollout, "next");
    size_t i;
    json_t *stage;
    json_array_foreach(json_object_get(rollout, "stages"), i, stage)
    {
        const char *state = field_text(stage, "state");
        if (!rollout_shows(stage))
            continue;
        table_cell(t, PAINT_NONE, "%s", field_text(stage, "name"));
        table_cell(t, table_state_paint(state), "%s", state);
        add_members(t, stage);
        add_failed(t, stage);
        if (staged)
            add_counts(t, stage);
    }
    print_head(rollout);
    int rv = cli_print(cli, t);
    if (rv == 0 && *next)
        printf("\n%s\n", next);
    if (rv == 0)
        rollout_print_set(rollout);
    if (rv == 0)
        print_returning(rollout);
    return rv;
}

/* "rate 50/1h, max_failed 5%" */
static void print_pace(const json_t *pace)
{
    const char *before = "";
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = field_text(pace, keys[i].name);
        if (!*value)
            continue;
        printf("%s%s %s", before, keys[i].name, value);
        before = ", ";
    }
}

void rollout_print_set(const json_t *rollout)
{
    json_t *list = json_object_get(rollout, "set"), *pace;
    const char *before = "set on the way: ";
    size_t i;
    json_array_foreach(list, i, pace)
    {
        const char *stage = field_text(pace, "stage");
        printf("%s%s%s%s", before, *stage ? "stage " : "", stage, *stage ? ": " : "");
        print_pace(pace);
        before = "; ";
    }
    if (json_array_size(list) > 0)
        putchar('\n');
}

/* Nothing as long as none waits. */
static void print_returning(const json_t *rollout)
{
    const json_t *returning = json_object_get(rollout, "returning");
    uint64_t waiting = field_number(rollout, "asking");
    if (waiting > 0 && !returning)
        printf("%s %s for room in a budget, to begin what no gate brings\n",
               units_count(waiting, "agent").text, waiting == 1 ? "waits" : "wait");
    else if (waiting > 0)
        printf("%" PRIu64 " of %s for those that come back taken; %s %s for one\n",
               field_number(returning, "taken"),
               units_count(field_number(returning, "places"), "place").text,
               units_count(waiting, "agent").text, waiting == 1 ? "waits" : "wait");
}

static void add_failed(struct table *t, const json_t *stage)
{
    uint64_t failed = field_number(stage, "failed"), overdue = field_number(stage, "overdue");
    if (overdue > 0)
        table_cell(t, PAINT_BAD, "%" PRIu64 ", %" PRIu64 " overdue", failed, overdue);
    else
        table_cell(t, failed ? PAINT_BAD : PAINT_DIM, "%" PRIu64, failed);
}

/* Who is of a stage by share is known once it begins. */
static void add_members(struct table *t, const json_t *stage)
{
    uint64_t members = field_number(stage, "members"), ready = field_number(stage, "ready");
    if (json_is_true(json_object_get(stage, "expected")))
        table_cell(t, PAINT_DIM, "%" PRIu64 " expected", members);
    else
        table_cell(t, members > 0 && ready == members ? PAINT_GOOD : PAINT_NONE, "%s",
                   units_of(ready, members, "ready").text);
}

static void add_counts(struct table *t, const json_t *stage)
{
    static const char *const names[] = {"in_flight", "returning", "waiting", "away", "stuck"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t n = field_number(stage, names[i]);
        if (strcmp(names[i], "waiting") == 0)
            n += field_number(stage, "asking");
        table_cell(t, n ? PAINT_NONE : PAINT_DIM, "%" PRIu64, n);
    }
}
