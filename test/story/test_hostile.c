#include "simulator/world/notary.h"
#include "test/story/story.h"

/* What went over the broker last, by kind. */
struct ear {
    uint8_t status[STATUS_MAX];
    size_t status_len;
    char topic[TOPIC_MAX];
};

static void listen(void *context, const char *topic, struct span payload)
{
    struct ear *ear = context;
    if (topic_read(topic).kind != TOPIC_UP || payload.len > sizeof ear->status)
        return;
    memcpy(ear->status, payload.data, payload.len);
    ear->status_len = payload.len;
    snprintf(ear->topic, sizeof ear->topic, "%s", topic);
}

static struct manager_counters *counters(struct world *w)
{
    return manager_counters(w->control->core);
}

static const char *up_topic(const struct key_id *id)
{
    static struct topic topic;
    topic = topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = *id});
    return topic.text;
}

static const char *doc_topic(const struct device *d)
{
    static struct topic topic;
    topic = topic_make(
        &(struct topic_name){.kind = TOPIC_COHORT_DOC, .cohort = d->disk.assignment.cohort});
    return topic.text;
}

static const char *head_topic(const struct device *d)
{
    static struct topic topic;
    topic = topic_make(
        &(struct topic_name){.kind = TOPIC_COHORT_HEAD, .cohort = d->disk.assignment.cohort});
    return topic.text;
}

static void inject_head_of(struct world *w, const struct device *d, const struct head *head)
{
    uint8_t memory[HEAD_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    head_write(head, &out);
    broker_inject(w->broker, head_topic(d), span_buffer(&out), false);
}

static void inject_head(struct world *w, const struct device *d, uint32_t number)
{
    inject_head_of(w, d,
                   &(struct head){.revision = {.epoch = 1, .number = number}, .trust_version = 1});
}

/* ---- against the manager ---- */

static void test_replayed_status_is_counted_and_without_effect(void)
{
    struct device *d;
    struct ear ear = {0};
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    broker_tap(w->broker, listen, &ear);
    world_run(w, 100000);
    CU_ASSERT_TRUE_FATAL(ear.status_len > 0);
    struct ear old = ear;
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    broker_inject(w->broker, old.topic, span_of(old.status, old.status_len), false);
    world_run(w, 1000);
    CU_ASSERT_EQUAL(counters(w)->replayed, 1);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_forged_and_garbled_reports_are_counted_and_without_effect(void)
{
    struct device *d;
    uint8_t memory[STATUS_MAX];
    struct world *w = story_app_v1(&d, NULL);
    struct mac_key wrong = {{1}};
    struct buffer out = buffer_on(memory, sizeof memory);
    struct status s = {.number = 1, .seq = 100000, .boot = 1, .count = 1};
    s.exceptions[0] = (struct exception){.deployment = 1, .generation = 1, .state = STATE_FAILED};
    status_write(&s, &wrong, &out);
    broker_inject(w->broker, up_topic(&d->disk.id), span_buffer(&out), false);
    broker_inject(w->broker, up_topic(&d->disk.id), span_text("not msgpack"), false);
    world_run(w, 1000);
    CU_ASSERT_EQUAL(counters(w)->forged, 1);
    CU_ASSERT_EQUAL(counters(w)->malformed, 1);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_READY);
    story_end(w);
}

static void test_status_on_another_agent_s_topic_is_forged(void)
{
    struct ear ear = {0};
    struct world *w = world_new(NULL);
    struct device *first = world_agent(w, "env=prod");
    struct device *second = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    broker_tap(w->broker, listen, &ear);
    client_close(second->client); /* so that the only reports are the first one's */
    world_run(w, 100000);
    broker_inject(w->broker, up_topic(&second->disk.id), span_of(ear.status, ear.status_len),
                  false);
    world_run(w, 1000);
    CU_ASSERT_EQUAL(counters(w)->forged, 1);
    (void)first;
    story_end(w);
}

static void test_report_of_a_number_that_does_not_exist_is_foreign(void)
{
    struct device *d;
    uint8_t memory[STATUS_MAX];
    struct world *w = story_app_v1(&d, NULL);
    /* Even whoever had the manager's own key could not make it count. */
    for (uint32_t number = 2; number <= 70; number += 68) {
        struct buffer out = buffer_on(memory, sizeof memory);
        struct mac_key key = status_key(&w->control->master, number, &d->disk.id);
        status_write(&(struct status){.number = number, .seq = 9, .boot = 1}, &key, &out);
        broker_inject(w->broker, up_topic(&d->disk.id), span_buffer(&out), false);
    }
    world_run(w, 1000);
    CU_ASSERT_EQUAL(counters(w)->foreign, 2);
    story_end(w);
}

static void test_will_of_an_old_connection_does_not_make_offline(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    uint64_t wills = counters(w)->wills;
    /* The device restarts; its old connection ends when the new one comes, with its will. */
    device_cut_power(d, 1000);
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 5000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    /* And the same will once more, from somebody who kept it. */
    uint8_t memory[STATUS_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    will_write(&(struct will){.number = 1, .session = 1}, &d->disk.mac, &out);
    broker_inject(w->broker, up_topic(&d->disk.id), span_buffer(&out), false);
    world_run(w, 1000);
    CU_ASSERT_TRUE(world_flags(w, d) & AGENT_ONLINE);
    CU_ASSERT_TRUE(counters(w)->replayed >= 1);
    CU_ASSERT_TRUE(counters(w)->wills <= wills + 1);
    story_end(w);
}

static void test_garbled_join_requests_are_counted(void)
{
    struct world *w = world_new(NULL);
    struct join_id id = {{7}};
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_JOIN, .join = id});
    broker_inject(w->broker, topic.text, span_text("join me"), false);
    broker_inject(w->broker, "dl1/join/nonsense", span_text("x"), false);
    world_run(w, 1000);
    CU_ASSERT_EQUAL(counters(w)->malformed, 2);
    CU_ASSERT_EQUAL(manager_agent_count(w->control->core), 0);
    story_end(w);
}

