#include "agent/core/agent.h"
#include "test/suite.h"

#include <stdio.h>

/* The core, the rows it looks at, and the driver's part of a step: stores always work. */
struct bench {
    struct agent a;
    struct desired document;
    struct assignment assignment;
    struct held held[HELD_MAX];
    struct trust trust;
    struct agent_view view;
    struct arena scratch;
    _Alignas(16) uint8_t memory[AGENT_SCRATCH_MAX];
    struct agent_out out;  /* of the last step */
    struct agent_out seen; /* all actions since the event, stores answered */
    uint64_t now_ms;
    uint64_t deadline_ms;
    uint64_t wall_s;
    int32_t east_s;
};

static struct bench b;

static void adopt(const struct agent_store *s)
{
    uint32_t at = 0;
    if (s->type == AGENT_STORE_SHUT_OUT)
        b.view.shut_out_s = s->shut_out_s;
    if (s->type == AGENT_STORE_DROP || s->type == AGENT_STORE_HELD) {
        uint32_t deployment = s->held ? s->held->deployment : s->deployment;
        while (at < b.view.held_count && b.held[at].deployment != deployment)
            at++;
        if (s->type == AGENT_STORE_DROP)
            b.held[at] = b.held[--b.view.held_count];
        else
            b.held[at] = *s->held;
        if (s->held && at == b.view.held_count)
            b.view.held_count++;
    }
}

static void feed(struct agent_event ev)
{
    b.seen = (struct agent_out){0};
    for (;;) {
        ev.now_ms = b.now_ms;
        ev.wall_s = b.wall_s;
        ev.east_s = b.east_s;
        ev.view = &b.view;
        arena_reset(&b.scratch);
        agent_step(&b.a, &ev, &b.scratch, &b.out);
        b.deadline_ms = b.out.deadline_ms;
        for (uint32_t i = 0; i < b.out.action_count; i++)
            if (b.seen.action_count < AGENT_ACTIONS_MAX)
                b.seen.actions[b.seen.action_count++] = b.out.actions[i];
        if (b.out.store_count == 0)
            return;
        for (uint32_t i = 0; i < b.out.store_count; i++) {
            adopt(&b.out.stores[i]);
            if (b.out.stores[i].type == AGENT_STORE_DOCUMENT)
                b.document = *ev.document;
            if (b.out.stores[i].type == AGENT_STORE_ASSIGNMENT)
                b.assignment = *ev.assignment;
            if (b.out.stores[i].type == AGENT_STORE_ATLAS)
                b.view.atlas = ev.atlas;
        }
        ev = (struct agent_event){.type = AGENT_STORED};
    }
}

static void feed_type(enum agent_event_type type)
{
    feed((struct agent_event){.type = type});
}

static const struct agent_action *find(enum agent_action_type type)
{
    for (uint32_t i = 0; i < b.seen.action_count; i++)
        if (b.seen.actions[i].type == type)
            return &b.seen.actions[i];
    return NULL;
}

static const struct agent_action *find_topic(enum agent_action_type type, enum agent_topic topic)
{
    for (uint32_t i = 0; i < b.seen.action_count; i++)
        if (b.seen.actions[i].type == type && b.seen.actions[i].topic == topic)
            return &b.seen.actions[i];
    return NULL;
}

static void boot(uint32_t cells)
{
    memset(&b, 0, sizeof b);
    b.document.policy =
        (struct policy){.heartbeat_s = 900, .keepalive_s = 60, .reconnect_spread_s = 60};
    b.assignment = (struct assignment){.revision = {1, 1}};
    const struct public_key online = {.bytes = {1}};
    b.trust = (struct trust){.version = 1};
    CU_ASSERT_EQUAL(trust_add(&b.trust, TRUST_ONLINE, &online), 0);
    b.view = (struct agent_view){.document_signer = key_id_of(&online),
                                 .assignment_signer = key_id_of(&online),
                                 .atlas_signer = key_id_of(&online),
                                 .cell_count = cells,
                                 .home_count = cells,
                                 .document = &b.document,
                                 .assignment = &b.assignment,
                                 .trust = &b.trust,
                                 .held = b.held};
    b.scratch = arena_on(b.memory, sizeof b.memory);
    b.now_ms = 1000;
    b.wall_s = 1000;
    agent_init(&b.a, &(struct agent_options){.number = 7, .boot = 3, .seed = 5});
    feed_type(AGENT_BOOT);
}

static void boot_and_connect(void)
{
    boot(1);
    feed_type(AGENT_LINK_UP);
}

static void head(enum agent_topic topic, struct head h)
{
    feed((struct agent_event){.type = AGENT_HEAD, .topic = topic, .head = &h});
}

/* A document with `count` records named a, b, c …, each of the first generation. */
static struct desired *document(uint32_t number, uint32_t count)
{
    static struct desired d;
    d = (struct desired){.revision = {1, number}, .not_after_s = 5000, .count = count};
    d.policy = b.document.policy;
    for (uint32_t i = 0; i < count; i++) {
        d.records[i] = (struct record){
            .deployment = i + 1, .gate = GATE_OPEN, .stable = {1, {{(uint8_t)(i + 1)}}, 0}};
        snprintf(d.records[i].name, sizeof d.records[i].name, "app%u", i);
    }
    return &d;
}

static void take(const struct desired *d)
{
    feed((struct agent_event){.type = AGENT_DOCUMENT, .document = d});
}

static void done(enum agent_action_type type, int rv)
{
    feed((struct agent_event){.type = AGENT_DONE,
                              .done = type,
                              .rv = rv,
                              .health_deadline_s = 10,
                              .health_interval_s = 3});
}

static void come_to_the_first_hook(void)
{
    boot_and_connect();
    take(document(1, 1));
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
}

/* From the download to its health. */
static void succeed(void)
{
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_HOOK, 0);
}

/* ---- the link ---- */

static void test_idle_agent_fits_in_512_bytes(void)
{
    CU_ASSERT_TRUE(sizeof(struct agent) <= 512);
}

static void test_first_connection_waits_for_a_reserved_number(void)
{
    boot(1);
    const struct agent_action *connect = find(AGENT_CONNECT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(connect);
    CU_ASSERT_EQUAL(connect->session, 1);
    CU_ASSERT_EQUAL(b.a.seq_ceiling, AGENT_SEQ_BLOCK);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SEND));
    CU_ASSERT_EQUAL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS)->lanes_log2, 0);
}

static void test_back_off_doubles_up_to_the_policy_s_spread_and_tries_each_broker(void)
{
    boot(3);
    uint64_t longest = 0;
    for (uint32_t i = 1; i < 200; i++) {
        uint64_t bound = i < 8 ? (uint64_t)AGENT_BACKOFF_MS << (i - 1) : 60000;
        feed_type(AGENT_LINK_DOWN);
        if (!find(AGENT_CONNECT)) {
            uint64_t wait = b.deadline_ms - b.now_ms;
            CU_ASSERT_TRUE(wait <= (bound < 60000 ? bound : 60000));
            longest = wait > longest ? wait : longest;
            b.now_ms = b.deadline_ms;
            feed_type(AGENT_TICK);
        }
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_CONNECT));
        CU_ASSERT_EQUAL(find(AGENT_CONNECT)->cell, i % 3);
    }
    CU_ASSERT_TRUE(longest > 50000);
}

/* The time until the next connection, which is up when this returns. */
static uint64_t lose_link(uint64_t after_ms)
{
    b.now_ms += after_ms;
    feed_type(AGENT_LINK_DOWN);
    uint64_t wait = find(AGENT_CONNECT) ? 0 : b.deadline_ms - b.now_ms;
    b.now_ms += wait;
    if (wait > 0)
        feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_CONNECT));
    feed_type(AGENT_LINK_UP);
    return wait;
}

