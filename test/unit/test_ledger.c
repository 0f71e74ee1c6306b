/* The manager's database: what was committed comes back, what wasn't does not, and what is damaged
 * is named. */
#include "manager/ledger.h"

#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#include <sqlite3.h>
#include <stdalign.h>

#define CHUNKS_MAX 16

static const struct manager_limits LIMITS = {
    .agents = 100, .cohorts = 8, .deployments = 8, .bundles = 8, .batches = 8};

static struct fleet_keys sample_keys(void)
{
    struct fleet_keys keys = {.heirs[FLEET_ONLINE].secret = sample_secret(3)};
    sample_fill(keys.fleet, sizeof keys.fleet, 7);
    keys.signing = sample_secret(1);
    keys.authority = sample_secret(2);
    sample_fill(keys.master.bytes, sizeof keys.master.bytes, 90);
    return keys;
}

static struct ledger *open_at(const struct tree_path *dir, struct errmsg *em)
{
    struct fleet_keys keys = sample_keys();
    return ledger_open(dir->text, &keys, em);
}

static struct ledger *open_well(const struct tree_path *dir)
{
    struct errmsg em = {.text = ""};
    struct ledger *l = open_at(dir, &em);
    tree_must(l != NULL, em.text);
    return l;
}

static void commit(struct ledger *l)
{
    struct errmsg em = {.text = ""};
    tree_must(ledger_commit(l, &em) == 0, em.text);
}

static struct manager *fresh_core(void)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    void *memory = calloc(1, manager_size(&LIMITS));
    tree_must(memory != NULL, "memory");
    return manager_init(memory, &options);
}

/* ---- one of each row ---- */

static struct batch_row sample_batch(void)
{
    return (struct batch_row){.count = 1000,
                              .bound = true,
                              .approve = true,
                              .uses = 2,
                              .created_s = 1000,
                              .expires_s = UINT64_MAX,
                              .revoked = true,
                              .labels = {.text = "env=prod,zone=a"}};
}

static struct bundle_row sample_bundle(void)
{
    return (struct bundle_row){.digest = sample_digest(3),
                               .name = "app",
                               .version = "1.2.3",
                               .bytes = 1ull << 40,
                               .files = 1000000,
                               .chunks = 16777216,
                               .created_s = 2000};
}

/* On its way, with every number of its plan, its pick and its rollout another one. */
static struct deployment_row sample_deployment(void)
{
    static const struct pick_group group = {
        .value = UINT64_MAX - 9, .gate = {.threshold = UINT64_MAX - 5, .enrolled_before = 77}};
    struct deployment_row d;
    memset(&d, 0, sizeof d); /* padding and all: it is compared so */
    strcpy(d.name, "web");
    strcpy(d.selector, "env in (prod,staging)");
    d.flags = RECORD_PAUSED;
    d.priority = 9;
    d.salt = UINT64_MAX - 1;
    d.created_s = 3000;
    d.history_kept = 33;
    d.values_seen = 8;
    d.history_count = 2;
    d.history[0] =
        (struct generation_row){.generation = 2, .bundle = 0, .values_at = 7, .since_s = 4000};
    d.history[1] = (struct generation_row){.generation = 1, .values_at = 5, .since_s = 1};
    d.pick.amount.value = 12;
    d.pick.amount.percent = true;
    strcpy(d.pick.by, "zone");
    d.pick.max_skew = 3;
    d.picked = (struct picked){.count = 1, .left_out = 6, .groups = &group};
    d.plan.count = 1;
    strcpy(d.plan.stages[0].name, "all");
    d.plan.stages[0].concurrency.value = 4;
    d.plan.stages[0].after.wait_s = 60;
    d.plan.stages[0].rate = (struct rate){.agents = {7, true}, .span_s = 3600};
    d.plan.max_failed.value = 5;
    d.plan.quorum = 90;
    d.plan.reachable_within_s = 300;
    d.plan.wait_for_first_s = 7200;
    d.plan.start_s = 1790000000;
    strcpy(d.plan.window.cron, "0 2 * * 1-5");
    d.plan.window.length_s = 7200;
    strcpy(d.plan.stages[0].window.cron, "*/5 * * * *");
    d.plan.stages[0].window.length_s = 60;
    d.plan.stages[0].window.zoned = true;
    d.plan.stages[0].window.east_s = -3600;
    d.plan.retries = 3;
    d.plan.back_off_s = 600;
    d.rollout.state = ROLLOUT_STOPPED;
    d.rollout.step = ROLLOUT_CLOSING;
    d.rollout.approved = true;
    d.rollout.stable = 1;
    d.rollout.stable_values = 6;
    d.rollout.first = 2;
    d.rollout.passed = 2;
    d.rollout.overdue = 12;
    d.rollout.watched_s = 6543;
    d.rollout.queued = 1;
    d.rollout.let_in = 21;
    d.rollout.span_s = 22;
    d.rollout.excused = 13;
    d.rollout.ready = 14;
    d.rollout.most = 15;
    d.rollout.since_s = 15;
    d.rollout.success_s = 16;
    d.rollout.end = UINT64_MAX - 17;
    d.rollout.reached[0] = UINT64_MAX - 18;
    d.rollout.enrolled_before[0] = 19;
    d.rollout.took_s[0] = 20;
    d.after.count = 1;
    d.after.numbers[0] = 2;
    return d;
}

