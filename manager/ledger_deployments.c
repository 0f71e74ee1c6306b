/*
 * The ledger's rows of what is deployed and to whom: bundles, deployments with their rollouts,
 * cohorts.
 */
#include "manager/ledger_parts.h"

#include "base/endian.h"
#include "sync/wire.h"

#include <assert.h>

#define HISTORY_LEN 20   /* generation, bundle, since, the moment of its values */
#define PLACEMENT_LEN 57 /* as get_placements reads them */
/* As MessagePack: 19 numbers, an array of three for each stage, and two numbers more. What was
 * written before there were those ends there, and says that it has one less than it had. */
#define ROLLOUT_FIELDS 22
#define ROLLOUT_FIELDS_FIRST 19
#define ROLLOUT_BYTES_MAX ((ROLLOUT_FIELDS + 3 * STAGES_MAX + 1) * 9)
#define NEEDS_BYTES_MAX (3 + VARIABLES_NEEDED_MAX * (VARIABLE_NAME_MAX + 4))
#define AFTER_LEN_MAX (4 * (size_t)DEPENDENCIES_MAX)

static void get_needs(struct query *q, struct needs *needs);
static void get_history(struct query *q, struct deployment_row *row);
static void get_after(struct query *q, struct deployment_row *row);
static void get_rollout(struct query *q, struct deployment_row *row);
static int write_rollout(const struct deployment_row *row, struct buffer *out);
static void get_placements(struct query *q, struct cohort *row);

static int get_bundle(struct query *q, struct manager *m)
{
    struct bundle_row row = {0};
    query_get_bytes(q, row.digest.bytes, DIGEST_LEN);
    query_get_text(q, row.name, sizeof row.name);
    query_get_text(q, row.version, sizeof row.version);
    row.bytes = query_get_int(q, UINT64_MAX);
    row.files = (uint32_t)query_get_int(q, UINT32_MAX);
    row.chunks = (uint32_t)query_get_int(q, UINT32_MAX);
    row.created_s = query_get_int(q, UINT64_MAX);
    row.removed = query_get_int(q, 1);
    get_needs(q, &row.needs);
    return q->odd ? ERR_DAMAGED : manager_load_bundle(m, &row);
}

int ledger_load_bundles(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM bundle ORDER BY n", get_bundle, "load its bundles",
                            em);
}

static void get_needs(struct query *q, struct needs *needs)
{
    struct wire_reader r = wire_reader_on(query_get_blob(q, NEEDS_BYTES_MAX));
    needs_get(&r, needs);
    q->odd |= wire_done(&r) < 0;
}

int ledger_bundle(struct ledger *l, uint32_t index, const struct bundle_row *row, struct errmsg *em)
{
    struct query q;
    uint8_t packed[NEEDS_BYTES_MAX];
    struct buffer needs = buffer_on(packed, sizeof packed);
    struct wire_writer w = wire_writer_on(&needs);
    needs_put(&w, &row->needs);
    assert(w.error == 0);
    int rv = ledger_start_row(l, PUT_BUNDLE, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_blob(&q, span_of(row->digest.bytes, DIGEST_LEN));
    query_put_text(&q, row->name);
    query_put_text(&q, row->version);
    query_put_int(&q, row->bytes);
    query_put_int(&q, row->files);
    query_put_int(&q, row->chunks);
    query_put_int(&q, row->created_s);
    query_put_int(&q, row->removed);
    query_put_blob(&q, span_buffer(&needs));
    return ledger_end_write(l, &q, em);
}

static int get_deployment(struct query *q, struct manager *m)
{
    struct deployment_row row = {0};
    struct pick_group groups[GROUPS_MAX];
    query_get_text(q, row.name, sizeof row.name);
    query_get_text(q, row.selector, sizeof row.selector);
    row.flags = (uint32_t)query_get_int(q, UINT32_MAX);
    row.priority = (uint32_t)query_get_int(q, UINT32_MAX);
    row.salt = query_get_int(q, UINT64_MAX);
    row.removed = query_get_int(q, 1);
    row.created_s = query_get_int(q, UINT64_MAX);
    row.history_kept = (uint32_t)query_get_int(q, HISTORY_MAX);
    row.values_seen = (uint32_t)query_get_int(q, UINT32_MAX);
    get_history(q, &row);
    q->odd |= pick_read(query_get_blob(q, PICK_BYTES_MAX), &row.pick, &row.picked, groups) < 0;
    q->odd |= plan_read(query_get_blob(q, PLAN_BYTES_MAX), &row.plan) < 0;
    get_rollout(q, &row);
    get_after(q, &row);
    q->odd |= roster_read(query_get_blob(q, ROSTER_BYTES_MAX), &row.roster) < 0;
    return q->odd ? ERR_DAMAGED : manager_load_deployment(m, &row);
}

int ledger_load_deployments(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM deployment ORDER BY n", get_deployment,
                            "load its deployments", em);
}

