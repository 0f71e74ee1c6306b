/*
 * samples: one example of each message, the same in unit tests, test vectors and fuzz seeds.
 * Keys, ids and nonces count up from a number, so that anybody can make them again.
 */
#ifndef DUNLIN_TEST_SAMPLES_H
#define DUNLIN_TEST_SAMPLES_H

#include "sync/assignment.h"
#include "sync/atlas.h"
#include "sync/desired.h"
#include "sync/envelope.h"
#include "sync/head.h"
#include "sync/join.h"
#include "sync/mark.h"
#include "sync/note.h"
#include "sync/renewal.h"
#include "sync/status.h"
#include "sync/telling.h"
#include "sync/topic.h"
#include "sync/trust.h"

#include <stdlib.h>

/* first, first + 1, first + 2 … */
static inline void sample_fill(uint8_t *out, size_t len, unsigned first)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(first + i);
}

/* The secret keys that count up from `first`: 1 and 161 are the fleet's roots, 65 and 97 its
 * publishers, 129 is the manager's online key. */
#define SAMPLE_ROOT 1
#define SAMPLE_ROOT_TOO 161
#define SAMPLE_ONLINE 129

static inline struct secret_key sample_secret(unsigned first)
{
    struct secret_key key;
    sample_fill(key.bytes, SECRET_KEY_LEN, first);
    return key;
}

static inline struct public_key sample_public(unsigned first)
{
    struct secret_key secret = sample_secret(first);
    struct public_key key;
    if (sign_public(&secret, &key) < 0)
        abort();
    return key;
}

static inline struct digest sample_digest(unsigned first)
{
    struct digest d;
    sample_fill(d.bytes, DIGEST_LEN, first);
    return d;
}

static inline struct key_id sample_agent(void)
{
    struct key_id id;
    sample_fill(id.bytes, KEY_ID_LEN, 0xa0);
    return id;
}

static inline struct cohort_key sample_cohort(void)
{
    struct cohort_key key;
    sample_fill(key.bytes, COHORT_KEY_LEN, 0xc0);
    return key;
}

static inline struct join_id sample_join_id(void)
{
    struct join_id id;
    sample_fill(id.bytes, JOIN_ID_LEN, 0xd0);
    return id;
}

static inline struct seal_nonce sample_nonce(void)
{
    struct seal_nonce nonce;
    sample_fill(nonce.bytes, SEAL_NONCE_LEN, 0xe0);
    return nonce;
}

static inline struct token sample_token(void)
{
    struct token token = {.batch = 5, .index = 300};
    sample_fill(token.secret.bytes, SEAL_SECRET_LEN, 1);
    return token;
}

/* The key of agent 1,234,567 under the master key that counts up from 1. */
static inline struct mac_key sample_mac_key(void)
{
    struct mac_key master;
    sample_fill(master.bytes, MAC_KEY_LEN, 1);
    struct key_id agent = sample_agent();
    return status_key(&master, 1234567, &agent);
}

/* The spans are literals. */
static inline void sample_atlas(struct atlas *a)
{
    *a = (struct atlas){
        .number = 5,
        .spread_s = 30,
        .count = 3,
        .cells = {{1, span_text("mqtts://fleet.example:8883")},
                  {2, span_text("mqtts://fleet.example:8884")},
                  {0x9ae63d02, span_text("mqtts://east.example")}},
    };
}

/* A cohort's: an agent's own says nothing of the atlas. */
static inline struct head sample_head_atlas(void)
{
    return (struct head){.revision = {.epoch = 1, .number = 41}, .trust_version = 3, .atlas = 5};
}

static inline struct head sample_head(void)
{
    return (struct head){.revision = {.epoch = 1, .number = 41}, .trust_version = 3};
}

static inline struct will sample_will(void)
{
    return (struct will){.number = 1234567, .session = 1000};
}

#define SAMPLE_RENEWAL_NONCE 0x0123456789abcdefu

static inline struct renewal sample_renewal(void)
{
    return (struct renewal){
        .number = 1234567, .key = sample_public(1), .nonce = SAMPLE_RENEWAL_NONCE};
}

static inline struct note sample_note(void)
{
    return (struct note){.number = 1234567,
                         .deployment = 3,
                         .generation = 41,
                         .cause = CAUSE_HEALTH,
                         .text = span_text("no port\nhooks/health ended with code 3")};
}

/* `der` stands for a certificate: nobody looks into it here. */
static inline struct renewed sample_renewed(const uint8_t der[static 300])
{
    return (struct renewed){.code = JOINED_ACCEPTED, .certificate = span_of(der, 300)};
}