static struct cohort sample_cohort_row(void)
{
    return (struct cohort){
        .labels = {.text = "env=prod"},
        .key = sample_cohort(),
        .revision = {.epoch = 3, .number = 41},
        .fingerprint = sample_digest(50),
        .issued_s = 5000,
        .trust_version = 2,
        .lanes_log2 = 3,
        .placement_count = 1,
        .placements = {{.deployment = 1,
                        .generation = 2,
                        .since = 40,
                        .before = 1,
                        .before_since = 7,
                        .next = 3,
                        .next_gate = {.threshold = UINT64_MAX - 1, .enrolled_before = 8},
                        .gate = {.threshold = UINT64_MAX - 2, .enrolled_before = 9}}},
    };
}

static struct agent_row sample_row(unsigned number)
{
    struct agent_row row = {.batch = 0,
                            .index = number,
                            .facts = 0xdeadbeef,
                            .assigned = {.epoch = 1, .number = 2},
                            .joined_s = 6000 + number,
                            .flags = AGENT_CORDONED};
    sample_fill(row.id.bytes, KEY_ID_LEN, number);
    return row;
}

static struct agent_row sample_reported(unsigned number)
{
    struct agent_row row = sample_row(number);
    row.facts = 5;
    row.boot = 77;
    row.boot_before = 76;
    row.document = (struct revision){.epoch = 3, .number = 40};
    row.seq = UINT32_MAX;
    row.session = 12;
    row.last_seen_s = 7000;
    row.flags = AGENT_CORDONED | AGENT_ONLINE | AGENT_TRUNCATED;
    return row;
}

static const struct permit PERMIT = {.deployment = 1, .generation = 2};

static const struct exception EXCEPTIONS[2] = {
    {.deployment = 1, .generation = 2, .running = 1, .state = STATE_FAILED, .cause = CAUSE_HEALTH},
    {.deployment = 9, .generation = 0, .running = 3, .state = STATE_REMOVING},
};

static const uint32_t STINTS[2] = {6000, 77};

static const struct replaced_row REPLACED = {
    .id = {{7, 7}}, .number = 1, .batch = 0, .index = 3, .joined_s = 4000, .since_s = 5000};
static const struct successor_row SUCCESSOR = {.number = 2, .batch = 0, .index = 4};

