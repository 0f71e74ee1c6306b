#include "agent/join.h"

#include "agent/address.h"
#include "agent/folder.h"
#include "agent/network.h"
#include "agent/stop.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/rng.h"
#include "crypto/random.h"
#include "sync/mqtt.h"

#include <stdio.h>
#include <unistd.h>

#define JOIN_KEEPALIVE_S 30
#define JOIN_SERVICE_MS 1000
/* `result` while nothing is decided. */
#define JOIN_PENDING 1

struct joining {
    const struct join_options *options;
    struct token token;
    struct seal_secret reply; /* random, and told the manager only */
    struct folder folder;
    struct store store;
    struct mqtt *mqtt;
    struct mqtt_tls tls;
    struct key_id authority; /* that the token pins */
    struct address door;
    struct rng rng;
    bool connecting;
    bool up;
    uint64_t due_ms; /* connect or ask then */
    struct network network;
    uint32_t tries; /* requests sent; they are numbered by it in `heard` */
    uint32_t waits; /* back-offs so far */
    uint32_t hints;
    bool known;       /* the manager has said that it knows the token */
    int subscription; /* message id: the request goes out when it is answered */
    struct join_id heard[JOIN_HEARD];
    char said[256];
    int result;
    struct errmsg *em;
};

static int prepare(struct joining *j);
static int look_whether_joined(struct joining *j, struct errmsg *em);
static int keep_key(struct joining *j);
static int talk(struct joining *j);
static void prepare_tls(struct joining *j);
static void wait(const struct joining *j, uint64_t until_ms, int stop,
                 struct pollfd link[static MQTT_FDS]);
static void heed_network(struct joining *j, cards changed, struct pollfd link[static MQTT_FDS]);
static int decide(const struct joining *j, uint64_t until_ms, int stop);
static int give_up(const struct joining *j);
static void act(struct joining *j);
static void connect_broker(struct joining *j);
static void prepare_request(struct joining *j);
static void send_request(struct joining *j);
static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void on_subscribed(void *context, int mid);
static void on_message(void *context, const char *topic, struct span payload, bool retained);
static void take_answer(struct joining *j, const struct join_id *id, struct span payload);
static void wait_for_operator(struct joining *j);
static void take_hint(struct joining *j, enum joined_code code);
static int accept_answer(struct joining *j, struct joined *answer);
static int check_answer(const struct joining *j, const struct joined *answer);
static uint64_t first_bound_ms(const struct joining *j);
static void back_off(struct joining *j, uint64_t at_least_ms);
static void say(struct joining *j, const char *text);
static void print_identity(const char *verb, const struct store *s);

int join_fleet(const struct join_options *options, struct errmsg *em)
{
    static struct joining j;
    memset(&j, 0, sizeof j);
    j.options = options;
    j.em = em;
    j.folder.lock = -1;
    j.result = JOIN_PENDING;
    int rv = prepare(&j);
    if (rv == JOIN_PENDING)
        rv = talk(&j);
    store_close(&j.store);
    folder_close(&j.folder);
    return rv;
}

/* ---- before anything is sent ---- */

/* JOIN_PENDING: go on. 0: it has joined already. */
static int prepare(struct joining *j)
{
    const struct join_options *o = j->options;
    random_bytes(j->reply.bytes, sizeof j->reply.bytes);
    int rv = token_parse(o->token, &j->token, j->em);
    if (rv == 0)
        rv = address_of_door(o->address, &j->door, j->em);
    if (rv == 0)
        rv = folder_make(&j->folder, o->dir, j->em);
    if (rv == 0)
        rv = folder_hold(&j->folder, j->em);
    if (rv == ERR_BUSY && look_whether_joined(j, NULL) != JOIN_PENDING)
        return look_whether_joined(j, j->em);
    if (rv == 0)
        rv = store_open(&j->store, j->folder.path, STORE_CREATE, j->em);
    if (rv == 0 && store_joined(&j->store))
        return look_whether_joined(j, j->em);
    return rv < 0 ? rv : keep_key(j);
}

/* An agent that runs holds the folder, and has joined. */
static int look_whether_joined(struct joining *j, struct errmsg *em)
{
    if (!j->store.db && store_open(&j->store, j->folder.path, STORE_READ, em) < 0)
        return JOIN_PENDING;
    if (!store_joined(&j->store))
        return JOIN_PENDING;
    struct digest token = digest_of(span_text(j->options->token));
    if (!digest_equal(&token, &j->store.identity.token))
        return errmsg_set(em, ERR_EXISTS,
                          "%s has joined already, as agent %u, with another token; use another DIR",
                          j->options->dir, j->store.identity.number);
    if (em)
        print_identity("already joined as", &j->store);
    return 0;
}

