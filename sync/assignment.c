#include "sync/assignment.h"

#include "sync/message.h"

#include <assert.h>

/* agent, epoch, number, issued, cohort, removed, labels, cordoned, reserved, listed, cohort secret,
 * variables; and permits, where there are any */
#define ASSIGNMENT_FIELDS 12

static void put_listed(struct wire_writer *w, const struct assignment *a)
{
    assert(a->listed_count <= RECORDS_MAX);
    wire_put_array(w, a->listed_count);
    for (uint32_t i = 0; i < a->listed_count; i++)
        wire_put_u64(w, a->listed[i]);
}

static void get_listed(struct wire_reader *r, struct assignment *a)
{
    uint32_t before = 0;
    a->listed_count = wire_get_array(r, 0, RECORDS_MAX);
    for (uint32_t i = 0; i < a->listed_count && !r->error; i++) {
        a->listed[i] = (uint32_t)wire_get_u64(r, UINT32_MAX);
        if (a->listed[i] <= before)
            wire_fail(r, ERR_FORMAT);
        before = a->listed[i];
    }
}

static void put_permits(struct wire_writer *w, const struct assignment *a)
{
    assert(a->permit_count <= PERMITS_MAX);
    wire_put_array(w, a->permit_count);
    for (uint32_t i = 0; i < a->permit_count; i++) {
        wire_put_array(w, 2);
        wire_put_u64(w, a->permits[i].deployment);
        wire_put_u64(w, a->permits[i].generation);
    }
}

static void get_permits(struct wire_reader *r, struct assignment *a)
{
    uint32_t before = 0;
    a->permit_count = wire_get_array(r, 1, PERMITS_MAX);
    for (uint32_t i = 0; i < a->permit_count && !r->error; i++) {
        struct permit *p = &a->permits[i];
        wire_get_array(r, 2, 2);
        p->deployment = (uint32_t)wire_get_u64(r, UINT32_MAX);
        p->generation = (uint32_t)wire_get_u64(r, UINT32_MAX);
        if (p->deployment <= before || p->generation == 0)
            wire_fail(r, ERR_FORMAT);
        before = p->deployment;
    }
}

bool assignment_permits(const struct assignment *a, uint32_t deployment, uint32_t generation)
{
    for (uint32_t i = 0; i < a->permit_count; i++)
        if (a->permits[i].deployment == deployment)
            return a->permits[i].generation == generation;
    return false;
}

bool assignment_lists(const struct assignment *a, uint32_t deployment)
{
    for (uint32_t i = 0; i < a->listed_count; i++)
        if (a->listed[i] == deployment)
            return true;
    return false;
}

int assignment_write(const struct assignment *a, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_ASSIGNMENT, ASSIGNMENT_FIELDS + (a->permit_count > 0));
    wire_put_bytes(&w, span_of(a->agent.bytes, KEY_ID_LEN));
    message_put_revision(&w, a->revision);
    wire_put_u64(&w, a->issued_s);
    wire_put_bytes(&w, span_of(a->cohort.bytes, COHORT_KEY_LEN));
    wire_put_bool(&w, a->removed);
    wire_put_text(&w, span_text(a->labels.text));
    wire_put_bool(&w, a->cordoned);
    wire_put_bool(&w, a->reserved);
    put_listed(&w, a);
    wire_put_bytes(&w, span_of(a->cohort_secret, SECRET_COHORT_LEN));
    variables_copy(&w, assignment_variables(a));
    if (a->permit_count > 0)
        put_permits(&w, a);
    return wire_end(&w);
}

/* The set must be well-formed and stand in its canonical order, so that there is one text for it.
 */
static void get_labels(struct wire_reader *r, struct labels *labels)
{
    struct span text = wire_get_text(r, LABELS_TEXT_MAX - 1);
    *labels = (struct labels){0};
    if (text.len == 0)
        return;
    if (labels_parse(labels, text, NULL) < 0 || !span_equal(span_text(labels->text), text))
        wire_fail(r, ERR_FORMAT);
}

static void get_variables(struct wire_reader *r, struct assignment *a)
{
    struct span list = variables_get(r, VARIABLES_OWN_MAX);
    a->variables_len = (uint32_t)list.len;
    if (list.len > 0)
        memcpy(a->variables, list.data, list.len);
}

struct span assignment_variables(const struct assignment *a)
{
    return span_of(a->variables, a->variables_len);
}

int assignment_read(struct span body, struct assignment *a)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_ASSIGNMENT, ASSIGNMENT_FIELDS);
    wire_get_bytes_into(&r, a->agent.bytes, KEY_ID_LEN);
    a->revision = message_get_revision(&r);
    a->issued_s = wire_get_u64(&r, UINT64_MAX);
    wire_get_bytes_into(&r, a->cohort.bytes, COHORT_KEY_LEN);
    a->removed = wire_get_bool(&r);
    get_labels(&r, &a->labels);
    a->cordoned = wire_get_bool(&r);
    a->reserved = wire_get_bool(&r);
    get_listed(&r, a);
    wire_get_bytes_into(&r, a->cohort_secret, SECRET_COHORT_LEN);
    get_variables(&r, a);
    a->permit_count = 0;
    if (extra > 0) {
        get_permits(&r, a);
        extra--;
    }
    wire_skip(&r, extra);
    return wire_done(&r);
}