static void write_fleet(struct ledger *l)
{
    struct batch_row batch = sample_batch();
    struct bundle_row bundle = sample_bundle();
    struct deployment_row deployment = sample_deployment();
    struct cohort cohort = sample_cohort_row();
    struct trust trust = sample_trust();
    uint8_t room[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct buffer envelope = buffer_on(room, sizeof room);
    struct agent_row one = sample_row(1), two = sample_row(2), reported = sample_reported(2);
    const struct facts facts = {.count = 1, .list = {{.key = "k", .value = "v"}}};
    CU_ASSERT_EQUAL(ledger_batch(l, 0, &batch, NULL), 0);
    CU_ASSERT_EQUAL(ledger_bundle(l, 0, &bundle, NULL), 0);
    CU_ASSERT_EQUAL(ledger_deployment(l, 0, &deployment, NULL), 0);
    CU_ASSERT_EQUAL(ledger_cohort(l, 0, &cohort, NULL), 0);
    sample_trust_sealed(&trust, &envelope);
    CU_ASSERT_EQUAL(ledger_publish(l, "dl1/trust/3", span_buffer(&envelope), NULL), 0);
    CU_ASSERT_EQUAL(ledger_trust(l, 3, NULL), 0);
    CU_ASSERT_EQUAL(ledger_newcomer(l, 1, &facts, NULL), 0);
    CU_ASSERT_EQUAL(ledger_agent(l, 1, &one, EXCEPTIONS, STINTS, 1, NULL), 0);
    CU_ASSERT_EQUAL(ledger_agent(l, 1, &one, NULL, NULL, 0, NULL), 0);
    CU_ASSERT_EQUAL(ledger_agent(l, 2, &two, NULL, NULL, 0, NULL), 0);
    CU_ASSERT_EQUAL(ledger_agent(l, 2, &reported, EXCEPTIONS, STINTS, 2, NULL), 0);
    CU_ASSERT_EQUAL(ledger_lists(l, 1, 0, NULL, 0, &PERMIT, 1, 0, NULL), 0);
    CU_ASSERT_EQUAL(ledger_lists(l, 2, 0, NULL, 0, &PERMIT, 1, 1, NULL), 0);
    CU_ASSERT_EQUAL(ledger_replaced(l, 0, &REPLACED, NULL), 0);
    CU_ASSERT_EQUAL(ledger_successor(l, 0, &SUCCESSOR, NULL), 0);
    CU_ASSERT_TRUE(ledger_dirty(l));
}

static void check_membership(const struct manager *m)
{
    struct blocked_agent blocked[2];
    CU_ASSERT_EQUAL(memcmp(manager_replaced(m, 0), &REPLACED, sizeof REPLACED), 0);
    CU_ASSERT_EQUAL(memcmp(manager_successor(m, 0), &SUCCESSOR, sizeof SUCCESSOR), 0);
    CU_ASSERT_EQUAL(manager_blocked(m, blocked, 2), 1);
    CU_ASSERT_TRUE(key_id_equal(&blocked[0].id, &REPLACED.id));
    CU_ASSERT_EQUAL(blocked[0].joined_s, 4000);
}

static void check_agents(const struct manager *m)
{
    struct exception list[EXCEPTIONS_MAX];
    struct agent_row one = sample_row(1), two = sample_reported(2);
    CU_ASSERT_EQUAL_FATAL(manager_agent_count(m), 2);
    CU_ASSERT_EQUAL(memcmp(manager_agent(m, 1), &one, sizeof one), 0);
    struct agent_row loaded = *manager_agent(m, 2);
    loaded.exceptions = 0;
    CU_ASSERT_EQUAL(memcmp(&loaded, &two, sizeof two), 0);
    CU_ASSERT_EQUAL_FATAL(manager_exceptions(m, 2, list), 2);
    uint32_t stints[EXCEPTIONS_MAX];
    manager_stints(m, 2, stints);
    /* Their order is the core's business. */
    for (int i = 0; i < 2; i++) {
        const struct exception *e =
            list[0].deployment == EXCEPTIONS[i].deployment ? &list[0] : &list[1];
        CU_ASSERT_EQUAL(e->deployment, EXCEPTIONS[i].deployment);
        CU_ASSERT_EQUAL(e->generation, EXCEPTIONS[i].generation);
        CU_ASSERT_EQUAL(e->running, EXCEPTIONS[i].running);
        CU_ASSERT_EQUAL(e->state, EXCEPTIONS[i].state);
        CU_ASSERT_EQUAL(e->cause, EXCEPTIONS[i].cause);
        CU_ASSERT_EQUAL(stints[e - list], STINTS[i]);
    }
}

static void check_permits(const struct manager *m)
{
    struct permit permits[PERMITS_MAX];
    for (uint32_t n = 1; n <= 2; n++) {
        CU_ASSERT_EQUAL_FATAL(manager_permits(m, n, permits), 1);
        CU_ASSERT_EQUAL(memcmp(&permits[0], &PERMIT, sizeof PERMIT), 0);
        CU_ASSERT_EQUAL(manager_slot_permits(m, n), n == 2);
    }
}

static void check_cohort(const struct manager *m)
{
    const struct cohort want = sample_cohort_row();
    CU_ASSERT_EQUAL_FATAL(manager_cohort_count(m), 1);
    const struct cohort *c = manager_cohort(m, 0);
    CU_ASSERT_STRING_EQUAL(c->labels.text, want.labels.text);
    CU_ASSERT_EQUAL(memcmp(&c->key, &want.key, sizeof want.key), 0);
    CU_ASSERT_EQUAL(revision_compare(c->revision, want.revision), 0);
    CU_ASSERT_TRUE(digest_equal(&c->fingerprint, &want.fingerprint));
    CU_ASSERT_EQUAL(c->issued_s, want.issued_s);
    CU_ASSERT_EQUAL(c->trust_version, want.trust_version);
    CU_ASSERT_EQUAL(c->lanes_log2, want.lanes_log2);
    CU_ASSERT_EQUAL_FATAL(c->placement_count, 1);
    CU_ASSERT_EQUAL(memcmp(c->placements, want.placements, sizeof want.placements[0]), 0);
}

static void check_fleet(const struct manager *m)
{
    struct batch_row batch = sample_batch();
    struct bundle_row bundle = sample_bundle();
    struct deployment_row deployment = sample_deployment();
    struct trust trust = sample_trust();
    batch.redeemed = 3; /* counted from the agents, and from who was replaced */
    CU_ASSERT_EQUAL_FATAL(manager_batch_count(m), 1);
    CU_ASSERT_EQUAL(memcmp(manager_batch(m, 0), &batch, sizeof batch), 0);
    CU_ASSERT_EQUAL_FATAL(manager_bundle_count(m), 1);
    CU_ASSERT_EQUAL(memcmp(manager_bundle(m, 0), &bundle, sizeof bundle), 0);
    CU_ASSERT_EQUAL_FATAL(manager_deployment_count(m), 1);
    const struct picked *picked = &manager_deployment(m, 0)->picked;
    CU_ASSERT_EQUAL_FATAL(picked->count, deployment.picked.count);
    CU_ASSERT_EQUAL(picked->groups[0].value, deployment.picked.groups[0].value);
    CU_ASSERT_EQUAL(
        memcmp(&picked->groups[0].gate, &deployment.picked.groups[0].gate, sizeof(struct gate)), 0);
    deployment.picked.groups = picked->groups; /* the core has its own copies */
    CU_ASSERT_EQUAL(memcmp(manager_deployment(m, 0), &deployment, sizeof deployment), 0);
    CU_ASSERT_EQUAL(memcmp(manager_trust(m), &trust, sizeof trust), 0);
    check_cohort(m);
    check_agents(m);
    check_permits(m);
    check_membership(m);
}

/* A rollout's two numbers of its rate are the last ones, a byte each here; the count of what there
 * is stands in the second and third byte. */
static void test_rollout_of_a_manager_that_knew_no_rates_is_read(void)
{
    struct tree_path dir = tree_new();
    struct tree_path db = tree_join(&dir, "manager.db");
    struct ledger *l = open_well(&dir);
    sqlite3 *raw = NULL;
    write_fleet(l);
    commit(l);
    ledger_close(l);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(db.text, &raw), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(raw,
                                 "UPDATE deployment SET rollout=CAST(x'dc0013' ||"
                                 " substr(rollout, 4, length(rollout) - 5) AS BLOB)",
                                 NULL, NULL, NULL),
                    SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_changes(raw), 1);
    sqlite3_close(raw);
    l = open_well(&dir);
    struct manager *m = fresh_core();
    struct rollout was = sample_deployment().rollout;
    was.let_in = 0;
    was.span_s = 0;
    CU_ASSERT_EQUAL_FATAL(ledger_load(l, m, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(&manager_deployment(m, 0)->rollout, &was, sizeof was), 0);
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

static void test_every_row_comes_back(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    write_fleet(l);
    commit(l);
    CU_ASSERT_FALSE(ledger_dirty(l));
    ledger_close(l);

    l = open_well(&dir);
    struct manager *m = fresh_core();
    CU_ASSERT_EQUAL(ledger_load(l, m, NULL), 0);
    check_fleet(m);
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

static void test_what_was_not_committed_is_gone(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    write_fleet(l);
    ledger_rollback(l);
    CU_ASSERT_FALSE(ledger_dirty(l));
    write_fleet(l);
    ledger_close(l); /* as a kill would */

    l = open_well(&dir);
    struct manager *m = fresh_core();
    CU_ASSERT_EQUAL(ledger_load(l, m, NULL), 0);
    CU_ASSERT_EQUAL(manager_agent_count(m), 0);
    CU_ASSERT_EQUAL(manager_batch_count(m), 0);
    CU_ASSERT_EQUAL(manager_trust(m)->version, 0);
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

static void test_keys_are_made_once_and_nobody_else_reads_them(void)
{
    struct tree_path dir = tree_new();
    struct tree_path db = tree_join(&dir, "manager.db");
    struct fleet_keys first = sample_keys(), second = {.fleet = {0}};
    struct stat st;
    ledger_close(open_well(&dir));
    struct ledger *l = ledger_open(dir.text, &second, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    CU_ASSERT_EQUAL(memcmp(ledger_keys(l), &first, sizeof first), 0);
    CU_ASSERT_EQUAL(stat(db.text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    ledger_close(l);
    tree_free(&dir);
}

static void test_settings_come_back(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_EPOCH), 0);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_EPOCH, 4, NULL), 0);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_PORT + 7, 1890, NULL), 0);
    commit(l);
    ledger_close(l);
    l = open_well(&dir);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_EPOCH), 4);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_PORT + 7), 1890);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_PORT + 6), 0);
    ledger_close(l);
    tree_free(&dir);
}