static void get_history(struct query *q, struct deployment_row *row)
{
    struct span b = query_get_blob(q, (size_t)HISTORY_MAX * HISTORY_LEN);
    q->odd |= b.len % HISTORY_LEN != 0;
    row->history_count = (uint32_t)(b.len / HISTORY_LEN);
    for (uint32_t i = 0; i < row->history_count; i++) {
        const uint8_t *at = b.data + (size_t)i * HISTORY_LEN;
        row->history[i] = (struct generation_row){.generation = le32_read(at),
                                                  .bundle = le32_read(at + 4),
                                                  .since_s = le64_read(at + 8),
                                                  .values_at = le32_read(at + 16)};
    }
}

/* Four bytes for each. */
static void get_after(struct query *q, struct deployment_row *row)
{
    struct span b = query_get_blob(q, AFTER_LEN_MAX);
    q->odd |= b.len % 4 != 0;
    row->after.count = (uint32_t)(b.len / 4);
    for (uint32_t i = 0; i < row->after.count; i++)
        row->after.numbers[i] = le32_read(b.data + (size_t)4 * i);
}

static void get_rollout(struct query *q, struct deployment_row *row)
{
    struct rollout *r = &row->rollout;
    struct wire_reader w = wire_reader_on(query_get_blob(q, ROLLOUT_BYTES_MAX));
    uint32_t fields = wire_get_array(&w, ROLLOUT_FIELDS_FIRST, ROLLOUT_FIELDS);
    r->state = (uint8_t)wire_get_u64(&w, ROLLOUT_DONE);
    r->step = (uint8_t)wire_get_u64(&w, ROLLOUT_CLOSING);
    r->stage = (uint8_t)wire_get_u64(&w, STAGES_MAX);
    r->approved = wire_get_bool(&w);
    r->stable = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->stable_bundle = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->stable_values = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->first = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->passed = (uint8_t)wire_get_u64(&w, 2 * STAGES_MAX);
    r->back = wire_get_bool(&w);
    r->queued = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->excused = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->overdue = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->ready = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->most = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->since_s = wire_get_u64(&w, UINT64_MAX);
    r->success_s = wire_get_u64(&w, UINT64_MAX);
    r->watched_s = wire_get_u64(&w, UINT64_MAX);
    r->end = wire_get_u64(&w, UINT64_MAX);
    wire_get_array(&w, 3 * row->plan.count, 3 * row->plan.count);
    for (uint32_t i = 0; i < row->plan.count; i++) {
        r->reached[i] = wire_get_u64(&w, UINT64_MAX);
        r->enrolled_before[i] = (uint32_t)wire_get_u64(&w, UINT32_MAX);
        r->took_s[i] = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    }
    if (fields > ROLLOUT_FIELDS_FIRST) {
        r->let_in = (uint32_t)wire_get_u64(&w, UINT32_MAX);
        r->span_s = wire_get_u64(&w, UINT64_MAX);
    }
    q->odd |= wire_done(&w) < 0;
}