/* It would cost a device its flash and its log. */
static void test_broker_that_hangs_up_at_once_is_met_ever_more_seldom(void)
{
    uint64_t first_ms, waited_ms = 0;
    boot_and_connect();
    first_ms = b.now_ms;
    unsigned met = 0;
    for (; b.now_ms < first_ms + 86400000; met++)
        waited_ms += lose_link(10);
    CU_ASSERT_TRUE(met > 1440 && met < 4320); /* half of the spread on average */
    CU_ASSERT_TRUE(waited_ms / met > 20000);
    /* After a link that lasted, it begins small again. */
    lose_link(AGENT_STEADY_MS);
    CU_ASSERT_TRUE(lose_link(10) <= 2 * AGENT_BACKOFF_MS);
}

/* A broker that dies leaves all its agents at once, and they come to others. */
static void test_those_that_lose_a_steady_link_come_back_over_the_whole_spread(void)
{
    unsigned parts[6] = {0};
    for (int i = 0; i < 600; i++) {
        boot_and_connect();
        b.a.rng.state = (uint64_t)i;
        parts[lose_link(AGENT_STEADY_MS) / 10001]++; /* the spread is a minute */
    }
    for (int i = 0; i < 6; i++)
        CU_ASSERT_TRUE(parts[i] > 70 && parts[i] < 130);
}

/* Waits of up to a minute become one of two seconds, and what follows begins small again. */
static void test_new_network_is_tried_soon_and_by_no_two_agents_at_once(void)
{
    uint64_t soonest = UINT64_MAX, latest = 0;
    for (int i = 0; i < 50; i++) {
        boot_and_connect();
        b.a.rng.state = (uint64_t)i;
        for (int failures = 0; failures < 20; failures++)
            lose_link(10);
        feed_type(AGENT_LINK_DOWN);
        feed_type(AGENT_NETWORK);
        uint64_t wait = find(AGENT_CONNECT) ? 0 : b.deadline_ms - b.now_ms;
        soonest = wait < soonest ? wait : soonest;
        latest = wait > latest ? wait : latest;
        b.now_ms += wait;
        feed_type(AGENT_TICK);
        feed_type(AGENT_LINK_DOWN);
        CU_ASSERT_TRUE(b.deadline_ms - b.now_ms <= AGENT_BACKOFF_MS);
    }
    CU_ASSERT_TRUE(latest <= AGENT_NETWORK_MS && latest - soonest > AGENT_NETWORK_MS / 2);
}

/* Its broker is well, so nobody else comes with it. */
static void test_link_that_did_not_outlive_its_network_is_made_anew_soon(void)
{
    boot_and_connect();
    struct desired *d = document(3, 0);
    d->policy.reconnect_spread_s = 86400;
    take(d);
    b.now_ms += AGENT_STEADY_MS;
    feed((struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_TIMEOUT});
    CU_ASSERT_TRUE(find(AGENT_CONNECT) || b.deadline_ms - b.now_ms <= AGENT_NETWORK_MS);
}

static void test_new_network_leaves_a_link_that_is_up_alone(void)
{
    boot_and_connect();
    feed_type(AGENT_NETWORK);
    CU_ASSERT_EQUAL(b.a.link, LINK_UP);
    CU_ASSERT_PTR_NULL(find(AGENT_CONNECT));
}

static void test_document_with_other_lanes_moves_the_subscription(void)
{
    boot_and_connect();
    struct desired *d = document(3, 0);
    d->lanes_log2 = 5;
    take(d);
    CU_ASSERT_EQUAL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS)->lanes_log2, 5);
    head(AGENT_TOPIC_DOCUMENT,
         (struct head){.revision = {1, 3}}); /* which the other lane retains */
    CU_ASSERT_PTR_NULL(find(AGENT_SUBSCRIBE));
    feed_type(AGENT_LINK_DOWN);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_EQUAL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS)->lanes_log2, 5);
}

static void test_who_has_no_document_that_counts_is_in_lane_0(void)
{
    boot_and_connect();
    struct desired *d = document(3, 0);
    d->lanes_log2 = 5;
    take(d);
    b.wall_s = d->not_after_s + 1;
    feed_type(AGENT_TICK);
    CU_ASSERT_EQUAL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS)->lanes_log2, 0);
    feed_type(AGENT_LINK_DOWN);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_EQUAL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS)->lanes_log2, 0);
    b.document.revision = (struct revision){0}; /* none of its cohort */
    b.wall_s = 1000;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NULL(find(AGENT_SUBSCRIBE));
}

static void test_document_that_does_not_come_is_asked_for_again(void)
{
    boot_and_connect();
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 4}});
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    b.now_ms += AGENT_ASK_AGAIN_MS - 1;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    b.now_ms += 1;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_UNSUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    take(document(3, 0)); /* newer than nothing, and not yet what the head promised */
    CU_ASSERT_PTR_NULL(find_topic(AGENT_UNSUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    take(document(4, 0));
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_UNSUBSCRIBE, AGENT_TOPIC_DOCUMENT));
}

/* As after a sync of the disk that took its time: nothing came of four questions, the certificate
 * is due, the document has expired, and the window of what was unpacked has closed. */
static void test_all_that_is_late_at_once_fits_into_one_step(void)
{
    boot_and_connect();
    b.view.certificate_from_s = 1;
    b.view.certificate_until_s = 100;
    struct desired *d = document(1, 2);
    d->lanes_log2 = 3;
    d->policy.heartbeat_s = 15;
    d->records[0].rules.window = (struct window){.minutes = 1,
                                                 .hours = 1,
                                                 .days = UINT32_MAX - 1,
                                                 .months = (1u << 13) - 2,
                                                 .weekdays = 0x7f,
                                                 .length_s = 3600};
    take(d);
    for (int i = 0; i < 2; i++)
        done(AGENT_FETCH, ERR_TIMEOUT);
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_FETCH, 0);
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 9}});
    head(AGENT_TOPIC_ASSIGNMENT, (struct head){.revision = {1, 9}, .trust_version = 9, .atlas = 9});
    b.now_ms += AGENT_ASK_AGAIN_MS;
    b.wall_s = 100000;
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(b.seen.action_count, 13);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SWEEP));
    for (int topic = AGENT_TOPIC_HEADS; topic < AGENT_TOPIC_COUNT; topic++)
        CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, (enum agent_topic)topic));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_RENEW));
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 2);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SEND));
}

/* The number of requests for the topic until that much later; what is done at all deadlines. */
static unsigned requests_within(enum agent_topic topic, uint64_t ms)
{
    unsigned requests = 0;
    for (uint64_t until_ms = b.now_ms + ms; b.now_ms < until_ms;) {
        uint64_t next_ms = b.deadline_ms > b.now_ms ? b.deadline_ms : b.now_ms + 1;
        b.now_ms = next_ms < until_ms ? next_ms : until_ms;
        feed_type(AGENT_TICK);
        requests += find_topic(AGENT_SUBSCRIBE, topic) != NULL;
    }
    return requests;
}

static void test_lie_of_a_broker_costs_the_next_one_a_fetch_of_each_kind(void)
{
    const struct head lie = {.revision = {1, 99}, .trust_version = 99, .atlas = 99};
    const struct head truth = {.revision = {1, 3}};
    boot_and_connect();
    take(document(3, 0));
    head(AGENT_TOPIC_DOCUMENT, lie);
    head(AGENT_TOPIC_ASSIGNMENT, lie);
    CU_ASSERT_TRUE(requests_within(AGENT_TOPIC_DOCUMENT, 10 * AGENT_ASK_AGAIN_MS) > 5);
    feed_type(AGENT_LINK_DOWN);
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_DOCUMENT, truth);
    head(AGENT_TOPIC_ASSIGNMENT, (struct head){.revision = {1, 1}});
    b.now_ms += AGENT_ASK_AGAIN_MS;
    feed_type(AGENT_TICK); /* the document waited for the assignment */
    for (enum agent_topic topic = AGENT_TOPIC_DOCUMENT; topic < AGENT_TOPIC_COUNT; topic++) {
        CU_ASSERT_TRUE(requests_within(topic, 2 * AGENT_ASK_AGAIN_MS) <= 1);
        CU_ASSERT_FALSE(b.a.asks[topic].wanted);
    }
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 4}});
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
}