/* The key is on disk before anybody hears of it: whatever happens next, every retry is by the same
 * device. */
static int keep_key(struct joining *j)
{
    struct secret_key secret;
    struct public_key public;
    if (j->store.identity.keyed)
        return JOIN_PENDING;
    int rv = sign_generate(&secret, &public);
    if (rv < 0)
        return errmsg_set(j->em, rv, "can't make a key pair");
    rv = store_key(&j->store, &secret, j->em);
    explicit_bzero(&secret, sizeof secret);
    return rv < 0 ? rv : JOIN_PENDING;
}

/* ---- the loop ---- */

/* Nobody can guess it, and so take it over: everybody may connect there. */
static void name_client(char name[static 2 * JOIN_ID_LEN + 1])
{
    uint8_t bytes[JOIN_ID_LEN];
    random_bytes(bytes, sizeof bytes);
    hex_write(span_of(bytes, sizeof bytes), name);
}

static int talk(struct joining *j)
{
    const struct mqtt_handler handler = {.context = j,
                                         .up = on_up,
                                         .down = on_down,
                                         .message = on_message,
                                         .subscribed = on_subscribed};
    char name[2 * JOIN_ID_LEN + 1];
    uint64_t start_ms = clock_monotonic_ms();
    uint64_t until_ms =
        j->options->timeout_s ? start_ms + (uint64_t)j->options->timeout_s * 1000 : UINT64_MAX;
    int stop = stop_watch(j->em);
    if (stop < 0)
        return stop;
    network_open(&j->network);
    random_bytes(&j->rng, sizeof j->rng);
    name_client(name);
    j->mqtt = mqtt_new(
        &(struct mqtt_options){.client_id = name, .keepalive_s = JOIN_KEEPALIVE_S, .tls = &j->tls},
        &handler);
    j->result = j->mqtt ? JOIN_PENDING : errmsg_set(j->em, ERR_NO_MEMORY, "no memory");
    struct pollfd fds[MQTT_FDS] = {{.fd = -1}};
    while ((j->result = decide(j, until_ms, stop)) == JOIN_PENDING) {
        act(j);
        mqtt_service(j->mqtt, fds);
        wait(j, until_ms, stop, fds);
        cards changed = network_changed(&j->network);
        if (changed)
            heed_network(j, changed, fds);
    }
    mqtt_free(j->mqtt);
    network_close(&j->network);
    close(stop);
    return j->result;
}

/* The token says who certifies this fleet's brokers, and nobody else has to be believed. A blank
 * device's calendar may begin with 1970, and be put right at any time. */
static void prepare_tls(struct joining *j)
{
    uint64_t wall_s = clock_wall_s(), floor_s = j->store.floor_s;
    _Static_assert(sizeof j->authority.bytes == TOKEN_PIN_LEN, "a pin is a key's id");
    memcpy(j->authority.bytes, j->token.authority, sizeof j->authority.bytes);
    j->tls = (struct mqtt_tls){
        .folder = j->folder.path,
        .tls = {.authorities = &j->authority,
                .authority_count = 1,
                .now_s = wall_s > floor_s ? wall_s : floor_s,
                .clock_is_floor = wall_s < floor_s},
    };
}

/* Gives what the connection's descriptors show. */
static void wait(const struct joining *j, uint64_t until_ms, int stop,
                 struct pollfd link[static MQTT_FDS])
{
    struct pollfd fds[2 + MQTT_FDS] = {{.fd = stop, .events = POLLIN},
                                       {.fd = j->network.fd, .events = POLLIN}};
    mqtt_watch(j->mqtt, fds + 2);
    uint64_t now = clock_monotonic_ms(), due = now + JOIN_SERVICE_MS;
    if (!j->connecting && j->due_ms < due)
        due = j->due_ms;
    if (until_ms < due)
        due = until_ms;
    if (j->result == JOIN_PENDING)
        poll(fds, 2 + MQTT_FDS, due > now ? (int)(due - now) : 0);
    memcpy(link, fds + 2, MQTT_FDS * sizeof fds[0]);
}

/* What failed for want of a network need not wait for its back-off's end, nor what leaves by a
 * network that is gone for its connection's. */
static void heed_network(struct joining *j, cards changed, struct pollfd link[static MQTT_FDS])
{
    uint64_t due_ms = j->due_ms;
    enum network_link network = network_look(link, MQTT_FDS, changed);
    if (network == NETWORK_SAME)
        mqtt_probe(j->mqtt);
    if (network == NETWORK_GONE) {
        mqtt_drop(j->mqtt);
        for (size_t i = 0; i < MQTT_FDS; i++)
            link[i].revents = 0;
        on_down(j, "its network is gone");
    } else if (j->up || j->connecting) {
        return;
    }
    j->waits = 0;
    back_off(j, 0);
    if (due_ms < j->due_ms)
        j->due_ms = due_ms;
}

