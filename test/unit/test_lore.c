#include "simulator/load/lore.h"

#include "test/samples.h"
#include "test/suite.h"

#include <stdlib.h>

#define ENVELOPE_MAX (DOCUMENT_MAX + ENVELOPE_OVERHEAD)

static struct lore_trust fleet;

/* What the fleet's online key has signed: the document of that revision. */
static struct span sealed(uint32_t number, uint8_t room[static ENVELOPE_MAX])
{
    static struct desired d;
    static uint8_t body_room[DOCUMENT_MAX];
    struct buffer body = buffer_on(body_room, sizeof body_room);
    struct buffer out = buffer_on(room, ENVELOPE_MAX);
    struct secret_key online = sample_secret(0x81);
    sample_desired(&d);
    d.revision.number = number;
    CU_ASSERT_EQUAL_FATAL(desired_write(&d, &body), 0);
    CU_ASSERT_EQUAL_FATAL(envelope_seal(MESSAGE_DESIRED, span_buffer(&body), &online, &out), 0);
    return span_buffer(&out);
}

static struct lore *fresh(void)
{
    struct lore *l = calloc(1, sizeof *l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    fleet.trust = sample_trust();
    return l;
}

static void done(struct lore *l)
{
    lore_free(l);
    free(l);
}

/* Agents that are behind ask for what the first one had no use for. */
static void test_documents_that_nobody_holds_are_known_all_the_same(void)
{
    static uint8_t rooms[3][ENVELOPE_MAX];
    struct lore *l = fresh();
    for (int round = 0; round < 4; round++)
        for (uint32_t i = 0; i < 3; i++) {
            struct lore_document *d = lore_document(l, &fleet, sealed(10 + i, rooms[i]));
            CU_ASSERT_PTR_NOT_NULL_FATAL(d);
            CU_ASSERT_EQUAL(d->document.revision.number, 10 + i);
            lore_release(d);
        }
    CU_ASSERT_EQUAL(l->checked, 3);
    CU_ASSERT_EQUAL(l->remembered, 9);
    done(l);
}

static void test_what_is_held_is_never_given_up(void)
{
    static uint8_t room[ENVELOPE_MAX];
    struct lore *l = fresh();
    struct lore_document *first = lore_document(l, &fleet, sealed(1, room));
    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    for (uint32_t i = 2; i < 40; i++)
        lore_release(lore_document(l, &fleet, sealed(i, room)));
    CU_ASSERT_EQUAL(first->document.revision.number, 1);
    CU_ASSERT_EQUAL(first->holders, 1);
    CU_ASSERT_PTR_EQUAL(lore_document(l, &fleet, sealed(1, room)), first);
    done(l);
}

static void test_one_whose_signature_does_not_hold_is_nobody_s(void)
{
    static uint8_t room[ENVELOPE_MAX];
    struct lore *l = fresh();
    struct span good = sealed(5, room);
    room[good.len - 1] ^= 1;
    CU_ASSERT_PTR_NULL(lore_document(l, &fleet, good));
    CU_ASSERT_PTR_NULL(lore_document(l, &fleet, good));
    room[good.len - 1] ^= 1;
    CU_ASSERT_PTR_NOT_NULL(lore_document(l, &fleet, good));
    done(l);
}

static const struct suite_test tests[] = {
    TEST(test_documents_that_nobody_holds_are_known_all_the_same),
    TEST(test_what_is_held_is_never_given_up),
    TEST(test_one_whose_signature_does_not_hold_is_nobody_s),
};

SUITE_MAIN("lore", tests)
