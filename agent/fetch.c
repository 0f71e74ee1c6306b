#include "agent/fetch.h"

#include "agent/room.h"

#include <assert.h>

static int look(struct fetch *f, bool *more, struct errmsg *em);
static void look_at_manifest(struct fetch *f);
static void look_at_index(struct fetch *f);
static int look_at_content(struct fetch *f, struct errmsg *em);
static int next_part(struct fetch *f, struct errmsg *em);
static void start_part(struct fetch *f, enum fetch_part part);
static void want(struct fetch *f, const struct digest *name, uint32_t len);
static struct fetch_want *find(struct fetch *f, const struct digest *name);
static int ask_due(struct fetch *f, uint64_t now_ms);
static void drop_gone(struct fetch *f);
static uint64_t next_due(const struct fetch *f);

void fetch_init(struct fetch *f, struct content *content, const struct fetch_link *link)
{
    *f = (struct fetch){.content = content, .link = *link};
}

void fetch_start(struct fetch *f, const struct digest *bundle, const struct trust *trust)
{
    assert(f->part == FETCH_NOTHING);
    f->bundle = *bundle;
    f->trust = trust;
    f->error = 0;
    f->came = f->came_before = 0;
    f->heard = true;
    start_part(f, FETCH_MANIFEST);
}

void fetch_stop(struct fetch *f)
{
    drop_gone(f);
    for (uint32_t i = 0; i < f->want_count; i++)
        if (f->wants[i].asked)
            f->gone[f->gone_count++] = f->wants[i].name;
    f->want_count = 0;
    f->part = FETCH_NOTHING;
    drop_gone(f);
}

bool fetch_active(const struct fetch *f)
{
    return f->part != FETCH_NOTHING;
}

void fetch_link_changed(struct fetch *f)
{
    f->gone_count = 0;
    f->heard |= f->came > f->came_before;
    f->came_before = f->came;
    for (uint32_t i = 0; i < f->want_count; i++)
        f->wants[i].asked = false;
}

void fetch_take(struct fetch *f, const struct digest *name, struct span frame, struct errmsg *em)
{
    struct fetch_want *w = find(f, name);
    if (!w)
        return;
    size_t len;
    if (content_check(f->content, name, frame, &len) < 0) {
        f->refused++;
        return;
    }
    /* The right content under a wrong length: then it's the index that is wrong, for good. */
    if (w->len > 0 && w->len != len) {
        f->error = errmsg_set(em, ERR_FORMAT, "chunk %.12s has %zu bytes, and the index says %u",
                              digest_hex(name).text, len, w->len);
        return;
    }
    int rv = chunks_put(f->content->chunks, name, frame, em);
    if (rv < 0) {
        f->error = rv;
        return;
    }
    f->came++;
    f->heard = true;
    /* Never more than the window: what is full is dropped before the next is asked for. */
    if (f->gone_count == FETCH_WINDOW)
        drop_gone(f);
    f->gone[f->gone_count++] = *name;
    *w = f->wants[--f->want_count];
}

int fetch_step(struct fetch *f, uint64_t now_ms, uint64_t *due_ms, struct errmsg *em)
{
    assert(f->part != FETCH_NOTHING);
    bool more = false;
    int rv = f->error;
    if (f->heard)
        f->heard_ms = now_ms;
    f->heard = false;
    if (rv == 0)
        rv = look(f, &more, em);
    if (rv == 1 && !more && now_ms >= f->heard_ms + FETCH_PATIENCE_MS)
        rv = errmsg_set(em, ERR_TIMEOUT, "bundle %.12s: nothing of it came for %d s",
                        digest_hex(&f->bundle).text, FETCH_PATIENCE_MS / 1000);
    if (rv == 1) {
        drop_gone(f);
        rv = ask_due(f, now_ms);
    }
    if (rv <= 0) {
        fetch_stop(f);
        return rv;
    }
    *due_ms = more ? now_ms : next_due(f);
    return 1;
}

/* Fills the window. 1, or 0 when all is here; `*more` when the turn ended before the window was
 * full. */
static int look(struct fetch *f, bool *more, struct errmsg *em)
{
    for (unsigned looked = 0; f->want_count < FETCH_WINDOW; looked++) {
        if (f->ended && f->want_count > 0)
            return 1;
        if (looked == FETCH_LOOK_MAX) {
            *more = true;
            return 1;
        }
        int rv = 1;
        if (f->ended)
            rv = next_part(f, em);
        else if (f->part == FETCH_MANIFEST)
            look_at_manifest(f);
        else if (f->part == FETCH_INDEX)
            look_at_index(f);
        else
            rv = look_at_content(f, em);
        if (rv <= 0)
            return rv;
    }
    return 1;
}

