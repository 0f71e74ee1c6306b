#include "sync/join.h"

#include "sync/wire.h"
#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t request_memory[JOIN_MAX], answer_memory[JOINED_MAX], plain_memory[JOINED_MAX];
static uint8_t envelopes_memory[2 * (TRUST_MAX + ENVELOPE_OVERHEAD_MAX)];

static struct span write_request(void)
{
    static struct join j;
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct buffer out = buffer_on(request_memory, sizeof request_memory);
    j = sample_join();
    CU_ASSERT_EQUAL(join_write(&j, &token, &id, &nonce, &out), 0);
    return span_buffer(&out);
}

static struct span write_answer(enum joined_code code, bool sealed)
{
    static struct joined j;
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct buffer envelopes = buffer_on(envelopes_memory, sizeof envelopes_memory);
    struct buffer out = buffer_on(answer_memory, sizeof answer_memory);
    j = sample_joined(&envelopes);
    j.code = code;
    CU_ASSERT_EQUAL(joined_write(&j, sealed ? &secret : NULL, &id, &nonce, &out), 0);
    return span_buffer(&out);
}

static int read_answer(struct span bytes, const struct join_id *id, struct joined *j)
{
    struct seal_secret secret = sample_join_secret();
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    return joined_read(bytes, &secret, id, &plain, j);
}

static void test_request_comes_back_to_who_knows_the_secret(void)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct join_outer outer;
    static struct join j;
    CU_ASSERT_EQUAL(join_read_outer(write_request(), &outer), 0);
    CU_ASSERT_EQUAL(outer.batch, 5);
    CU_ASSERT_EQUAL(outer.index, 300);
    CU_ASSERT_STRING_EQUAL(outer.serial, "SN-0042");
    CU_ASSERT_EQUAL(join_open(&outer, &token.secret, &id, &j), 0);
    struct public_key key = sample_public(33);
    CU_ASSERT_EQUAL(memcmp(&j.key, &key, sizeof key), 0);
    CU_ASSERT_STRING_EQUAL(j.serial, "SN-0042");
    CU_ASSERT_EQUAL(j.facts.count, 3);
    CU_ASSERT_STRING_EQUAL(j.facts.list[2].key, "model");
    CU_ASSERT_STRING_EQUAL(j.facts.list[2].value, "Edge Box 3");
}

static void test_request_is_bound_to_secret_attempt_and_what_is_in_clear(void)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id(), other_id = id;
    struct seal_secret other_secret = token.secret;
    struct join_outer outer, moved;
    static struct join j;
    other_id.bytes[0] ^= 1;
    other_secret.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(join_read_outer(write_request(), &outer), 0);
    CU_ASSERT_EQUAL(join_open(&outer, &other_secret, &id, &j), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(join_open(&outer, &token.secret, &other_id, &j), ERR_SIGNATURE);
    moved = outer;
    moved.batch++;
    CU_ASSERT_EQUAL(join_open(&moved, &token.secret, &id, &j), ERR_SIGNATURE);
    moved = outer;
    moved.index++;
    CU_ASSERT_EQUAL(join_open(&moved, &token.secret, &id, &j), ERR_SIGNATURE);
    moved = outer;
    moved.serial[6] = '3';
    CU_ASSERT_EQUAL(join_open(&moved, &token.secret, &id, &j), ERR_SIGNATURE);
    moved.serial[0] = '\0';
    CU_ASSERT_EQUAL(join_open(&moved, &token.secret, &id, &j), ERR_SIGNATURE);
}

static void test_proof_is_of_this_request_by_this_key(void)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id(), other_id = id;
    struct join_outer outer;
    static struct join j, other;
    other_id.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(join_read_outer(write_request(), &outer), 0);
    CU_ASSERT_EQUAL(join_open(&outer, &token.secret, &id, &j), 0);
    CU_ASSERT_EQUAL(join_check(&j, token.batch, token.index, &id), 0);
    CU_ASSERT_EQUAL(join_check(&j, token.batch + 1, token.index, &id), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(join_check(&j, token.batch, token.index + 1, &id), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(join_check(&j, token.batch, token.index, &other_id), ERR_SIGNATURE);
    other = j;
    other.key = sample_public(34);
    CU_ASSERT_EQUAL(join_check(&other, token.batch, token.index, &id), ERR_SIGNATURE);
    other = j;
    other.reply.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(join_check(&other, token.batch, token.index, &id), ERR_SIGNATURE);
    other = j;
    other.serial[0] = 'T';
    CU_ASSERT_EQUAL(join_check(&other, token.batch, token.index, &id), ERR_SIGNATURE);
}

static void test_copy_of_the_token_opens_no_answer(void)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    static struct joined j;
    CU_ASSERT_EQUAL(
        joined_read(write_answer(JOINED_ACCEPTED, true), &token.secret, &id, &plain, &j),
        ERR_SIGNATURE);
}