/* Nobody knows which of two brokers is behind: the heads of this one are asked for once more. */
static void test_what_only_another_broker_told_is_given_up_for_what_this_one_tells(void)
{
    boot_and_connect();
    take(document(3, 0));
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 99}});
    feed_type(AGENT_LINK_DOWN);
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 4}});
    CU_ASSERT_TRUE(b.a.asks[AGENT_TOPIC_DOCUMENT].wanted);
    b.now_ms += AGENT_ASK_AGAIN_MS;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_UNSUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_HEADS));
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 4}});
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    CU_ASSERT_TRUE(requests_within(AGENT_TOPIC_DOCUMENT, 10 * AGENT_ASK_AGAIN_MS) > 5);
}

static void test_fetches_are_spread_as_the_policy_says(void)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < 60; i++) {
        boot_and_connect();
        b.a.rng.state = i;
        b.document.policy.fetch_spread_s = 100;
        head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 4}});
        uint64_t wait = b.a.asks[AGENT_TOPIC_DOCUMENT].due_ms - b.now_ms;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    CU_ASSERT_TRUE(least < 10000 && most > 90000 && most <= 100000 + AGENT_ASK_AGAIN_MS);
}

/* ---- statuses ---- */

static void test_changes_in_quick_succession_make_one_status(void)
{
    boot_and_connect();
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SEND));
    take(document(1, 0));
    take(document(2, 0));
    CU_ASSERT_PTR_NULL(find(AGENT_SEND));
    CU_ASSERT_EQUAL(b.deadline_ms, 1000 + AGENT_STATUS_GAP_MS);
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_SEND));
    CU_ASSERT_EQUAL(find(AGENT_SEND)->status->document.number, 2);
    b.now_ms += 5000;
    take(document(3, 0));
    CU_ASSERT_EQUAL(b.deadline_ms, b.now_ms + AGENT_STATUS_SETTLE_MS);
}

static void beat(void)
{
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SEND));
}

/* The hello may have met a broker where the manager had not subscribed yet. */
static void test_first_heartbeat_of_a_connection_comes_early(void)
{
    boot_and_connect();
    uint64_t wait = b.deadline_ms - b.now_ms;
    CU_ASSERT_TRUE(wait >= AGENT_HELLO_AGAIN_MS && wait < 2 * AGENT_HELLO_AGAIN_MS);
    beat();
    CU_ASSERT_FALSE(find(AGENT_SEND)->status->flags & STATUS_HELLO);
}

static void test_heartbeats_come_in_the_last_quarter_of_their_time(void)
{
    boot_and_connect();
    beat();
    for (int i = 0; i < 50; i++) {
        uint64_t wait = b.deadline_ms - b.now_ms;
        CU_ASSERT_TRUE(wait >= 675000 && wait <= 900000);
        beat();
    }
}

static void test_numbers_are_reserved_before_they_run_out(void)
{
    boot_and_connect();
    for (uint32_t i = 0; i < 3 * AGENT_SEQ_BLOCK; i++) {
        b.now_ms = b.deadline_ms;
        feed_type(AGENT_TICK);
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_SEND));
        CU_ASSERT_TRUE(b.a.seq <= b.a.seq_ceiling);
    }
    CU_ASSERT_TRUE(b.a.seq > 3 * AGENT_SEQ_BLOCK);
}

static void test_more_exceptions_than_fit_are_flagged(void)
{
    struct status s;
    boot_and_connect();
    take(document(1, EXCEPTIONS_MAX));
    agent_status(&b.a, &b.view, &s);
    CU_ASSERT_EQUAL(s.count, EXCEPTIONS_MAX);
    CU_ASSERT_FALSE(s.flags & STATUS_TRUNCATED);
    take(document(2, EXCEPTIONS_MAX + 1));
    agent_status(&b.a, &b.view, &s);
    CU_ASSERT_EQUAL(s.count, EXCEPTIONS_MAX);
    CU_ASSERT_TRUE(s.flags & STATUS_TRUNCATED);
}

static void test_every_phase_has_a_state(void)
{
    static const enum deployment_state states[PHASE_COUNT] = {
        STATE_DOWNLOADING, STATE_APPLYING,    STATE_APPLYING, STATE_VERIFYING, STATE_READY,
        STATE_APPLYING,    STATE_ROLLED_BACK, STATE_FAILED,   STATE_REMOVING};
    for (unsigned phase = 0; phase < PHASE_COUNT; phase++)
        CU_ASSERT_EQUAL(agent_state_of(&(struct held){.phase = (uint8_t)phase}), states[phase]);
}

/* ---- work ---- */

static void test_answer_to_something_that_was_stopped_is_ignored(void)
{
    boot_and_connect();
    take(document(1, 1));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    done(AGENT_HOOK, 0);
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(b.seen.action_count, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_DOWNLOADING);
    done(AGENT_FETCH, 0);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_UNPACK));
    done(AGENT_FETCH, 0);
    CU_ASSERT_EQUAL(b.seen.action_count, 0);
}

static void test_new_document_makes_the_fetch_think_again(void)
{
    boot_and_connect();
    take(document(1, 1));
    struct desired *d = document(2, 2);
    d->records[1].priority = 9;
    take(d);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH_STOP));
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 2);
}

static void test_what_is_half_applied_goes_on_before_what_is_urgent(void)
{
    come_to_the_first_hook();
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_APPLYING);
    b.document.records[1] = b.document.records[0];
    b.document.records[1].deployment = 2;
    b.document.records[1].priority = 9;
    b.document.count = 2;
    agent_init(&b.a, &(struct agent_options){.number = 7, .boot = 4});
    feed_type(AGENT_BOOT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 1);
}

/* So that whoever performs it knows what kind of bundle is taken away. */
static void test_going_back_names_what_it_comes_from(void)
{
    come_to_the_first_hook();
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, ERR_IO);
    const struct agent_action *back = find(AGENT_SWITCH);
    CU_ASSERT_PTR_NOT_NULL_FATAL(back);
    CU_ASSERT_TRUE(digest_is_zero(&back->bundle));
    CU_ASSERT_EQUAL(back->previous.bytes[0], 1);
}

static const struct desired *version(uint32_t number)
{
    struct desired *d = document(number, 1);
    d->records[0].stable = (struct target){number, {{(uint8_t)number}}, 0};
    return d;
}

/* Version 2 fails after version 1, whose tree is gone. */
static void fail_where_the_tree_before_is_gone(void)
{
    boot_and_connect();
    take(version(1));
    succeed();
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
    take(version(2));
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, ERR_IO);
    CU_ASSERT_EQUAL(find(AGENT_SWITCH)->bundle.bytes[0], 1);
    done(AGENT_SWITCH, ERR_NOT_FOUND);
    const struct agent_action *unpack = find(AGENT_UNPACK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(unpack);
    CU_ASSERT_EQUAL(unpack->bundle.bytes[0], 1);
    CU_ASSERT_EQUAL(unpack->previous.bytes[0], 2);
}

static void test_tree_to_go_back_to_is_unpacked_again_when_it_is_gone(void)
{
    fail_where_the_tree_before_is_gone();
    done(AGENT_UNPACK, ERR_NO_SPACE);
    CU_ASSERT_EQUAL(b.a.put_off, 1);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_UNDOING);
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_SWITCH, ERR_NOT_FOUND);
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(find(AGENT_SWITCH)->bundle.bytes[0], 1);
    done(AGENT_SWITCH, 0);
    CU_ASSERT_EQUAL(find(AGENT_HOOK)->bundle.bytes[0], 1);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_ROLLED_BACK);
    CU_ASSERT_EQUAL(b.held[0].running.bundle.bytes[0], 1);
}

/* It waits for nothing that may never come: the next version finds it free. */
static void test_what_can_not_be_gone_back_to_is_forgotten(void)
{
    fail_where_the_tree_before_is_gone();
    done(AGENT_UNPACK, ERR_DAMAGED);
    CU_ASSERT_TRUE(digest_is_zero(&find(AGENT_SWITCH)->bundle));
    done(AGENT_SWITCH, 0);
    CU_ASSERT_EQUAL(find(AGENT_HOOK)->hook, HOOK_REMOVE);
    CU_ASSERT_EQUAL(find(AGENT_HOOK)->bundle.bytes[0], 2);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_FAILED);
    CU_ASSERT_EQUAL(b.held[0].running.generation, 0);
    CU_ASSERT_EQUAL(b.held[0].cause, CAUSE_DISK);
    take(version(3));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

