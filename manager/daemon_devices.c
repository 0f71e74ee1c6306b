/*
 * What devices say: read and checked by `reception`, and dropped where there is too much of it,
 * before the core hears of it. Answers wait for the commit.
 */
#include "base/clock.h"
#include "base/date.h"
#include "base/log.h"
#include "base/printable.h"
#include "crypto/random.h"
#include "manager/daemon_parts.h"
#include "sync/message.h"
#include "sync/secret.h"

#include <stdio.h>
#include <stdlib.h>

/* What failed hooks said: a good agent has six a minute at most. */
static const struct bucket_limits note_limits = {.per_minute = 12, .burst = 128};

static bool floods(struct daemon *d, size_t cell, const struct key_id *id);
static void cut_off(struct daemon *d, const struct key_id *id);
static void on_join(struct daemon *d, const struct join_id *id, struct span payload);
static bool heeds(struct daemon *d, const struct manager_event *ev);
static bool guesses_too_often(struct daemon *d);
static bool accept_agent(struct daemon *d, const struct join_id *id, uint32_t number,
                         enum joined_code *code);
static struct acceptance *compose_acceptance(struct daemon *d, uint32_t number,
                                             const struct certificate *c);
static void fill_joined(struct daemon *d, uint32_t number, struct joined *j);
static void put_certificate(struct daemon *d, const struct renewal *r, const struct key_id *id,
                            struct buffer *der, enum joined_code *code);
static bool knocks_too_often(struct daemon *d, const struct key_id *id);
static void on_renewal(struct daemon *d, size_t cell, const struct topic_name *answer,
                       struct span payload);
static void queue_answer(struct daemon *d, size_t cell, const struct topic_name *topic,
                         struct span bytes);
static void on_report(struct daemon *d, size_t cell, const struct key_id *id, struct span payload);
static void on_note(struct daemon *d, const struct key_id *id, struct span payload);
static bool tells_too_often(struct daemon *d, const struct key_id *id);
static void on_telling(struct daemon *d, const struct key_id *id, struct span payload);

void daemon_limit_devices(struct daemon *d)
{
    uint8_t hash_key[SIPHASH_KEY_LEN];
    random_bytes(hash_key, sizeof hash_key);
    intake_init(&d->intake, hash_key);
    flood_init(&d->notes, &note_limits, hash_key);
    allowance_init(&d->allowance, hash_key);
}

void daemon_hear_agent(void *context, size_t cell, const char *topic, struct span payload)
{
    struct daemon *d = context;
    struct topic_name name = topic_read(topic);
    if (name.kind == TOPIC_UP && floods(d, cell, &name.agent))
        return;
    if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_RENEWAL)
        on_renewal(d, cell,
                   &(struct topic_name){.kind = TOPIC_AGENT_CERTIFICATE, .agent = name.agent},
                   payload);
    else if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_NOTE)
        on_note(d, &name.agent, payload);
    else if (name.kind == TOPIC_UP && message_type(payload) == MESSAGE_TELLING)
        on_telling(d, &name.agent, payload);
    else if (name.kind == TOPIC_UP)
        on_report(d, cell, &name.agent, payload);
}

/* Before anything is looked at: what is dropped costs next to nothing. */
static bool floods(struct daemon *d, size_t cell, const struct key_id *id)
{
    uint32_t broker = cells_are_own(d->cells, cell) ? 0 : (uint32_t)cell + 1;
    enum intake_answer answer =
        intake_count(&d->intake, id, broker, cells_vouch(d->cells, cell), clock_monotonic_ms());
    if (answer == INTAKE_BEGIN)
        log_event(LOG_WARN, "agent-floods", "id=%s per_minute_max=%u", key_id_hex(id).text,
                  INTAKE_PER_MINUTE);
    if (answer == INTAKE_CUT_OFF)
        cut_off(d, id);
    manager_counters(d->core)->flooded += answer != INTAKE_ADMIT;
    return answer != INTAKE_ADMIT;
}

/* The rest of it may come for a while, and is forgotten again and again. */
static void cut_off(struct daemon *d, const struct key_id *id)
{
    struct manager_event ev = {.type = MANAGER_FLOOD, .flood = *id};
    struct manager_out out;
    daemon_step(d, &ev, &out);
    if (out.alarm_count > 0)
        log_event(LOG_WARN, "agent-cut-off", "id=%s agent=%u until=%s", key_id_hex(id).text,
                  out.alarms[0].number,
                  date_text(manager_cut_off(d->core, out.alarms[0].number).until_s).text);
}

/* Through the door. */
void daemon_hear_visitor(void *context, const char *topic, struct span payload)
{
    struct daemon *d = context;
    struct topic_name name = topic_read(topic);
    if (name.kind == TOPIC_JOIN && message_type(payload) == MESSAGE_RENEWAL)
        on_renewal(d, BY_DOOR, &(struct topic_name){.kind = TOPIC_JOINED, .join = name.join},
                   payload);
    else if (name.kind == TOPIC_JOIN)
        on_join(d, &name.join, payload);
}