static void test_hostile_requests_are_refused(void)
{
    struct span bytes = write_request();
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_join, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_join, bytes, true));
    static uint8_t large[JOIN_MAX + 1];
    struct join_outer outer;
    CU_ASSERT_EQUAL(join_read_outer(span_of(large, sizeof large), &outer), ERR_RANGE);
}

static void test_serial_number_is_optional_and_printable(void)
{
    static const struct {
        const char *serial;
        int rv;
    } cases[] = {
        {"", 0}, {"a b", 0}, {" a", ERR_FORMAT}, {"\xc3\xa4", ERR_FORMAT}, {"\n", ERR_FORMAT}};
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    static struct join j;
    struct join_outer outer;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = buffer_on(request_memory, sizeof request_memory);
        j = sample_join();
        strcpy(j.serial, cases[i].serial);
        CU_ASSERT_EQUAL(join_write(&j, &token, &id, &nonce, &out), 0);
        CU_ASSERT_EQUAL(join_read_outer(span_buffer(&out), &outer), cases[i].rv);
    }
}

static void test_full_facts_fit_a_request(void)
{
    static struct join j;
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct buffer out = buffer_on(request_memory, JOIN_MAX);
    j = sample_join();
    memset(j.serial, 's', TOKEN_SERIAL_MAX);
    j.facts.count = FACTS_MAX;
    for (int i = 0; i < FACTS_MAX; i++) {
        memset(j.facts.list[i].key, 'a' + i, FACT_KEY_MAX);
        j.facts.list[i].key[FACT_KEY_MAX] = '\0';
        memset(j.facts.list[i].value, 'v', FACT_VALUE_MAX);
        j.facts.list[i].value[FACT_VALUE_MAX] = '\0';
    }
    CU_ASSERT_EQUAL(join_write(&j, &token, &id, &nonce, &out), 0);
    static uint8_t memory[JOIN_MAX];
    struct buffer again = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(rewrite_join(span_buffer(&out), &again), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&again), span_buffer(&out)));
}

static void test_facts_must_stand_in_rising_order(void)
{
    static struct facts f, got;
    uint8_t memory[JOIN_MAX];
    static const char *const pairs[][2] = {{"b", "a"}, {"a", "a"}, {"", "a"}};
    for (int i = 0; i < 3; i++) {
        struct buffer out = buffer_on(memory, sizeof memory);
        f = (struct facts){.count = 2};
        strcpy(f.list[0].key, pairs[i][0]);
        strcpy(f.list[1].key, pairs[i][1]);
        CU_ASSERT_EQUAL(facts_write(&f, &out), 0);
        CU_ASSERT_EQUAL(facts_read(span_buffer(&out), &got), ERR_FORMAT);
    }
}

static void test_facts_digest_changes_with_any_value(void)
{
    struct facts f = sample_facts();
    uint32_t before = facts_digest(&f);
    CU_ASSERT_EQUAL(facts_digest(&f), before);
    f.list[1].value[0]++;
    CU_ASSERT_NOT_EQUAL(facts_digest(&f), before);
    f = (struct facts){0};
    CU_ASSERT_EQUAL(facts_digest(&f), 0x9e076cea); /* SHA-256 of the one byte 90 */
}

static void test_hostile_facts_are_refused(void)
{
    struct facts f = sample_facts();
    uint8_t memory[JOIN_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(facts_write(&f, &out), 0);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_facts, span_buffer(&out)));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_facts, span_buffer(&out), false));
}