static int decide(const struct joining *j, uint64_t until_ms, int stop)
{
    if (j->result != JOIN_PENDING)
        return j->result;
    if (stop_wanted(stop))
        return errmsg_set(j->em, ERR_BUSY, "stopped; the same command goes on where it was");
    if (clock_monotonic_ms() >= until_ms)
        return give_up(j);
    return JOIN_PENDING;
}

/* Nothing to say: something took the connection, and kept silent. */
static int give_up(const struct joining *j)
{
    uint32_t limit_s = j->options->timeout_s;
    if (j->said[0] != '\0')
        return errmsg_set(j->em, ERR_TIMEOUT, "not joined within %u s: %s", limit_s, j->said);
    return errmsg_set(j->em, ERR_TIMEOUT,
                      "not joined within %u s: no greeting from %s: is that an MQTT broker?",
                      limit_s, j->door.url);
}

static void act(struct joining *j)
{
    if (j->connecting || clock_monotonic_ms() < j->due_ms)
        return;
    if (j->up)
        prepare_request(j);
    else
        connect_broker(j);
}

static void connect_broker(struct joining *j)
{
    struct errmsg em = {0};
    j->connecting = true;
    prepare_tls(j);
    if (mqtt_connect(j->mqtt, j->door.url, &em) < 0)
        on_down(j, em.text);
}

static void on_up(void *context, bool session_present)
{
    struct joining *j = context;
    (void)session_present;
    j->connecting = false;
    j->up = true;
    j->due_ms = 0;
}

static void on_down(void *context, const char *reason)
{
    struct joining *j = context;
    char text[512];
    j->connecting = false;
    j->up = false;
    j->tries = 0; /* what was subscribed to is gone with the session */
    snprintf(text, sizeof text, "can't reach %.255s: %.160s", j->door.url, reason);
    say(j, text);
    back_off(j, 0);
}

/* ---- asking ---- */

static struct join_id *slot(struct joining *j, uint32_t number)
{
    return &j->heard[number % JOIN_HEARD];
}

static struct topic topic_for(enum topic_kind kind, const struct join_id *id)
{
    return topic_make(&(struct topic_name){.kind = kind, .join = *id});
}

/* A fresh name for each request; the oldest is no longer listened to. */
static void prepare_request(struct joining *j)
{
    struct join_id *id = slot(j, j->tries);
    if (j->tries > 0 && j->hints == 0)
        say(j, "connected; no answer from the manager yet");
    if (j->tries >= JOIN_HEARD) {
        struct topic old = topic_for(TOPIC_JOINED, id);
        mqtt_unsubscribe(j->mqtt, &(const char *){old.text}, 1);
    }
    random_bytes(id->bytes, sizeof id->bytes);
    struct topic topic = topic_for(TOPIC_JOINED, id);
    j->subscription = mqtt_subscribe(j->mqtt, &(const char *){topic.text}, 1, 1);
    j->tries++;
    back_off(j, JOIN_ANSWER_MS);
}

static void on_subscribed(void *context, int mid)
{
    struct joining *j = context;
    if (mid == j->subscription && j->tries > 0)
        send_request(j);
}

static void send_request(struct joining *j)
{
    static struct join request;
    uint8_t room[JOIN_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    struct seal_nonce nonce;
    const struct join_id *id = slot(j, j->tries - 1);
    struct topic topic = topic_for(TOPIC_JOIN, id);
    request =
        (struct join){.key = j->store.identity.key, .facts = j->options->facts, .reply = j->reply};
    memcpy(request.serial, j->options->serial, strlen(j->options->serial));
    random_bytes(nonce.bytes, sizeof nonce.bytes);
    int rv = join_prove(&request, &j->store.identity.secret, &j->token, id);
    if (rv == 0)
        rv = join_write(&request, &j->token, id, &nonce, &out);
    if (rv < 0)
        j->result = errmsg_set(j->em, rv, "can't write the request: %s", err_name(rv));
    else
        mqtt_publish(j->mqtt, topic.text, span_buffer(&out), 1, false);
}

/* ---- the answer ---- */

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct joining *j = context;
    struct topic_name name = topic_read(topic);
    (void)retained;
    if (name.kind != TOPIC_JOINED || j->result != JOIN_PENDING)
        return;
    for (uint32_t i = 0; i < JOIN_HEARD && i < j->tries; i++)
        if (memcmp(&j->heard[i], &name.join, sizeof name.join) == 0) {
            take_answer(j, &j->heard[i], payload);
            return;
        }
}