int ledger_deployment(struct ledger *l, uint32_t index, const struct deployment_row *row,
                      struct errmsg *em)
{
    struct query q;
    uint8_t packed[HISTORY_MAX * HISTORY_LEN];
    uint8_t planned[PLAN_BYTES_MAX], rolled[ROLLOUT_BYTES_MAX];
    uint8_t picked[PICK_BYTES_MAX], listed[ROSTER_BYTES_MAX];
    struct buffer roster = buffer_on(listed, sizeof listed);
    struct buffer pick = buffer_on(picked, sizeof picked);
    struct buffer plan = buffer_on(planned, sizeof planned);
    struct buffer rollout = buffer_on(rolled, sizeof rolled);
    int rv = pick_write(&row->pick, &row->picked, &pick);
    if (rv == 0)
        rv = plan_write(&row->plan, &plan);
    if (rv == 0)
        rv = write_rollout(row, &rollout);
    if (rv == 0)
        rv = roster_write(&row->roster, &roster);
    if (rv < 0)
        return errmsg_set(em, rv, "deployment %s: cannot be written down", row->name);
    rv = ledger_start_row(l, PUT_DEPLOYMENT, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < row->history_count; i++) {
        uint8_t *at = packed + (size_t)i * HISTORY_LEN;
        le32_write(at, row->history[i].generation);
        le32_write(at + 4, row->history[i].bundle);
        le64_write(at + 8, row->history[i].since_s);
        le32_write(at + 16, row->history[i].values_at);
    }
    query_put_int(&q, index);
    query_put_text(&q, row->name);
    query_put_text(&q, row->selector);
    query_put_int(&q, row->flags);
    query_put_int(&q, row->priority);
    query_put_int(&q, row->salt);
    query_put_int(&q, row->removed);
    query_put_int(&q, row->created_s);
    query_put_int(&q, row->history_kept);
    query_put_int(&q, row->values_seen);
    query_put_blob(&q, span_of(packed, (size_t)row->history_count * HISTORY_LEN));
    query_put_blob(&q, span_buffer(&pick));
    query_put_blob(&q, span_buffer(&plan));
    query_put_blob(&q, span_buffer(&rollout));
    uint8_t after[AFTER_LEN_MAX];
    for (uint32_t i = 0; i < row->after.count; i++)
        le32_write(after + (size_t)4 * i, row->after.numbers[i]);
    query_put_blob(&q, span_of(after, (size_t)4 * row->after.count));
    query_put_blob(&q, span_buffer(&roster));
    return ledger_end_write(l, &q, em);
}

/* As get_rollout reads it. */
static int write_rollout(const struct deployment_row *row, struct buffer *out)
{
    const struct rollout *r = &row->rollout;
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, ROLLOUT_FIELDS);
    wire_put_u64(&w, r->state);
    wire_put_u64(&w, r->step);
    wire_put_u64(&w, r->stage);
    wire_put_bool(&w, r->approved);
    wire_put_u64(&w, r->stable);
    wire_put_u64(&w, r->stable_bundle);
    wire_put_u64(&w, r->stable_values);
    wire_put_u64(&w, r->first);
    wire_put_u64(&w, r->passed);
    wire_put_bool(&w, r->back);
    wire_put_u64(&w, r->queued);
    wire_put_u64(&w, r->excused);
    wire_put_u64(&w, r->overdue);
    wire_put_u64(&w, r->ready);
    wire_put_u64(&w, r->most);
    wire_put_u64(&w, r->since_s);
    wire_put_u64(&w, r->success_s);
    wire_put_u64(&w, r->watched_s);
    wire_put_u64(&w, r->end);
    wire_put_array(&w, 3 * row->plan.count);
    for (uint32_t i = 0; i < row->plan.count; i++) {
        wire_put_u64(&w, r->reached[i]);
        wire_put_u64(&w, r->enrolled_before[i]);
        wire_put_u64(&w, r->took_s[i]);
    }
    wire_put_u64(&w, r->let_in);
    wire_put_u64(&w, r->span_s);
    return wire_end(&w);
}