static void test_health_is_tried_at_its_interval_and_ends_at_its_deadline(void)
{
    come_to_the_first_hook();
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(find(AGENT_HOOK)->hook, HOOK_HEALTH);
    for (int tries = 1; tries <= 3; tries++) {
        done(AGENT_HOOK, ERR_REFUSED);
        CU_ASSERT_PTR_NULL(find(AGENT_HOOK));
        b.now_ms += 3000;
        feed_type(AGENT_TICK);
        CU_ASSERT_PTR_NOT_NULL(find(AGENT_HOOK));
    }
    done(AGENT_HOOK, ERR_REFUSED); /* the fourth, at 9 s of 10: there is no time for a fifth */
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_UNDOING);
    CU_ASSERT_EQUAL(b.held[0].cause, CAUSE_HEALTH);
}

static void test_switch_that_fails_is_taken_back_and_a_full_disk_only_waits(void)
{
    static const int codes[] = {ERR_IO, ERR_NO_SPACE};
    for (int i = 0; i < 2; i++) {
        boot_and_connect();
        take(document(1, 1));
        done(AGENT_FETCH, 0);
        done(AGENT_UNPACK, 0);
        done(AGENT_HOOK, 0);
        done(AGENT_SWITCH, codes[i]);
        CU_ASSERT_EQUAL(b.held[0].phase, i ? PHASE_APPLYING : PHASE_UNDOING);
        CU_ASSERT_EQUAL(b.a.put_off, i ? 1 : 0);
    }
}

static void test_waiting_for_the_disk_is_no_attempt(void)
{
    boot_and_connect();
    take(document(1, 1));
    for (int i = 0; i < 3 * AGENT_ATTEMPTS_MAX; i++) {
        done(AGENT_FETCH, 0);
        done(AGENT_UNPACK, 0);
        done(AGENT_HOOK, 0);
        done(AGENT_SWITCH, ERR_NO_SPACE);
        CU_ASSERT_EQUAL(b.deadline_ms <= b.now_ms + AGENT_RETRY_MS, true);
        b.now_ms += AGENT_RETRY_MS;
        feed_type(AGENT_TICK);
        CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    }
    CU_ASSERT_EQUAL(b.held[0].attempts, 1);
}

static void test_waiting_for_the_disk_in_turn_with_another_is_no_attempt_either(void)
{
    boot_and_connect();
    take(document(1, 2));
    for (int i = 0; i < 3 * AGENT_ATTEMPTS_MAX; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
        CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 1);
        done(AGENT_FETCH, 0);
        done(AGENT_UNPACK, 0);
        done(AGENT_HOOK, 0);
        done(AGENT_SWITCH, ERR_NO_SPACE);
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
        CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 2);
        done(AGENT_FETCH, ERR_NO_SPACE);
        b.now_ms += AGENT_RETRY_MS;
        feed_type(AGENT_TICK);
    }
    CU_ASSERT_EQUAL(b.held[0].attempts, 1);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_APPLYING);
}

/* There is no process for the hook: the version waits for one, and so does going back. */
static void test_machine_that_lacks_memory_is_waited_for(void)
{
    come_to_the_first_hook();
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, ERR_NO_MEMORY);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_APPLYING);
    CU_ASSERT_EQUAL(b.a.put_off, 1);
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, ERR_REFUSED);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, ERR_NO_MEMORY);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_UNDOING);
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_FAILED);
    CU_ASSERT_EQUAL(b.held[0].cause, CAUSE_APPLY);
}

/* The version before failed as well, and only this one's row has taken its place. */
static void test_full_disk_is_swept(void)
{
    boot_and_connect();
    take(document(1, 1));
    CU_ASSERT_PTR_NULL(find(AGENT_SWEEP));
    done(AGENT_FETCH, ERR_TIMEOUT);
    CU_ASSERT_PTR_NULL(find(AGENT_SWEEP));
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_FETCH, ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SWEEP));
    b.now_ms += AGENT_RETRY_MS;
    feed_type(AGENT_TICK);
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SWEEP));
}

static void test_everybody_has_a_turn_when_all_downloads_fail(void)
{
    unsigned turns[9] = {0};
    boot_and_connect();
    take(document(1, 8));
    for (int i = 0; i < 80; i++) {
        if (!find(AGENT_FETCH)) {
            b.now_ms += AGENT_RETRY_MS;
            feed_type(AGENT_TICK);
        }
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
        turns[find(AGENT_FETCH)->deployment]++;
        done(AGENT_FETCH, ERR_TIMEOUT);
    }
    for (int i = 1; i <= 8; i++)
        CU_ASSERT_EQUAL(turns[i], 10);
}

static void test_full_document_is_worked_off_one_by_one(void)
{
    boot_and_connect();
    take(document(1, RECORDS_MAX));
    for (uint32_t i = 1; i <= RECORDS_MAX; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
        CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, i);
        succeed();
    }
    CU_ASSERT_EQUAL(b.view.held_count, RECORDS_MAX);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    struct status s;
    agent_status(&b.a, &b.view, &s);
    CU_ASSERT_EQUAL(s.count, 0);
}

static void check_status(uint32_t count, enum deployment_state first, uint32_t running)
{
    struct status s;
    agent_status(&b.a, &b.view, &s);
    CU_ASSERT_EQUAL_FATAL(s.count, count);
    CU_ASSERT_EQUAL(s.exceptions[0].state, first);
    CU_ASSERT_EQUAL(s.exceptions[0].running, running);
}

/* The second of two is to go, the first is to change, and one is to come. */
/* ---- what comes before what ---- */

static enum cause cause_of(uint32_t deployment)
{
    struct status s;
    agent_status(&b.a, &b.view, &s);
    for (uint32_t i = 0; i < s.count; i++)
        if (s.exceptions[i].deployment == deployment && s.exceptions[i].state == STATE_PENDING)
            return (enum cause)s.exceptions[i].cause;
    return CAUSE_COUNT;
}

static void comes_after(struct desired *d, uint32_t deployment, uint32_t first)
{
    struct dependencies *after = &d->records[deployment - 1].rules.after;
    after->numbers[after->count++] = first;
}

static void test_what_depends_on_another_waits_whatever_its_priority(void)
{
    boot_and_connect();
    struct desired *d = document(1, 2);
    d->records[0].priority = 9;
    comes_after(d, 1, 2);
    take(d);
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 2);
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_AFTER);
    succeed();
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 1);
    succeed();
    CU_ASSERT_EQUAL(b.held[0].after.count + b.held[1].after.count, 1);
}

/* 4 depends on 2 and 3, and both on 1; that fails, and is mended. */
static void test_what_failed_holds_up_all_that_depends_on_it(void)
{
    boot_and_connect();
    struct desired *d = document(1, 4);
    comes_after(d, 2, 1);
    comes_after(d, 3, 1);
    comes_after(d, 4, 2);
    comes_after(d, 4, 3);
    take(d);
    CU_ASSERT_EQUAL(cause_of(4), CAUSE_AFTER);
    done(AGENT_FETCH, ERR_FORMAT);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    for (uint32_t n = 2; n <= 4; n++)
        CU_ASSERT_EQUAL(cause_of(n), CAUSE_STUCK);
    d->revision.number = 2;
    d->records[0].stable.generation = 2;
    take(d);
    for (uint32_t n = 1; n <= 4; n++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
        CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, n);
        succeed();
    }
}

/* No manager writes one. */
static void test_circle_begins_nothing_and_ends_nowhere(void)
{
    boot_and_connect();
    struct desired *d = document(1, 4);
    comes_after(d, 1, 2);
    comes_after(d, 2, 3);
    comes_after(d, 3, 1);
    take(d);
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 4);
    for (uint32_t n = 1; n <= 3; n++)
        CU_ASSERT_EQUAL(cause_of(n), CAUSE_AFTER);
    succeed();
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
}

