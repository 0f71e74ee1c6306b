/* Whom the fleet trusts, and how that changes: keys come and go, and some are stolen. */
#include "simulator/world/notary.h"
#include "test/story/story.h"

/* notary_secret() of these. */
#define BOB 97
#define STRANGER 77
#define NEW_ROOT 33
#define LAST_ROOT 34
#define NEW_ONLINE 130

static struct public_key public_of(unsigned first)
{
    struct secret_key secret = notary_secret(first);
    return notary_public(&secret);
}

static struct key_id id_of(unsigned first)
{
    struct public_key key = public_of(first);
    return key_id_of(&key);
}

/* The next trust document, to be changed. */
static struct trust next_trust(const struct world *w)
{
    struct trust t = w->control->rows->trust;
    t.version++;
    return t;
}

static void add(struct trust *t, enum trust_role role, unsigned first)
{
    struct public_key key = public_of(first);
    CU_ASSERT_EQUAL(trust_add(t, role, &key), 0);
}

static void take(struct trust *t, enum trust_role role, unsigned first)
{
    struct key_id id = id_of(first);
    CU_ASSERT_EQUAL(trust_remove(t, role, &id), 0);
}

#define SUBMIT(w, t, ...)                                                                          \
    control_trust((w)->control, t, (const unsigned[]){__VA_ARGS__},                                \
                  sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void replace_online(struct world *w, unsigned by_root)
{
    struct trust t = next_trust(w);
    w->control->next = notary_secret(NEW_ONLINE);
    add(&t, TRUST_ONLINE, NEW_ONLINE);
    take(&t, TRUST_ONLINE, CONTROL_ONLINE);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, by_root), 0);
}

static struct topic trust_topic(uint32_t version)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = version});
}

/* What a broker retains, in memory of its own. */
static struct span copy_of(const struct world *w, const struct topic *topic)
{
    static uint8_t memory[4][DOCUMENT_MAX];
    static unsigned next;
    struct span there = broker_retained(w->broker, topic->text);
    uint8_t *copy = memory[next++ % 4];
    CU_ASSERT_TRUE_FATAL(there.len > 0 && there.len <= DOCUMENT_MAX);
    memcpy(copy, there.data, there.len);
    return span_of(copy, there.len);
}

static struct topic doc_topic(const struct device *d)
{
    return topic_make(
        &(struct topic_name){.kind = TOPIC_COHORT_DOC, .cohort = d->disk.assignment.cohort});
}

/* Signs a document and puts it, and a head that leads to it, where the agent's are. */
static void inject_document(struct world *w, const struct device *d, const struct desired *document,
                            const struct secret_key *key)
{
    static uint8_t body_memory[DOCUMENT_MAX], memory[DOCUMENT_MAX];
    uint8_t head_memory[HEAD_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(memory, sizeof memory);
    struct buffer head = buffer_on(head_memory, sizeof head_memory);
    struct topic topic = doc_topic(d);
    int rv = desired_write(document, &body);
    rv |= notary_seal(MESSAGE_DESIRED, span_buffer(&body), key, &out);
    rv |= head_write(&(struct head){.revision = document->revision,
                                    .trust_version = w->control->rows->trust.version},
                     &head);
    CU_ASSERT_EQUAL(rv, 0);
    broker_inject(w->broker, topic.text, span_buffer(&out), true);
    topic = topic_make(
        &(struct topic_name){.kind = TOPIC_COHORT_HEAD, .cohort = d->disk.assignment.cohort});
    broker_inject(w->broker, topic.text, span_buffer(&head), true);
}

/* ---- keys come and go ---- */

/* New roots twice, another publisher, another online key. */
static void rotate_three_times(struct world *w)
{
    struct trust t = next_trust(w);
    add(&t, TRUST_ROOTS, NEW_ROOT);
    take(&t, TRUST_ROOTS, CONTROL_ROOT);
    add(&t, TRUST_PUBLISHERS, BOB);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT, NEW_ROOT), 0);
    replace_online(w, NEW_ROOT);
    t = next_trust(w);
    add(&t, TRUST_ROOTS, LAST_ROOT);
    take(&t, TRUST_ROOTS, NEW_ROOT);
    take(&t, TRUST_PUBLISHERS, SHELF_PUBLISHER);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, NEW_ROOT, LAST_ROOT), 0);
}

