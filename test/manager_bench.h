/*
 * manager_bench: the manager's core with small tables, and room for one step of it. What it is
 * asked, and by whom, is its tests' own.
 */
#ifndef DUNLIN_TEST_MANAGER_BENCH_H
#define DUNLIN_TEST_MANAGER_BENCH_H

#include "base/endian.h"
#include "manager/core/manager.h"
#include "test/suite.h"

#include <stdlib.h>

struct bench {
    struct manager *m;
    struct manager_out out; /* of the last step */
    uint64_t now_s;         /* of the next one */
    uint32_t seq;           /* of reports, for tests that count them */
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
};

static inline struct bench *bench_on(const struct manager_options *options, uint64_t now_s)
{
    struct bench *b = calloc(1, sizeof *b);
    void *memory = calloc(1, manager_size(&options->limits));
    CU_ASSERT_TRUE_FATAL(b && memory);
    b->m = manager_init(memory, options);
    b->now_s = now_s;
    return b;
}

static inline void bench_free(struct bench *b)
{
    free(b->m);
    free(b);
}

static inline void step(struct bench *b, struct manager_event *ev)
{
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    ev->now_s = b->now_s;
    manager_step(b->m, ev, &scratch, &b->out);
}

static inline int run(struct bench *b, const struct command *c)
{
    step(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = c});
    return b->out.rv;
}

/* `count` agents of one label set. */
static inline void join_agents(struct bench *b, const char *labels, uint32_t count)
{
    static uint32_t key;
    struct command c = {
        .type = COMMAND_TOKEN_CREATE,
        .token = {.count = 1, .uses = count, .expires_s = UINT64_MAX, .labels = labels}};
    CU_ASSERT_EQUAL_FATAL(run(b, &c), 0);
    uint32_t batch = b->out.index;
    for (uint32_t i = 0; i < count; i++) {
        struct manager_event ev = {.type = MANAGER_JOIN, .join = {.batch = batch}};
        le32_write(ev.join.id.bytes, ++key);
        step(b, &ev);
        CU_ASSERT_EQUAL_FATAL(b->out.joined, JOINED_ACCEPTED);
    }
}

/* How many rows of this type the last step wants to be durable. */
static inline unsigned persisted(const struct bench *b, enum persist_type type)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < b->out.persist_count; i++)
        count += b->out.persist[i].type == type;
    return count;
}

#endif
