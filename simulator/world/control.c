#include "simulator/world/control.h"

#include "simulator/world/control_parts.h"
#include "simulator/world/notary.h"
#include "sync/message.h"

#include <assert.h>
#include <stdlib.h>

static void on_up(void *context);
static void on_down(void *context);
static void on_message(void *context, const char *topic, struct span payload);
static void connect_again(void *context, uint64_t life, void *payload);
static void tick(void *context, uint64_t life, void *payload);
static void feed_facts(struct control *c);
static void start_again(void *context, uint64_t life, void *payload);
static void take_renewal(struct control *c, const struct topic_name *answer, struct span payload);
static void found(struct control *c);
static void write_trust(struct control *c, const struct trust *t, const unsigned *signers,
                        size_t count);
static void take_join(struct control *c, const struct join_id *id, struct span payload);
static void take_report(struct control *c, const struct key_id *topic, struct span payload);

struct control *control_new(struct stage *stage, struct broker *broker, const struct shelf *shelf,
                            const struct control_options *options)
{
    struct control *c = calloc(1, sizeof *c);
    const struct client_handler handler = {
        .context = c, .up = on_up, .down = on_down, .message = on_message};
    if (!c)
        abort();
    c->stage = stage;
    c->broker = broker;
    c->shelf = shelf;
    c->policy = options->policy;
    c->document_life_s = options->document_life_s;
    c->lane_agents_max = options->lane_agents_max;
    c->tick_ms = CONTROL_TICK_MS;
    c->signing = notary_secret(CONTROL_ONLINE);
    c->authority = notary_secret(2);
    memcpy(c->master.bytes, c->signing.bytes, MAC_KEY_LEN);
    c->rows = rows_new(&ROWS_LIMITS);
    c->memory = malloc(MANAGER_SCRATCH_MAX);
    if (!c->memory)
        abort();
    c->rows->epoch = CONTROL_EPOCH;
    found(c);
    c->scratch = arena_on(c->memory, MANAGER_SCRATCH_MAX);
    c->client = broker_client(broker, "manager", true, &handler);
    control_start(c);
    return c;
}

/* The first trust document, with the shelf's publisher. */
static void found(struct control *c)
{
    struct trust *t = &c->rows->trust;
    const unsigned keys[TRUST_ROLE_COUNT] = {CONTROL_ROOT, SHELF_PUBLISHER, CONTROL_ONLINE};
    struct public_key authority = notary_public(&c->authority);
    *t = (struct trust){.version = 1,
                        .issued_s = STAGE_WALL_S,
                        .authority_count = 1,
                        .authorities = {key_id_of(&authority)}};
    c->papers =
        (struct broker_papers){.count = 1, .taken = 1, .authorities = {key_id_of(&authority)}};
    for (int role = 0; role < TRUST_ROLE_COUNT; role++) {
        struct secret_key secret = notary_secret(keys[role]);
        struct public_key public = notary_public(&secret);
        trust_add(t, (enum trust_role)role, &public);
    }
    write_trust(c, t, &(const unsigned){CONTROL_ROOT}, 1);
    control_say_trust(c);
}

void control_free(struct control *c)
{
    free(c->core);
    free(c->pending);
    free(c->memory);
    rows_free(c->rows);
    free(c);
}

/* ---- the process ---- */

static struct mac_base batch_key(const struct control *c, uint32_t batch)
{
    struct mac_key key = mac_derive(&c->master, "dunlin tokens", batch);
    return mac_base_of(&key);
}

void control_build_core(struct control *c)
{
    const struct manager_options options = {
        .limits = c->rows->limits,
        .epoch = c->rows->epoch,
        .restored_s = c->rows->restored_s,
        .restored_epoch = c->rows->restored_epoch,
        .restored_base = c->rows->restored_base,
        .cohort_secret = mac_derive(&c->master, "dunlin cohorts", 0),
        .secrets = mac_derive(&c->master, "dunlin secrets", 0),
        .policy = c->policy,
        .document_life_s = c->document_life_s,
        .lane_agents_max = c->lane_agents_max,
    };
    free(c->core);
    void *memory = calloc(1, manager_size(&options.limits));
    if (!memory)
        abort();
    c->core = manager_init(memory, &options);
    rows_load(c->rows, c->core, c->stage);
}

void control_start(struct control *c)
{
    assert(!c->running);
    c->running = true;
    c->life++;
    c->pending_count = 0;
    control_build_core(c);
    client_connect(c->client, 60, NULL, SPAN_NONE);
    stage_at(c->stage, c->stage->now_ms + c->tick_ms, tick, c, c->life, NULL);
}