/* A device that was off meets all of it at once; cut and links at `n`. */
static bool come_back(uint64_t cut, uint64_t lose)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .publisher = BOB});
    device_cut_power(d, UINT64_MAX);
    rotate_three_times(w);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 1000);
    return story_come_back(w, d, cut, lose, 4);
}

static void test_agent_that_was_away_over_three_rotations_follows_them_one_by_one(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .publisher = BOB});
    device_cut_power(d, UINT64_MAX);
    rotate_three_times(w);
    world_deploy(w, "app", "v2", "env=prod");
    world_run(w, 90u * 86400 * 1000);
    unsigned before = world_count(w, "store trust");
    device_start(d);
    world_run(w, 3000); /* a round trip takes 80 ms at most */
    CU_ASSERT_EQUAL(world_count(w, "store trust") - before, 3);
    CU_ASSERT_EQUAL(d->disk.trust.version, 4);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static void test_power_cut_or_lost_message_on_the_way_only_delays(void)
{
    uint64_t n;
    for (n = 1; come_back(n, 0) && n < STORY_POINTS_MAX; n++)
        ;
    CU_ASSERT_TRUE(n > 20);
    for (n = 1; come_back(0, n) && n < STORY_POINTS_MAX; n++)
        ;
    CU_ASSERT_TRUE(n > 10);
}

static void test_new_online_key_reaches_connected_agents_and_newcomers(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    world_label(w, d, "ring=1", "");
    CU_ASSERT_TRUE(story_rest(w));
    replace_online(w, CONTROL_ROOT);
    CU_ASSERT_TRUE(story_rest(w));
    world_run(w, 30000);
    struct key_id new = id_of(NEW_ONLINE);
    CU_ASSERT_TRUE(key_id_equal(&d->disk.document_signer, &new));
    CU_ASSERT_TRUE(key_id_equal(&d->disk.assignment_signer, &new));
    CU_ASSERT_TRUE(key_id_equal(&d->disk.held[0].signer, &new));
    struct device *newcomer = world_agent(w, "env=prod");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2") && world_runs(newcomer, "app", "v2"));
    story_end(w);
}

/* The manager dies at point `n` of giving itself a new key; the operator asks again until it is so.
 */
static bool die_renewing(uint64_t n)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    struct key_id new = id_of(NEW_ONLINE);
    w->control->kill_at = w->control->points + n;
    w->control->next = notary_secret(NEW_ONLINE);
    for (int i = 0; i < 10 && w->control->rows->trust.version == 1; i++) {
        struct trust t = next_trust(w);
        add(&t, TRUST_ONLINE, NEW_ONLINE);
        take(&t, TRUST_ONLINE, CONTROL_ONLINE);
        SUBMIT(w, &t, CONTROL_ROOT);
        world_run(w, CONTROL_OFF_MS + 1000);
    }
    while (world_deploy(w, "app", "v2", "env=prod") == ERR_TIMEOUT)
        world_run(w, CONTROL_OFF_MS + 1000);
    bool good =
        story_rest(w) && world_runs(d, "app", "v2") && key_id_equal(&d->disk.document_signer, &new);
    bool hit = w->control->was_killed;
    story_end_at(w, n, good);
    return hit;
}

static void test_manager_that_dies_while_it_renews_its_key_has_the_old_or_the_new_one(void)
{
    uint64_t n;
    for (n = 1; die_renewing(n) && n < STORY_POINTS_MAX; n++)
        ;
    CU_ASSERT_TRUE(n > 5);
}