/* The core that finds agent 2 with these flags. */
static struct manager *loaded_with(struct ledger *l, unsigned flags)
{
    struct agent_row row = sample_reported(2);
    row.flags = (uint16_t)flags;
    CU_ASSERT_EQUAL(ledger_agent(l, 2, &row, EXCEPTIONS, STINTS, 2, NULL), 0);
    commit(l);
    struct manager *m = fresh_core();
    CU_ASSERT_EQUAL(ledger_load(l, m, NULL), 0);
    return m;
}

/* A new manager lets everybody in, and brokers of others are told nothing of it. */
static void test_who_is_cut_off_is_so_for_this_manager_alone(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct blocked_agent list[2];
    size_t count;
    write_fleet(l);
    struct manager *m = loaded_with(l, AGENT_CORDONED | AGENT_CUT_OFF);
    CU_ASSERT_EQUAL(manager_agent(m, 2)->flags, AGENT_CORDONED);
    CU_ASSERT_EQUAL(ledger_blocked(l, list, 2, &count, NULL), 0);
    CU_ASSERT_EQUAL(count, 1); /* the one that was replaced */
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

static void test_removed_agents_stay_removed(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    write_fleet(l);
    struct manager *m = loaded_with(l, AGENT_REMOVED | AGENT_ONLINE);
    CU_ASSERT_TRUE(manager_agent(m, 2)->flags & AGENT_REMOVED);
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

static void test_facts_are_kept_as_told(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct facts facts;
    struct errmsg em;
    write_fleet(l);
    commit(l);
    CU_ASSERT_EQUAL(ledger_facts(l, 1, &facts, &em), 0);
    CU_ASSERT_EQUAL_FATAL(facts.count, 1);
    CU_ASSERT_STRING_EQUAL(facts.list[0].key, "k");
    CU_ASSERT_STRING_EQUAL(facts.list[0].value, "v");
    CU_ASSERT_EQUAL(ledger_facts(l, 2, &facts, &em), ERR_NOT_FOUND);
    ledger_close(l);
    tree_free(&dir);
}

/* ---- notes ---- */

static struct kept_note words(uint32_t generation, const char *text)
{
    struct kept_note n = {.generation = generation, .cause = CAUSE_HEALTH, .at_s = 1000};
    snprintf(n.text, sizeof n.text, "%s", text);
    return n;
}

static const char *words_of(struct ledger *l, uint32_t number, uint32_t deployment, unsigned id)
{
    static struct kept_note n;
    struct key_id key = {{(uint8_t)id}};
    return ledger_get_note(l, number, deployment, &key, &n) ? n.text : "none";
}

static void keep_words(struct ledger *l, uint32_t number, uint32_t deployment,
                       const struct kept_note *n)
{
    struct key_id key = {{1}};
    CU_ASSERT_EQUAL(ledger_note(l, number, deployment, &key, n, NULL), 0);
}

static void test_newest_words_of_an_agent_and_deployment_are_kept(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct kept_note first = words(2, "first"), old = words(1, "old"), again = words(2, "again");
    keep_words(l, 1, 0, &first);
    keep_words(l, 1, 0, &old);
    keep_words(l, 1, 1, &old);
    CU_ASSERT_STRING_EQUAL(words_of(l, 1, 0, 1), "first");
    keep_words(l, 1, 0, &again);
    commit(l);
    keep_words(l, 1, 0, &again);
    CU_ASSERT_FALSE(ledger_dirty(l)); /* the same again is nothing */
    ledger_close(l);
    l = open_well(&dir);
    CU_ASSERT_STRING_EQUAL(words_of(l, 1, 0, 1), "again");
    CU_ASSERT_STRING_EQUAL(words_of(l, 1, 1, 1), "old");
    CU_ASSERT_STRING_EQUAL(words_of(l, 1, 0, 2), "none"); /* another device has its number now */
    CU_ASSERT_STRING_EQUAL(words_of(l, 2, 0, 1), "none");
    ledger_close(l);
    tree_free(&dir);
}

static void test_oldest_words_go_when_there_are_too_many(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct kept_note n = words(1, "words");
    for (uint32_t i = 0; i < NOTES_MAX + 3; i++)
        keep_words(l, i + 1, 0, &n);
    commit(l);
    CU_ASSERT_STRING_EQUAL(words_of(l, 3, 0, 1), "none");
    CU_ASSERT_STRING_EQUAL(words_of(l, 4, 0, 1), "words");
    CU_ASSERT_STRING_EQUAL(words_of(l, NOTES_MAX + 3, 0, 1), "words");
    ledger_close(l);
    tree_free(&dir);
}

/* ---- what cells retain ---- */

static void publish(struct ledger *l, const char *topic, const char *payload)
{
    CU_ASSERT_EQUAL(ledger_publish(l, topic, span_text(payload), NULL), 0);
}

static void expect_control(struct ledger *l, uint64_t *at, const char *topic, const char *payload)
{
    struct control_row row;
    CU_ASSERT_EQUAL_FATAL(ledger_next_control(l, *at, &row, NULL), 1);
    CU_ASSERT_TRUE(row.serial > *at);
    CU_ASSERT_STRING_EQUAL(row.topic, topic);
    CU_ASSERT_TRUE(span_equal(row.payload, span_text(payload)));
    *at = row.serial;
}

static void test_newer_publication_replaces_the_older_at_the_end_of_the_log(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct control_row row;
    uint64_t at = 0;
    publish(l, "a", "1");
    publish(l, "b", "2");
    publish(l, "a", "3");
    publish(l, "c", "");
    commit(l);
    expect_control(l, &at, "b", "2");
    expect_control(l, &at, "a", "3");
    expect_control(l, &at, "c", "");
    CU_ASSERT_EQUAL(ledger_next_control(l, at, &row, NULL), 0);
    publish(l, "c", "4"); /* the last serial isn't given again */
    commit(l);
    expect_control(l, &at, "c", "4");
    uint8_t memory[8];
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(ledger_published(l, "a", &out, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_text("3")));
    CU_ASSERT_EQUAL(ledger_published(l, "z", &out, NULL), ERR_NOT_FOUND);
    ledger_close(l);
    tree_free(&dir);
}

/* They are kept in another form than all others. */
static void test_topics_of_single_agents_come_back(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct topic_name name = {.kind = TOPIC_AGENT_HEAD, .agent = sample_agent()};
    struct topic head = topic_make(&name);
    name.kind = TOPIC_AGENT_DOC;
    struct topic doc = topic_make(&name);
    uint8_t memory[8];
    struct buffer out = buffer_on(memory, sizeof memory);
    uint64_t at = 0;
    publish(l, doc.text, "old");
    publish(l, head.text, "head");
    publish(l, doc.text, "new");
    commit(l);
    ledger_close(l);
    l = open_well(&dir);
    expect_control(l, &at, head.text, "head");
    expect_control(l, &at, doc.text, "new");
    CU_ASSERT_EQUAL(ledger_published(l, doc.text, &out, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_text("new")));
    name.agent.bytes[KEY_ID_LEN - 1] ^= 1;
    CU_ASSERT_EQUAL(ledger_published(l, topic_make(&name).text, &out, NULL), ERR_NOT_FOUND);
    ledger_close(l);
    tree_free(&dir);
}

struct gone {
    size_t count;
    struct digest chunks[CHUNKS_MAX];
};

static void note_gone(void *context, const struct digest *chunk)
{
    struct gone *g = context;
    g->chunks[g->count++] = *chunk;
}

static void add_chunks(struct ledger *l, uint32_t bundle, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        struct digest chunk = sample_digest(i);
        CU_ASSERT_EQUAL(ledger_bundle_chunk(l, bundle, &chunk, NULL), 0);
    }
}

static void expect_bulk(struct ledger *l, uint64_t *at, unsigned chunk, bool erased)
{
    struct bulk_row row;
    struct digest want = sample_digest(chunk);
    CU_ASSERT_EQUAL_FATAL(ledger_next_bulk(l, *at, &row, NULL), 1);
    CU_ASSERT_TRUE(row.serial > *at);
    CU_ASSERT_TRUE(digest_equal(&row.chunk, &want));
    CU_ASSERT_EQUAL(row.erased, erased);
    *at = row.serial;
}

static void expect_bulk_end(struct ledger *l, uint64_t at)
{
    struct bulk_row row;
    CU_ASSERT_EQUAL(ledger_next_bulk(l, at, &row, NULL), 0);
}

static void test_shared_chunk_is_published_once_and_erased_with_its_last_bundle(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct gone gone = {0};
    struct digest shared = sample_digest(2);
    uint64_t at = 0;
    add_chunks(l, 0, 1, 2);
    add_chunks(l, 0, 1, 2); /* content that repeats within a bundle */
    add_chunks(l, 1, 2, 3);
    commit(l);
    expect_bulk(l, &at, 1, false);
    expect_bulk(l, &at, 2, false);
    expect_bulk(l, &at, 3, false);
    expect_bulk_end(l, at);

    CU_ASSERT_EQUAL(ledger_bundle_erase(l, 0, &gone, note_gone, NULL), 0);
    commit(l);
    CU_ASSERT_EQUAL(gone.count, 1);
    CU_ASSERT_TRUE(ledger_chunk_needed(l, &shared));
    expect_bulk(l, &at, 1, true);
    expect_bulk_end(l, at);

    CU_ASSERT_EQUAL(ledger_bundle_erase(l, 1, &gone, note_gone, NULL), 0);
    commit(l);
    CU_ASSERT_EQUAL(gone.count, 3);
    CU_ASSERT_FALSE(ledger_chunk_needed(l, &shared));
    expect_bulk(l, &at, 2, true);
    expect_bulk(l, &at, 3, true);

    add_chunks(l, 2, 2, 2); /* it comes back */
    commit(l);
    expect_bulk(l, &at, 2, false);
    expect_bulk_end(l, at);
    ledger_close(l);
    tree_free(&dir);
}

static void test_lost_chunk_that_is_back_is_published_again(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct digest mine = sample_digest(1), foreign = sample_digest(9);
    uint64_t at = 0;
    add_chunks(l, 0, 1, 2);
    CU_ASSERT_EQUAL(ledger_chunk_again(l, &mine, NULL), 0);
    CU_ASSERT_EQUAL(ledger_chunk_again(l, &foreign, NULL), 0);
    commit(l);
    expect_bulk(l, &at, 2, false);
    expect_bulk(l, &at, 1, false);
    expect_bulk_end(l, at);
    ledger_close(l);
    tree_free(&dir);
}

/* ---- what goes wrong ---- */

static void test_full_disk_keeps_what_was_committed_and_loses_nothing_later(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct errmsg em = {.text = ""};
    struct batch_row batch = sample_batch();
    static uint8_t large[DOCUMENT_MAX];
    int rv = 0;
    write_fleet(l);
    commit(l);
    CU_ASSERT_EQUAL(ledger_limit(l, 40, NULL), 0);
    for (int i = 0; rv == 0 && i < 100; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "topic%d", i);
        rv = ledger_publish(l, topic, span_of(large, sizeof large), &em);
    }
    CU_ASSERT_EQUAL(rv, ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "manager.db"));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "make room"));
    /* Nothing slips in behind the failed write. */
    CU_ASSERT_TRUE(ledger_batch(l, 1, &batch, NULL) < 0);
    CU_ASSERT_TRUE(ledger_commit(l, NULL) < 0);
    ledger_rollback(l);

    CU_ASSERT_EQUAL(ledger_limit(l, 1000000, NULL), 0);
    CU_ASSERT_EQUAL(ledger_batch(l, 1, &batch, NULL), 0);
    commit(l);
    struct manager *m = fresh_core();
    CU_ASSERT_EQUAL(ledger_load(l, m, NULL), 0);
    CU_ASSERT_EQUAL(manager_batch_count(m), 2);
    check_agents(m);
    free(m);
    struct control_row row;
    CU_ASSERT_EQUAL(ledger_next_control(l, 0, &row, NULL), 1);
    CU_ASSERT_STRING_EQUAL(row.topic, "dl1/trust/3");
    CU_ASSERT_EQUAL(ledger_next_control(l, row.serial, &row, NULL), 0);
    ledger_close(l);
    tree_free(&dir);
}

