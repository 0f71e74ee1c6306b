/* Which values versions have when variables change: by stages, at once, later, or not at all. */
#include "test/manager_bench.h"

#include <stdio.h>

#define DEPLOYMENTS 40

static const struct manager_limits limits = {
    .agents = 64, .cohorts = 8, .deployments = 64, .bundles = 4, .batches = 8, .variables = 12};

/* Bundle app@1 needs host and port; 5 agents in staging, 20 in production. */
static struct bench *bench_new(void)
{
    struct manager_options options = {.limits = limits,
                                      .epoch = 1,
                                      .cohort_secret = {{7}},
                                      .policy = POLICY_DEFAULT,
                                      .document_life_s = 1000};
    struct bench *b = bench_on(&options, 1000000);
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app", .version = "1"}};
    c.bundle.digest.bytes[0] = 1;
    c.bundle.needs.count = 2;
    strcpy(c.bundle.needs.list[0].name, "host");
    strcpy(c.bundle.needs.list[1].name, "port");
    CU_ASSERT_EQUAL_FATAL(run(b, &c), 0);
    join_agents(b, "env=staging", 5);
    join_agents(b, "env=prod", 20);
    return b;
}

/* Behind a command. */
static void settle(struct bench *b)
{
    while (b->out.more)
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
}

static int change(struct bench *b, struct command *c, const struct setting *settings,
                  uint32_t count, const char *select)
{
    c->variable.settings = settings;
    c->variable.count = count;
    c->variable.scope = select ? SCOPE_SELECTOR : SCOPE_ALL;
    c->variable.where = select ? select : "";
    int rv = run(b, c);
    settle(b);
    return rv;
}

static int set(struct bench *b, const char *name, const char *value, const char *select)
{
    struct command c = {.type = COMMAND_VARIABLE_SET};
    return change(b, &c, &(struct setting){.name = name, .value = value}, 1, select);
}

static int set_own(struct bench *b, const char *name, const char *value, uint32_t number)
{
    const struct setting setting = {.name = name, .value = value};
    struct command c = {.type = COMMAND_VARIABLE_SET};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = SCOPE_AGENT;
    c.variable.agent = manager_agent(b->m, number)->id;
    return run(b, &c);
}

static int deploy(struct bench *b, const char *name, const struct plan *plan)
{
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = name,
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "",
                                   .all = true,
                                   .plan = plan}};
    int rv = run(b, &c);
    settle(b);
    return rv;
}

static struct plan two_stages(void)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 2;
    p.stages[0] = (struct plan_stage){.name = "staging", .selector = "env=staging"};
    p.stages[1] = (struct plan_stage){.name = "prod", .before = {.approval = true}};
    return p;
}

/* What the document of cohort 0 has for a name in one version; "": nothing. */
static struct variable in_document(const struct bench *b, const char *name,
                                   enum variable_use version, char out[static 64])
{
    static struct desired d;
    struct variable v, found = {.given = false};
    out[0] = '\0';
    manager_document(b->m, 0, &d);
    for (struct variable_cursor c = variables_on(record_variables(&d, &d.records[0]));
         variables_next(&c, &v);)
        if (span_equal(v.name, span_text(name)) && v.uses & version)
            found = v;
    if (found.given)
        snprintf(out, 64, "%.*s", (int)found.value.len, (const char *)found.value.data);
    return found;
}

static bool has(const struct bench *b, enum variable_use version, const char *name,
                const char *value)
{
    char text[64];
    in_document(b, name, version, text);
    return strcmp(text, value) == 0;
}

/* Everybody runs app with port 80, by two stages from now on. */
static struct bench *begin(void)
{
    struct bench *b = bench_new();
    struct plan plan = two_stages();
    CU_ASSERT_EQUAL(set(b, "port", "80", NULL), 0);
    CU_ASSERT_EQUAL(set(b, "host", "a", NULL), 0);
    CU_ASSERT_EQUAL(deploy(b, "app", NULL), 0);
    CU_ASSERT_EQUAL(deploy(b, "app", &plan), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_DONE);
    return b;
}

