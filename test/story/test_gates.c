#include "simulator/world/notary.h"
#include "test/story/story.h"

#define AGENTS 8

/* Agents of one cohort in which app is deployed, paused: nothing has begun. */
static struct world *meet(struct device *d[AGENTS])
{
    struct world *w = world_new(NULL);
    for (int i = 0; i < AGENTS; i++)
        d[i] = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    story_push(w, "app", "v2");
    world_deploy(w, "app", "v2", "env=prod");
    world_pause(w, "app");
    world_deploy(w, "app", "v1", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    return w;
}

/* The cohort's document with another record for app, as a manager with rollouts would say it. */
static void say(struct world *w, const struct device *any, const struct record *record)
{
    static struct desired document;
    static uint8_t body_memory[DOCUMENT_MAX], memory[DOCUMENT_MAX];
    uint8_t head_memory[HEAD_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(memory, sizeof memory);
    struct buffer head = buffer_on(head_memory, sizeof head_memory);
    struct topic_name name = {.kind = TOPIC_COHORT_DOC, .cohort = any->disk.assignment.cohort};
    document = any->disk.document;
    document.revision.number++;
    document.records[0] = *record;
    CU_ASSERT_EQUAL(desired_write(&document, &body), 0);
    CU_ASSERT_EQUAL(notary_seal(MESSAGE_DESIRED, span_buffer(&body), &w->control->signing, &out),
                    0);
    head_write(&(struct head){.revision = document.revision, .trust_version = 1}, &head);
    broker_inject(w->broker, topic_make(&name).text, span_buffer(&out), true);
    name.kind = TOPIC_COHORT_HEAD;
    broker_inject(w->broker, topic_make(&name).text, span_buffer(&head), true);
    world_run(w, 30000);
}

static uint64_t hash_of(const struct device *d, const struct record *r)
{
    return gate_hash(r->salt, r->deployment, d->disk.number);
}

/* The hash that lets exactly `k` of them pass. */
static uint64_t kth_smallest(struct device *const d[AGENTS], const struct record *r, unsigned k)
{
    for (int i = 0; i < AGENTS; i++) {
        unsigned below = 0;
        for (int other = 0; other < AGENTS; other++)
            below += hash_of(d[other], r) <= hash_of(d[i], r);
        if (below == k)
            return hash_of(d[i], r);
    }
    return 0;
}

static unsigned count_running(struct device *const d[AGENTS], const char *version)
{
    unsigned count = 0;
    for (int i = 0; i < AGENTS; i++)
        count += world_runs(d[i], "app", version);
    return count;
}

static void test_gate_lets_exactly_the_agents_under_its_threshold_pass(void)
{
    struct device *d[AGENTS];
    struct world *w = meet(d);
    struct record r = d[0]->disk.document.records[0];
    r.flags = 0;
    for (unsigned k = 1; k <= AGENTS; k += 2) {
        r.gate.threshold = kth_smallest(d, &r, k);
        say(w, d[0], &r);
        CU_ASSERT_EQUAL(count_running(d, "v1"), k);
        for (int i = 0; i < AGENTS; i++)
            CU_ASSERT_EQUAL(world_runs(d[i], "app", "v1"), hash_of(d[i], &r) <= r.gate.threshold);
    }
    story_end(w);
}

static void test_next_version_goes_only_to_those_behind_its_gate(void)
{
    struct device *d[AGENTS];
    struct world *w = meet(d);
    struct record r = d[0]->disk.document.records[0];
    r.flags = 0;
    r.next = (struct target){
        .generation = r.stable.generation + 1,
        .bundle = shelf_make(&w->shelf, &(struct script){.name = "app", .version = "v2"})->digest};
    r.next_gate = (struct gate){.threshold = kth_smallest(d, &r, 3), .enrolled_before = UINT32_MAX};
    say(w, d[0], &r);
    CU_ASSERT_EQUAL(count_running(d, "v2"), 3);
    CU_ASSERT_EQUAL(count_running(d, "v1"), AGENTS - 3);
    r.next_gate.threshold = kth_smallest(d, &r, 7);
    say(w, d[0], &r);
    CU_ASSERT_EQUAL(count_running(d, "v2"), 7);
    story_end(w);
}

static void test_late_joiners_do_not_pass_a_gate_that_counts_enrolments(void)
{
    struct device *d[AGENTS];
    struct world *w = meet(d);
    struct record r = d[0]->disk.document.records[0];
    r.flags = 0;
    r.gate.enrolled_before = 6; /* numbers 1 to 5 */
    say(w, d[0], &r);
    CU_ASSERT_EQUAL(count_running(d, "v1"), 5);
    CU_ASSERT_TRUE(world_runs(d[4], "app", "v1") && !world_runs(d[5], "app", "v1"));
    story_end(w);
}

static void test_gate_that_closes_takes_the_deployment_away(void)
{
    struct device *d[AGENTS];
    struct world *w = meet(d);
    struct record r = d[0]->disk.document.records[0];
    r.flags = 0;
    say(w, d[0], &r);
    CU_ASSERT_EQUAL(count_running(d, "v1"), AGENTS);
    r.gate.threshold = kth_smallest(d, &r, 2);
    say(w, d[0], &r);
    CU_ASSERT_EQUAL(count_running(d, "v1"), 2);
    CU_ASSERT_EQUAL(world_count(w, "hook remove app app@v1"), AGENTS - 2);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_gate_lets_exactly_the_agents_under_its_threshold_pass),
    TEST(test_next_version_goes_only_to_those_behind_its_gate),
    TEST(test_late_joiners_do_not_pass_a_gate_that_counts_enrolments),
    TEST(test_gate_that_closes_takes_the_deployment_away),
};

SUITE_MAIN("gates", tests)
