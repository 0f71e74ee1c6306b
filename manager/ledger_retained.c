/*
 * The ledger's two logs of what cells retain: publications, and chunks.
 */
#include "manager/ledger_parts.h"

#include <assert.h>

enum { OWN_HEAD = 1, OWN_DOC };

static void put_topic(struct ledger *l, struct query *q, const char *topic);
static void get_topic(struct query *q, char out[static TOPIC_MAX]);
static int find_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, uint64_t *bundles);
static int add_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, struct errmsg *em);

int ledger_publish(struct ledger *l, const char *topic, struct span payload, struct errmsg *em)
{
    struct query q;
    assert(payload.len <= sizeof l->payload && strlen(topic) < TOPIC_MAX);
    int rv = ledger_start_row(l, PUT_CONTROL, &q, em);
    if (rv < 0)
        return rv;
    put_topic(l, &q, topic);
    query_put_blob(&q, payload);
    return ledger_end_write(l, &q, em);
}

static void take_control(void *context, const struct control_row *row)
{
    *(struct control_row *)context = *row;
}

int ledger_next_control(struct ledger *l, uint64_t after, struct control_row *row,
                        struct errmsg *em)
{
    return ledger_next_controls(l, after, 1, take_control, row, em);
}

int ledger_next_controls(struct ledger *l, uint64_t after, uint32_t max, ledger_take *take,
                         void *context, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[NEXT_CONTROL]);
    int count = 0;
    query_put_int(&q, after);
    query_put_int(&q, max);
    for (; query_next(&q); count++) {
        struct control_row row = {.serial = query_get_int(&q, INT64_MAX), .topic = l->topic};
        get_topic(&q, l->topic);
        struct span payload = query_get_blob(&q, sizeof l->payload);
        if (payload.len > 0)
            memcpy(l->payload, payload.data, payload.len);
        row.payload = span_of(l->payload, payload.len);
        take(context, &row);
    }
    int rv = query_end(&q);
    return rv < 0 ? ledger_fail(l, rv, "read what to publish", em) : count;
}

int ledger_published(struct ledger *l, const char *topic, struct buffer *out, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[GET_CONTROL]);
    put_topic(l, &q, topic);
    bool found = query_next(&q);
    if (found) {
        struct span payload = query_get_blob(&q, out->cap - out->len);
        if (payload.len > 0)
            memcpy(out->data + out->len, payload.data, payload.len);
        out->len += payload.len;
    }
    int rv = query_end(&q);
    if (rv < 0)
        return ledger_fail(l, rv, "read what was published", em);
    return found ? 0 : errmsg_set(em, ERR_NOT_FOUND, "nothing has been published as %s", topic);
}

/* Of the topics that one agent has to itself there are more than of all others. */
static void put_topic(struct ledger *l, struct query *q, const char *topic)
{
    struct topic_name name = topic_read(topic);
    uint8_t *own = l->own;
    if (name.kind != TOPIC_AGENT_HEAD && name.kind != TOPIC_AGENT_DOC) {
        query_put_text(q, topic);
        return;
    }
    own[0] = name.kind == TOPIC_AGENT_HEAD ? OWN_HEAD : OWN_DOC;
    memcpy(own + 1, name.agent.bytes, KEY_ID_LEN);
    query_put_blob(q, span_of(own, OWN_LEN));
}

static void get_topic(struct query *q, char out[static TOPIC_MAX])
{
    struct topic_name name = {.kind = TOPIC_AGENT_HEAD};
    uint8_t own[OWN_LEN];
    if (sqlite3_column_type(q->stmt, q->column) != SQLITE_BLOB) {
        query_get_text(q, out, TOPIC_MAX);
        return;
    }
    query_get_bytes(q, own, OWN_LEN);
    q->odd |= own[0] != OWN_HEAD && own[0] != OWN_DOC;
    if (own[0] == OWN_DOC)
        name.kind = TOPIC_AGENT_DOC;
    memcpy(name.agent.bytes, own + 1, KEY_ID_LEN);
    memcpy(out, topic_make(&name).text, TOPIC_MAX);
}

/* ---- chunks ---- */