static void test_bundle_needs_two_publishers_once_the_fleet_says_so(void)
{
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w = story_app_v1(&d, NULL);
    struct trust t = next_trust(w);
    add(&t, TRUST_PUBLISHERS, BOB);
    t.roles[TRUST_PUBLISHERS].threshold = 2;
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT), 0);
    world_push(w, &(struct script){.name = "app", .version = "v2"});
    world_push(w, &(struct script){.name = "app", .version = "v3", .publisher_too = BOB});
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, CAUSE_UNTRUSTED);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v3", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v3"));
    story_end(w);
}

static void test_what_a_revoked_publisher_signs_starts_nowhere(void)
{
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    struct trust t = next_trust(w);
    add(&t, TRUST_PUBLISHERS, BOB);
    take(&t, TRUST_PUBLISHERS, SHELF_PUBLISHER);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v1")); /* what ran goes on */
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, CAUSE_UNTRUSTED);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    story_end(w);
}

/* ---- a hostile broker ---- */

static void test_older_and_foreign_trust_documents_are_refused(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct trust t = next_trust(w);
    add(&t, TRUST_PUBLISHERS, BOB);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT), 0);
    t = next_trust(w);
    take(&t, TRUST_PUBLISHERS, BOB);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT), 0);
    world_run(w, 5000);
    CU_ASSERT_EQUAL(d->disk.trust.version, 3);

    /* Version 2, which trusts Bob, under the name of the next one; and one by a stranger. */
    struct topic two = trust_topic(2), four = trust_topic(4);
    struct span old = copy_of(w, &two);
    uint8_t head_memory[HEAD_MAX];
    struct buffer head = buffer_on(head_memory, sizeof head_memory);
    head_write(&(struct head){.revision = {.epoch = 1, .number = 1}, .trust_version = 4}, &head);
    struct topic heads = topic_make(
        &(struct topic_name){.kind = TOPIC_COHORT_HEAD, .cohort = d->disk.assignment.cohort});
    broker_inject(w->broker, four.text, old, true);
    broker_inject(w->broker, heads.text, span_buffer(&head), false);
    world_run(w, 30000);
    t = next_trust(w);
    add(&t, TRUST_PUBLISHERS, STRANGER);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, STRANGER), ERR_UNTRUSTED);
    broker_inject(w->broker, four.text, span_buffer(&w->control->trust), true);
    world_run(w, 30000);
    CU_ASSERT_TRUE(d->core.counters.refused >= 2);
    CU_ASSERT_EQUAL(d->disk.trust.version, 3);
    CU_ASSERT_EQUAL(w->control->rows->trust.version, 3);
    story_end(w);
}