void control_put_back(struct control *c, struct rows *rows)
{
    assert(!c->running);
    rows_free(c->rows);
    c->rows = rows;
    control_start(c);
}

/* The core stays in memory until the next start: it may be at work further up the stack. */
void control_kill(struct control *c, uint64_t off_ms)
{
    stage_trace(c->stage, "manager killed");
    c->running = false;
    c->life++;
    client_vanish(c->client);
    if (off_ms != UINT64_MAX)
        stage_at(c->stage, c->stage->now_ms + off_ms, start_again, c, c->life, NULL);
}

static void start_again(void *context, uint64_t life, void *payload)
{
    struct control *c = context;
    (void)payload;
    if (c->running || life != c->life)
        return;
    stage_trace(c->stage, "manager starts again");
    control_start(c);
}

bool control_point(struct control *c)
{
    if (!c->running)
        return true;
    if (++c->points != c->kill_at)
        return false;
    c->was_killed = true;
    control_kill(c, CONTROL_OFF_MS);
    return true;
}

static void tick(void *context, uint64_t life, void *payload)
{
    struct control *c = context;
    struct manager_out out;
    (void)payload;
    if (life != c->life)
        return;
    stage_at(c->stage, c->stage->now_ms + c->tick_ms, tick, c, c->life, NULL);
    control_turn(c, &(struct manager_event){.type = MANAGER_TICK}, &out);
    feed_facts(c);
    control_pump(c);
}

static void feed_facts(struct control *c)
{
    struct manager_out out;
    uint32_t number;
    int rv = 0;
    while (rv == 0 && c->running && (number = manager_facts_wanted(c->core)) != 0) {
        struct manager_event ev = {.type = MANAGER_FACTS,
                                   .facts = {.number = number, .facts = &c->facts[number]}};
        rv = control_turn(c, &ev, &out);
    }
}

int control_tell(struct control *c, uint32_t number, const struct facts *facts)
{
    struct manager_out out;
    struct manager_event ev = {.type = MANAGER_FACTS, .facts = {.number = number, .facts = facts}};
    c->facts[number] = *facts;
    return c->running ? control_turn(c, &ev, &out) : 0;
}

/* ---- the link ---- */

static void on_up(void *context)
{
    struct control *c = context;
    client_subscribe(c->client, TOPIC_ALL_JOINS);
    client_subscribe(c->client, TOPIC_ALL_UP);
    c->cursor = control_mark(c);
    control_pump(c);
}

static void on_down(void *context)
{
    struct control *c = context;
    stage_at(c->stage, c->stage->now_ms + 1000, connect_again, c, c->life, NULL);
}

static void connect_again(void *context, uint64_t life, void *payload)
{
    struct control *c = context;
    (void)payload;
    if (life == c->life)
        client_connect(c->client, 60, NULL, SPAN_NONE);
}

static void on_message(void *context, const char *topic, struct span payload)
{
    struct control *c = context;
    struct topic_name name = topic_read(topic);
    if (name.kind == TOPIC_JOIN)
        take_join(c, &name.join, payload);
    else if (name.kind == TOPIC_UP)
        take_report(c, &name.agent, payload);
    else
        manager_counters(c->core)->malformed++;
    control_pump(c);
}

static void take_report(struct control *c, const struct key_id *topic, struct span payload)
{
    struct report report;
    struct manager_out out;
    if (message_type(payload) == MESSAGE_RENEWAL) {
        take_renewal(c, &(struct topic_name){.kind = TOPIC_AGENT_CERTIFICATE, .agent = *topic},
                     payload);
        return;
    }
    if (report_read(payload, &report) < 0) {
        manager_counters(c->core)->malformed++;
        return;
    }
    struct mac_key key = control_status_key(c, report_number(&report), topic);
    if (report_check(payload, &key) < 0) {
        manager_counters(c->core)->forged++;
        return;
    }
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = *topic;
    ev.report.report = &report;
    control_turn(c, &ev, &out);
}

/* An answer of its own for whoever proves to be an agent; to others, none. */
static void take_renewal(struct control *c, const struct topic_name *answer, struct span payload)
{
    struct renewal r;
    if (renewal_read(payload, &r) < 0) {
        manager_counters(c->core)->malformed++;
        return;
    }
    struct key_id id = key_id_of(&r.key);
    struct mac_key key = control_status_key(c, r.number, &id);
    if (renewal_check(payload, &key) < 0)
        manager_counters(c->core)->forged++;
    else
        control_renew(c, &r, answer);
}