static int get_cohort(struct query *q, struct manager *m)
{
    struct cohort row = {0};
    query_get_bytes(q, row.key.bytes, COHORT_KEY_LEN);
    query_get_text(q, row.labels.text, sizeof row.labels.text);
    row.revision.epoch = (uint32_t)query_get_int(q, UINT32_MAX);
    row.revision.number = (uint32_t)query_get_int(q, UINT32_MAX);
    query_get_bytes(q, row.fingerprint.bytes, DIGEST_LEN);
    row.issued_s = query_get_int(q, UINT64_MAX);
    row.trust_version = (uint32_t)query_get_int(q, UINT32_MAX);
    get_placements(q, &row);
    row.lanes_log2 = (uint8_t)query_get_int(q, LANES_LOG2_MAX);
    row.atlas = (uint32_t)query_get_int(q, UINT32_MAX);
    return q->odd ? ERR_DAMAGED : manager_load_cohort(m, &row);
}

int ledger_load_cohorts(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM cohort ORDER BY n", get_cohort, "load its cohorts",
                            em);
}

static void get_placements(struct query *q, struct cohort *row)
{
    struct span b = query_get_blob(q, (size_t)RECORDS_MAX * PLACEMENT_LEN);
    q->odd |= b.len % PLACEMENT_LEN != 0;
    row->placement_count = (uint32_t)(b.len / PLACEMENT_LEN);
    for (uint32_t i = 0; i < row->placement_count; i++) {
        const uint8_t *at = b.data + (size_t)i * PLACEMENT_LEN;
        row->placements[i] = (struct placement){.deployment = le32_read(at),
                                                .generation = le32_read(at + 4),
                                                .since = le32_read(at + 8),
                                                .before = le32_read(at + 12),
                                                .before_since = le32_read(at + 16),
                                                .next = le32_read(at + 20)};
        row->placements[i].next_gate =
            (struct gate){.threshold = le64_read(at + 24), .enrolled_before = le32_read(at + 32)};
        row->placements[i].gate =
            (struct gate){.threshold = le64_read(at + 36), .enrolled_before = le32_read(at + 44)};
        row->placements[i].variables = le64_read(at + 48);
        row->placements[i].listed = at[56] != 0;
    }
}

int ledger_cohort(struct ledger *l, uint32_t index, const struct cohort *row, struct errmsg *em)
{
    struct query q;
    uint8_t packed[RECORDS_MAX * PLACEMENT_LEN];
    int rv = ledger_start_row(l, PUT_COHORT, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < row->placement_count; i++) {
        const struct placement *p = &row->placements[i];
        uint8_t *at = packed + (size_t)i * PLACEMENT_LEN;
        le32_write(at, p->deployment);
        le32_write(at + 4, p->generation);
        le32_write(at + 8, p->since);
        le32_write(at + 12, p->before);
        le32_write(at + 16, p->before_since);
        le32_write(at + 20, p->next);
        le64_write(at + 24, p->next_gate.threshold);
        le32_write(at + 32, p->next_gate.enrolled_before);
        le64_write(at + 36, p->gate.threshold);
        le32_write(at + 44, p->gate.enrolled_before);
        le64_write(at + 48, p->variables);
        at[56] = p->listed;
    }
    query_put_int(&q, index);
    query_put_blob(&q, span_of(row->key.bytes, COHORT_KEY_LEN));
    query_put_text(&q, row->labels.text);
    query_put_int(&q, row->revision.epoch);
    query_put_int(&q, row->revision.number);
    query_put_blob(&q, span_of(row->fingerprint.bytes, DIGEST_LEN));
    query_put_int(&q, row->issued_s);
    query_put_int(&q, row->trust_version);
    query_put_blob(&q, span_of(packed, (size_t)row->placement_count * PLACEMENT_LEN));
    query_put_int(&q, row->lanes_log2);
    query_put_int(&q, row->atlas);
    return ledger_end_write(l, &q, em);
}
