#include "bundles/manifest.h"

#include "bundles/index.h"
#include "sync/topic.h"
#include "sync/wire.h"

/* Elements of the body, and how many a newer version may have added at its end. */
#define BODY_COUNT 11
#define BODY_COUNT_MAX 32

static const char kind_names[BUNDLE_KIND_COUNT][8] = {
    [BUNDLE_FILES] = "files",
    [BUNDLE_AGENT] = "agent",
};

static int in_range(const struct manifest *m);
static bool index_in_range(const struct manifest *m);
static void get_index(struct wire_reader *r, struct manifest *m);

const char *bundle_kind_name(enum bundle_kind kind)
{
    return kind < BUNDLE_KIND_COUNT ? kind_names[kind] : "unknown";
}

int manifest_write(const struct manifest *m, struct buffer *out)
{
    int rv = in_range(m);
    if (rv < 0)
        return rv;
    uint8_t memory[INDEX_REF_LEN * MANIFEST_INDEX_MAX];
    struct buffer index = buffer_on(memory, sizeof memory);
    for (uint32_t i = 0; i < m->index_count; i++)
        (void)index_append(&index, &m->index[i]);

    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, BODY_COUNT);
    wire_put_text(&w, span_text(m->name));
    wire_put_text(&w, span_text(m->version));
    wire_put_u64(&w, m->kind);
    wire_put_u64(&w, m->hook_timeout_s);
    wire_put_u64(&w, m->health_deadline_s);
    wire_put_u64(&w, m->health_interval_s);
    wire_put_u64(&w, m->bytes);
    wire_put_u64(&w, m->files);
    wire_put_u64(&w, m->chunks);
    wire_put_bytes(&w, span_buffer(&index));
    needs_put(&w, &m->needs);
    return w.error;
}

int manifest_read(struct span body, struct manifest *m)
{
    *m = (struct manifest){0};
    struct wire_reader r = wire_reader_on(body);
    uint32_t count = wire_get_array(&r, BODY_COUNT, BODY_COUNT_MAX);
    wire_get_text_into(&r, m->name, sizeof m->name);
    wire_get_text_into(&r, m->version, sizeof m->version);
    m->kind = (enum bundle_kind)wire_get_u64(&r, BUNDLE_KIND_COUNT - 1);
    m->hook_timeout_s = (uint32_t)wire_get_u64(&r, HOOK_TIMEOUT_S_MAX);
    m->health_deadline_s = (uint32_t)wire_get_u64(&r, HOOK_TIMEOUT_S_MAX);
    m->health_interval_s = (uint32_t)wire_get_u64(&r, HOOK_TIMEOUT_S_MAX);
    m->bytes = wire_get_u64(&r, BUNDLE_BYTES_MAX);
    m->files = (uint32_t)wire_get_u64(&r, BUNDLE_FILES_MAX);
    m->chunks = (uint32_t)wire_get_u64(&r, (uint64_t)MANIFEST_INDEX_MAX * INDEX_REFS_MAX);
    get_index(&r, m);
    needs_get(&r, &m->needs);
    wire_skip(&r, count > BODY_COUNT ? count - BODY_COUNT : 0);
    int rv = wire_done(&r);
    return rv < 0 ? rv : in_range(m);
}

int manifest_open(struct span bytes, const struct trust *trust, struct manifest *m)
{
    if (bytes.len > MANIFEST_MAX)
        return ERR_RANGE;
    struct span body;
    int rv = trust_open(trust, TRUST_PUBLISHERS, MESSAGE_MANIFEST, bytes, &body);
    return rv < 0 ? rv : manifest_read(body, m);
}

int manifest_peek(struct span bytes, struct manifest *m)
{
    struct envelope e;
    int rv = envelope_read(MESSAGE_MANIFEST, bytes, &e);
    return rv < 0 ? rv : manifest_read(e.body, m);
}