static void test_accepted_answer_comes_back(void)
{
    struct join_id id = sample_join_id();
    static struct joined j;
    CU_ASSERT_EQUAL(read_answer(write_answer(JOINED_ACCEPTED, true), &id, &j), 1);
    struct mac_key mac = sample_mac_key();
    CU_ASSERT_EQUAL(j.code, JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(j.number, 1234567);
    CU_ASSERT_EQUAL(memcmp(&j.mac, &mac, sizeof mac), 0);
    CU_ASSERT_EQUAL(j.policy.heartbeat_s, 900);
    CU_ASSERT_EQUAL(j.cell_count, 2);
    CU_ASSERT_STRING_EQUAL(j.cells[1], "mqtt://edge2.example:1884");
    CU_ASSERT_EQUAL(j.certificate.len, 0);
    struct span body;
    struct trust want = sample_trust(), got;
    struct root_pin pin = trust_pin(&want);
    CU_ASSERT_EQUAL(trust_walk(&pin, j.trust, j.trust_count, &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &want, sizeof want), 0);
    CU_ASSERT_EQUAL(trust_open(&got, TRUST_ONLINE, MESSAGE_ASSIGNMENT, j.assignment, &body), 0);
}

static void test_refusal_is_a_proof_only_when_sealed(void)
{
    struct join_id id = sample_join_id();
    struct joined j;
    for (int code = 1; code < JOINED_CODE_COUNT; code++) {
        CU_ASSERT_EQUAL(read_answer(write_answer((enum joined_code)code, true), &id, &j), 1);
        CU_ASSERT_EQUAL((int)j.code, code);
        CU_ASSERT_EQUAL(read_answer(write_answer((enum joined_code)code, false), &id, &j), 0);
        CU_ASSERT_EQUAL((int)j.code, code);
        CU_ASSERT_EQUAL(j.number, 0);
    }
}

static void test_acceptance_in_clear_is_refused(void)
{
    static const uint8_t clear[] = {0x95, MESSAGE_JOINED, PROTOCOL_VERSION, JOINED_ACCEPTED, 0xc0,
                                    0xc0};
    struct join_id id = sample_join_id();
    struct joined j;
    CU_ASSERT_EQUAL(read_answer(span_of(clear, sizeof clear), &id, &j), ERR_FORMAT);
}

static void test_answer_for_another_attempt_is_refused(void)
{
    struct join_id id = sample_join_id();
    struct joined j;
    id.bytes[JOIN_ID_LEN - 1] ^= 1;
    CU_ASSERT_EQUAL(read_answer(write_answer(JOINED_ACCEPTED, true), &id, &j), ERR_SIGNATURE);
}

static void test_hostile_answers_are_refused(void)
{
    struct span bytes = write_answer(JOINED_ACCEPTED, true);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_joined, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_joined, bytes, true));
    bytes = write_answer(JOINED_USED, true);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_joined, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_joined, bytes, true));
    bytes = write_answer(JOINED_UNKNOWN, false);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_joined, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_joined, bytes, false));
}

static void test_cell_without_a_url_is_refused(void)
{
    static struct joined j;
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct buffer envelopes = buffer_on(envelopes_memory, sizeof envelopes_memory);
    struct buffer out = buffer_on(answer_memory, sizeof answer_memory);
    j = sample_joined(&envelopes);
    j.cells[0][0] = '\0';
    CU_ASSERT_EQUAL(joined_write(&j, &secret, &id, &nonce, &out), 0);
    CU_ASSERT_EQUAL(read_answer(span_buffer(&out), &id, &j), ERR_FORMAT);
}

static void test_the_largest_answer_fits(void)
{
    static struct joined j;
    static uint8_t filler[ASSIGNMENT_SIGNED_MAX];
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct buffer envelopes = buffer_on(envelopes_memory, sizeof envelopes_memory);
    struct buffer out = buffer_on(answer_memory, sizeof answer_memory);
    j = sample_joined(&envelopes);
    j.assignment = span_of(filler, ASSIGNMENT_SIGNED_MAX);
    j.trust_count = TRUST_WALK_MAX;
    for (int i = 0; i < TRUST_WALK_MAX; i++)
        j.trust[i] = span_of(filler, TRUST_MAX + ENVELOPE_OVERHEAD_MAX);
    j.certificate = span_of(filler, 4096);
    j.cell_count = CELLS_MAX;
    for (int i = 0; i < CELLS_MAX; i++)
        memset(j.cells[i], 'u', CELL_URL_MAX);
    CU_ASSERT_EQUAL(joined_write(&j, &secret, &id, &nonce, &out), 0);
    CU_ASSERT_EQUAL(read_answer(span_buffer(&out), &id, &j), 1);
    CU_ASSERT_EQUAL(j.cell_count, CELLS_MAX);
    CU_ASSERT_EQUAL(j.trust_count, TRUST_WALK_MAX);
}

static void test_every_code_has_words(void)
{
    for (int code = 0; code < JOINED_CODE_COUNT; code++)
        CU_ASSERT_TRUE(strlen(joined_code_text((enum joined_code)code)) > 10 &&
                       strlen(joined_code_text((enum joined_code)code)) < 56);
    CU_ASSERT_TRUE(strlen(joined_code_text((enum joined_code)99)) > 10);
}

static const struct suite_test tests[] = {
    TEST(test_request_comes_back_to_who_knows_the_secret),
    TEST(test_request_is_bound_to_secret_attempt_and_what_is_in_clear),
    TEST(test_proof_is_of_this_request_by_this_key),
    TEST(test_copy_of_the_token_opens_no_answer),
    TEST(test_hostile_requests_are_refused),
    TEST(test_serial_number_is_optional_and_printable),
    TEST(test_full_facts_fit_a_request),
    TEST(test_facts_must_stand_in_rising_order),
    TEST(test_facts_digest_changes_with_any_value),
    TEST(test_hostile_facts_are_refused),
    TEST(test_accepted_answer_comes_back),
    TEST(test_refusal_is_a_proof_only_when_sealed),
    TEST(test_acceptance_in_clear_is_refused),
    TEST(test_answer_for_another_attempt_is_refused),
    TEST(test_hostile_answers_are_refused),
    TEST(test_cell_without_a_url_is_refused),
    TEST(test_the_largest_answer_fits),
    TEST(test_every_code_has_words),
};

SUITE_MAIN("join", tests)