/* What it depends on is changed while it is fetched. */
static void test_rule_is_looked_at_again_before_anything_is_changed(void)
{
    boot_and_connect();
    struct desired *d = document(1, 2);
    comes_after(d, 2, 1);
    take(d);
    succeed();
    done(AGENT_FETCH, 0);
    CU_ASSERT_EQUAL(find(AGENT_UNPACK)->deployment, 2);
    d->revision.number = 2;
    d->records[0].stable.generation = 2;
    d->records[0].stable.bundle.bytes[0] = 9;
    take(d);
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(cause_of(2), CAUSE_AFTER);
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 1);
    succeed();
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 2);
}

/* ---- when something may begin ---- */

/* One deployment, from 2 to 3 o'clock each day; it is 0:16:40. */
static struct desired *nightly(uint32_t number)
{
    struct desired *d = document(number, 1);
    d->not_after_s = UINT64_MAX;
    d->records[0].rules.window = (struct window){.minutes = 1,
                                                 .hours = 1u << 2,
                                                 .days = UINT32_MAX - 1,
                                                 .months = (1u << 13) - 2,
                                                 .weekdays = 0x7f,
                                                 .length_s = 3600};
    return d;
}

static void pass_time(uint64_t s)
{
    b.now_ms += s * 1000;
    b.wall_s += s;
    feed_type(AGENT_TICK);
}

static void test_nothing_begins_outside_its_window(void)
{
    boot_and_connect();
    take(nightly(1));
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_WINDOW);
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + 60000);
    pass_time(7200 - 1000 - 1);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + 1000);
    pass_time(1);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
}

static void test_window_goes_by_the_device_s_zone_when_the_clock_is_put_on(void)
{
    boot_and_connect();
    take(nightly(1));
    b.east_s = 3600;
    pass_time(2000); /* 1:50 there */
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_WINDOW);
    b.east_s = 7200;
    pass_time(60);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

/* Where somebody sets the clock, the next look is at most a minute away. */
static void test_window_is_found_open_after_the_calendar_has_jumped(void)
{
    boot_and_connect();
    take(nightly(1));
    b.wall_s = 86400 + 7200;
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

/* What has come waits; it is not changed when the window has closed meanwhile. */
static void test_window_that_closes_during_the_fetch_puts_the_change_off(void)
{
    boot_and_connect();
    b.wall_s = 7200;
    take(nightly(1));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    pass_time(3600);
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_DOWNLOADING);
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_WINDOW);
    pass_time(23 * 3600);
    succeed();
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
}

static void test_what_is_begun_ends_outside_its_window(void)
{
    boot_and_connect();
    b.wall_s = 7200;
    take(nightly(1));
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    pass_time(7200);
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
}

/* The loop would go round as fast as it can. */
static void test_rule_whose_time_comes_while_a_trust_document_is_awaited_is_waited_for_once(void)
{
    boot_and_connect();
    take(nightly(1));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_WINDOW);
    b.now_ms += 60000 - AGENT_ASK_AGAIN_MS / 2;
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 1}, .trust_version = 2});
    b.wall_s = 7200;
    for (int ticks = 0; !find(AGENT_FETCH) && ticks < 10; ticks++) {
        CU_ASSERT_TRUE(b.deadline_ms > b.now_ms);
        b.now_ms = b.deadline_ms;
        feed_type(AGENT_TICK);
    }
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

/* A calendar a little behind is one; without any, its window never opens. */
static void test_device_that_does_not_know_the_time_waits_and_says_so(void)
{
    boot_and_connect();
    b.view.signed_s = 7200 + AGENT_CLOCK_SLACK_S;
    take(nightly(1));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_CLOCK);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    b.wall_s = 7200;
    b.now_ms = b.deadline_ms;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH)); /* it is later by now */
    b.wall_s = 7500;
    b.now_ms += 60000;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

/* ---- coming back ---- */

/* Who was away for five minutes asks before it begins. */
static struct desired *asking(uint32_t number, uint32_t generation)
{
    struct desired *d = document(number, 1);
    d->records[0].stable.generation = generation;
    d->records[0].stable.bundle.bytes[0] = (uint8_t)generation;
    d->records[0].rules.asks_after_s = 300;
    return d;
}

static void take_assignment(uint32_t number, uint32_t permitted)
{
    struct assignment mine = b.assignment;
    mine.revision.number = number;
    mine.permit_count = permitted > 0;
    mine.permits[0] = (struct permit){.deployment = 1, .generation = permitted};
    head(AGENT_TOPIC_ASSIGNMENT, (struct head){.revision = mine.revision});
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
}

static void hear_heads(uint32_t document_number)
{
    struct head h = {.revision = {1, document_number}, .trust_version = 1};
    head(AGENT_TOPIC_DOCUMENT, h);
    h.revision = b.assignment.revision;
    head(AGENT_TOPIC_ASSIGNMENT, h);
}

/* Connected for long, and Ready with the first generation. */
static void be_in_touch(void)
{
    boot_and_connect();
    take(document(1, 1));
    succeed();
    hear_heads(1);
    pass_time(AGENT_KNOWN_MS / 1000);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
}

static void test_who_was_away_asks_before_it_begins(void)
{
    boot_and_connect();
    hear_heads(1);
    take(asking(1, 1));
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    take_assignment(2, 2); /* for another generation */
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    take_assignment(3, 1);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
    succeed();
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
}

static void test_who_is_in_touch_when_it_is_let_in_begins_at_once(void)
{
    be_in_touch();
    hear_heads(2);
    take(asking(2, 2));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    hear_heads(3); /* nothing else is asked of it */
    take(asking(3, 2));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
}

/* The manager may not have heard by then that it is here. */
static void test_who_has_just_connected_asks(void)
{
    be_in_touch();
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    feed_type(AGENT_LINK_UP);
    hear_heads(1);
    pass_time(AGENT_KNOWN_MS / 1000 - 1);
    hear_heads(2);
    take(asking(2, 2));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
}

static void test_gate_that_moved_during_a_short_absence_lets_in_at_once(void)
{
    be_in_touch();
    pass_time(900); /* and a heartbeat */
    feed_type(AGENT_LINK_DOWN);
    pass_time(100);
    feed_type(AGENT_LINK_UP);
    hear_heads(2);
    take(asking(2, 2));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
}

static void test_who_goes_away_for_long_before_it_begins_asks_again(void)
{
    be_in_touch();
    hear_heads(2);
    take(asking(2, 2));
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH_STOP));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
}

static void test_what_was_begun_is_ended_without_asking(void)
{
    be_in_touch();
    hear_heads(2);
    take(asking(2, 2));
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(b.a.step, STEP_PRE_APPLY);
    feed_type(AGENT_LINK_DOWN);
    pass_time(3000);
    feed_type(AGENT_LINK_UP);
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
}

/* It may have been taken back meanwhile. */
static void test_permit_of_before_counts_when_its_assignment_is_still_the_newest(void)
{
    boot_and_connect();
    hear_heads(1);
    take(asking(1, 1));
    take_assignment(2, 1);
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    hear_heads(1);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + AGENT_KNOWN_MS);
    pass_time(AGENT_KNOWN_MS / 1000); /* nobody has taken it back */
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_ASSIGNMENT, (struct head){.revision = {1, 3}});
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    pass_time(3 * AGENT_ASK_AGAIN_MS / 1000); /* the broker is asked in vain */
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    feed_type(AGENT_LINK_UP);
    hear_heads(1); /* another broker knows of none: that head was forged, or this one is behind */
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    pass_time(3 * AGENT_ASK_AGAIN_MS / 1000);
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
}

static void test_permit_that_is_taken_back_stops_the_fetch(void)
{
    boot_and_connect();
    hear_heads(1);
    take(asking(1, 1));
    take_assignment(2, 1);
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    take_assignment(3, 0);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH_STOP));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
}

/* ---- under a budget ---- */

