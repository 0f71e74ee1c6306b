#include "manager/reception.h"

#include "crypto/random.h"
#include "test/samples.h"
#include "test/suite.h"

#include <stdlib.h>

static const struct manager_limits small = {
    .agents = 4, .cohorts = 4, .deployments = 4, .bundles = 4, .batches = 4};

static struct keyring keys;
static struct manager *m;
static struct visit visit;
static struct manager_event event;
static uint32_t restored; /* the manager's epoch of it, or 0 */
static bool proves;       /* devices have the keys that they name */

/* Batch 1 has two tokens for anybody, batch 2 two that are bound. */
static void set_up(void)
{
    struct fleet_keys fresh;
    struct batch_row free_ones = {.count = 2, .uses = 1};
    struct batch_row bound_ones = {.count = 2, .uses = 1, .bound = true};
    struct manager_options options = {
        .limits = small, .epoch = 1, .restored_epoch = restored, .policy = POLICY_DEFAULT};
    m = manager_init(calloc(1, manager_size(&small)), &options);
    CU_ASSERT_EQUAL_FATAL(keyring_draw(&fresh), 0);
    CU_ASSERT_EQUAL_FATAL(keyring_init(&keys, &fresh), 0);
    CU_ASSERT_EQUAL(manager_load_batch(m, &free_ones), 0);
    CU_ASSERT_EQUAL(manager_load_batch(m, &bound_ones), 0);
    memset(&event, 0, sizeof event);
}

static void tear_down(void)
{
    free(m);
}

/* The token as the device got it: one line of what is printed. */
static struct token token_of(uint32_t batch, uint32_t index, const char *serial)
{
    char line[TOKEN_TEXT_LEN + 1];
    struct token token;
    struct token_batch b = keyring_batch(&keys, batch - 1);
    if (serial)
        token_bound_line(&b, index, span_text(serial), line);
    else
        token_lines(&b, index, 1, line);
    line[TOKEN_TEXT_LEN] = '\0';
    CU_ASSERT_EQUAL(token_parse(line, &token, NULL), 0);
    return token;
}

/* What comes of a device with this serial number that asks with this token. */
static int ask(const struct token *token, const char *serial)
{
    uint8_t memory[JOIN_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct join join = sample_join();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    memset(join.serial, 0, sizeof join.serial);
    memcpy(join.serial, serial, strlen(serial));
    struct secret_key secret = sample_secret(33);
    if (proves)
        CU_ASSERT_EQUAL(join_prove(&join, &secret, token, &id), 0);
    CU_ASSERT_EQUAL(join_write(&join, token, &id, &nonce, &out), 0);
    return reception_join(&keys, m, &id, span_buffer(&out), &visit, &event);
}

static void test_token_opens_for_whoever_has_it(void)
{
    set_up();
    struct token token = token_of(1, 1, NULL);
    CU_ASSERT_EQUAL(ask(&token, ""), 1);
    CU_ASSERT_TRUE(visit.sealed);
    CU_ASSERT_EQUAL(event.join.batch, 0);
    CU_ASSERT_EQUAL(event.join.index, 1);
    CU_ASSERT_EQUAL(ask(&token, "any serial number"), 1);
    tear_down();
}

static void test_bound_token_opens_for_its_serial_number_alone(void)
{
    static const char *const others[] = {"", "SN-", "SN-2", "sn-1", "SN-1x"};
    set_up();
    struct token token = token_of(2, 0, "SN-1");
    CU_ASSERT_EQUAL(ask(&token, "SN-1"), 1);
    CU_ASSERT_EQUAL(event.join.batch, 1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CU_ASSERT_EQUAL(ask(&token, others[i]), 0);
        CU_ASSERT_FALSE(visit.sealed);
        CU_ASSERT_EQUAL(visit.hint, JOINED_SERIAL);
    }
    CU_ASSERT_EQUAL(manager_counters(m)->forged, 5);
    tear_down();
}

/* A token whose secret was made as if its batch were not bound, or the other way round. */
static void test_being_bound_is_the_batchs_and_not_the_devices_choice(void)
{
    set_up();
    struct token token = token_of(2, 0, NULL);
    CU_ASSERT_EQUAL(ask(&token, ""), 0);
    token = token_of(1, 0, "SN-1");
    CU_ASSERT_EQUAL(ask(&token, "SN-1"), 0);
    CU_ASSERT_EQUAL(visit.hint, JOINED_UNKNOWN);
    tear_down();
}

static void test_unknown_tokens_and_wrong_secrets_get_a_hint(void)
{
    set_up();
    struct token token = token_of(1, 0, NULL), other = token;
    for (size_t bit = 0; bit < 8 * SEAL_SECRET_LEN; bit++) {
        other = token;
        other.secret.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_EQUAL(ask(&other, ""), 0);
        CU_ASSERT_EQUAL(visit.hint, JOINED_UNKNOWN);
    }
    other = token;
    other.index = 2;
    CU_ASSERT_EQUAL(ask(&other, ""), 0);
    for (other = token, other.batch = 0; other.batch < 5; other.batch++)
        CU_ASSERT_EQUAL(ask(&other, ""), other.batch == 1);
    CU_ASSERT_EQUAL(manager_counters(m)->malformed, 0);
    tear_down();
}

static void test_garbage_gets_nothing(void)
{
    uint8_t bytes[200];
    struct join_id id = sample_join_id();
    set_up();
    for (size_t len = 0; len < sizeof bytes; len++) {
        random_bytes(bytes, len);
        CU_ASSERT_TRUE(reception_join(&keys, m, &id, span_of(bytes, len), &visit, &event) < 0);
    }
    CU_ASSERT_EQUAL(manager_counters(m)->malformed, sizeof bytes);
    tear_down();
}

/* What a visitor proved decides how it is answered. */
static void test_answers_are_sealed_for_those_who_know_the_secret(void)
{
    uint8_t memory[256], plain_memory[JOINED_MAX];
    struct joined refusal = {.code = JOINED_USED}, read;
    struct join_id id = sample_join_id();
    set_up();
    struct token token = token_of(1, 0, NULL), other = token;
    other.secret.bytes[0] ^= 1;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct buffer out = buffer_on(memory, sizeof memory);
        struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
        CU_ASSERT_EQUAL(ask(sealed ? &token : &other, ""), sealed);
        CU_ASSERT_EQUAL(reception_answer(&visit, &refusal, &out), 0);
        struct seal_secret secret = join_secret(&token.secret, &visit.join.reply);
        CU_ASSERT_EQUAL(joined_read(span_buffer(&out), &secret, &id, &plain, &read), sealed);
        CU_ASSERT_EQUAL(read.code, JOINED_USED);
    }
    tear_down();
}