/* ---- against the agent ---- */

static void test_older_document_is_counted_and_without_effect(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    static uint8_t old[DOCUMENT_MAX];
    struct span kept = broker_retained(w->broker, doc_topic(d));
    size_t len = kept.len;
    memcpy(old, kept.data, len);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    /* The broker keeps the old document, and a head that is too good leads to it. */
    broker_inject(w->broker, doc_topic(d), span_of(old, len), true);
    inject_head(w, d, 99);
    world_run(w, 60000);
    CU_ASSERT_TRUE(d->core.counters.old >= 1);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static void test_document_of_another_cohort_is_counted_and_without_effect(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    struct device *lab = world_agent(w, "env=lab");
    for (int i = 0; i < 5; i++) { /* the other cohort's document is far ahead */
        world_deploy(w, "app", i % 2 ? "v1" : "v2", i % 2 ? "env=lab" : "env in (lab)");
        world_run(w, 5000);
    }
    world_run(w, 20000);
    struct span theirs = broker_retained(w->broker, doc_topic(lab));
    static uint8_t copy[DOCUMENT_MAX];
    size_t len = theirs.len;
    memcpy(copy, theirs.data, len);
    broker_inject(w->broker, doc_topic(d), span_of(copy, len), true);
    inject_head(w, d, 99);
    world_run(w, 60000);
    CU_ASSERT_TRUE(d->core.counters.foreign >= 1);
    story_end(w);
}

static void test_forged_document_is_refused(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct secret_key intruder = notary_secret(77);
    static struct desired evil;
    static uint8_t body_memory[DOCUMENT_MAX], memory[DOCUMENT_MAX];
    evil = d->disk.document;
    evil.revision.number = 50;
    evil.count = 0;
    for (int flip = 0; flip < 2; flip++) {
        struct buffer body = buffer_on(body_memory, sizeof body_memory);
        struct buffer out = buffer_on(memory, sizeof memory);
        desired_write(&evil, &body);
        /* Signed by somebody else, and then by nobody in the fleet's name. */
        notary_seal(MESSAGE_DESIRED, span_buffer(&body), flip ? &w->control->signing : &intruder,
                    &out);
        if (flip)
            out.data[out.len - 1] ^= 1;
        broker_inject(w->broker, doc_topic(d), span_buffer(&out), true);
        inject_head(w, d, 50);
        world_run(w, 30000);
    }
    CU_ASSERT_TRUE(d->core.counters.refused >= 2);
    CU_ASSERT_EQUAL(d->disk.document.count, 1);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

static void test_garbled_heads_and_chunks_only_count(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    const struct bundle *b =
        shelf_make(&w->shelf, &(struct script){.name = "app", .version = "v2"});
    struct topic chunk =
        topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = b->chunks[0].name});
    world_run(w, 1000);
    broker_inject(w->broker, head_topic(d), span_text("nonsense"), false);
    broker_inject(w->broker, chunk.text, span_of("\0not what its name says", 23), true);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 30000);
    CU_ASSERT_TRUE(d->core.counters.refused >= 2);
    CU_ASSERT_TRUE(world_state(w, d, "app", NULL) == STATE_DOWNLOADING);
    /* The broker is set right again, and the device gets there. */
    broker_inject(w->broker, chunk.text, span_of(b->chunks[0].bytes, b->chunks[0].len), true);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static void test_assignment_of_another_agent_is_counted_and_without_effect(void)
{
    struct world *w = world_new(NULL);
    struct device *d = world_agent(w, "env=prod");
    struct device *other = world_agent(w, "env=prod");
    world_label(w, other, "env=lab", "");
    CU_ASSERT_TRUE(story_rest(w));
    struct topic_name name = {.kind = TOPIC_AGENT_DOC, .agent = other->disk.id};
    uint8_t memory[ASSIGNMENT_SIGNED_MAX], head_memory[HEAD_MAX];
    struct span theirs = broker_retained(w->broker, topic_make(&name).text);
    CU_ASSERT_TRUE_FATAL(theirs.len > 0 && theirs.len <= sizeof memory);
    size_t len = theirs.len;
    memcpy(memory, theirs.data, len);
    struct buffer head = buffer_on(head_memory, sizeof head_memory);
    head_write(&(struct head){.revision = {.epoch = 1, .number = 7}, .trust_version = 1}, &head);
    name.agent = d->disk.id;
    broker_inject(w->broker, topic_make(&name).text, span_of(memory, len), true);
    name.kind = TOPIC_AGENT_HEAD;
    broker_inject(w->broker, topic_make(&name).text, span_buffer(&head), true);
    world_run(w, 30000);
    CU_ASSERT_TRUE(d->core.counters.foreign >= 1);
    CU_ASSERT_STRING_EQUAL(d->disk.assignment.labels.text, "env=prod");
    story_end(w);
}