static void test_without_stages_all_have_it_at_once_and_no_new_generation(void)
{
    struct bench *b = bench_new();
    set(b, "port", "80", NULL);
    set(b, "host", "a", NULL);
    deploy(b, "app", NULL);
    struct revision before = manager_cohort(b->m, 0)->revision;
    CU_ASSERT_EQUAL(set(b, "port", "81", NULL), 0);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "81"));
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    CU_ASSERT_TRUE(revision_compare(manager_cohort(b->m, 0)->revision, before) > 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_NONE);
    bench_free(b);
}

static void test_with_stages_a_document_has_the_value_before_and_the_one_after(void)
{
    struct bench *b = begin();
    CU_ASSERT_EQUAL(set(b, "port", "81", NULL), 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 2);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->rollout.state, ROLLOUT_RUNNING);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "80") && has(b, VARIABLE_NEXT, "port", "81"));
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "host", "a") && has(b, VARIABLE_NEXT, "host", "a"));
    CU_ASSERT_EQUAL(set(b, "port", "82", NULL), 0); /* one before, and one after */
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 3);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "80") && has(b, VARIABLE_NEXT, "port", "82"));
    bench_free(b);
}

static void test_what_one_command_sets_goes_together_or_not_at_all(void)
{
    static const struct setting both[] = {{"port", "81"}, {"host", "b"}};
    static const struct setting twice[] = {{"port", "1"}, {"port", "2"}};
    static const struct setting bad[] = {{"port", "3"}, {"Host", "c"}};
    struct bench *b = begin();
    struct command c = {.type = COMMAND_VARIABLE_SET};
    CU_ASSERT_EQUAL(change(b, &c, both, 2, NULL), 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 2);
    CU_ASSERT_TRUE(has(b, VARIABLE_NEXT, "port", "81") && has(b, VARIABLE_NEXT, "host", "b"));
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "80") && has(b, VARIABLE_STABLE, "host", "a"));
    CU_ASSERT_EQUAL(change(b, &c, both, 2, NULL), 1);
    CU_ASSERT_EQUAL(change(b, &c, twice, 2, NULL), ERR_USAGE);
    CU_ASSERT_EQUAL(change(b, &c, bad, 2, NULL), ERR_USAGE);
    CU_ASSERT_EQUAL(change(b, &c, both, 0, NULL), ERR_USAGE);
    CU_ASSERT_EQUAL(change(b, &c, both, VARIABLES_SET_MAX + 1, NULL), ERR_USAGE);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 2);
    const char *names[VARIABLES_NEEDED_MAX];
    const struct deployment_row *d = manager_deployment(b->m, 0);
    struct generation_row stable = deployment_stable(d);
    CU_ASSERT_EQUAL(manager_values_changed(b->m, 0, &stable, &d->history[0], names), 2);
    CU_ASSERT_STRING_EQUAL(names[0], "host");
    bench_free(b);
}

static void test_what_changes_nobodys_value_begins_nothing(void)
{
    struct bench *b = begin();
    CU_ASSERT_EQUAL(set(b, "port", "9", "env=lab"), 0); /* nobody is there */
    CU_ASSERT_EQUAL(set(b, "other", "1", NULL), 0);     /* nothing needs it */
    CU_ASSERT_EQUAL(set(b, "port", "80", "env"), 0);    /* the same, from elsewhere */
    CU_ASSERT_EQUAL(set(b, "port", "7", NULL), 0);      /* weaker than that */
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    CU_ASSERT_FALSE(manager_values_wait(b->m, 0));
    CU_ASSERT_EQUAL(set_own(b, "port", "5", 1), 0); /* an agent's own */
    settle(b);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    bench_free(b);
}