static void take_join(struct control *c, const struct join_id *id, struct span payload)
{
    struct join_outer outer;
    struct join join;
    struct manager_out out;
    if (message_type(payload) == MESSAGE_RENEWAL) {
        take_renewal(c, &(struct topic_name){.kind = TOPIC_JOINED, .join = *id}, payload);
        return;
    }
    if (join_read_outer(payload, &outer) < 0) {
        manager_counters(c->core)->malformed++;
        return;
    }
    struct request request = {.id = *id, .batch = outer.batch, .index = outer.index};
    request.sealed = outer.batch < manager_batch_count(c->core) &&
                     outer.index < manager_batch(c->core, outer.batch)->count;
    if (!request.sealed) {
        control_answer(c, &request, JOINED_UNKNOWN, 0);
        return;
    }
    struct token token = control_token(c, outer.batch, outer.index);
    if (join_open(&outer, &token.secret, id, &join) < 0) {
        manager_counters(c->core)->forged++;
        return;
    }
    struct key_id key_id = key_id_of(&join.key);
    if (manager_find_agent(c->core, &key_id) &&
        join_check(&join, outer.batch, outer.index, id) < 0) {
        manager_counters(c->core)->forged++;
        return;
    }
    request.secret = join_secret(&token.secret, &join.reply);
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = outer.batch;
    ev.join.index = outer.index;
    ev.join.key = join.key;
    ev.join.id = key_id;
    ev.join.facts = facts_digest(&join.facts);
    ev.join.told = &join.facts;
    if (control_turn(c, &ev, &out) < 0)
        return;
    if (out.joined == JOINED_ACCEPTED)
        c->facts[out.number] = join.facts;
    request.key = join.key;
    control_answer(c, &request, out.joined, out.number);
}

/* ---- what an operator does ---- */

struct token control_token(const struct control *c, uint32_t batch, uint32_t index)
{
    struct mac_base key = batch_key(c, batch);
    struct root_pin pin = trust_pin(&c->rows->trust);
    struct token t = {.batch = batch, .index = index, .secret = token_secret(&key, index)};
    memcpy(t.root, pin.bytes, TOKEN_PIN_LEN);
    memcpy(t.authority, c->papers.authorities[0].bytes, TOKEN_PIN_LEN);
    return t;
}

int control_command(struct control *c, const struct command *command, struct manager_out *out)
{
    *out = (struct manager_out){.rv = ERR_TIMEOUT};
    if (!c->running)
        return ERR_TIMEOUT;
    struct manager_event ev = {.type = MANAGER_COMMAND};
    ev.command = command;
    int rv = control_turn(c, &ev, out);
    if (rv < 0)
        out->rv = rv;
    control_pump(c);
    return out->rv;
}

static void write_trust(struct control *c, const struct trust *t, const unsigned *signers,
                        size_t count)
{
    uint8_t memory[TRUST_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    int rv = trust_write(t, &body);
    struct envelope e = {.body = span_buffer(&body)};
    for (size_t i = 0; i < count; i++) {
        struct secret_key secret = notary_secret(signers[i]);
        rv |= notary_sign(MESSAGE_TRUST, &e, &secret);
    }
    c->trust = buffer_on(c->trust_memory, sizeof c->trust_memory);
    rv |= envelope_write(MESSAGE_TRUST, &e, &c->trust);
    assert(rv == 0);
}

int control_trust(struct control *c, const struct trust *next, const unsigned *signers,
                  size_t count)
{
    struct manager_out out;
    struct trust checked;
    write_trust(c, next, signers, count);
    int rv = notary_follows(&c->rows->trust, span_buffer(&c->trust), &checked);
    if (rv < 0)
        return rv;
    struct command command = {.type = COMMAND_TRUST};
    command.trust.next = &checked;
    command.trust.envelope = span_buffer(&c->trust);
    return control_command(c, &command, &out);
}

bool control_trust_of(const struct control *c, uint32_t version, struct trust *out)
{
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = version});
    struct envelope e;
    return envelope_read(MESSAGE_TRUST, rows_published(c->rows, &topic), &e) == 0 &&
           trust_read(e.body, out) == 0;
}

int control_push(struct control *c, const struct bundle *bundle, struct manager_out *out)
{
    struct command command = {.type = COMMAND_BUNDLE_ADD};
    command.bundle = (struct bundle_row){
        .digest = bundle->digest, .bytes = 1000, .files = 1, .chunks = bundle->chunk_count};
    memcpy(command.bundle.name, bundle->script.name, strlen(bundle->script.name));
    memcpy(command.bundle.version, bundle->script.version, strlen(bundle->script.version));
    if (bundle->script.needs)
        needs_add(&command.bundle.needs, bundle->script.needs, false);
    return control_command(c, &command, out);
}