/* ---- trust ---- */

static void trust_publisher(struct world *w, unsigned first)
{
    struct secret_key secret = notary_secret(first);
    struct public_key public = notary_public(&secret);
    struct trust next = w->control->rows->trust;
    next.version++;
    CU_ASSERT_EQUAL(trust_add(&next, TRUST_PUBLISHERS, &public), 0);
    CU_ASSERT_EQUAL(control_trust(w->control, &next, &(const unsigned){CONTROL_ROOT}, 1), 0);
}

/* A new publisher and its bundle in one breath, to a device that is off; cut and links at `n`. */
static bool meet_new_publisher(uint64_t cut, uint64_t lose)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .publisher = 97});
    device_cut_power(d, UINT64_MAX);
    trust_publisher(w, 97);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 1000);
    return story_come_back(w, d, cut, lose, 2);
}

static void test_newer_trust_list_is_fetched_before_the_document_is_acted_on(void)
{
    uint64_t n;
    meet_new_publisher(0, 0);
    for (n = 1; meet_new_publisher(n, 0) && n < STORY_POINTS_MAX; n++)
        ;
    CU_ASSERT_TRUE(n > 20);
    for (n = 1; meet_new_publisher(0, n) && n < STORY_POINTS_MAX; n++)
        ;
    CU_ASSERT_TRUE(n > 10);
}

static void test_new_publisher_and_its_bundle_reach_a_connected_agent_in_any_order(void)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world *w = world_new(&(struct world_options){
            .seed = seed, .links = {.delay_ms_min = 1, .delay_ms_max = 300}});
        struct device *d = world_agent(w, "env=prod");
        CU_ASSERT_TRUE(story_rest(w));
        world_push(w, &(struct script){.name = "app", .version = "v1", .publisher = 97});
        trust_publisher(w, 97);
        world_run(w, seed * 7);
        world_deploy(w, "app", "v1", "env=prod");
        bool good = story_rest(w) && world_runs(d, "app", "v1");
        story_end_at(w, seed, good);
    }
}

static void test_head_that_lies_about_trust_stops_nothing_for_long(void)
{
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .publisher = 97});
    inject_head_of(w, d,
                   &(struct head){.revision = {.epoch = 1, .number = 1}, .trust_version = 99});
    world_run(w, 1000);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, CAUSE_UNTRUSTED);
    trust_publisher(w, 97);
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 30000);
    CU_ASSERT_EQUAL(d->disk.trust.version, 2);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_replayed_status_is_counted_and_without_effect),
    TEST(test_forged_and_garbled_reports_are_counted_and_without_effect),
    TEST(test_status_on_another_agent_s_topic_is_forged),
    TEST(test_report_of_a_number_that_does_not_exist_is_foreign),
    TEST(test_will_of_an_old_connection_does_not_make_offline),
    TEST(test_garbled_join_requests_are_counted),
    TEST(test_older_document_is_counted_and_without_effect),
    TEST(test_document_of_another_cohort_is_counted_and_without_effect),
    TEST(test_forged_document_is_refused),
    TEST(test_garbled_heads_and_chunks_only_count),
    TEST(test_assignment_of_another_agent_is_counted_and_without_effect),
    TEST(test_newer_trust_list_is_fetched_before_the_document_is_acted_on),
    TEST(test_new_publisher_and_its_bundle_reach_a_connected_agent_in_any_order),
    TEST(test_head_that_lies_about_trust_stops_nothing_for_long),
};

SUITE_MAIN("hostile", tests)