static void spoil(const struct tree_path *dir, long offset, size_t len)
{
    static const uint8_t garbage[4096 * 4] = {0x5a, 0x13, 0x7e};
    struct tree_path db = tree_join(dir, "manager.db");
    int fd = open(db.text, O_WRONLY | O_CREAT, 0600);
    tree_must(fd >= 0 && pwrite(fd, garbage, len, offset) == (ssize_t)len, db.text);
    close(fd);
}

static void test_foreign_bytes_are_refused_with_the_name_of_the_file(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {.text = ""};
    spoil(&dir, 0, 4096);
    CU_ASSERT_PTR_NULL(open_at(&dir, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "manager.db"));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "damaged"));
    tree_free(&dir);
}

static int open_and_load(const struct tree_path *dir, struct errmsg *em)
{
    struct ledger *l = open_at(dir, em);
    if (!l)
        return ERR_DAMAGED;
    struct manager *m = fresh_core();
    int rv = ledger_load(l, m, em);
    free(m);
    ledger_close(l);
    return rv;
}

/* Whatever page is lost: it is said, or it held nothing that is loaded. */
static void test_any_overwritten_page_is_noticed_or_harmless(void)
{
    unsigned noticed = 0;
    struct stat st = {.st_size = 1};
    for (long page = 0; page * 4096 < st.st_size; page++) {
        struct tree_path dir = tree_new();
        struct tree_path db = tree_join(&dir, "manager.db");
        struct errmsg em = {.text = ""};
        struct ledger *l = open_well(&dir);
        write_fleet(l);
        commit(l);
        ledger_close(l);
        tree_must(stat(db.text, &st) == 0, db.text);
        spoil(&dir, page * 4096, 4096);
        int rv = open_and_load(&dir, &em);
        CU_ASSERT_TRUE(rv == 0 || strstr(em.text, "manager.db") != NULL);
        noticed += rv < 0;
        tree_free(&dir);
    }
    CU_ASSERT_TRUE(noticed >= 8); /* the schema, the keys, and every table that is loaded */
}

