#include "simulator/world/control_parts.h"

#include "base/endian.h"
#include "simulator/world/notary.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Room for any message with its signature. */
#define WORDS_MAX (DOCUMENT_MAX + ENVELOPE_OVERHEAD)

/* A serial and the lineage of the rows. */
#define MARK_LEN 12

static void keep_pending(struct control *c, const struct manager_out *out);
static void commit(struct control *c);
static void say(struct control *c, const struct persist *p);

/* ---- one turn: step, commit ---- */

int control_turn(struct control *c, struct manager_event *ev, struct manager_out *out)
{
    struct manager_out more;
    ev->now_s = stage_wall_s(c->stage);
    arena_reset(&c->scratch);
    manager_step(c->core, ev, &c->scratch, out);
    keep_pending(c, out);
    for (bool again = out->more; again; again = more.more) {
        struct manager_event go_on = {.type = MANAGER_CONTINUE, .now_s = ev->now_s};
        arena_reset(&c->scratch);
        manager_step(c->core, &go_on, &c->scratch, &more);
        keep_pending(c, &more);
    }
    if (c->pending_count == 0)
        return 0;
    if (control_point(c))
        return ERR_TIMEOUT;
    if (++c->commits == c->fail_commit) {
        stage_trace(c->stage, "manager commit fails");
        c->pending_count = 0;
        control_build_core(c);
        return ERR_NO_SPACE;
    }
    commit(c);
    return control_point(c) ? ERR_TIMEOUT : 0;
}

static void keep_pending(struct control *c, const struct manager_out *out)
{
    size_t count = c->pending_count + out->persist_count;
    assert(out->persist_count <= MANAGER_PERSIST_MAX);
    c->pending = realloc(c->pending, (count + 1) * sizeof c->pending[0]);
    if (!c->pending)
        abort();
    memcpy(c->pending + c->pending_count, out->persist,
           out->persist_count * sizeof out->persist[0]);
    c->pending_count = (uint32_t)count;
}

static void commit(struct control *c)
{
    for (uint32_t i = 0; i < c->pending_count; i++) {
        rows_copy(c->rows, c->core, &c->pending[i]);
        say(c, &c->pending[i]);
    }
    c->pending_count = 0;
}

/* ---- what goes into the log ---- */

/* The same revision never says two things. */
static void remember(struct control *c, const struct topic *topic, struct revision revision,
                     struct span words)
{
    char text[TOPIC_MAX + 40];
    snprintf(text, sizeof text, "%s %u.%u", topic->text, (unsigned)revision.epoch,
             (unsigned)revision.number);
    struct said said = {.what = digest_of(span_text(text)), .words = digest_of(words)};
    for (uint32_t i = 0; i < c->said_count; i++) {
        if (!digest_equal(&c->said[i].what, &said.what))
            continue;
        if (!digest_equal(&c->said[i].words, &said.words))
            stage_fault(c->stage, "the manager uses a revision again: %s", text);
        return;
    }
    assert(c->said_count < CONTROL_SAID_MAX);
    c->said[c->said_count++] = said;
}

static void remember_one(struct control *c, const char *name, const struct target *target)
{
    if (target->generation == 0 || control_asked(c, name, &target->bundle))
        return;
    assert(c->asked_count < CONTROL_ASKED_MAX);
    struct asked *a = &c->asked[c->asked_count++];
    memcpy(a->name, name, strlen(name) + 1);
    a->bundle = target->bundle;
}

static void remember_asked(struct control *c, const struct desired *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        remember_one(c, d->records[i].name, &d->records[i].stable);
        remember_one(c, d->records[i].name, &d->records[i].next);
    }
}

bool control_asked(const struct control *c, const char *name, const struct digest *bundle)
{
    for (uint32_t i = 0; i < c->asked_count; i++)
        if (strcmp(c->asked[i].name, name) == 0 && digest_equal(&c->asked[i].bundle, bundle))
            return true;
    return false;
}