static void on_join(struct daemon *d, const struct join_id *id, struct span payload)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    struct manager_out out;
    int rv = reception_join(&d->keys, d->core, id, payload, &d->visit, &ev);
    struct joined answer = {.code = d->visit.hint};
    if (rv < 0 || (rv == 0 ? guesses_too_often(d) : !heeds(d, &ev)))
        return;
    if (rv == 1) {
        daemon_step(d, &ev, &out);
        answer.code = out.joined;
    }
    if (rv == 1 && answer.code == JOINED_ACCEPTED && accept_agent(d, id, out.number, &answer.code))
        return;
    struct buffer written = buffer_on(d->written, sizeof d->written);
    if (reception_answer(&d->visit, &answer, &written) == 0)
        queue_answer(d, BY_DOOR, &(struct topic_name){.kind = TOPIC_JOINED, .join = *id},
                     span_buffer(&written));
}

/* It isn't one too many, and who names the key of a device has it. */
static bool heeds(struct daemon *d, const struct manager_event *ev)
{
    const uint64_t now_ms = clock_monotonic_ms();
    const struct asker who = {.batch = ev->join.batch,
                              .index = ev->join.index,
                              .uses = manager_batch(d->core, ev->join.batch)->uses,
                              .id = ev->join.id,
                              .known = manager_find_agent(d->core, &ev->join.id) != 0,
                              .proves = reception_wants_proof(d->core, ev)};
    enum flood_answer answer = allowance_look(&d->allowance, &who, now_ms);
    if (answer == FLOOD_BEGIN)
        log_event(LOG_WARN, "token-floods", "batch=%u token=%u", ev->join.batch + 1,
                  ev->join.index + 1);
    manager_counters(d->core)->flooded += answer != FLOOD_ADMIT;
    if (answer != FLOOD_ADMIT)
        return false;
    bool proven = reception_is_owner(d->core, &d->visit, ev);
    allowance_spend(&d->allowance, &who, proven, now_ms);
    return proven;
}

/* They are told so in clear, which helps those who mistyped; those who guess get no more answers
 * than that takes. */
static bool guesses_too_often(struct daemon *d)
{
    enum flood_answer answer = allowance_guess(&d->allowance, clock_monotonic_ms());
    if (answer == FLOOD_BEGIN)
        log_event(LOG_WARN, "tokens-guessed", "per_minute_max=%u", ALLOWANCE_GUESSES);
    return answer != FLOOD_ADMIT;
}

/* True: the answer is on its way, or can't be made, and the device asks again. Else it has another
 * code by now. */
static bool accept_agent(struct daemon *d, const struct join_id *id, uint32_t number,
                         enum joined_code *code)
{
    struct certificate c;
    struct answer *a = malloc(sizeof *a);
    *code = manager_certificate(d->core, number, &manager_agent(d->core, number)->id, d->now_s, &c);
    c.key = d->visit.join.key;
    struct acceptance *made =
        a && *code == JOINED_ACCEPTED ? compose_acceptance(d, number, &c) : NULL;
    if (!made) {
        free(a);
        return *code == JOINED_ACCEPTED;
    }
    *a = (struct answer){.cell = BY_DOOR,
                         .topic =
                             topic_make(&(struct topic_name){.kind = TOPIC_JOINED, .join = *id}),
                         .acceptance = made};
    made->id = *id;
    made->secret = d->visit.secret;
    daemon_answer(d, a);
    return true;
}

static struct acceptance *compose_acceptance(struct daemon *d, uint32_t number,
                                             const struct certificate *c)
{
    struct span trust[TRUST_WALK_MAX];
    struct assignment assignment;
    uint8_t room[ASSIGNMENT_MAX];
    struct buffer body = buffer_on(room, sizeof room);
    manager_assignment(d->core, number, d->now_s, &assignment);
    int rv = assignment_write(&assignment, &body);
    if (rv == 0)
        rv = scribe_trust(d->scribe, d->core, trust);
    struct acceptance *a =
        rv < 0 ? NULL : acceptance_new(&d->keys, trust, (uint32_t)rv, span_buffer(&body));
    if (rv < 0)
        log_event(LOG_ERROR, "join-unanswered", "agent=%u reason=%s", number, err_name(rv));
    if (!a)
        return NULL;
    a->pile = &d->pile;
    a->place = pile_add(&d->pile, span_buffer(&body));
    a->certificate = *c;
    fill_joined(d, number, &a->joined);
    return a;
}