static void test_other_databases_and_versions_are_refused(void)
{
    struct tree_path dir = tree_new();
    struct tree_path db = tree_join(&dir, "manager.db");
    struct errmsg em = {.text = ""};
    uint8_t version[4] = {0, 0, 0, 2}, application[4] = {'A', 'B', 'C', 'D'};
    ledger_close(open_well(&dir));
    int fd = open(db.text, O_WRONLY);
    tree_must(fd >= 0 && pwrite(fd, version, 4, 60) == 4, db.text); /* user_version */
    CU_ASSERT_PTR_NULL(open_at(&dir, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "version 2"));
    tree_must(pwrite(fd, application, 4, 68) == 4, db.text); /* application_id */
    CU_ASSERT_PTR_NULL(open_at(&dir, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "no manager's"));
    close(fd);
    tree_free(&dir);
}

static void test_rows_that_contradict_each_other_are_damage(void)
{
    struct tree_path dir = tree_new();
    struct ledger *l = open_well(&dir);
    struct errmsg em = {.text = ""};
    struct agent_row row = sample_row(4);
    write_fleet(l);
    CU_ASSERT_EQUAL(ledger_agent(l, 4, &row, NULL, NULL, 0, NULL), 0); /* without a third */
    commit(l);
    struct manager *m = fresh_core();
    CU_ASSERT_EQUAL(ledger_load(l, m, &em), ERR_DAMAGED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "damaged"));
    free(m);
    ledger_close(l);
    tree_free(&dir);
}