int ledger_bundle_chunk(struct ledger *l, uint32_t bundle, const struct digest *chunk,
                        struct errmsg *em)
{
    uint64_t n, bundles;
    int rv = ledger_begin(l, em);
    if (rv < 0)
        return rv;
    int found = find_chunk(l, chunk, &n, &bundles);
    if (found < 0)
        return ledger_fail(l, found, "find a chunk", em);
    if (bundles == 0) {
        if (!found && (rv = add_chunk(l, chunk, &n, em)) < 0)
            return rv;
        if ((rv = ledger_change(l, MOVE_CHUNK, n, em)) < 0)
            return rv;
    }
    struct query q = query_on(l->db, l->statements[PUT_BUNDLE_CHUNK]);
    query_put_int(&q, bundle);
    query_put_int(&q, n);
    rv = ledger_end_write(l, &q, em);
    if (rv < 0 || sqlite3_changes(l->db) == 0)
        return rv;
    return ledger_change(l, COUNT_CHUNK_UP, n, em);
}

int ledger_chunk_again(struct ledger *l, const struct digest *chunk, struct errmsg *em)
{
    uint64_t n, bundles;
    int found = find_chunk(l, chunk, &n, &bundles);
    if (found < 0)
        return ledger_fail(l, found, "find a chunk", em);
    if (bundles == 0)
        return 0;
    int rv = ledger_begin(l, em);
    return rv < 0 ? rv : ledger_change(l, MOVE_CHUNK, n, em);
}

int ledger_bundle_erase(struct ledger *l, uint32_t bundle, void *context,
                        void (*gone)(void *context, const struct digest *chunk), struct errmsg *em)
{
    int rv = ledger_begin(l, em);
    if (rv == 0)
        rv = ledger_change(l, COUNT_CHUNK_DOWN, bundle, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l->db, l->statements[LAST_BUNDLE_CHUNKS]);
    query_put_int(&q, bundle);
    while (rv == 0 && query_next(&q)) {
        struct digest chunk;
        q.column = 0;
        uint64_t n = query_get_int(&q, INT64_MAX);
        query_get_bytes(&q, chunk.bytes, DIGEST_LEN);
        gone(context, &chunk);
        rv = ledger_change(l, MOVE_CHUNK, n, em);
    }
    int ended = query_end(&q);
    if (rv < 0)
        return rv;
    if (ended < 0)
        return ledger_fail(l, ended, "find a bundle's chunks", em);
    return ledger_change(l, DROP_BUNDLE_CHUNKS, bundle, em);
}

bool ledger_chunk_needed(struct ledger *l, const struct digest *chunk)
{
    uint64_t n, bundles;
    return find_chunk(l, chunk, &n, &bundles) > 0 && bundles > 0;
}

int ledger_next_bulk(struct ledger *l, uint64_t after, struct bulk_row *row, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[NEXT_CHUNK]);
    query_put_int(&q, after);
    bool found = query_next(&q);
    if (found) {
        row->serial = query_get_int(&q, INT64_MAX);
        query_get_bytes(&q, row->chunk.bytes, DIGEST_LEN);
        row->erased = query_get_int(&q, UINT32_MAX) == 0;
    }
    int rv = query_end(&q);
    return rv < 0 ? ledger_fail(l, rv, "read which chunk to publish", em) : found;
}

/* 1 and its row and count of bundles, 0 when it isn't there. */
static int find_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, uint64_t *bundles)
{
    struct query q = query_on(l->db, l->statements[FIND_CHUNK]);
    query_put_blob(&q, span_of(chunk->bytes, DIGEST_LEN));
    bool found = query_next(&q);
    *n = found ? query_get_int(&q, INT64_MAX) : 0;
    *bundles = found ? query_get_int(&q, UINT32_MAX) : 0;
    int rv = query_end(&q);
    return rv < 0 ? rv : found;
}

static int add_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[ADD_CHUNK]);
    query_put_blob(&q, span_of(chunk->bytes, DIGEST_LEN));
    int rv = ledger_end_write(l, &q, em);
    *n = (uint64_t)sqlite3_last_insert_rowid(l->db);
    return rv;
}
