/*
 * The ledger's rows of what failed hooks said last.
 */
#include "manager/ledger_parts.h"

static bool is_news(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                    const struct kept_note *note);

int ledger_note(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                const struct kept_note *note, struct errmsg *em)
{
    struct query q;
    if (!is_news(l, number, deployment, id, note))
        return 0;
    int rv = ledger_start_row(l, PUT_NOTE, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, number);
    query_put_int(&q, deployment);
    query_put_blob(&q, span_of(id->bytes, KEY_ID_LEN));
    query_put_int(&q, note->generation);
    query_put_int(&q, note->cause);
    query_put_int(&q, note->at_s);
    query_put_text(&q, note->text);
    rv = ledger_end_write(l, &q, em);
    return rv < 0 ? rv : ledger_change(l, DROP_NOTES, NOTES_MAX, em);
}

bool ledger_get_note(struct ledger *l, uint32_t number, uint32_t deployment,
                     const struct key_id *id, struct kept_note *out)
{
    struct query q = query_on(l->db, l->statements[GET_NOTE]);
    query_put_int(&q, number);
    query_put_int(&q, deployment);
    query_put_blob(&q, span_of(id->bytes, KEY_ID_LEN));
    bool found = query_next(&q);
    *out = (struct kept_note){0};
    if (found) {
        out->generation = (uint32_t)query_get_int(&q, UINT32_MAX);
        out->cause = (uint8_t)query_get_int(&q, UINT8_MAX);
        out->at_s = query_get_int(&q, INT64_MAX);
        query_get_text(&q, out->text, sizeof out->text);
    }
    bool odd = q.odd;
    return query_end(&q) == 0 && found && !odd;
}

static bool is_news(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                    const struct kept_note *note)
{
    struct kept_note old;
    if (!ledger_get_note(l, number, deployment, id, &old) || old.generation < note->generation)
        return true;
    return old.generation == note->generation &&
           (old.cause != note->cause || strcmp(old.text, note->text) != 0);
}