static void say_signed(struct control *c, const struct topic_name *name, struct revision revision,
                       enum message type, struct span body)
{
    static uint8_t memory[WORDS_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct topic topic = topic_make(name);
    int rv = notary_seal(type, body, &c->signing, &out);
    assert(rv == 0);
    remember(c, &topic, revision, body);
    rows_publish(c->rows, &topic, span_buffer(&out));
}

static void say_head(struct control *c, const struct topic_name *name, struct revision revision)
{
    uint8_t memory[HEAD_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct topic topic = topic_make(name);
    int rv = head_write(
        &(struct head){.revision = revision, .trust_version = manager_trust(c->core)->version},
        &out);
    assert(rv == 0);
    rows_publish(c->rows, &topic, span_buffer(&out));
}

static void say_heads(struct control *c, uint32_t index)
{
    const struct cohort *cohort = manager_cohort(c->core, index);
    for (uint32_t lane = 0; lane < manager_lanes(c->core, index); lane++)
        say_head(
            c, &(struct topic_name){.kind = TOPIC_COHORT_HEAD, .cohort = cohort->key, .lane = lane},
            cohort->revision);
}

static void say_document(struct control *c, uint32_t cohort)
{
    static struct desired d;
    static uint8_t memory[DOCUMENT_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    manager_document(c->core, cohort, &d);
    int rv = desired_write(&d, &body);
    assert(rv == 0);
    remember_asked(c, &d);
    stage_trace(c->stage, "manager document %s %u.%u", manager_cohort(c->core, cohort)->labels.text,
                (unsigned)d.revision.epoch, (unsigned)d.revision.number);
    say_signed(c, &(struct topic_name){.kind = TOPIC_COHORT_DOC, .cohort = d.cohort}, d.revision,
               MESSAGE_DESIRED, span_buffer(&body));
    say_heads(c, cohort);
}

static struct buffer assignment_body(struct control *c, uint32_t number, uint8_t *memory)
{
    struct assignment a;
    struct buffer body = buffer_on(memory, ASSIGNMENT_MAX);
    manager_assignment(c->core, number, stage_wall_s(c->stage), &a);
    int rv = assignment_write(&a, &body);
    assert(rv == 0);
    return body;
}

static void erase_agent(struct control *c, const struct key_id *id)
{
    struct topic_name name = {.kind = TOPIC_AGENT_HEAD, .agent = *id};
    struct topic head = topic_make(&name);
    name.kind = TOPIC_AGENT_DOC;
    struct topic doc = topic_make(&name);
    rows_publish(c->rows, &head, SPAN_NONE);
    rows_publish(c->rows, &doc, SPAN_NONE);
}

static void say_assignment(struct control *c, uint32_t number)
{
    uint8_t memory[ASSIGNMENT_MAX];
    const struct agent_row *row = manager_agent(c->core, number);
    struct topic_name name = {.kind = TOPIC_AGENT_DOC, .agent = row->id};
    if (row->flags & AGENT_REVOKED) {
        erase_agent(c, &row->id);
        return;
    }
    struct buffer body = assignment_body(c, number, memory);
    say_signed(c, &name, row->assigned, MESSAGE_ASSIGNMENT, span_buffer(&body));
    name.kind = TOPIC_AGENT_HEAD;
    say_head(c, &name, row->assigned);
}

static struct topic trust_topic(uint32_t version)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = version});
}

static void take_next_key(struct control *c);
static void take_heir(struct control *c);

void control_say_trust(struct control *c)
{
    uint32_t version = c->rows->trust.version;
    struct topic topic = trust_topic(version);
    remember(c, &topic, (struct revision){.number = version}, span_buffer(&c->trust));
    rows_publish(c->rows, &topic, span_buffer(&c->trust));
    take_next_key(c);
    take_heir(c);
}

/* The one before certifies it, and counts for a while unless it was stolen. */
static void take_heir(struct control *c)
{
    static const struct secret_key none;
    struct broker_papers *p = &c->papers;
    if (memcmp(&c->heir, &none, sizeof none) == 0)
        return;
    struct public_key heir = notary_public(&c->heir);
    struct key_id id = key_id_of(&heir);
    if (!trust_has_authority(&c->rows->trust, &id))
        return;
    uint32_t kept = p->count < BROKER_AUTHORITIES_MAX ? p->count : BROKER_AUTHORITIES_MAX - 1;
    memmove(&p->authorities[1], &p->authorities[0], kept * sizeof p->authorities[0]);
    p->authorities[0] = id;
    p->count = kept + 1;
    p->taken = c->stolen ? 1 : p->taken < p->count ? p->taken + 1 : p->count;
    c->authority = c->heir;
    c->heir = none;
}