/* ---- keys that are no more ---- */

static struct elder sample_elder(unsigned seed, bool kept)
{
    struct elder e = {.since_s = 1000 + seed, .until_s = 2000 + seed, .stolen = !kept};
    sample_fill(e.id.bytes, sizeof e.id.bytes, (uint8_t)seed);
    if (kept)
        e.secret = sample_secret(seed);
    e.own_len = 374;
    e.cross_len = CERTIFICATE_MAX;
    sample_fill(e.own, e.own_len, (uint8_t)(seed + 1));
    sample_fill(e.cross, e.cross_len, (uint8_t)(seed + 2));
    return e;
}

static void set_keys(struct ledger *l, const struct fleet_keys *keys)
{
    struct errmsg em = {.text = ""};
    tree_must(ledger_set_keys(l, keys, &em) == 0, em.text);
}

static void test_elders_and_heirs_are_kept(void)
{
    struct tree_path dir = tree_new();
    struct fleet_keys keys = sample_keys();
    struct ledger *l = open_well(&dir);
    keys.heirs[FLEET_AUTHORITY] = (struct heir){.secret = sample_secret(9), .stolen = true};
    keys.elder_count = 2;
    keys.elders[0] = sample_elder(40, true);
    keys.elders[1] = sample_elder(60, false);
    set_keys(l, &keys);
    commit(l);
    ledger_close(l);
    l = open_well(&dir);
    const struct fleet_keys *back = ledger_keys(l);
    CU_ASSERT_EQUAL(back->elder_count, 2);
    CU_ASSERT_TRUE(back->heirs[FLEET_AUTHORITY].stolen && !back->heirs[FLEET_ONLINE].stolen);
    CU_ASSERT_EQUAL(memcmp(back->heirs, keys.heirs, sizeof keys.heirs), 0);
    for (int i = 0; i < 2; i++) {
        const struct elder *e = &keys.elders[i], *b = &back->elders[i];
        CU_ASSERT_TRUE(key_id_equal(&b->id, &e->id));
        CU_ASSERT_TRUE(b->since_s == e->since_s && b->until_s == e->until_s);
        CU_ASSERT_EQUAL(b->stolen, e->stolen);
        CU_ASSERT_EQUAL(memcmp(&b->secret, &e->secret, sizeof e->secret), 0);
        CU_ASSERT_TRUE(span_equal(span_of(b->own, b->own_len), span_of(e->own, e->own_len)));
        CU_ASSERT_TRUE(
            span_equal(span_of(b->cross, b->cross_len), span_of(e->cross, e->cross_len)));
    }
    ledger_close(l);
    tree_free(&dir);
}