static void look_at_manifest(struct fetch *f)
{
    if (!chunks_has(f->content->chunks, &f->bundle))
        want(f, &f->bundle, 0);
    f->ended = true;
}

static void look_at_index(struct fetch *f)
{
    const struct manifest *m = &f->content->manifest;
    f->ended = f->next_index == m->index_count;
    if (f->ended)
        return;
    const struct chunk_ref *ref = &m->index[f->next_index++];
    if (!chunks_has(f->content->chunks, &ref->digest))
        want(f, &ref->digest, ref->len);
}

static int look_at_content(struct fetch *f, struct errmsg *em)
{
    struct chunk_ref ref;
    int rv = content_next(f->content, &ref, em);
    if (rv == ERR_NOT_FOUND || rv == ERR_DIGEST) {
        start_part(f, FETCH_INDEX);
        return 1;
    }
    f->ended = rv == 0;
    if (rv == 1 && !chunks_has(f->content->chunks, &ref.digest))
        want(f, &ref.digest, ref.len);
    return rv < 0 ? rv : 1;
}

/* Everything of a part is here: 0 after the last one. */
static int next_part(struct fetch *f, struct errmsg *em)
{
    if (f->part == FETCH_CONTENT) {
        content_rewind(f->content);
        return 0;
    }
    if (f->part == FETCH_INDEX) {
        content_rewind(f->content);
        start_part(f, FETCH_CONTENT);
        return 1;
    }
    int rv = content_open(f->content, &f->bundle, f->trust, em);
    if (rv == ERR_NOT_FOUND || rv == ERR_DIGEST)
        start_part(f, FETCH_MANIFEST);
    else if (rv == 0)
        start_part(f, FETCH_INDEX);
    else
        return rv;
    return 1;
}

static void start_part(struct fetch *f, enum fetch_part part)
{
    f->part = part;
    f->ended = false;
    f->next_index = 0;
}

static void want(struct fetch *f, const struct digest *name, uint32_t len)
{
    if (find(f, name))
        return;
    assert(f->want_count < FETCH_WINDOW);
    f->wants[f->want_count++] = (struct fetch_want){.name = *name, .len = len};
}

static struct fetch_want *find(struct fetch *f, const struct digest *name)
{
    for (uint32_t i = 0; i < f->want_count; i++)
        if (digest_equal(&f->wants[i].name, name))
            return &f->wants[i];
    return NULL;
}

static bool is_due(const struct fetch *f, const struct fetch_want *w, uint64_t now_ms)
{
    return !w->asked || (now_ms >= w->due_ms && now_ms >= f->heard_ms + FETCH_ASK_AGAIN_MS);
}

/* 1, or ERR_NO_SPACE: what finds no room is not asked for, since it would come in vain each time
 * that it is tried again, and somebody pays for that. */
static int ask_due(struct fetch *f, uint64_t now_ms)
{
    struct digest names[FETCH_WINDOW];
    size_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < f->want_count; i++) {
        if (!is_due(f, &f->wants[i], now_ms))
            continue;
        names[count++] = f->wants[i].name;
        bytes += f->wants[i].len;
    }
    int rv = count > 0 ? room_check(f->content->chunks->folder, bytes, count, NULL) : 0;
    if (rv < 0)
        return rv;
    if (count == 0 || f->link.ask(f->link.context, names, count) < 0)
        return 1;
    for (uint32_t i = 0; i < f->want_count; i++) {
        struct fetch_want *w = &f->wants[i];
        if (!is_due(f, w, now_ms))
            continue;
        w->asked = true;
        w->due_ms = now_ms + FETCH_ASK_AGAIN_MS;
    }
    return 1;
}

static void drop_gone(struct fetch *f)
{
    if (f->gone_count > 0)
        f->link.drop(f->link.context, f->gone, f->gone_count);
    f->gone_count = 0;
}

/* Without a link nothing is asked: the driver calls when it is up again. */
static uint64_t next_due(const struct fetch *f)
{
    uint64_t due = f->heard_ms + FETCH_PATIENCE_MS;
    uint64_t again = f->heard_ms + FETCH_ASK_AGAIN_MS;
    for (uint32_t i = 0; i < f->want_count; i++) {
        const struct fetch_want *w = &f->wants[i];
        uint64_t mine = w->due_ms > again ? w->due_ms : again;
        if (w->asked && mine < due)
            due = mine;
    }
    return due;
}