/* A rollout of the second generation, in this order: those below `before` are let in. */
static struct desired *ordered(uint32_t number, uint32_t order, uint64_t threshold, uint32_t before)
{
    struct desired *d = document(number, 1);
    d->records[0].next = d->records[0].stable;
    d->records[0].next.generation = 2;
    d->records[0].next.bundle.bytes[0] = 2;
    d->records[0].next_gate = (struct gate){threshold, before};
    d->records[0].rules.asks_after_s = 300;
    d->records[0].rules.order = order;
    return d;
}

static void follow(struct desired *d)
{
    hear_heads(d->revision.number);
    take(d);
}

/* In touch, and behind a gate that is closed. */
static void stand_in_line(uint32_t order)
{
    be_in_touch();
    follow(ordered(2, order, 0, 100));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
}

static void test_gate_that_moves_past_those_in_line_lets_them_begin(void)
{
    stand_in_line(3);
    follow(ordered(3, 3, UINT64_MAX, 100));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
}

/* Each time something else has brought it there than the gate. */
static void test_whom_anything_else_brings_there_asks(void)
{
    be_in_touch();
    follow(ordered(2, 3, UINT64_MAX, 100)); /* it stood before no gate */
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    stand_in_line(3);
    follow(ordered(3, 4, UINT64_MAX, 100)); /* another order */
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    stand_in_line(3);
    follow(ordered(3, 3, UINT64_MAX, UINT32_MAX)); /* open to whoever comes, as to one that … */
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
    be_in_touch();
    follow(ordered(2, 3, 0, 3)); /* … joined late */
    follow(ordered(3, 3, UINT64_MAX, UINT32_MAX));
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    stand_in_line(3);
    follow(ordered(4, 3, UINT64_MAX, 100)); /* it has missed a document */
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
}

static void test_who_was_cordoned_or_on_another_list_asks(void)
{
    stand_in_line(3);
    struct assignment mine = b.assignment;
    mine.revision.number = 2;
    mine.cordoned = true;
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
    follow(ordered(3, 3, UINT64_MAX, 100));
    mine.revision.number = 3;
    mine.cordoned = false;
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    be_in_touch();
    struct desired *d = document(2, 2);
    d->records[1].flags = RECORD_LISTED;
    d->records[1].rules = (struct rules){.asks_after_s = 300, .order = 3};
    follow(d);
    mine = b.assignment;
    mine.revision.number = 2;
    mine.listed_count = 1;
    mine.listed[0] = 2;
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
    CU_ASSERT_EQUAL(cause_of(2), CAUSE_RETURNING);
}

/* What was said in between, it hasn't heard. */
static void test_who_missed_an_assignment_asks(void)
{
    stand_in_line(3);
    follow(ordered(3, 3, UINT64_MAX, 100));
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    struct assignment mine = b.assignment;
    mine.revision.number = 2;
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
    CU_ASSERT_EQUAL(b.a.step, STEP_FETCH);
    mine.revision.number = 4;
    feed((struct agent_event){.type = AGENT_ASSIGNMENT, .assignment = &mine});
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_RETURNING);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
}

/* What only its number is new of needs no permit. */
static void test_who_runs_the_bundle_already_takes_the_number_without_asking(void)
{
    be_in_touch();
    feed_type(AGENT_LINK_DOWN);
    pass_time(300);
    feed_type(AGENT_LINK_UP);
    struct desired *d = asking(2, 2);
    d->records[0].stable.bundle = b.held[0].running.bundle;
    take(d);
    CU_ASSERT_EQUAL(b.held[0].running.generation, 2);
}

/* The eight that a status has room for may all have failed. */
static void test_who_asks_is_named_first(void)
{
    boot_and_connect();
    hear_heads(1);
    struct desired *d = document(1, 12);
    d->records[11].rules.asks_after_s = 300;
    take(d);
    CU_ASSERT_EQUAL(cause_of(12), CAUSE_RETURNING);
}

/* ---- trying again ---- */

static struct desired *tried_thrice(uint32_t number)
{
    struct desired *d = document(number, 1);
    d->records[0].rules.retries = 2;
    d->records[0].rules.back_off_s = 100;
    return d;
}

static void fail_to_prepare(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
    done(AGENT_FETCH, 0);
    done(AGENT_UNPACK, 0);
    done(AGENT_HOOK, ERR_REFUSED);
}

static void test_what_failed_is_tried_again_after_twice_the_time(void)
{
    boot_and_connect();
    take(tried_thrice(1));
    fail_to_prepare();
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_PRE_APPLY);
    pass_time(99);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + 1000);
    pass_time(1);
    fail_to_prepare();
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_PRE_APPLY);
    pass_time(199);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    pass_time(1);
    fail_to_prepare();
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT); /* it is Failed */
    CU_ASSERT_EQUAL(b.held[0].failures, 3);
    pass_time(100000);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    struct desired *d = tried_thrice(2);
    d->records[0].stable.generation = 2;
    take(d);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(b.held[0].failures, 0);
}

/* Its back-off is counted by the calendar, which may be lost with the power; never for longer than
 * the whole. */
static void test_back_off_is_never_longer_than_it_is(void)
{
    boot_and_connect();
    take(tried_thrice(1));
    b.wall_s = 1000000;
    fail_to_prepare();
    b.wall_s = 1000;
    b.now_ms += 1000;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + 100000);
}

static void test_refused_content_is_not_tried_again(void)
{
    boot_and_connect();
    take(tried_thrice(1));
    done(AGENT_FETCH, ERR_FORMAT);
    pass_time(1000);
    CU_ASSERT_PTR_NULL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_FAILED);
    CU_ASSERT_EQUAL(cause_of(1), CAUSE_COUNT);
}

static void test_cordoned_agent_begins_nothing_and_still_removes(void)
{
    boot_and_connect();
    take(document(1, 2));
    succeed();
    succeed();
    b.assignment.cordoned = true;
    struct desired *d = document(2, 3);
    d->records[0].stable = (struct target){.generation = 2, .bundle = {{9}}};
    d->records[1] = d->records[2];
    d->count = 2;
    take(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_HOOK));
    CU_ASSERT_EQUAL(find(AGENT_HOOK)->hook, HOOK_REMOVE);
    done(AGENT_HOOK, 0);
    done(AGENT_DETACH, 0);
    CU_ASSERT_EQUAL(b.a.step, STEP_NONE);
    CU_ASSERT_EQUAL(b.view.held_count, 1);
    check_status(2, STATE_PAUSED, 1);
    b.assignment.cordoned = false;
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(find(AGENT_FETCH));
    CU_ASSERT_EQUAL(find(AGENT_FETCH)->deployment, 1);
    check_status(2, STATE_DOWNLOADING, 1);
}

static void test_cordoned_agent_ends_what_it_has_begun(void)
{
    come_to_the_first_hook();
    b.assignment.cordoned = true;
    done(AGENT_HOOK, 0);
    done(AGENT_SWITCH, 0);
    done(AGENT_HOOK, 0);
    done(AGENT_HOOK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_SETTLED);
}

/* Told every hour, written once; only a cell that lets it in again takes it back. */
static void test_agent_that_is_shut_out_knows_since_when(void)
{
    boot(1);
    feed_type(AGENT_SHUT_OUT);
    CU_ASSERT_EQUAL(b.view.shut_out_s, 1000);
    b.view.shut_out_s = 900;
    for (int i = 0; i < 3; i++) {
        feed_type(AGENT_SHUT_OUT);
        feed((struct agent_event){.type = AGENT_LINK_DOWN, .rv = ERR_REFUSED});
        CU_ASSERT_EQUAL(b.view.shut_out_s, 900);
    }
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_EQUAL(b.view.shut_out_s, 0);
}

/* ---- another publisher ---- */

static void take_trust(uint32_t version)
{
    b.trust.version = version; /* as the driver stores it */
    feed((struct agent_event){.type = AGENT_TRUST, .trust_version = version});
}

static void test_who_signed_it_is_looked_at_again_when_trust_has_changed_since_the_fetch_began(void)
{
    boot_and_connect();
    take(document(1, 1));
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    take_trust(2);
    done(AGENT_FETCH, 0);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_UNPACK));
    done(AGENT_UNPACK, 0);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_DOWNLOADING);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH)); /* all is there, but for the look at its manifest */
    done(AGENT_FETCH, 0);
    take_trust(3); /* while it is unpacked */
    done(AGENT_UNPACK, 0);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_FETCH));
    done(AGENT_FETCH, ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(b.held[0].phase, PHASE_FAILED);
    CU_ASSERT_EQUAL(b.held[0].cause, CAUSE_UNTRUSTED);
}

