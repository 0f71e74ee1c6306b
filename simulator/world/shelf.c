#include "simulator/world/shelf.h"

#include "bundles/index.h"
#include "simulator/world/notary.h"

#include <assert.h>
#include <stdio.h>

static void make_chunks(struct bundle *b);
static void make_manifest(struct bundle *b);
static void frame_put(struct frame *f, struct span content);

const struct bundle *shelf_make(struct shelf *s, const struct script *script)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->bundles[i].script.name, script->name) == 0 &&
            strcmp(s->bundles[i].script.version, script->version) == 0)
            return &s->bundles[i];
    assert(s->count < SHELF_BUNDLES_MAX);
    struct bundle *b = &s->bundles[s->count++];
    *b = (struct bundle){.script = *script};
    struct script *own = &b->script;
    snprintf(b->name, sizeof b->name, "%s", script->name);
    snprintf(b->version, sizeof b->version, "%s", script->version);
    own->name = b->name;
    own->version = b->version;
    own->publisher = own->publisher ? own->publisher : SHELF_PUBLISHER;
    own->deadline_s = own->deadline_s ? own->deadline_s : 30;
    own->interval_s = own->interval_s ? own->interval_s : 5;
    own->hook_ms = own->hook_ms ? own->hook_ms : 20;
    make_chunks(b);
    make_manifest(b);
    return b;
}

const struct bundle *shelf_find(const struct shelf *s, const struct digest *digest)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (digest_equal(&s->bundles[i].digest, digest))
            return &s->bundles[i];
    return NULL;
}

const char *shelf_title(const struct shelf *s, const struct digest *digest)
{
    static char texts[8][2 * NAME_MAX_LEN + 2];
    static unsigned next;
    const struct bundle *b = shelf_find(s, digest);
    char *text = texts[next++ % 8];
    if (b)
        snprintf(text, sizeof texts[0], "%s@%s", b->script.name, b->script.version);
    else
        snprintf(text, sizeof texts[0], "%s", digest_is_zero(digest) ? "none" : "unknown");
    return text;
}

/* Each is one reference long: the manifest takes them for chunks of its index. */
static void make_chunks(struct bundle *b)
{
    b->chunk_count = b->script.chunks ? b->script.chunks : 2;
    assert(b->chunk_count <= SHELF_CHUNKS_MAX);
    for (uint32_t i = 0; i < b->chunk_count; i++) {
        char title[2 * NAME_MAX_LEN + 20];
        uint8_t content[INDEX_REF_LEN];
        snprintf(title, sizeof title, "%s@%s %u", b->script.name, b->script.version, (unsigned)i);
        struct digest d = digest_of(span_text(title));
        for (size_t k = 0; k < sizeof content; k++)
            content[k] = d.bytes[k % DIGEST_LEN];
        frame_put(&b->chunks[i], span_of(content, sizeof content));
    }
}

static void make_manifest(struct bundle *b)
{
    static struct manifest m;
    uint8_t body_memory[SHELF_FRAME_MAX], memory[SHELF_FRAME_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(memory, sizeof memory);
    m = (struct manifest){
        .kind = b->script.agent ? BUNDLE_AGENT : BUNDLE_FILES,
        .hook_timeout_s = 60,
        .health_deadline_s = b->script.deadline_s,
        .health_interval_s = b->script.interval_s,
        .bytes = 1000,
        .files = 1,
        .chunks = b->chunk_count,
        .index_count = b->chunk_count,
    };
    snprintf(m.name, sizeof m.name, "%s", b->script.name);
    snprintf(m.version, sizeof m.version, "%s", b->script.version);
    for (uint32_t i = 0; i < b->chunk_count; i++)
        m.index[i] = (struct chunk_ref){.digest = b->chunks[i].name, .len = INDEX_REF_LEN};
    int rv = manifest_write(&m, &body);
    assert(rv == 0);
    if (b->script.malformed)
        body.len--;
    struct envelope e = {.body = span_buffer(&body)};
    const unsigned publishers[] = {b->script.publisher, b->script.publisher_too};
    for (int i = 0; i < 2 && publishers[i] > 0; i++) {
        struct secret_key publisher = notary_secret(publishers[i]);
        rv |= notary_sign(MESSAGE_MANIFEST, &e, &publisher);
    }
    rv |= envelope_write(MESSAGE_MANIFEST, &e, &out);
    assert(rv == 0);
    frame_put(&b->manifest, span_buffer(&out));
    b->digest = b->manifest.name;
}

static void frame_put(struct frame *f, struct span content)
{
    assert(content.len < sizeof f->bytes);
    f->name = digest_of(content);
    f->bytes[0] = 0;
    memcpy(f->bytes + 1, content.data, content.len);
    f->len = (uint32_t)content.len + 1;
}
