#include "manager/reception.h"

#include "crypto/random.h"

static int drop(uint64_t *counter, int rv)
{
    (*counter)++;
    return rv;
}

int reception_join(const struct keyring *k, struct manager *m, const struct join_id *id,
                   struct span payload, struct visit *v, struct manager_event *ev)
{
    struct manager_counters *counters = manager_counters(m);
    struct join_outer outer;
    v->id = *id;
    v->sealed = false;
    v->hint = JOINED_UNKNOWN;
    if (join_read_outer(payload, &outer) < 0)
        return drop(&counters->malformed, ERR_FORMAT);
    /* In tokens, batches count from 1. */
    if (outer.batch == 0 || outer.batch > manager_batch_count(m) ||
        outer.index >= manager_batch(m, outer.batch - 1)->count)
        return drop(&counters->forged, 0);
    bool bound = manager_batch(m, outer.batch - 1)->bound;
    v->hint = bound ? JOINED_SERIAL : JOINED_UNKNOWN;
    struct seal_secret token =
        keyring_secret(k, outer.batch - 1, outer.index, bound ? outer.serial : NULL);
    int rv = join_open(&outer, &token, id, &v->join);
    if (rv < 0)
        return rv == ERR_SIGNATURE ? drop(&counters->forged, 0) : drop(&counters->malformed, rv);
    v->sealed = true;
    v->secret = join_secret(&token, &v->join.reply);
    ev->type = MANAGER_JOIN;
    ev->join.batch = outer.batch - 1;
    ev->join.index = outer.index;
    ev->join.key = v->join.key;
    ev->join.id = key_id_of(&v->join.key);
    ev->join.facts = facts_digest(&v->join.facts);
    ev->join.told = &v->join.facts;
    return 1;
}

bool reception_wants_proof(const struct manager *m, const struct manager_event *ev)
{
    return manager_find_agent(m, &ev->join.id) != 0 || manager_was_restored(m);
}

bool reception_is_owner(struct manager *m, const struct visit *v, const struct manager_event *ev)
{
    /* In tokens, batches count from 1. */
    bool good = !reception_wants_proof(m, ev) ||
                join_check(&v->join, ev->join.batch + 1, ev->join.index, &v->id) == 0;
    return good || drop(&manager_counters(m)->forged, 0);
}

/* By the key that its number and id have. */
static bool is_from(const struct keyring *k, uint32_t number, const struct key_id *id,
                    struct span payload, int (*check)(struct span, const struct mac_key *))
{
    struct mac_key key = keyring_status(k, number, id);
    int rv = check(payload, &key);
    explicit_bzero(&key, sizeof key);
    return rv == 0;
}

int reception_report(const struct keyring *k, struct manager *m, const struct key_id *topic,
                     struct span payload, struct report *r, struct manager_event *ev)
{
    struct manager_counters *counters = manager_counters(m);
    if (report_read(payload, r) < 0)
        return drop(&counters->malformed, ERR_FORMAT);
    if (!is_from(k, report_number(r), topic, payload, report_check))
        return drop(&counters->forged, ERR_SIGNATURE);
    ev->type = MANAGER_REPORT;
    ev->report.topic = *topic;
    ev->report.report = r;
    return 1;
}

static bool is_asked_for(const struct manager *m, const struct note *n)
{
    return n->deployment <= manager_deployment_count(m) &&
           !manager_deployment(m, n->deployment - 1)->removed &&
           n->generation <= manager_generation(m, n->deployment - 1);
}

int reception_note(const struct keyring *k, struct manager *m, const struct key_id *topic,
                   struct span payload, struct note *n)
{
    struct manager_counters *counters = manager_counters(m);
    if (note_read(payload, n) < 0)
        return drop(&counters->malformed, ERR_FORMAT);
    if (!is_from(k, n->number, topic, payload, report_check))
        return drop(&counters->forged, ERR_SIGNATURE);
    const struct agent_row *row =
        n->number <= manager_agent_count(m) ? manager_agent(m, n->number) : NULL;
    if (!row || !key_id_equal(&row->id, topic) || !is_asked_for(m, n))
        return drop(&counters->foreign, ERR_NOT_FOUND);
    if (row->flags & AGENT_OUTSIDE)
        return drop(&counters->blocked, ERR_REFUSED);
    return 1;
}

int reception_renewal(const struct keyring *k, struct manager *m, struct span payload,
                      struct renewal *r)
{
    struct manager_counters *counters = manager_counters(m);
    if (renewal_read(payload, r) < 0)
        return drop(&counters->malformed, ERR_FORMAT);
    struct key_id id = key_id_of(&r->key);
    bool good = is_from(k, r->number, &id, payload, renewal_check);
    return good ? 1 : drop(&counters->forged, ERR_SIGNATURE);
}

int reception_answer(const struct visit *v, const struct joined *answer, struct buffer *out)
{
    struct seal_nonce nonce;
    random_bytes(nonce.bytes, sizeof nonce.bytes);
    return joined_write(answer, v->sealed ? &v->secret : NULL, &v->id, &nonce, out);
}

int reception_telling(const struct keyring *k, struct manager *m, const struct key_id *topic,
                      struct span payload, struct telling *t)
{
    struct manager_counters *counters = manager_counters(m);
    if (telling_read(payload, t) < 0)
        return drop(&counters->malformed, ERR_FORMAT);
    if (!is_from(k, t->number, topic, payload, report_check))
        return drop(&counters->forged, ERR_SIGNATURE);
    const struct agent_row *row =
        t->number <= manager_agent_count(m) ? manager_agent(m, t->number) : NULL;
    if (!row || !key_id_equal(&row->id, topic))
        return drop(&counters->foreign, ERR_NOT_FOUND);
    return row->flags & AGENT_OUTSIDE ? drop(&counters->blocked, ERR_REFUSED) : 1;
}