/* What is no answer of ours is ignored: anybody may have sent it. */
static void take_answer(struct joining *j, const struct join_id *id, struct span payload)
{
    static struct joined answer;
    static uint8_t room[JOINED_MAX];
    struct buffer plain = buffer_on(room, sizeof room);
    struct seal_secret secret = join_secret(&j->token.secret, &j->reply);
    int rv = joined_read(payload, &secret, id, &plain, &answer);
    if (rv < 0)
        say(j, "something came that is not the manager's answer");
    else if (rv == 0)
        take_hint(j, answer.code);
    else if (answer.code == JOINED_WAITING)
        wait_for_operator(j);
    else if (answer.code != JOINED_ACCEPTED)
        j->result = errmsg_set(j->em, ERR_REFUSED, "the manager refused: %s",
                               joined_code_text(answer.code));
    else
        j->result = accept_answer(j, &answer);
}

/* However long that takes. The next request is due already. */
static void wait_for_operator(struct joining *j)
{
    char text[256];
    struct key_id_hex id = key_id_hex(&j->store.identity.id);
    j->known = true;
    snprintf(text, sizeof text, "%s: `dunlin agent approve %.8s`", joined_code_text(JOINED_WAITING),
             id.text);
    say(j, text);
}

/* Once the manager has answered under the seal, whoever says this in clear is somebody else. */
static void take_hint(struct joining *j, enum joined_code code)
{
    char text[256];
    if (j->known)
        return;
    j->hints++;
    snprintf(text, sizeof text, "the manager refused: %s", joined_code_text(code));
    say(j, text);
    if (j->hints >= JOIN_HINTS)
        j->result = errmsg_set(j->em, ERR_REFUSED, "%s", text);
    j->due_ms = clock_monotonic_ms() + rng_below(&j->rng, first_bound_ms(j));
}

static int accept_answer(struct joining *j, struct joined *answer)
{
    int rv = check_answer(j, answer);
    if (rv < 0)
        return rv;
    if (answer->cell_count == 0) {
        memcpy(answer->cells[0], j->door.url, strlen(j->door.url) + 1);
        answer->cell_count = 1;
    }
    struct digest token = digest_of(span_text(j->options->token));
    rv = store_join(&j->store, answer, &j->options->facts, &token, j->door.url, j->em);
    if (rv == 0)
        print_identity("joined as", &j->store);
    return rv;
}

/* Whoever answered knows the token's secret; the fleet's roots say the rest. */
static int check_answer(const struct joining *j, const struct joined *answer)
{
    static struct assignment assignment;
    static struct trust trust;
    struct span body = SPAN_NONE;
    struct root_pin pin;
    _Static_assert(sizeof pin.bytes == TOKEN_PIN_LEN, "a token pins the fleet's roots");
    memcpy(pin.bytes, j->token.root, sizeof pin.bytes);
    int rv = trust_walk(&pin, answer->trust, answer->trust_count, &trust);
    if (rv < 0)
        return errmsg_set(j->em, rv,
                          "the answer's trust documents don't lead on from the roots that the "
                          "token pins (%s): it is another fleet's, or too old a token",
                          err_name(rv));
    rv = trust_open(&trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, answer->assignment, &body);
    if (rv == 0)
        rv = assignment_read(body, &assignment);
    if (rv == 0 && !key_id_equal(&assignment.agent, &j->store.identity.id))
        rv = ERR_FOREIGN;
    if (rv == 0 && answer->number == 0)
        rv = ERR_RANGE;
    return rv < 0 ? errmsg_set(j->em, rv, "the manager's answer doesn't hold: %s", err_name(rv))
                  : 0;
}

/* ---- small things ---- */

static uint64_t first_bound_ms(const struct joining *j)
{
    return j->options->backoff_ms ? j->options->backoff_ms : JOIN_BACKOFF_MS;
}

/* Full jitter (Brooker, "Exponential Backoff And Jitter", 2015). */
static void back_off(struct joining *j, uint64_t at_least_ms)
{
    uint64_t bound = first_bound_ms(j) << (j->waits < 6 ? j->waits : 6);
    if (bound > JOIN_BACKOFF_MS_MAX)
        bound = JOIN_BACKOFF_MS_MAX;
    j->waits++;
    j->due_ms = clock_monotonic_ms() + at_least_ms + rng_below(&j->rng, bound + 1);
}

/* Once for each change. */
static void say(struct joining *j, const char *text)
{
    if (strcmp(j->said, text) == 0)
        return;
    snprintf(j->said, sizeof j->said, "%s", text);
    fprintf(stderr, "dunlin-agent: %s; still trying\n", j->said);
}

static void print_identity(const char *verb, const struct store *s)
{
    const struct identity *id = &s->identity;
    printf("%s agent %u (id %s), labels %s\n", verb, id->number, key_id_hex(&id->id).text,
           s->assignment.labels.text[0] ? s->assignment.labels.text : "none");
    fflush(stdout);
}
