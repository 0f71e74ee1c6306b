#include "sync/status.h"

#include "sync/message.h"

#include <assert.h>

/* Elements behind type and version. */
#define STATUS_FIELDS                                                                              \
    9 /* number, seq, boot, epoch, revision, assignment, flags, facts, exceptions */
#define WILL_FIELDS 2
#define EXCEPTION_FIELDS 5

const char *deployment_state_name(enum deployment_state s)
{
    static const char names[STATE_COUNT][12] = {
        [STATE_PENDING] = "Pending",
        [STATE_DOWNLOADING] = "Downloading",
        [STATE_APPLYING] = "Applying",
        [STATE_VERIFYING] = "Verifying",
        [STATE_READY] = "Ready",
        [STATE_FAILED] = "Failed",
        [STATE_ROLLED_BACK] = "RolledBack",
        [STATE_MODIFIED] = "Modified",
        [STATE_PAUSED] = "Paused",
        [STATE_REMOVING] = "Removing",
    };
    return (unsigned)s < STATE_COUNT ? names[s] : "Unknown";
}

const char *cause_text(enum cause c)
{
    static const char *const texts[CAUSE_COUNT] = {
        [CAUSE_NONE] = "no cause given",
        [CAUSE_PRE_APPLY] = "hooks/pre-apply failed",
        [CAUSE_APPLY] = "hooks/apply failed",
        [CAUSE_HEALTH] = "hooks/health failed",
        [CAUSE_REMOVE] = "hooks/remove failed",
        [CAUSE_DISK] = "the disk is full or failing",
        [CAUSE_UNTRUSTED] = "the bundle is not signed by a trusted publisher",
        [CAUSE_CONTENT] = "the bundle's content was refused",
        [CAUSE_CRASHES] = "the device went down too often while applying",
        [CAUSE_FETCH] = "the bundle's chunks don't come",
        [CAUSE_AFTER] = "another deployment has to be ready first",
        [CAUSE_STUCK] = "a deployment that it depends on failed, or is not for this device",
        [CAUSE_VARIABLE] = "a variable has no value",
        [CAUSE_WINDOW] = "its window is closed",
        [CAUSE_CLOCK] = "it waits for a window, and the device doesn't know the time",
        [CAUSE_RETURNING] = "it came back, and waits for a place among those that come back",
    };
    return (unsigned)c < CAUSE_COUNT ? texts[c] : "a cause that this version doesn't know";
}

struct mac_key status_key(const struct mac_key *master, uint32_t number, const struct key_id *id)
{
    struct mac_base base = mac_base_of(master);
    return status_key_from(&base, number, id);
}

struct mac_key status_key_from(const struct mac_base *master, uint32_t number,
                               const struct key_id *id)
{
    return mac_derive_from(master, "dunlin status", number, span_of(id->bytes, KEY_ID_LEN));
}

static bool revision_is_none(struct revision r)
{
    return r.epoch == 0 && r.number == 0;
}

/*
 * [status-2] The assignment's revision in as few bytes as possible: nil for none, its number alone
 * when its epoch is the document's, [epoch, number] otherwise. Each value has one form.
 */
static void put_assignment(struct wire_writer *w, const struct status *s)
{
    if (revision_is_none(s->assignment)) {
        wire_put_nil(w);
        return;
    }
    if (s->assignment.epoch == s->document.epoch) {
        wire_put_u64(w, s->assignment.number);
        return;
    }
    wire_put_array(w, 2);
    message_put_revision(w, s->assignment);
}

static void get_assignment(struct wire_reader *r, struct status *s)
{
    if (wire_get_nil(r))
        return;
    struct wire_reader ahead = *r;
    wire_get_array(&ahead, 2, 2);
    if (!ahead.error) {
        s->assignment = message_get_revision(&ahead);
        *r = ahead;
        if (s->assignment.epoch == s->document.epoch)
            wire_fail(r, ERR_FORMAT);
    } else {
        s->assignment.epoch = s->document.epoch;
        s->assignment.number = (uint32_t)wire_get_u64(r, UINT32_MAX);
    }
    if (revision_is_none(s->assignment))
        wire_fail(r, ERR_FORMAT);
}

/* [status-5] The same as the hello before said, unless this is one. */
static void put_facts(struct wire_writer *w, const struct status *s)
{
    if (s->flags & STATUS_HELLO)
        wire_put_u64(w, s->facts);
    else
        wire_put_nil(w);
}

static void get_facts(struct wire_reader *r, struct status *s)
{
    if (s->flags & STATUS_HELLO)
        s->facts = (uint32_t)wire_get_u64(r, UINT32_MAX);
    else if (!wire_get_nil(r))
        wire_fail(r, ERR_FORMAT);
}

