/*
 * What the audit log costs: joins with it and without, as many to a commit as an idle and a busy
 * manager has, and the bytes of an entry. The ledger is real; the processor's time is measured
 * beside the wall's, which is mostly the disk's.
 */
#include "base/clock.h"
#include "manager/auditor.h"
#include "test/samples.h"
#include "test/tree.h"

#include <inttypes.h>
#include <time.h>

#define COMMITS 256
#define TURN_MAX 256
#define JOINS_MAX (COMMITS * TURN_MAX)
/* Each is measured so often, in turn, and the best counts: other work on the machine only delays.
 */
#define ROUNDS 7

static const struct manager_limits LIMITS = {
    .agents = JOINS_MAX, .cohorts = 1, .deployments = 1, .bundles = 1, .batches = 1};

static struct agent_row agent(uint32_t number)
{
    struct agent_row row = {.index = number - 1, .joined_s = 1700000000};
    memcpy(row.id.bytes, &number, sizeof number);
    return row;
}

static struct manager *fleet(void)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&LIMITS)), &options);
    struct batch_row batch = {.count = JOINS_MAX, .uses = 1};
    struct cohort cohort = {.labels = {.text = ""}};
    tree_must(manager_load_batch(m, &batch) == 0 && manager_load_cohort(m, &cohort) == 0, "fleet");
    for (uint32_t n = 1; n <= JOINS_MAX; n++) {
        struct agent_row row = agent(n);
        tree_must(manager_load_agent(m, n, &row, NULL, 0) == 0, "agent");
    }
    return m;
}

struct cost {
    double wall_us, cpu_us; /* a commit */
    uint64_t bytes;         /* of the database at the end */
};

static struct cost run(const struct manager *m, uint32_t turn, bool audited)
{
    struct tree_path dir = tree_new();
    struct tree_path db = tree_join(&dir, "manager.db");
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    const struct facts facts = {.count = 1, .list = {{.key = "arch", .value = "x86_64"}}};
    struct ledger *l = ledger_open(dir.text, &keys, NULL);
    struct auditor *a = auditor_new(l);
    struct stat st;
    tree_must(l && a, "ledger");
    uint64_t began_ms = clock_monotonic_ms();
    clock_t cpu = clock();
    for (uint32_t n = 1; n <= COMMITS * turn; n++) {
        struct agent_row row = agent(n);
        int rv = ledger_newcomer(l, n, &facts, NULL);
        if (rv == 0)
            rv = ledger_agent(l, n, &row, NULL, NULL, 0, NULL);
        if (rv == 0 && audited)
            rv = auditor_join(a, m, n, 1700000000, NULL);
        if (rv == 0 && n % turn == 0 && audited)
            rv = auditor_settle(a, n, NULL); /* as if a second had passed */
        if (rv == 0 && n % turn == 0)
            rv = ledger_commit(l, NULL);
        tree_must(rv == 0, "join");
    }
    struct cost cost = {
        .wall_us = (double)(clock_monotonic_ms() - began_ms) * 1000 / COMMITS,
        .cpu_us = (double)(clock() - cpu) * 1e6 / CLOCKS_PER_SEC / COMMITS,
    };
    auditor_free(a);
    ledger_close(l);
    tree_must(stat(db.text, &st) == 0, "size");
    cost.bytes = (uint64_t)st.st_size;
    tree_free(&dir);
    return cost;
}

static void keep_best(struct cost *best, struct cost c)
{
    best->wall_us = c.wall_us < best->wall_us ? c.wall_us : best->wall_us;
    best->cpu_us = c.cpu_us < best->cpu_us ? c.cpu_us : best->cpu_us;
    best->bytes = c.bytes;
}

static void compare(const struct manager *m, uint32_t turn)
{
    struct cost without = {.wall_us = 1e9, .cpu_us = 1e9}, with = without;
    for (int i = 0; i < ROUNDS; i++) {
        keep_best(&without, run(m, turn, false));
        keep_best(&with, run(m, turn, true));
    }
    printf("{\"joins_a_commit\":%" PRIu32 ",\"wall_us_without\":%.0f,\"wall_us_with\":%.0f,"
           "\"cpu_us_without\":%.0f,\"cpu_us_with\":%.0f,\"bytes_an_entry\":%" PRIu64 "}\n",
           turn, without.wall_us, with.wall_us, without.cpu_us, with.cpu_us,
           (with.bytes - without.bytes) / COMMITS);
}

int main(void)
{
    static const uint32_t turns[] = {1, 32, TURN_MAX};
    struct manager *m = fleet();
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
        compare(m, turns[i]);
    free(m);
    return 0;
}