static void test_a_budget_is_kept_where_nobody_wrote_stages(void)
{
    struct bench *b = bench_new();
    struct command c = {.type = COMMAND_BUDGET_SET};
    c.budget.name = "prod";
    c.budget.selector = "env=prod";
    c.budget.max = (struct amount){.value = 1};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    set(b, "port", "80", NULL);
    set(b, "host", "a", NULL);
    deploy(b, "app", NULL);
    CU_ASSERT_EQUAL(set(b, "port", "81", NULL), 0);
    CU_ASSERT_TRUE(manager_deployment(b->m, 0)->plan.implied);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 2);
    bench_free(b);
}

/* More of them than one step persists. */
static void test_many_deployments_are_acted_on_step_by_step(void)
{
    struct bench *b = bench_new();
    struct plan plan = two_stages();
    char name[16];
    set(b, "port", "80", NULL);
    set(b, "host", "a", NULL);
    for (int i = 0; i < DEPLOYMENTS; i++) {
        snprintf(name, sizeof name, "app-%d", i);
        CU_ASSERT_EQUAL_FATAL(deploy(b, name, i % 2 ? &plan : NULL), 0);
    }
    const struct setting setting = {.name = "port", .value = "81"};
    struct command c = {.type = COMMAND_VARIABLE_SET};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = SCOPE_ALL;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    unsigned steps = 0;
    for (; b->out.more; steps++) {
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
        CU_ASSERT_TRUE(persisted(b, PERSIST_DEPLOYMENT) <= 16);
    }
    CU_ASSERT_TRUE(steps > 2);
    for (uint32_t i = 0; i < DEPLOYMENTS; i++)
        CU_ASSERT_EQUAL(manager_generation(b->m, i), i % 2 ? 2 : 1);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "81"));
    bench_free(b);
}

/* It came back, and may not begin without a permit. */
static void ask(struct bench *b, uint32_t number)
{
    const struct agent_row *row = manager_agent(b->m, number);
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = number,
                               .seq = 1,
                               .boot = 1,
                               .document = manager_cohort(b->m, row->cohort)->revision,
                               .assignment = row->assigned,
                               .flags = STATUS_HELLO,
                               .count = 1};
    r.status.exceptions[0] = (struct exception){
        .deployment = 1, .generation = 1, .state = STATE_PENDING, .cause = CAUSE_RETURNING};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.topic = row->id, .report = &r}};
    step(b, &ev);
}

/* Permits, values and documents of one step are no more rows than it persists. */
static void test_values_change_while_as_many_ask_for_permits_as_one_step_tells(void)
{
    struct bench *b = bench_new();
    struct plan plan = PLAN_DEFAULT;
    char text[16];
    uint32_t agents = 0, permitted = 0;
    plan.returning = (struct amount){.value = 50};
    for (int i = 2; i < 8; i++) { /* as many documents as a step makes */
        snprintf(text, sizeof text, "env=%d", i);
        join_agents(b, text, 4);
    }
    set(b, "port", "80", NULL);
    set(b, "host", "a", NULL);
    for (int i = 0; i < DEPLOYMENTS; i++) {
        snprintf(text, sizeof text, "app-%d", i);
        CU_ASSERT_EQUAL_FATAL(deploy(b, text, i == 0 ? &plan : NULL), 0);
    }
    agents = manager_agent_count(b->m);
    for (uint32_t n = 1; n <= agents; n++)
        ask(b, n);
    struct command c = {.type = COMMAND_VARIABLE_SET};
    const struct setting setting = {.name = "port", .value = "81"};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = SCOPE_ALL;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    CU_ASSERT_TRUE(persisted(b, PERSIST_ASSIGNMENT) > 10);
    CU_ASSERT_TRUE(persisted(b, PERSIST_DEPLOYMENT) > 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), MANAGER_COHORTS_PER_STEP);
    settle(b);
    for (uint32_t n = 1; n <= agents; n++) {
        struct permit permits[PERMITS_MAX];
        permitted += manager_permits(b->m, n, permits);
    }
    CU_ASSERT_EQUAL(permitted, agents);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "81"));
    bench_free(b);
}

