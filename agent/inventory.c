#include "agent/inventory.h"

#include "agent/facts.h"
#include "base/log.h"

/* What an operator may have said better when the device joined stays. */
static bool is_kept(const char *key)
{
    return strcmp(key, "model") == 0 || strcmp(key, "serial") == 0;
}

static bool is_same(const struct facts *a, const struct facts *b)
{
    return a->count == b->count && memcmp(a->list, b->list, a->count * sizeof a->list[0]) == 0;
}

static void look(struct inventory *v, uint64_t now_ms)
{
    struct facts fresh = {0};
    facts_gather(&fresh);
    facts_disk(&fresh, v->dir);
    v->now = v->store->identity.facts;
    for (uint32_t i = 0; i < fresh.count; i++)
        if (!is_kept(fresh.list[i].key))
            facts_set(&v->now, fresh.list[i].key, fresh.list[i].value, NULL);
    v->owed |= now_ms >= v->again_ms || !is_same(&v->now, &v->store->identity.facts);
    v->look_ms = now_ms + INVENTORY_LOOK_MS;
}

void inventory_init(struct inventory *v, struct store *store, const char *dir)
{
    *v = (struct inventory){.store = store, .dir = dir, .tell_ms = UINT64_MAX};
}

uint64_t inventory_due_ms(const struct inventory *v)
{
    uint64_t tell_ms = v->owed && v->message == 0 ? v->tell_ms : UINT64_MAX;
    return tell_ms < v->look_ms ? tell_ms : v->look_ms;
}

static void tell(struct inventory *v, struct link *link, uint32_t seq, uint64_t now_ms)
{
    uint8_t room[TELLING_MAX];
    struct buffer bytes = buffer_on(room, sizeof room);
    const struct telling telling = {
        .number = v->store->identity.number, .seq = seq, .facts = v->now};
    int rv = telling_write(&telling, &v->store->identity.mac, &bytes);
    v->again_ms = now_ms + INVENTORY_AGAIN_MS;
    v->message = rv == 0 ? link_note(link, span_buffer(&bytes)) : 0;
    if (v->message <= 0) {
        v->message = 0;
        v->tell_ms = v->look_ms;
    }
}

void inventory_tend(struct inventory *v, struct link *link, uint32_t seq, uint64_t now_ms)
{
    if (now_ms >= v->look_ms && v->message == 0)
        look(v, now_ms);
    else if (now_ms >= v->look_ms)
        v->look_ms = now_ms + INVENTORY_SETTLE_MS;
    if (v->owed && v->message == 0 && now_ms >= v->tell_ms)
        tell(v, link, seq, now_ms);
}

void inventory_link_changed(struct inventory *v, bool up, uint64_t now_ms)
{
    v->message = 0;
    v->tell_ms = up ? now_ms + INVENTORY_SETTLE_MS : UINT64_MAX;
}

void inventory_acknowledged(struct inventory *v, int message)
{
    struct errmsg em = {0};
    if (v->message == 0 || message != v->message)
        return;
    v->message = 0;
    v->owed = false;
    if (!is_same(&v->now, &v->store->identity.facts) && store_facts(v->store, &v->now, &em) < 0)
        log_event(LOG_WARN, "facts-not-kept", "error=\"%s\"", em.text);
}