static void test_what_is_begun_goes_on_when_trust_changes(void)
{
    come_to_the_first_hook();
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_HOOK));
    take_trust(2);
    done(AGENT_HOOK, 0);
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_SWITCH));
}

/* ---- another authority ---- */

static void test_agent_asks_the_new_authority_for_a_certificate_within_the_reconnect_spread(void)
{
    boot_and_connect();
    b.view.certificate_from_s = 1;
    b.view.certificate_until_s = 60 * 86400;
    uint64_t start_ms = b.now_ms;
    head(AGENT_TOPIC_DOCUMENT, (struct head){.trust_version = 2});
    b.trust.version = 2; /* as the driver stores it */
    b.view.certificate_outdated = true;
    feed((struct agent_event){.type = AGENT_TRUST, .trust_version = 2});
    while (!find(AGENT_RENEW) && b.now_ms < start_ms + 61000) {
        CU_ASSERT_TRUE(b.deadline_ms <= start_ms + 60000);
        b.now_ms = b.deadline_ms;
        feed_type(AGENT_TICK);
    }
    CU_ASSERT_PTR_NOT_NULL(find(AGENT_RENEW));
    feed_type(AGENT_TICK);
    CU_ASSERT_PTR_NULL(find(AGENT_RENEW)); /* not again at once */
}

static bool stores(struct agent_event ev)
{
    ev.now_ms = b.now_ms;
    ev.wall_s = 1000;
    ev.view = &b.view;
    arena_reset(&b.scratch);
    agent_step(&b.a, &ev, &b.scratch, &b.out);
    return b.out.store_count == 1 && b.out.stores[0].type == AGENT_STORE_CERTIFICATE;
}

static void test_agent_takes_a_certificate_that_is_newer_or_by_another_authority(void)
{
    boot_and_connect();
    b.view.certificate_from_s = 1;
    b.view.certificate_until_s = 5000;
    struct agent_event ev = {.type = AGENT_CERTIFICATE, .certificate_until_s = 5000};
    CU_ASSERT_FALSE(stores(ev));
    ev.certificate_moved = true;
    CU_ASSERT_TRUE(stores(ev));
    ev = (struct agent_event){.type = AGENT_CERTIFICATE, .certificate_until_s = 5001};
    CU_ASSERT_TRUE(stores(ev));
}

/* ---- cells that come and go ---- */

#define SPREAD_S 100

/* Three homes, and two other cells; the agent has been with its first home for a while. */
static void boot_in_a_fleet(uint64_t seed)
{
    boot(5);
    b.view.home_count = 3;
    b.view.atlas = 4;
    b.a.rng.state = seed;
    feed_type(AGENT_LINK_UP);
    b.now_ms += AGENT_KNOWN_MS;
}

static void hear_of_atlas(uint32_t number)
{
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = b.document.revision, .atlas = number});
}

static void take_atlas(uint32_t number, uint8_t cell, bool moved)
{
    feed((struct agent_event){.type = AGENT_ATLAS,
                              .atlas = number,
                              .spread_s = SPREAD_S,
                              .cell = cell,
                              .cell_moved = moved});
}

/* How long until it connects to another cell; UINT64_MAX: not within an hour. */
static uint64_t leaves_after(void)
{
    uint64_t from_ms = b.now_ms;
    while (b.deadline_ms < from_ms + 3600000) {
        b.now_ms = b.deadline_ms;
        feed_type(AGENT_TICK);
        if (find(AGENT_CONNECT))
            return b.now_ms - from_ms;
    }
    return UINT64_MAX;
}

static void test_agent_moves_to_a_new_cell_within_the_spread_and_not_with_the_others(void)
{
    uint64_t sum = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        boot_in_a_fleet(seed);
        hear_of_atlas(5);
        CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_ATLAS));
        take_atlas(5, 1, true);
        CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_UNSUBSCRIBE, AGENT_TOPIC_ATLAS));
        uint64_t after_ms = find(AGENT_CONNECT) ? 0 : leaves_after();
        CU_ASSERT_TRUE_FATAL(after_ms <= SPREAD_S * 1000);
        CU_ASSERT_EQUAL(find(AGENT_CONNECT)->cell, 0);
        sum += after_ms;
    }
    CU_ASSERT_TRUE(sum / 200 > SPREAD_S * 400 && sum / 200 < SPREAD_S * 600);
}

static void test_agent_whose_first_home_stays_keeps_its_link(void)
{
    boot_in_a_fleet(1);
    hear_of_atlas(5);
    take_atlas(5, 0, false);
    CU_ASSERT_EQUAL(b.view.atlas, 5);
    CU_ASSERT_EQUAL(leaves_after(), UINT64_MAX);
    /* One that fell back on its second home isn't sent to the first, which may be down. */
    boot_in_a_fleet(1);
    b.a.cell = 1;
    hear_of_atlas(5);
    take_atlas(5, 1, false);
    CU_ASSERT_EQUAL(leaves_after(), UINT64_MAX);
}

static void test_agent_that_was_away_hears_where_it_belongs_before_any_document(void)
{
    boot(5);
    b.view.home_count = 3;
    b.view.atlas = 4;
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 9}, .atlas = 5});
    CU_ASSERT_PTR_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_ATLAS));
    take(document(9, 1)); /* it came all the same */
    CU_ASSERT_EQUAL(b.document.revision.number, 0);
    take_atlas(5, CELLS_MAX, true); /* this cell is none of its any more */
    CU_ASSERT_PTR_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    CU_ASSERT_TRUE(find(AGENT_CONNECT) || leaves_after() <= AGENT_NETWORK_MS);
    CU_ASSERT_EQUAL(find(AGENT_CONNECT)->cell, 0);
    feed_type(AGENT_LINK_UP);
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
}

/* Its broker withholds the atlas: work goes on. */
static void test_atlas_that_does_not_come_holds_documents_up_for_a_while(void)
{
    boot(3);
    b.view.atlas = 4;
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 9}, .atlas = 5});
    CU_ASSERT_PTR_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    uint64_t until_ms = b.now_ms + AGENT_ASK_AGAIN_MS;
    bool asked = false;
    while (!asked && b.now_ms < until_ms) {
        b.now_ms = b.deadline_ms;
        feed_type(AGENT_TICK);
        asked = find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT);
    }
    CU_ASSERT_TRUE(asked);
    CU_ASSERT_EQUAL(leaves_after(), UINT64_MAX);
}

static void test_two_atlases_at_once_are_as_good_as_having_been_away(void)
{
    boot_in_a_fleet(1);
    b.document.policy.fetch_spread_s = 3600;
    hear_of_atlas(6);
    CU_ASSERT_TRUE(b.deadline_ms <= b.now_ms + AGENT_NETWORK_MS);
    boot_in_a_fleet(1);
    b.document.policy.fetch_spread_s = 3600;
    hear_of_atlas(5);
    CU_ASSERT_TRUE(b.a.asks[AGENT_TOPIC_ATLAS].due_ms > b.now_ms + AGENT_NETWORK_MS);
    hear_of_atlas(6);
    CU_ASSERT_TRUE(b.a.asks[AGENT_TOPIC_ATLAS].due_ms <= b.now_ms + AGENT_NETWORK_MS);
}

static void test_old_atlas_changes_nothing(void)
{
    boot_in_a_fleet(1);
    hear_of_atlas(4);
    hear_of_atlas(3);
    CU_ASSERT_PTR_NULL(find(AGENT_SUBSCRIBE));
    take_atlas(4, CELLS_MAX, true);
    take_atlas(3, CELLS_MAX, true);
    CU_ASSERT_EQUAL(b.view.atlas, 4);
    CU_ASSERT_EQUAL(b.a.counters.old, 1);
    CU_ASSERT_EQUAL(leaves_after(), UINT64_MAX);
}