static inline struct status sample_status(void)
{
    return (struct status){
        .number = 1234567,
        .seq = 1001,
        .boot = 0x76543210,
        .document = {.epoch = 1, .number = 41},
        .assignment = {.epoch = 1, .number = 3},
    };
}

/* As long as a status gets. */
static inline struct status sample_status_full(void)
{
    struct status s = {
        .number = 1234567,
        .seq = UINT32_MAX,
        .boot = UINT32_MAX,
        .document = {.epoch = UINT32_MAX, .number = UINT32_MAX},
        .assignment = {.epoch = UINT32_MAX - 1, .number = UINT32_MAX},
        .facts = UINT32_MAX,
        .flags = STATUS_HELLO | STATUS_STALE | STATUS_TRUNCATED | STATUS_GOODBYE,
        .count = EXCEPTIONS_MAX,
    };
    for (uint32_t i = 0; i < EXCEPTIONS_MAX; i++)
        s.exceptions[i] = (struct exception){.deployment = UINT32_MAX - i,
                                             .generation = UINT32_MAX,
                                             .running = UINT32_MAX - 1,
                                             .state = (uint8_t)(i + 1),
                                             .cause = UINT8_MAX};
    return s;
}

static inline struct trust sample_trust(void)
{
    static const struct {
        enum trust_role role;
        unsigned key;
    } keys[] = {{TRUST_ROOTS, SAMPLE_ROOT},
                {TRUST_ROOTS, SAMPLE_ROOT_TOO},
                {TRUST_PUBLISHERS, 65},
                {TRUST_PUBLISHERS, 97},
                {TRUST_ONLINE, SAMPLE_ONLINE}};
    struct trust t = {.version = 3, .issued_s = 1700000000, .authority_count = 1};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct public_key key = sample_public(keys[i].key);
        if (trust_add(&t, keys[i].role, &key) < 0)
            abort();
    }
    t.roles[TRUST_ROOTS].threshold = 2;
    sample_fill(t.authorities[0].bytes, KEY_ID_LEN, 0xb0);
    return t;
}

