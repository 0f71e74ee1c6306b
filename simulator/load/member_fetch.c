#include "bundles/index.h"
#include "simulator/load/crowd.h"

#include <stdlib.h>

/* Asked for at a time, as agents do. */
#define WINDOW 16
/* When nothing has come for this time, what is missing is asked for again, as agents do. */
#define ASK_AGAIN_MS 120000
/* Chunks of a bundle that is fetched here. */
#define CHUNKS_MAX 1024

enum part { PART_MANIFEST, PART_INDEX, PART_CONTENT, PART_COUNT };

/* What is left to come of a part: the first `asked` of the list are asked for. */
struct fetch {
    enum part part;
    struct digest bundle;
    uint64_t heard_ms; /* something came, or was asked for anew */
    uint32_t asked;
    uint32_t count;
    uint32_t next_count; /* of the next part, as index chunks name it */
    struct digest list[CHUNKS_MAX];
    struct digest next[CHUNKS_MAX];
};

static void ask(struct crowd *c, struct member *m);
static int learn(struct crowd *c, struct member *m, struct span plain);
static int learn_manifest(struct crowd *c, struct member *m, struct span plain);
static int learn_index(struct fetch *f, struct span plain);
static void go_on(struct crowd *c, struct member *m);
static void end(struct crowd *c, struct member *m, int rv);

static struct topic topic_for(const struct digest *name)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = *name});
}

void fetch_begin(struct crowd *c, struct member *m)
{
    struct fetch *f = m->fetch = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->bundle = f->list[0] = m->job.bundle;
    f->count = 1;
    f->heard_ms = c->now_ms;
    ask(c, m);
}

void fetch_again(struct crowd *c, struct member *m)
{
    if (!m->fetch)
        return;
    m->fetch->asked = 0;
    m->fetch->heard_ms = c->now_ms;
    ask(c, m);
}

/* A broker drops what it has too much of for one session, and many may share one here. */
uint64_t fetch_due_ms(const struct member *m)
{
    return m->fetch ? m->fetch->heard_ms + ASK_AGAIN_MS : UINT64_MAX;
}

void fetch_wake(struct crowd *c, struct member *m)
{
    if (c->now_ms >= fetch_due_ms(m))
        fetch_again(c, m);
}

void fetch_stop(struct crowd *c, struct member *m)
{
    (void)c; /* what still comes is nobody's */
    free(m->fetch);
    m->fetch = NULL;
}

static void ask(struct crowd *c, struct member *m)
{
    struct fetch *f = m->fetch;
    struct topic topics[WINDOW];
    const char *texts[WINDOW];
    size_t count = 0;
    if (!seat_is_up(m))
        return;
    for (; f->asked < f->count && f->asked < WINDOW; f->asked++) {
        topics[count] = topic_for(&f->list[f->asked]);
        texts[count] = topics[count].text;
        count++;
    }
    if (count > 0)
        seat_subscribe(c, m, texts, count);
}

void fetch_take(struct crowd *c, struct member *m, const struct digest *name, struct span frame)
{
    struct buffer plain = buffer_on(c->plain, sizeof c->plain);
    struct fetch *f = m->fetch;
    uint32_t i = 0;
    while (f && i < f->asked && !digest_equal(&f->list[i], name))
        i++;
    if (!f || i == f->asked)
        return;
    if (chunk_open(c->opener, frame, name, &plain) < 0) {
        crowd_fault(c, m, "a chunk that came does not hold");
        return;
    }
    c->options.board->chunks++;
    f->heard_ms = c->now_ms;
    struct topic topic = topic_for(name);
    seat_unsubscribe(c, m, &(const char *){topic.text}, 1);
    f->list[i] = f->list[--f->asked];
    f->list[f->asked] = f->list[--f->count];
    int rv = learn(c, m, span_buffer(&plain));
    if (rv < 0)
        end(c, m, rv);
    else
        go_on(c, m);
}

static int learn(struct crowd *c, struct member *m, struct span plain)
{
    if (m->fetch->part == PART_MANIFEST)
        return learn_manifest(c, m, plain);
    return m->fetch->part == PART_INDEX ? learn_index(m->fetch, plain) : 0;
}

/* One and the same for all: its signature is checked once in a process. */
static int learn_manifest(struct crowd *c, struct member *m, struct span plain)
{
    struct fetch *f = m->fetch;
    bool known = digest_equal(&c->manifest_name, &f->bundle);
    int rv = known ? 0 : manifest_open(plain, &m->trust->trust, &c->manifest);
    c->lore.remembered += known;
    c->lore.checked += !known;
    if (rv < 0 || c->manifest.index_count > CHUNKS_MAX)
        return rv < 0 ? rv : ERR_RANGE;
    c->manifest_name = f->bundle;
    for (uint32_t i = 0; i < c->manifest.index_count; i++)
        f->next[f->next_count++] = c->manifest.index[i].digest;
    return 0;
}

static int learn_index(struct fetch *f, struct span plain)
{
    int count = index_count(plain);
    for (int i = 0; i < count; i++) {
        struct chunk_ref ref;
        if (f->next_count == CHUNKS_MAX || index_get(plain, (size_t)i, &ref) < 0)
            return ERR_RANGE;
        f->next[f->next_count++] = ref.digest;
    }
    return count < 0 ? count : 0;
}

static void go_on(struct crowd *c, struct member *m)
{
    struct fetch *f = m->fetch;
    if (f->count == 0 && f->part == PART_CONTENT) {
        end(c, m, 0);
        return;
    }
    if (f->count == 0) {
        f->part++;
        memcpy(f->list, f->next, f->next_count * sizeof f->list[0]);
        f->count = f->next_count;
        f->next_count = 0;
    }
    ask(c, m);
}

static void end(struct crowd *c, struct member *m, int rv)
{
    fetch_stop(c, m);
    m->job.busy = false;
    member_feed(c, m, &(struct agent_event){.type = AGENT_DONE, .done = AGENT_FETCH, .rv = rv},
                NULL);
}