/* In the database or in the log beside it. */
static void test_another_key_for_secrets_is_noticed_before_there_is_a_secret(void)
{
    struct tree_path dir = tree_new();
    struct mac_key right = {{1}}, wrong = {{2}};
    struct errmsg em = {.text = ""};
    struct ledger *l = open_well(&dir);
    CU_ASSERT_EQUAL(ledger_unlock(l, &right, false, &em), ERR_DAMAGED); /* not founded yet */
    CU_ASSERT_EQUAL(ledger_unlock(l, &right, true, &em), 0);
    commit(l);
    ledger_close(l);
    l = open_well(&dir);
    CU_ASSERT_EQUAL(ledger_unlock(l, &wrong, false, &em), ERR_SIGNATURE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "put the right one back"));
    CU_ASSERT_EQUAL(ledger_unlock(l, &right, false, &em), 0);
    ledger_close(l);
    tree_free(&dir);
}

static bool stands_on_disk(const struct tree_path *dir, const struct secret_key *secret)
{
    static const char *const names[] = {"manager.db", "manager.db-wal"};
    static uint8_t room[8 << 20];
    bool found = false;
    for (int i = 0; i < 2; i++) {
        struct buffer b = buffer_on(room, sizeof room);
        struct tree_path path = tree_join(dir, names[i]);
        if (file_read(path.text, &b, NULL) == 0)
            found |= memmem(b.data, b.len, secret->bytes, SECRET_KEY_LEN) != NULL;
    }
    return found;
}

static void test_keys_that_are_no_more_are_wiped_from_the_files(void)
{
    struct tree_path dir = tree_new(), copy = tree_join(&dir, "copy");
    struct fleet_keys keys = sample_keys();
    struct secret_key old; /* unlike all that counts up in the samples */
    for (uint8_t i = 0; i < SECRET_KEY_LEN; i++)
        old.bytes[i] = (uint8_t)(200 - 3 * i);
    struct ledger *l = open_well(&dir);
    keys.authority = old;
    set_keys(l, &keys);
    commit(l);
    for (unsigned i = 0; i < 200; i++) /* until it has been moved about in its page */
        ledger_set(l, LEDGER_PORT + i % 40, (int64_t)i << i % 40, NULL);
    keys.elder_count = 1;
    keys.elders[0] = sample_elder(40, false);
    keys.elders[0].secret = old;
    keys.authority = sample_secret(78);
    set_keys(l, &keys);
    commit(l);
    CU_ASSERT_TRUE(stands_on_disk(&dir, &old));

    keys.elders[0].secret = (struct secret_key){0};
    set_keys(l, &keys);
    CU_ASSERT_TRUE(stands_on_disk(&dir, &old));
    commit(l);
    CU_ASSERT_FALSE(stands_on_disk(&dir, &old));
    CU_ASSERT_TRUE(stands_on_disk(&dir, &keys.authority));
    CU_ASSERT_EQUAL(ledger_copy(dir.text, copy.text, NULL), 0);
    CU_ASSERT_FALSE(stands_on_disk(&copy, &old));
    ledger_close(l);
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_rollout_of_a_manager_that_knew_no_rates_is_read),
    TEST(test_every_row_comes_back),
    TEST(test_what_was_not_committed_is_gone),
    TEST(test_keys_are_made_once_and_nobody_else_reads_them),
    TEST(test_settings_come_back),
    TEST(test_who_is_cut_off_is_so_for_this_manager_alone),
    TEST(test_removed_agents_stay_removed),
    TEST(test_facts_are_kept_as_told),
    TEST(test_newest_words_of_an_agent_and_deployment_are_kept),
    TEST(test_oldest_words_go_when_there_are_too_many),
    TEST(test_newer_publication_replaces_the_older_at_the_end_of_the_log),
    TEST(test_topics_of_single_agents_come_back),
    TEST(test_shared_chunk_is_published_once_and_erased_with_its_last_bundle),
    TEST(test_lost_chunk_that_is_back_is_published_again),
    TEST(test_full_disk_keeps_what_was_committed_and_loses_nothing_later),
    TEST(test_foreign_bytes_are_refused_with_the_name_of_the_file),
    TEST(test_any_overwritten_page_is_noticed_or_harmless),
    TEST(test_other_databases_and_versions_are_refused),
    TEST(test_rows_that_contradict_each_other_are_damage),
    TEST(test_elders_and_heirs_are_kept),
    TEST(test_another_key_for_secrets_is_noticed_before_there_is_a_secret),
    TEST(test_keys_that_are_no_more_are_wiped_from_the_files),
};

SUITE_MAIN("ledger", tests)