/* Whose key it is. */
static void know_device(void)
{
    struct cohort cohort = {.labels = {.text = ""}};
    struct public_key key = sample_public(33);
    struct agent_row row = {.id = key_id_of(&key)};
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    CU_ASSERT_EQUAL(manager_load_agent(m, 1, &row, NULL, 0), 0);
}

/* Nobody looks at a stranger's, unless he may be an agent of after the backup. */
static void test_proof_counts_where_the_key_may_be_an_agents(void)
{
    for (int i = 0; i < 8; i++) {
        bool known = i & 1;
        restored = i & 2 ? 2 : 0;
        proves = i & 4;
        set_up();
        if (known)
            know_device();
        struct token token = token_of(1, 1, NULL);
        CU_ASSERT_EQUAL(ask(&token, ""), 1);
        CU_ASSERT_EQUAL(reception_wants_proof(m, &event), known || restored);
        CU_ASSERT_EQUAL(reception_is_owner(m, &visit, &event), proves || (!known && !restored));
        tear_down();
    }
    restored = 0;
    proves = false;
}

/* ---- notes ---- */

static struct key_id load_agent(unsigned flags)
{
    struct cohort cohort = {0};
    struct bundle_row bundle = {.name = "app", .version = "1"};
    struct deployment_row d = {.name = "app", .history_count = 1};
    struct agent_row row = {.id = sample_agent(), .flags = (uint16_t)flags};
    d.history[0].generation = 2;
    CU_ASSERT_EQUAL(manager_load_bundle(m, &bundle), 0);
    CU_ASSERT_EQUAL(manager_load_deployment(m, &d), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    CU_ASSERT_EQUAL(manager_load_agent(m, 1, &row, NULL, 0), 0);
    return row.id;
}

static int tell(const struct note *n, const struct key_id *by, const struct key_id *topic)
{
    static uint8_t memory[NOTE_MAX];
    static struct note read;
    struct buffer out = buffer_on(memory, sizeof memory);
    struct mac_key key = keyring_status(&keys, n->number, by);
    CU_ASSERT_EQUAL(note_write(n, &key, &out), 0);
    return reception_note(&keys, m, topic, span_buffer(&out), &read);
}

static void test_note_counts_when_its_agent_speaks_of_what_it_was_asked_for(void)
{
    set_up();
    struct key_id id = load_agent(0), other = id;
    struct note n = {.number = 1, .deployment = 1, .generation = 2, .text = span_text("x")};
    struct note stranger = n, later = n, elsewhere = n;
    other.bytes[0] ^= 1;
    stranger.number = 2;
    later.generation = 3;
    elsewhere.deployment = 2;
    CU_ASSERT_EQUAL(tell(&n, &id, &id), 1);
    CU_ASSERT_EQUAL(tell(&n, &id, &other), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(manager_counters(m)->forged, 1);
    CU_ASSERT_EQUAL(tell(&n, &other, &other), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(tell(&stranger, &id, &id), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(tell(&later, &id, &id), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(tell(&elsewhere, &id, &id), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(manager_counters(m)->foreign, 4);
    tear_down();
}

static void test_note_of_one_that_is_shut_out_is_dropped(void)
{
    static const unsigned flags[] = {AGENT_REMOVED, AGENT_REMOVED | AGENT_REVOKED,
                                     AGENT_QUARANTINED, AGENT_WAITING};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct note n = {.number = 1, .deployment = 1, .generation = 2};
        set_up();
        struct key_id id = load_agent(flags[i]);
        CU_ASSERT_EQUAL(tell(&n, &id, &id), ERR_REFUSED);
        CU_ASSERT_EQUAL(manager_counters(m)->blocked, 1);
        tear_down();
    }
}

static const struct suite_test tests[] = {
    TEST(test_token_opens_for_whoever_has_it),
    TEST(test_bound_token_opens_for_its_serial_number_alone),
    TEST(test_being_bound_is_the_batchs_and_not_the_devices_choice),
    TEST(test_unknown_tokens_and_wrong_secrets_get_a_hint),
    TEST(test_garbage_gets_nothing),
    TEST(test_answers_are_sealed_for_those_who_know_the_secret),
    TEST(test_proof_counts_where_the_key_may_be_an_agents),
    TEST(test_note_counts_when_its_agent_speaks_of_what_it_was_asked_for),
    TEST(test_note_of_one_that_is_shut_out_is_dropped),
};

SUITE_MAIN("reception", tests)
