/* What the fleet in virtual time takes messages for: each is made here by those that make it for
 * real, with numbers as big as those of an agent that has run for months amid a million others. */
#include "simulator/fleet/parts.h"
#include "simulator/load/packet.h"
#include "sync/assignment.h"
#include "sync/head.h"
#include "sync/status.h"
#include "test/suite.h"

#define NUMBER 500000
#define SEQ 100000
#define REVISION ((struct revision){.epoch = 1, .number = 1000})

static uint8_t memory[2048];
static const struct mac_key key = {.bytes = {1}};
static const struct key_id id = {.bytes = {1}};
static const struct cohort_key cohort = {.bytes = {1}};

static struct buffer fresh(void)
{
    return buffer_on(memory, sizeof memory);
}

static struct topic topic_of(enum topic_kind kind)
{
    return topic_make(&(struct topic_name){.kind = kind, .agent = id, .cohort = cohort});
}

static size_t subscription(enum topic_kind kind, enum topic_kind more)
{
    struct topic one = topic_of(kind), other = {.text = ""};
    const char *const topics[] = {one.text, other.text};
    size_t count = more == TOPIC_OTHER ? 1 : 2;
    struct buffer out = fresh();
    if (count == 2)
        other = topic_of(more);
    CU_ASSERT_EQUAL(packet_put_subscribe(&out, 7, topics, count, 0), 0);
    return out.len;
}

static size_t unsubscription(enum topic_kind kind)
{
    struct topic topic = topic_of(kind);
    const char *text = topic.text;
    struct buffer out = fresh();
    CU_ASSERT_EQUAL(packet_put_unsubscribe(&out, 7, &text, 1), 0);
    return out.len;
}

static size_t publication(enum topic_kind kind, uint16_t packet, size_t payload)
{
    static const uint8_t bytes[1024];
    struct topic topic = topic_of(kind);
    struct buffer out = fresh();
    CU_ASSERT_EQUAL(packet_put_publish(&out, packet, topic.text, span_of(bytes, payload), true), 0);
    return out.len;
}

static size_t status_bytes(uint8_t exceptions)
{
    struct status s = {.number = NUMBER,
                       .seq = SEQ,
                       .boot = UINT32_MAX,
                       .document = REVISION,
                       .assignment = REVISION,
                       .count = exceptions};
    struct buffer out = fresh();
    for (uint8_t i = 0; i < exceptions; i++)
        s.exceptions[i] = (struct exception){.deployment = i + 1u,
                                             .generation = 40,
                                             .running = 39,
                                             .state = STATE_ROLLED_BACK,
                                             .cause = CAUSE_HEALTH};
    CU_ASSERT_EQUAL(status_write(&s, &key, &out), 0);
    return out.len;
}

static size_t will_bytes(uint8_t *room, size_t cap)
{
    struct will w = {.number = NUMBER, .session = SEQ};
    struct buffer out = buffer_on(room, cap);
    CU_ASSERT_EQUAL(will_write(&w, &key, &out), 0);
    return out.len;
}

static void test_connecting_takes_so_much(void)
{
    uint8_t room[STATUS_MAX];
    struct key_id_hex name = key_id_hex(&id);
    struct topic up = topic_of(TOPIC_UP);
    struct packet_connect c = {.client_id = name.text,
                               .keepalive_s = 900,
                               .will_topic = up.text,
                               .will = span_of(room, will_bytes(room, sizeof room))};
    struct buffer out = fresh();
    CU_ASSERT_EQUAL(packet_put_connect(&out, &c), 0);
    CU_ASSERT_EQUAL(c.will.len, WILL_BYTES);
    CU_ASSERT_EQUAL(out.len, CONNECT_BYTES);
}

static void test_subscribing_takes_so_much(void)
{
    CU_ASSERT_EQUAL(subscription(TOPIC_COHORT_HEAD, TOPIC_AGENT_HEAD), SUBSCRIBE_HEADS_BYTES);
    CU_ASSERT_EQUAL(subscription(TOPIC_COHORT_DOC, TOPIC_OTHER), SUBSCRIBE_DOCUMENT_BYTES);
    CU_ASSERT_EQUAL(subscription(TOPIC_AGENT_DOC, TOPIC_OTHER), SUBSCRIBE_SLIP_BYTES);
    CU_ASSERT_EQUAL(unsubscription(TOPIC_COHORT_DOC), SUBSCRIBE_DOCUMENT_BYTES - 1);
    CU_ASSERT_EQUAL(unsubscription(TOPIC_AGENT_DOC), SUBSCRIBE_SLIP_BYTES - 1);
}

static void test_a_status_takes_so_much(void)
{
    CU_ASSERT_EQUAL(status_bytes(0), STATUS_BYTES);
    CU_ASSERT_EQUAL(status_bytes(4), STATUS_BYTES + 4 * EXCEPTION_BYTES);
    CU_ASSERT_EQUAL(publication(TOPIC_UP, 7, status_bytes(0)), PUBLISH_BYTES + STATUS_BYTES);
}

static void test_heads_take_so_much(void)
{
    const struct head head = {.revision = REVISION, .trust_version = 1, .atlas = 1};
    struct buffer out = fresh();
    CU_ASSERT_EQUAL(head_write(&head, &out), 0);
    CU_ASSERT_EQUAL(publication(TOPIC_COHORT_HEAD, 0, out.len), HEAD_BYTES);
    CU_ASSERT_EQUAL(publication(TOPIC_AGENT_HEAD, 0, out.len), SLIP_HEAD_BYTES);
}

static size_t signed_bytes(enum message type, struct span body)
{
    static const struct secret_key secret = {.bytes = {1}};
    struct buffer out = fresh();
    CU_ASSERT_EQUAL(envelope_seal(type, body, &secret, &out), 0);
    return out.len;
}

static void test_an_assignment_takes_so_much(void)
{
    static struct assignment a;
    uint8_t room[ASSIGNMENT_MAX];
    struct errmsg em;
    struct buffer body = buffer_on(room, sizeof room);
    a.agent = id;
    a.revision = REVISION;
    a.issued_s = 1700000000;
    CU_ASSERT_EQUAL(labels_parse(&a.labels, span_text("env=prod,region=west,site=42"), &em), 0);
    CU_ASSERT_EQUAL(assignment_write(&a, &body), 0);
    size_t bytes = signed_bytes(MESSAGE_ASSIGNMENT, span_buffer(&body));
    CU_ASSERT_EQUAL(publication(TOPIC_AGENT_DOC, 0, bytes), SLIP_BYTES);
}

static void test_a_document_takes_so_much_more_than_its_body(void)
{
    static const uint8_t body[300];
    size_t bytes = signed_bytes(MESSAGE_DESIRED, span_of(body, sizeof body));
    CU_ASSERT_EQUAL(publication(TOPIC_COHORT_DOC, 0, bytes), sizeof body + PAPER_BYTES);
}

static const struct suite_test tests[] = {
    TEST(test_connecting_takes_so_much),    TEST(test_subscribing_takes_so_much),
    TEST(test_a_status_takes_so_much),      TEST(test_heads_take_so_much),
    TEST(test_an_assignment_takes_so_much), TEST(test_a_document_takes_so_much_more_than_its_body),
};

SUITE_MAIN("flock_bytes", tests)