/* What writer and reader both hold to. */
static int in_range(const struct manifest *m)
{
    if (!name_valid(span_text(m->name)) || !name_valid(span_text(m->version)))
        return ERR_FORMAT;
    if (m->kind >= BUNDLE_KIND_COUNT)
        return ERR_RANGE;
    if (m->hook_timeout_s == 0 || m->hook_timeout_s > HOOK_TIMEOUT_S_MAX ||
        m->health_deadline_s == 0 || m->health_deadline_s > HOOK_TIMEOUT_S_MAX ||
        m->health_interval_s == 0 || m->health_interval_s > HOOK_TIMEOUT_S_MAX)
        return ERR_RANGE;
    if (m->files == 0 || m->files > BUNDLE_FILES_MAX || m->bytes > BUNDLE_BYTES_MAX)
        return ERR_RANGE;
    return index_in_range(m) ? 0 : ERR_RANGE;
}

/* The index has as many references as the manifest says, and they can hold the content. */
static bool index_in_range(const struct manifest *m)
{
    if (m->index_count == 0 || m->index_count > MANIFEST_INDEX_MAX)
        return false;
    uint64_t refs = 0;
    for (uint32_t i = 0; i < m->index_count; i++) {
        uint32_t len = m->index[i].len;
        if (len == 0 || len > INDEX_CHUNK_MAX || len % INDEX_REF_LEN)
            return false;
        refs += len / INDEX_REF_LEN;
    }
    return m->chunks == refs && m->bytes >= refs && m->bytes <= refs * CHUNK_MAX;
}

/* Index chunks are named by references in the index's own layout. */
static void get_index(struct wire_reader *r, struct manifest *m)
{
    struct span refs = wire_get_bytes(r, INDEX_REF_LEN, (size_t)INDEX_REF_LEN * MANIFEST_INDEX_MAX);
    if (refs.len % INDEX_REF_LEN) {
        wire_fail(r, ERR_FORMAT);
        return;
    }
    m->index_count = (uint32_t)(refs.len / INDEX_REF_LEN);
    for (uint32_t i = 0; i < m->index_count; i++)
        if (index_get(refs, i, &m->index[i]) < 0)
            wire_fail(r, ERR_RANGE);
}

/* ---- what it needs ---- */

int needs_add(struct needs *n, const char *name, bool in_template)
{
    if (!variable_name_valid(span_text(name)))
        return ERR_FORMAT;
    uint32_t at = 0;
    while (at < n->count && strcmp(n->list[at].name, name) < 0)
        at++;
    if (at < n->count && strcmp(n->list[at].name, name) == 0) {
        n->list[at].in_template |= in_template;
        return 0;
    }
    if (n->count == VARIABLES_NEEDED_MAX)
        return ERR_RANGE;
    memmove(&n->list[at + 1], &n->list[at], (n->count++ - at) * sizeof n->list[0]);
    n->list[at] = (struct need){.in_template = in_template};
    memcpy(n->list[at].name, name, strlen(name));
    return 0;
}

void needs_put(struct wire_writer *w, const struct needs *n)
{
    wire_put_array(w, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        wire_put_array(w, 2);
        wire_put_text(w, span_text(n->list[i].name));
        wire_put_bool(w, n->list[i].in_template);
    }
}

void needs_get(struct wire_reader *r, struct needs *n)
{
    *n = (struct needs){.count = wire_get_array(r, 0, VARIABLES_NEEDED_MAX)};
    for (uint32_t i = 0; i < n->count && !r->error; i++) {
        struct need *need = &n->list[i];
        wire_get_array(r, 2, 2);
        wire_get_text_into(r, need->name, sizeof need->name);
        need->in_template = wire_get_bool(r);
        if (!variable_name_valid(span_text(need->name)) ||
            (i > 0 && strcmp(n->list[i - 1].name, need->name) >= 0))
            wire_fail(r, ERR_FORMAT);
    }
}