static int preview(struct bench *b, struct setting setting, const char *select,
                   struct values_preview *out, uint32_t *count)
{
    static struct values_preview all[VALUES_PREVIEWS_MAX];
    struct arena scratch = arena_on(b->scratch, sizeof b->scratch);
    struct command c = {.type = COMMAND_VARIABLE_SET};
    uint32_t more;
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = select ? SCOPE_SELECTOR : SCOPE_ALL;
    c.variable.where = select ? select : "";
    c.variable.dry_run = true;
    int rv = manager_values_preview(b->m, &c, b->now_s, &scratch, all, count, &more, &b->out.error);
    *out = all[0];
    return rv;
}

static void test_a_trial_counts_those_that_would_apply_it_and_changes_nothing(void)
{
    struct bench *b = begin();
    struct values_preview p;
    uint32_t count;
    set_own(b, "port", "5", 1); /* of staging */
    CU_ASSERT_EQUAL(preview(b, (struct setting){"port", "81"}, NULL, &p, &count), 0);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(p.way, VALUES_BY_STAGES);
    CU_ASSERT_TRUE(p.targets == 25 && p.touched == 24);
    CU_ASSERT_EQUAL_FATAL(p.stage_count, 2);
    CU_ASSERT_STRING_EQUAL(p.stages[0].name, "staging");
    CU_ASSERT_TRUE(p.stages[0].members == 5 && p.stages[0].touched == 4);
    CU_ASSERT_TRUE(p.stages[1].members == 20 && p.stages[1].touched == 20);
    CU_ASSERT_EQUAL(preview(b, (struct setting){"port", "81"}, "env=prod", &p, &count), 0);
    CU_ASSERT_TRUE(count == 1 && p.touched == 20 && p.stages[0].touched == 0);
    CU_ASSERT_EQUAL(preview(b, (struct setting){"port", "80"}, NULL, &p, &count), 1);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_EQUAL(preview(b, (struct setting){"port", "81"}, "env in prod", &p, &count),
                    ERR_FORMAT);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "80"));
    CU_ASSERT_EQUAL(manager_variable_count(b->m), 3);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 1);
    CU_ASSERT_EQUAL(set(b, "port", "81", NULL), 0);
    bench_free(b);
}

/* Values before are kept as long as somebody can go back to them, and there is room for so many. */
static void test_when_no_more_values_are_kept_a_change_is_refused_unless_it_is_made_at_once(void)
{
    struct bench *b = begin();
    char value[16];
    int rv = 0;
    uint32_t n = 0;
    for (; rv == 0 && n < 20; n++) {
        snprintf(value, sizeof value, "%u", (unsigned)(1000 + n));
        rv = set(b, "port", value, NULL);
    }
    CU_ASSERT_EQUAL(rv, ERR_RANGE);
    CU_ASSERT_TRUE(n > 8);
    struct command c = {.type = COMMAND_VARIABLE_SET};
    c.variable.at_once = true;
    CU_ASSERT_EQUAL(change(b, &c, &(struct setting){"port", "9"}, 1, NULL), 0);
    CU_ASSERT_TRUE(has(b, VARIABLE_STABLE, "port", "9") && has(b, VARIABLE_NEXT, "port", "9"));
    CU_ASSERT_EQUAL(set(b, "port", "10", NULL), 0); /* there is room again */
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_without_stages_all_have_it_at_once_and_no_new_generation),
    TEST(test_with_stages_a_document_has_the_value_before_and_the_one_after),
    TEST(test_what_one_command_sets_goes_together_or_not_at_all),
    TEST(test_what_changes_nobodys_value_begins_nothing),
    TEST(test_a_budget_is_kept_where_nobody_wrote_stages),
    TEST(test_many_deployments_are_acted_on_step_by_step),
    TEST(test_values_change_while_as_many_ask_for_permits_as_one_step_tells),
    TEST(test_a_trial_counts_those_that_would_apply_it_and_changes_nothing),
    TEST(test_when_no_more_values_are_kept_a_change_is_refused_unless_it_is_made_at_once),
};

SUITE_MAIN("moments", tests)