/* Appends it as an envelope that both roots have signed. */
static inline void sample_trust_sealed(const struct trust *t, struct buffer *out)
{
    struct secret_key root = sample_secret(SAMPLE_ROOT), too = sample_secret(SAMPLE_ROOT_TOO);
    uint8_t memory[TRUST_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    int rv = trust_write(t, &body);
    struct envelope e = {.body = span_buffer(&body)};
    rv |= envelope_sign(MESSAGE_TRUST, &e, &root);
    rv |= envelope_sign(MESSAGE_TRUST, &e, &too);
    rv |= envelope_write(MESSAGE_TRUST, &e, out);
    if (rv < 0)
        abort();
}

static inline struct assignment sample_assignment(void)
{
    return (struct assignment){
        .agent = sample_agent(),
        .revision = {.epoch = 1, .number = 3},
        .issued_s = 1700000000,
        .cohort = sample_cohort(),
        .labels = {.text = "env=prod,region=eu"},
        .reserved = true,
        .listed_count = 3,
        .listed = {1, 7, 300},
        .permit_count = 2,
        .permits = {{.deployment = 7, .generation = 3}, {.deployment = 300, .generation = 1}},
    };
}

/* The rules of the deployment with number 300: after two others, on weekdays between two and four
 * in the morning, two hours east of Greenwich. */
static inline struct rules sample_rules(void)
{
    return (struct rules){.after = {.count = 2, .numbers = {1, 7}},
                          .window = {.minutes = 1,
                                     .hours = 1 << 2,
                                     .days = UINT32_MAX - 1,
                                     .months = (1 << 13) - 2,
                                     .weekdays = 0x3e,
                                     .zoned = true,
                                     .east_s = 7200,
                                     .length_s = 7200},
                          .retries = 3,
                          .back_off_s = 300,
                          .asks_after_s = 600,
                          .order = 4};
}

/* Of the second record: one of each kind. */
static inline void sample_list(struct desired *d)
{
    static const uint8_t sealed[] = "nonce, 12 B.sealed, and 16 bytes of tag";
    struct buffer list = buffer_on(d->variables, sizeof d->variables);
    struct wire_writer w = wire_writer_on(&list);
    const struct variable values[] = {
        {.name = span_text("host"), .uses = VARIABLE_STABLE | VARIABLE_NEXT},
        {.name = span_text("key"),
         .uses = VARIABLE_SECRET | VARIABLE_STABLE,
         .value = span_of(sealed, sizeof sealed - 1),
         .given = true},
        {.name = span_text("port"),
         .uses = VARIABLE_STABLE,
         .value = span_text("80"),
         .given = true},
        {.name = span_text("port"),
         .uses = VARIABLE_NEXT | VARIABLE_NEXT_TEMPLATE,
         .value = span_text("8080"),
         .given = true}};
    variables_begin(&w, sizeof values / sizeof values[0]);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        variables_put(&w, &values[i]);
    d->records[1].variables_len = d->variables_len = (uint32_t)list.len;
}

/* Three records: one steady, one in a rollout with both gates shut a little, one new and paused. */
static inline void sample_desired(struct desired *d)
{
    memset(d, 0, sizeof *d);
    d->cohort = sample_cohort();
    d->revision = (struct revision){.epoch = 1, .number = 41};
    d->issued_s = 1700000000;
    d->not_after_s = 1700604800;
    d->policy = POLICY_DEFAULT;
    d->lanes_log2 = 2;
    d->count = 3;
    d->records[0] = (struct record){
        .deployment = 1,
        .name = "app",
        .priority = 10,
        .salt = 0x0123456789abcdef,
        .gate = GATE_OPEN,
        .stable = {.generation = 2, .bundle = sample_digest(0x10)},
    };
    d->records[1] = (struct record){
        .deployment = 7,
        .name = "collector-2.x_edge",
        .flags = RECORD_KEEP,
        .salt = 42,
        .gate = {.threshold = UINT64_MAX / 2, .enrolled_before = 1000},
        .stable = {.generation = 3, .bundle = sample_digest(0x30)},
        .next = {.generation = 4, .bundle = sample_digest(0x50)},
        .next_gate = {.threshold = UINT64_MAX / 4, .enrolled_before = UINT32_MAX},
    };
    sample_list(d);
    d->records[2] = (struct record){
        .variables_at = d->variables_len,
        .deployment = 300,
        .name = "new",
        .flags = RECORD_PAUSED,
        .gate = GATE_OPEN,
        .next = {.generation = 1, .bundle = sample_digest(0x70)},
        .next_gate = GATE_OPEN,
        .rules = sample_rules(),
    };
}

static inline struct facts sample_facts(void)
{
    return (struct facts){
        .count = 3, .list = {{"arch", "aarch64"}, {"kernel", "6.1.0"}, {"model", "Edge Box 3"}}};
}

static inline struct telling sample_telling(void)
{
    return (struct telling){.number = 1234567, .seq = 1002, .facts = sample_facts()};
}

static inline struct join sample_join(void)
{
    struct secret_key secret = sample_secret(33);
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct join j = {.serial = "SN-0042", .key = sample_public(33), .facts = sample_facts()};
    sample_fill(j.reply.bytes, SEAL_SECRET_LEN, 0xf0);
    if (join_prove(&j, &secret, &token, &id) < 0)
        abort();
    return j;
}

/* The answer's seal is by this. */
static inline struct seal_secret sample_join_secret(void)
{
    struct token token = sample_token();
    struct seal_secret reply;
    sample_fill(reply.bytes, SEAL_SECRET_LEN, 0xf0);
    return join_secret(&token.secret, &reply);
}

/* `memory` holds the two signed envelopes that the answer borrows. */
static inline struct joined sample_joined(struct buffer *memory)
{
    struct joined j = {
        .code = JOINED_ACCEPTED,
        .number = 1234567,
        .mac = sample_mac_key(),
        .secret = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
        .policy = POLICY_DEFAULT,
        .atlas = 5,
        .cell_count = 2,
        .cells = {"mqtt://edge1.example:1883", "mqtt://edge2.example:1884"},
    };
    struct secret_key online = sample_secret(SAMPLE_ONLINE);
    struct assignment assignment = sample_assignment();
    struct trust trust = sample_trust();
    uint8_t body_memory[ASSIGNMENT_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    size_t start = memory->len;
    int rv = assignment_write(&assignment, &body);
    rv |= envelope_seal(MESSAGE_ASSIGNMENT, span_buffer(&body), &online, memory);
    j.assignment = span_of(memory->data + start, memory->len - start);
    start = memory->len;
    sample_trust_sealed(&trust, memory);
    j.trust[0] = span_of(memory->data + start, memory->len - start);
    j.trust_count = 1;
    if (rv < 0)
        abort();
    return j;
}

#endif