static void fill_joined(struct daemon *d, uint32_t number, struct joined *j)
{
    const char *urls[ATLAS_HOMES];
    const struct key_id *id = &manager_agent(d->core, number)->id;
    j->number = number;
    j->mac = keyring_status(&d->keys, number, id);
    j->secret = secret_of_agent(&d->secrets, number, id);
    j->policy = d->options.policy;
    j->atlas = cells_atlas(d->cells).number;
    j->cell_count = cells_order(d->cells, id, urls);
    for (uint32_t i = 0; i < j->cell_count; i++)
        snprintf(j->cells[i], sizeof j->cells[i], "%s", urls[i]);
}

/* The agent's certificate as of now, for the key that it joined with: no other one has this id. */
static void put_certificate(struct daemon *d, const struct renewal *r, const struct key_id *id,
                            struct buffer *der, enum joined_code *code)
{
    struct certificate c;
    *code = manager_certificate(d->core, r->number, id, d->now_s, &c);
    if (*code != JOINED_ACCEPTED)
        return;
    c.key = r->key;
    int rv = keyring_certificate(&d->keys, &c, der);
    if (rv == 0)
        return;
    *code = JOINED_UNKNOWN;
    log_event(LOG_ERROR, "certificate-not-made", "agent=%u error=%s", r->number, err_name(rv));
}

/* Each answer costs a signature. On cells an agent's messages are counted by their topic; here it
 * is known only now who asks. */
static bool knocks_too_often(struct daemon *d, const struct key_id *id)
{
    bool drops = allowance_count(&d->allowance, id, clock_monotonic_ms()) != FLOOD_ADMIT;
    manager_counters(d->core)->flooded += drops;
    return drops;
}

/* Nothing is kept of it, so nothing has to be committed first; but all answers go one way. */
static void on_renewal(struct daemon *d, size_t cell, const struct topic_name *answer,
                       struct span payload)
{
    struct renewal r;
    struct renewed renewed;
    struct buffer certificate = buffer_on(d->certificate, sizeof d->certificate);
    struct buffer written = buffer_on(d->written, sizeof d->written);
    if (reception_renewal(&d->keys, d->core, payload, &r) < 0)
        return;
    struct key_id id = key_id_of(&r.key);
    if (cell == BY_DOOR && knocks_too_often(d, &id))
        return;
    struct mac_key key = keyring_status(&d->keys, r.number, &id);
    put_certificate(d, &r, &id, &certificate, &renewed.code);
    renewed.certificate = span_buffer(&certificate);
    int rv = renewed_write(&renewed, r.nonce, &key, &written);
    explicit_bzero(&key, sizeof key);
    if (rv == 0)
        queue_answer(d, cell, answer, span_buffer(&written));
}

static void queue_answer(struct daemon *d, size_t cell, const struct topic_name *topic,
                         struct span bytes)
{
    struct answer *a = malloc(sizeof *a + bytes.len);
    if (!a)
        return; /* the device asks again */
    *a = (struct answer){.cell = cell, .topic = topic_make(topic), .len = bytes.len};
    memcpy(a->bytes, bytes.data, bytes.len);
    daemon_answer(d, a);
}

static void on_report(struct daemon *d, size_t cell, const struct key_id *id, struct span payload)
{
    struct manager_event ev = {.type = MANAGER_REPORT};
    struct manager_out out;
    if (reception_report(&d->keys, d->core, id, payload, &d->report, &ev) != 1)
        return;
    if (d->report.type == MESSAGE_STATUS)
        cells_heard(d->cells, cell, d->report.status.number);
    daemon_step(d, &ev, &out);
}

/* Who is for what, by facts, is looked at with the next tick. */
static void on_telling(struct daemon *d, const struct key_id *id, struct span payload)
{
    struct telling t;
    struct manager_out out;
    if (reception_telling(&d->keys, d->core, id, payload, &t) != 1 || tells_too_often(d, id))
        return;
    int rv = d->broken == 0 ? ledger_tell(d->ledger, t.number, t.seq, &t.facts, &d->why) : 0;
    struct manager_event ev = {.type = MANAGER_FACTS,
                               .facts = {.number = t.number, .facts = &t.facts}};
    if (rv == 1)
        daemon_step(d, &ev, &out);
    else if (rv < 0)
        d->broken = rv;
}

/* Each costs a row. */
static bool tells_too_often(struct daemon *d, const struct key_id *id)
{
    bool drops = flood_count(&d->notes, span_of(id->bytes, sizeof id->bytes),
                             clock_monotonic_ms()) != FLOOD_ADMIT;
    manager_counters(d->core)->flooded += drops;
    return drops;
}

/* What it says is durable with the turn's other rows. */
static void on_note(struct daemon *d, const struct key_id *id, struct span payload)
{
    struct note n;
    if (reception_note(&d->keys, d->core, id, payload, &n) != 1 || tells_too_often(d, id))
        return;
    struct kept_note kept = {.generation = n.generation, .cause = n.cause, .at_s = daemon_now_s(d)};
    printable_text(n.text, kept.text);
    if (d->broken == 0)
        d->broken = ledger_note(d->ledger, n.number, n.deployment - 1, id, &kept, &d->why);
}