/* [trust-6] */
static void test_atlas_by_a_revoked_key_yields_to_any_other(void)
{
    boot_in_a_fleet(1);
    b.view.atlas = 4000000000;
    b.view.atlas_signer = (struct key_id){.bytes = {9}};
    hear_of_atlas(5);
    CU_ASSERT_PTR_NOT_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_ATLAS));
    take_atlas(5, 0, false);
    CU_ASSERT_EQUAL(b.view.atlas, 5);
}

/* What is its own isn't retained there: it takes nothing but an atlas, and looks for a home. */
static void test_agent_abroad_takes_no_documents_and_tries_its_homes_again(void)
{
    boot(5);
    b.view.home_count = 3;
    for (int i = 0; i < 3; i++) {
        feed_type(AGENT_LINK_DOWN);
        while (!find(AGENT_CONNECT)) {
            b.now_ms = b.deadline_ms;
            feed_type(AGENT_TICK);
        }
    }
    CU_ASSERT_EQUAL(find(AGENT_CONNECT)->cell, 3);
    feed_type(AGENT_LINK_UP);
    head(AGENT_TOPIC_DOCUMENT, (struct head){.revision = {1, 9}});
    CU_ASSERT_PTR_NULL(find_topic(AGENT_SUBSCRIBE, AGENT_TOPIC_DOCUMENT));
    uint64_t after_ms = leaves_after();
    CU_ASSERT_TRUE(after_ms >= AGENT_ABROAD_MS && after_ms <= 2 * AGENT_ABROAD_MS);
    CU_ASSERT_EQUAL(find(AGENT_CONNECT)->cell, 0);
}

static void test_agent_that_loses_its_link_before_it_moves_goes_to_the_new_cell(void)
{
    boot_in_a_fleet(1);
    hear_of_atlas(5);
    take_atlas(5, 1, true);
    b.now_ms += AGENT_STEADY_MS - AGENT_KNOWN_MS - 1;
    if (!find(AGENT_CONNECT))
        lose_link(0);
    CU_ASSERT_EQUAL(b.a.cell, 0);
    CU_ASSERT_EQUAL(leaves_after(), UINT64_MAX);
}

static const struct suite_test tests[] = {
    TEST(test_idle_agent_fits_in_512_bytes),
    TEST(test_agent_moves_to_a_new_cell_within_the_spread_and_not_with_the_others),
    TEST(test_agent_whose_first_home_stays_keeps_its_link),
    TEST(test_agent_that_was_away_hears_where_it_belongs_before_any_document),
    TEST(test_atlas_that_does_not_come_holds_documents_up_for_a_while),
    TEST(test_two_atlases_at_once_are_as_good_as_having_been_away),
    TEST(test_old_atlas_changes_nothing),
    TEST(test_atlas_by_a_revoked_key_yields_to_any_other),
    TEST(test_agent_abroad_takes_no_documents_and_tries_its_homes_again),
    TEST(test_agent_that_loses_its_link_before_it_moves_goes_to_the_new_cell),
    TEST(test_first_connection_waits_for_a_reserved_number),
    TEST(test_back_off_doubles_up_to_the_policy_s_spread_and_tries_each_broker),
    TEST(test_broker_that_hangs_up_at_once_is_met_ever_more_seldom),
    TEST(test_those_that_lose_a_steady_link_come_back_over_the_whole_spread),
    TEST(test_new_network_is_tried_soon_and_by_no_two_agents_at_once),
    TEST(test_link_that_did_not_outlive_its_network_is_made_anew_soon),
    TEST(test_new_network_leaves_a_link_that_is_up_alone),
    TEST(test_document_with_other_lanes_moves_the_subscription),
    TEST(test_who_has_no_document_that_counts_is_in_lane_0),
    TEST(test_document_that_does_not_come_is_asked_for_again),
    TEST(test_all_that_is_late_at_once_fits_into_one_step),
    TEST(test_lie_of_a_broker_costs_the_next_one_a_fetch_of_each_kind),
    TEST(test_what_only_another_broker_told_is_given_up_for_what_this_one_tells),
    TEST(test_fetches_are_spread_as_the_policy_says),
    TEST(test_changes_in_quick_succession_make_one_status),
    TEST(test_first_heartbeat_of_a_connection_comes_early),
    TEST(test_heartbeats_come_in_the_last_quarter_of_their_time),
    TEST(test_numbers_are_reserved_before_they_run_out),
    TEST(test_more_exceptions_than_fit_are_flagged),
    TEST(test_every_phase_has_a_state),
    TEST(test_answer_to_something_that_was_stopped_is_ignored),
    TEST(test_new_document_makes_the_fetch_think_again),
    TEST(test_what_is_half_applied_goes_on_before_what_is_urgent),
    TEST(test_going_back_names_what_it_comes_from),
    TEST(test_tree_to_go_back_to_is_unpacked_again_when_it_is_gone),
    TEST(test_what_can_not_be_gone_back_to_is_forgotten),
    TEST(test_health_is_tried_at_its_interval_and_ends_at_its_deadline),
    TEST(test_switch_that_fails_is_taken_back_and_a_full_disk_only_waits),
    TEST(test_waiting_for_the_disk_is_no_attempt),
    TEST(test_waiting_for_the_disk_in_turn_with_another_is_no_attempt_either),
    TEST(test_machine_that_lacks_memory_is_waited_for),
    TEST(test_full_disk_is_swept),
    TEST(test_everybody_has_a_turn_when_all_downloads_fail),
    TEST(test_full_document_is_worked_off_one_by_one),
    TEST(test_what_depends_on_another_waits_whatever_its_priority),
    TEST(test_what_failed_holds_up_all_that_depends_on_it),
    TEST(test_circle_begins_nothing_and_ends_nowhere),
    TEST(test_rule_is_looked_at_again_before_anything_is_changed),
    TEST(test_nothing_begins_outside_its_window),
    TEST(test_window_goes_by_the_device_s_zone_when_the_clock_is_put_on),
    TEST(test_window_is_found_open_after_the_calendar_has_jumped),
    TEST(test_window_that_closes_during_the_fetch_puts_the_change_off),
    TEST(test_what_is_begun_ends_outside_its_window),
    TEST(test_rule_whose_time_comes_while_a_trust_document_is_awaited_is_waited_for_once),
    TEST(test_device_that_does_not_know_the_time_waits_and_says_so),
    TEST(test_who_was_away_asks_before_it_begins),
    TEST(test_who_is_in_touch_when_it_is_let_in_begins_at_once),
    TEST(test_who_has_just_connected_asks),
    TEST(test_gate_that_moved_during_a_short_absence_lets_in_at_once),
    TEST(test_who_goes_away_for_long_before_it_begins_asks_again),
    TEST(test_what_was_begun_is_ended_without_asking),
    TEST(test_permit_of_before_counts_when_its_assignment_is_still_the_newest),
    TEST(test_permit_that_is_taken_back_stops_the_fetch),
    TEST(test_gate_that_moves_past_those_in_line_lets_them_begin),
    TEST(test_whom_anything_else_brings_there_asks),
    TEST(test_who_was_cordoned_or_on_another_list_asks),
    TEST(test_who_missed_an_assignment_asks),
    TEST(test_who_runs_the_bundle_already_takes_the_number_without_asking),
    TEST(test_who_asks_is_named_first),
    TEST(test_what_failed_is_tried_again_after_twice_the_time),
    TEST(test_back_off_is_never_longer_than_it_is),
    TEST(test_refused_content_is_not_tried_again),
    TEST(test_cordoned_agent_begins_nothing_and_still_removes),
    TEST(test_cordoned_agent_ends_what_it_has_begun),
    TEST(test_agent_that_is_shut_out_knows_since_when),
    TEST(test_who_signed_it_is_looked_at_again_when_trust_has_changed_since_the_fetch_began),
    TEST(test_what_is_begun_goes_on_when_trust_changes),
    TEST(test_agent_asks_the_new_authority_for_a_certificate_within_the_reconnect_spread),
    TEST(test_agent_takes_a_certificate_that_is_newer_or_by_another_authority),
};

SUITE_MAIN("agent core", tests)