bool exception_equal(const struct exception *a, const struct exception *b)
{
    return a->deployment == b->deployment && a->generation == b->generation &&
           a->running == b->running && a->state == b->state && a->cause == b->cause;
}

static void put_exception(struct wire_writer *w, const struct exception *e)
{
    wire_put_array(w, EXCEPTION_FIELDS);
    wire_put_u64(w, e->deployment);
    wire_put_u64(w, e->generation);
    wire_put_u64(w, e->running);
    wire_put_u64(w, e->state);
    wire_put_u64(w, e->cause);
}

/* A cause may be one that only newer agents know; a state may not: the manager counts by it. */
static void get_exception(struct wire_reader *r, struct exception *e)
{
    uint32_t extra = message_enter_array(r, EXCEPTION_FIELDS);
    e->deployment = (uint32_t)wire_get_u64(r, UINT32_MAX);
    e->generation = (uint32_t)wire_get_u64(r, UINT32_MAX);
    e->running = (uint32_t)wire_get_u64(r, UINT32_MAX);
    e->state = (uint8_t)wire_get_u64(r, STATE_COUNT - 1);
    e->cause = (uint8_t)wire_get_u64(r, UINT8_MAX);
    wire_skip(r, extra);
    if (e->deployment == 0)
        wire_fail(r, ERR_FORMAT);
}

int status_seal(struct wire_writer *w, const struct mac_key *key)
{
    int rv = wire_end(w);
    if (rv < 0)
        return rv;
    struct buffer *out = w->out;
    struct digest mac = mac_of(key, span_of(out->data + w->start, out->len - w->start));
    if (out->cap - out->len < STATUS_MAC_LEN) {
        out->len = w->start;
        return ERR_NO_MEMORY;
    }
    memcpy(out->data + out->len, mac.bytes, STATUS_MAC_LEN);
    out->len += STATUS_MAC_LEN;
    return 0;
}

int status_write(const struct status *s, const struct mac_key *key, struct buffer *out)
{
    assert(s->count <= EXCEPTIONS_MAX);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_STATUS, STATUS_FIELDS);
    wire_put_u64(&w, s->number);
    wire_put_u64(&w, s->seq);
    wire_put_u64(&w, s->boot);
    message_put_revision(&w, s->document);
    put_assignment(&w, s);
    wire_put_u64(&w, s->flags);
    put_facts(&w, s);
    wire_put_array(&w, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        put_exception(&w, &s->exceptions[i]);
    return status_seal(&w, key);
}

int will_write(const struct will *will, const struct mac_key *key, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_WILL, WILL_FIELDS);
    wire_put_u64(&w, will->number);
    wire_put_u64(&w, will->session);
    return status_seal(&w, key);
}

static int status_read(struct span body, struct status *s)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_STATUS, STATUS_FIELDS);
    s->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    s->seq = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    s->boot = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    s->document = message_get_revision(&r);
    get_assignment(&r, s);
    s->flags = (uint8_t)wire_get_u64(&r, UINT8_MAX);
    get_facts(&r, s);
    s->count = (uint8_t)wire_get_array(&r, 0, EXCEPTIONS_MAX);
    for (uint32_t i = 0; i < s->count; i++)
        get_exception(&r, &s->exceptions[i]);
    wire_skip(&r, extra);
    if (s->boot == 0)
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}

static int will_read(struct span body, struct will *will)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_WILL, WILL_FIELDS);
    will->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    will->session = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    wire_skip(&r, extra);
    return wire_done(&r);
}

int report_read(struct span bytes, struct report *r)
{
    *r = (struct report){0};
    if (bytes.len <= STATUS_MAC_LEN || bytes.len > STATUS_MAX)
        return ERR_FORMAT;
    struct span body = span_of(bytes.data, bytes.len - STATUS_MAC_LEN);
    bool is_will = message_type(body) == MESSAGE_WILL;
    r->type = is_will ? MESSAGE_WILL : MESSAGE_STATUS;
    int rv = is_will ? will_read(body, &r->will) : status_read(body, &r->status);
    if (rv == 0 && report_number(r) == 0)
        return ERR_FORMAT; /* agents are numbered from 1 */
    return rv;
}

uint32_t report_number(const struct report *r)
{
    return r->type == MESSAGE_WILL ? r->will.number : r->status.number;
}

int report_check(struct span bytes, const struct mac_key *key)
{
    if (bytes.len <= STATUS_MAC_LEN)
        return ERR_SIGNATURE;
    size_t len = bytes.len - STATUS_MAC_LEN;
    struct digest mac = mac_of(key, span_of(bytes.data, len));
    bool holds =
        mac_equal(span_of(mac.bytes, STATUS_MAC_LEN), span_of(bytes.data + len, STATUS_MAC_LEN));
    return holds ? 0 : ERR_SIGNATURE;
}