/* A broker that takes fewer than before ends all connections. */
static void file_papers(struct control *c)
{
    struct broker_papers *there = broker_papers(c->broker);
    bool fewer = there->taken > 0 && c->papers.taken <= there->taken &&
                 memcmp(&c->papers, there, sizeof *there) != 0;
    *there = c->papers;
    if (!fewer)
        return;
    broker_kill(c->broker, false);
    broker_restart(c->broker, true);
}

/* Whatever else was published there is left alone. */
static void seal_again(struct control *c, const struct publication *p)
{
    static uint8_t memory[WORDS_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct topic topic = p->topic;
    struct envelope e;
    enum topic_kind kind = topic_read(topic.text).kind;
    enum message type = kind == TOPIC_COHORT_DOC ? MESSAGE_DESIRED : MESSAGE_ASSIGNMENT;
    if ((kind != TOPIC_COHORT_DOC && kind != TOPIC_AGENT_DOC) ||
        envelope_read(type, span_of(p->bytes, p->len), &e) < 0)
        return;
    int rv = notary_seal(type, e.body, &c->signing, &out);
    assert(rv == 0);
    rows_publish(c->rows, &topic, span_buffer(&out));
}

/* What was signed with the key before is sealed again, so that it counts on. */
static void take_next_key(struct control *c)
{
    static const struct secret_key none;
    const struct publication *p;
    uint64_t last = c->rows->serial;
    struct public_key next;
    if (memcmp(&c->next, &none, sizeof none) == 0)
        return;
    next = notary_public(&c->next);
    if (!trust_has(&c->rows->trust, TRUST_ONLINE, &next))
        return;
    c->signing = c->next;
    c->next = none;
    for (uint64_t at = 0; (p = rows_next(c->rows, at)) && p->serial <= last;) {
        at = p->serial;
        seal_again(c, p);
    }
}

static void say_chunk(struct control *c, const struct frame *f, bool gone)
{
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_CHUNK, .chunk = f->name});
    rows_publish(c->rows, &topic, gone ? SPAN_NONE : span_of(f->bytes, f->len));
}

static void say_bundle(struct control *c, uint32_t index, bool gone)
{
    const struct bundle *b = shelf_find(c->shelf, &manager_bundle(c->core, index)->digest);
    assert(b);
    for (uint32_t i = 0; i < b->chunk_count; i++)
        if (!b->script.lost || i + 1 < b->chunk_count)
            say_chunk(c, &b->chunks[i], gone);
    say_chunk(c, &b->manifest, gone);
}

static void say(struct control *c, const struct persist *p)
{
    if (p->type == PERSIST_DOCUMENT) {
        say_document(c, p->index);
    } else if (p->type == PERSIST_HEAD) {
        say_heads(c, p->index);
    } else if (p->type == PERSIST_ASSIGNMENT) {
        say_assignment(c, p->index);
    } else if (p->type == PERSIST_REPLACED) {
        erase_agent(c, &manager_replaced(c->core, p->index)->id);
    } else if (p->type == PERSIST_TRUST) {
        control_say_trust(c);
    } else if (p->type == PERSIST_BUNDLE || p->type == PERSIST_BUNDLE_GONE) {
        say_bundle(c, p->index, p->type == PERSIST_BUNDLE_GONE);
    }
}

/* ---- what is spoken ---- */

struct mac_key control_status_key(const struct control *c, uint32_t number,
                                  const struct key_id *agent)
{
    return status_key(&c->master, number, agent);
}

/* Appends the agent's certificate as of now; nothing when it may have none. */
static enum joined_code put_certificate(struct control *c, uint32_t number,
                                        const struct public_key *key, struct buffer *out)
{
    struct certificate certificate;
    struct key_id id = key_id_of(key);
    enum joined_code code =
        manager_certificate(c->core, number, &id, stage_wall_s(c->stage), &certificate);
    if (code != JOINED_ACCEPTED)
        return code;
    certificate.key = *key;
    int rv = notary_certificate(&certificate, &c->authority, out);
    assert(rv == 0);
    (void)rv;
    return code;
}