/* Mix and match: the document of today, and the trust of yesterday. */
static void test_broker_that_withholds_a_trust_version_only_delays(void)
{
    struct device *d;
    struct world *w =
        story_app_v1(&d, &(struct script){.name = "app", .version = "v2", .publisher = BOB});
    story_push(w, "tool", "v1");
    device_cut_power(d, UINT64_MAX);
    struct trust t = next_trust(w);
    add(&t, TRUST_PUBLISHERS, BOB);
    CU_ASSERT_EQUAL(SUBMIT(w, &t, CONTROL_ROOT), 0);
    world_deploy(w, "tool", "v1", "env=prod");
    world_run(w, 1000);
    struct topic two = trust_topic(2);
    struct span withheld = copy_of(w, &two);
    broker_inject(w->broker, two.text, SPAN_NONE, true);
    device_start(d);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(d->disk.trust.version, 1);
    CU_ASSERT_TRUE(world_runs(d, "tool", "v1")); /* by a publisher of old */
    broker_inject(w->broker, two.text, withheld, true);
    world_run(w, 30000);
    CU_ASSERT_EQUAL(d->disk.trust.version, 2);
    world_deploy(w, "app", "v2", "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

/* ---- a stolen online key ---- */

/* As far as numbers go, so that nothing newer could ever come. */
static void forge(const struct world *w, const struct device *d, const char *version,
                  unsigned publisher, struct desired *out)
{
    const struct bundle *b =
        shelf_make((struct shelf *)&w->shelf,
                   &(struct script){.name = "app", .version = version, .publisher = publisher});
    *out = d->disk.document;
    out->revision = (struct revision){.epoch = UINT32_MAX, .number = UINT32_MAX};
    out->records[0].stable = (struct target){.generation = UINT32_MAX, .bundle = b->digest};
}

static void test_stolen_online_key_makes_no_agent_run_an_unsigned_bundle(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    static struct desired evil;
    const struct secret_key stolen = w->control->signing;
    forge(w, d, "evil", STRANGER, &evil);
    const struct bundle *b = shelf_find(&w->shelf, &evil.records[0].stable.bundle);
    for (uint32_t i = 0; i <= b->chunk_count; i++) {
        const struct frame *f = i < b->chunk_count ? &b->chunks[i] : &b->manifest;
        struct topic topic =
            topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = f->name});
        broker_inject(w->broker, topic.text, span_of(f->bytes, f->len), true);
    }
    inject_document(w, d, &evil, &stolen);
    world_run(w, 120000);
    CU_ASSERT_EQUAL(d->disk.document.revision.epoch, UINT32_MAX); /* it was believed so far … */
    const struct held *row = disk_held(&d->disk, 1);
    CU_ASSERT_EQUAL(row->wanted.generation, UINT32_MAX);
    CU_ASSERT_EQUAL(row->phase, PHASE_ROLLED_BACK); /* … and no farther */
    CU_ASSERT_EQUAL(row->cause, CAUSE_UNTRUSTED);
    CU_ASSERT_TRUE(digest_equal(disk_current(&d->disk, "app"), &row->running.bundle));
    story_end(w);
}

/* The thief goes back to a signed version that has a hole, and as far as numbers go. */
static void test_fleet_recovers_from_a_thief_who_counted_as_far_as_numbers_go(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &(struct script){.name = "app", .version = "v2"});
    static struct desired evil;
    const struct secret_key stolen = w->control->signing;
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    forge(w, d, "v1", 0, &evil);
    inject_document(w, d, &evil, &stolen);
    world_run(w, 60000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(disk_held(&d->disk, 1)->running.generation, UINT32_MAX);

    replace_online(w, CONTROL_ROOT);
    world_run(w, 120000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(disk_held(&d->disk, 1)->running.generation, 2);
    CU_ASSERT_EQUAL(d->disk.document.revision.epoch, 1);

    /* What the thief says now is nothing to anybody, and the floors stand again. */
    evil.revision.number--;
    uint32_t refused = d->core.counters.refused;
    inject_document(w, d, &evil, &stolen);
    world_run(w, 60000);
    CU_ASSERT_TRUE(d->core.counters.refused > refused);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_agent_that_was_away_over_three_rotations_follows_them_one_by_one),
    TEST(test_power_cut_or_lost_message_on_the_way_only_delays),
    TEST(test_new_online_key_reaches_connected_agents_and_newcomers),
    TEST(test_manager_that_dies_while_it_renews_its_key_has_the_old_or_the_new_one),
    TEST(test_bundle_needs_two_publishers_once_the_fleet_says_so),
    TEST(test_what_a_revoked_publisher_signs_starts_nowhere),
    TEST(test_older_and_foreign_trust_documents_are_refused),
    TEST(test_broker_that_withholds_a_trust_version_only_delays),
    TEST(test_stolen_online_key_makes_no_agent_run_an_unsigned_bundle),
    TEST(test_fleet_recovers_from_a_thief_who_counted_as_far_as_numbers_go),
};

SUITE_MAIN("rotation", tests)