void control_renew(struct control *c, const struct renewal *r, const struct topic_name *answer)
{
    uint8_t memory[CERTIFICATE_MAX], written[RENEWED_MAX];
    struct buffer certificate = buffer_on(memory, sizeof memory);
    struct buffer out = buffer_on(written, sizeof written);
    struct key_id id = key_id_of(&r->key);
    struct mac_key key = control_status_key(c, r->number, &id);
    struct renewed renewed = {.code = put_certificate(c, r->number, &r->key, &certificate)};
    renewed.certificate = span_buffer(&certificate);
    int rv = renewed_write(&renewed, r->nonce, &key, &out);
    assert(rv == 0);
    (void)rv;
    client_publish(c->client, topic_make(answer).text, span_buffer(&out), false);
    control_point(c);
}

/* The newest ones, the last of them last. */
static void fill_trust(const struct control *c, struct joined *j)
{
    uint32_t newest = c->rows->trust.version;
    uint32_t version = newest < TRUST_WALK_MAX ? 1 : newest - TRUST_WALK_MAX + 1;
    for (; version <= newest; version++) {
        struct topic topic = trust_topic(version);
        j->trust[j->trust_count++] = rows_published(c->rows, &topic);
    }
}

static void fill_joined(struct control *c, uint32_t number, const struct public_key *key,
                        struct joined *j, struct buffer *memory)
{
    uint8_t body_memory[ASSIGNMENT_MAX];
    struct buffer body = assignment_body(c, number, body_memory);
    int rv = notary_seal(MESSAGE_ASSIGNMENT, span_buffer(&body), &c->signing, memory);
    assert(rv == 0);
    j->assignment = span_buffer(memory);
    put_certificate(c, number, key, memory);
    j->certificate = span_of(memory->data + j->assignment.len, memory->len - j->assignment.len);
    fill_trust(c, j);
    j->number = number;
    j->mac = control_status_key(c, number, &manager_agent(c->core, number)->id);
    struct mac_key secrets = mac_derive(&c->master, "dunlin secrets", 0);
    j->secret = secret_of_agent(&secrets, number, &manager_agent(c->core, number)->id);
    j->policy = c->policy;
    j->cell_count = 1;
    memcpy(j->cells[0], "mqtt://cell", sizeof "mqtt://cell");
}

void control_answer(struct control *c, const struct request *request, enum joined_code code,
                    uint32_t number)
{
    uint8_t memory[JOINED_MAX], signed_memory[ASSIGNMENT_SIGNED_MAX + CERTIFICATE_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct buffer parts = buffer_on(signed_memory, sizeof signed_memory);
    struct topic_name name = {.kind = TOPIC_JOINED, .join = request->id};
    struct joined joined = {.code = code};
    struct seal_nonce nonce;
    for (size_t i = 0; i < sizeof nonce.bytes; i++)
        nonce.bytes[i] = (uint8_t)rng_next(&c->stage->rng);
    if (code == JOINED_ACCEPTED)
        fill_joined(c, number, &request->key, &joined, &parts);
    int rv = joined_write(&joined, request->sealed ? &request->secret : NULL, &request->id, &nonce,
                          &out);
    assert(rv == 0);
    stage_trace(c->stage, "manager answers a join: %s, number %u", joined_code_text(code),
                (unsigned)number);
    client_publish(c->client, topic_make(&name).text, span_buffer(&out), false);
    control_point(c);
}

static struct topic mark_topic(void)
{
    return topic_make(&(struct topic_name){.kind = TOPIC_MARK});
}

uint64_t control_mark(const struct control *c)
{
    struct span mark = broker_retained(c->broker, mark_topic().text);
    bool ours = mark.len == MARK_LEN && le32_read(mark.data + 8) == c->rows->lineage;
    return ours ? le64_read(mark.data) : 0;
}

void control_pump(struct control *c)
{
    uint8_t mark[MARK_LEN];
    uint64_t before = c->cursor;
    if (c->running)
        file_papers(c);
    if (!c->running || !client_is_up(c->client))
        return;
    for (const struct publication *p; (p = rows_next(c->rows, c->cursor));) {
        client_publish(c->client, p->topic.text, span_of(p->bytes, p->len), true);
        c->cursor = p->serial;
        if (control_point(c))
            return;
    }
    if (c->cursor == before)
        return;
    le64_write(mark, c->cursor);
    le32_write(mark + 8, c->rows->lineage);
    client_publish(c->client, mark_topic().text, span_of(mark, sizeof mark), true);
    control_point(c);
}
