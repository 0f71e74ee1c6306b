/* The model of a broker against Mosquitto: whatever is done, clients hear the same from both. */
#include "base/clock.h"
#include "simulator/world/broker.h"
#include "sync/mqtt.h"
#include "sync/topic.h"
#include "test/real_broker.h"
#include "test/tree.h"

#define SEEDS 12
#define STEPS 80
/* They come and listen first. */
#define EARLY_STEPS 16
#define KEEPALIVE_S 600
/* The last one is there all the time, and only asks whether the broker has done what it was told.
 */
#define PLAYERS 4
#define WATCHER (PLAYERS - 1)
#define HEARD_MAX 256
#define GHOSTS_MAX STEPS
/* No filter includes it. */
#define NOBODY "no/body/at/all"

uint64_t clock_monotonic_ms(void)
{
    return real_ms();
}

uint64_t clock_wall_s(void)
{
    return 0;
}

/* ---- what a client hears ---- */

struct line {
    char topic[TOPIC_MAX];
    char payload[16];
    size_t at; /* the order within a topic counts, and no other */
};

struct ear {
    struct line heard[HEARD_MAX];
    size_t count;
};

static void hear(struct ear *e, const char *topic, struct span payload)
{
    struct line *l = &e->heard[e->count];
    CU_ASSERT_TRUE_FATAL(e->count < HEARD_MAX && payload.len < sizeof l->payload);
    *l = (struct line){.at = e->count++};
    snprintf(l->topic, sizeof l->topic, "%s", topic);
    if (payload.len)
        memcpy(l->payload, payload.data, payload.len);
}

static int by_topic(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* What has been heard since the last time, as one text. */
static const char *told(struct ear *e, char *text, size_t cap)
{
    size_t len = 0;
    text[0] = '\0';
    qsort(e->heard, e->count, sizeof e->heard[0], by_topic);
    for (size_t i = 0; i < e->count && len < cap; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s=%s ", e->heard[i].topic,
                                e->heard[i].payload);
    e->count = 0;
    return text;
}

static bool has_session(int p)
{
    return p == 1;
}

static const char *will_of(int p)
{
    return p == 1 || p == 2 ? "c/1" : NULL;
}

/* ---- the model ---- */

struct model {
    struct stage stage;
    struct broker *broker;
    struct client *clients[PLAYERS];
    struct ear ears[PLAYERS];
};

static void model_message(void *context, const char *topic, struct span payload)
{
    hear(context, topic, payload);
}

static void nothing(void *context)
{
    (void)context;
}

static void model_settle(struct model *m)
{
    uint64_t until = m->stage.now_ms + 2000;
    while (stage_next(&m->stage, until))
        ;
}

static void model_connect(struct model *m, int p)
{
    client_connect(m->clients[p], KEEPALIVE_S, will_of(p), span_text("dead"));
}

static void model_open(struct model *m, uint64_t seed)
{
    const struct broker_options options = {.delay_ms_min = 1, .delay_ms_max = 50};
    stage_open(&m->stage, seed);
    m->broker = broker_open(&m->stage, &options);
    for (int p = 0; p < PLAYERS; p++) {
        const struct client_handler handler = {
            .context = &m->ears[p], .up = nothing, .down = nothing, .message = model_message};
        char name[] = {'p', (char)('0' + p), '\0'};
        m->clients[p] = broker_client(m->broker, name, has_session(p), &handler);
    }
}

static void model_close(struct model *m)
{
    broker_close(m->broker);
    stage_close(&m->stage);
}

/* ---- the real one ---- */

struct player {
    struct mqtt *mqtt;
    struct ear ear;
    bool up;
    int acknowledged;
    bool subscribed;
};

struct real {
    struct real_broker broker;
    struct tree_path folder; /* what the broker keeps when it ends in order */
    struct player players[PLAYERS];
    struct mqtt *ghosts[GHOSTS_MAX]; /* connections of machines that are gone */
    size_t ghost_count;
};

static void real_up(void *context, bool session_present)
{
    struct player *p = context;
    (void)session_present;
    p->up = true;
}

static void real_down(void *context, const char *reason)
{
    struct player *p = context;
    (void)reason;
    p->up = false;
}

static void real_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct player *p = context;
    (void)retained;
    hear(&p->ear, topic, payload);
}

static void real_published(void *context, int mid)
{
    struct player *p = context;
    p->acknowledged = mid;
}

static void real_subscribed(void *context, int mid)
{
    struct player *p = context;
    (void)mid;
    p->subscribed = true;
}

static void real_turn(struct real *r)
{
    struct pollfd fds[PLAYERS * MQTT_FDS];
    for (int p = 0; p < PLAYERS; p++)
        mqtt_watch(r->players[p].mqtt, fds + (size_t)p * MQTT_FDS);
    poll(fds, PLAYERS * MQTT_FDS, 20);
    for (int p = 0; p < PLAYERS; p++)
        mqtt_service(r->players[p].mqtt, fds + (size_t)p * MQTT_FDS);
}

#define UNTIL(r, condition)                                                                        \
    do {                                                                                           \
        uint64_t until_ms = real_ms() + PATIENCE_MS;                                               \
        while (!(condition) && real_ms() < until_ms)                                               \
            real_turn(r);                                                                          \
        CU_ASSERT_TRUE_FATAL(condition);                                                           \
    } while (0)

static void real_publish(struct real *r, int p, const char *topic, const char *payload, bool retain)
{
    struct player *player = &r->players[p];
    int mid = mqtt_publish(player->mqtt, topic, span_text(payload), 1, retain);
    if (!player->up) {
        CU_ASSERT_EQUAL(mid, ERR_BUSY);
        return;
    }
    CU_ASSERT_TRUE_FATAL(mid >= 0);
    UNTIL(r, player->acknowledged == mid);
}

/* A broker takes turns at its connections: after three of the watcher's it has had all; and what it
 * says to a client comes in order, so what it had to say comes before its acknowledgement. */
static void real_settle(struct real *r)
{
    for (int i = 0; i < 3; i++)
        real_publish(r, WATCHER, NOBODY, "x", false);
    for (int p = 0; p < WATCHER; p++)
        if (r->players[p].up)
            real_publish(r, p, NOBODY, "x", false);
}

static struct mqtt *real_client(struct real *r, int p)
{
    char name[] = {'p', (char)('0' + p), '\0'};
    const struct mqtt_options options = {.client_id = name,
                                         .persistent = has_session(p),
                                         .keepalive_s = KEEPALIVE_S,
                                         .will_topic = will_of(p),
                                         .will = span_text("dead")};
    const struct mqtt_handler handler = {.context = &r->players[p],
                                         .up = real_up,
                                         .down = real_down,
                                         .message = real_message,
                                         .published = real_published,
                                         .subscribed = real_subscribed};
    struct mqtt *m = mqtt_new(&options, &handler);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

static void real_connect(struct real *r, int p)
{
    struct player *player = &r->players[p];
    CU_ASSERT_EQUAL(mqtt_connect(player->mqtt, r->broker.url, NULL), 0);
    UNTIL(r, player->up);
}

static void real_subscribe(struct real *r, int p, const char *topic, bool yes)
{
    struct player *player = &r->players[p];
    player->subscribed = false;
    if (!player->up)
        return;
    if (!yes) {
        CU_ASSERT_TRUE(mqtt_unsubscribe(player->mqtt, &topic, 1) >= 0);
        return;
    }
    CU_ASSERT_TRUE(mqtt_subscribe(player->mqtt, &topic, 1, has_session(p) ? 1 : 0) >= 0);
    UNTIL(r, player->subscribed);
}

static void real_vanish(struct real *r, int p)
{
    struct player *player = &r->players[p];
    if (!player->up)
        return;
    r->ghosts[r->ghost_count++] = player->mqtt;
    player->up = false;
    player->mqtt = real_client(r, p);
}

static void real_restart(struct real *r, bool memory)
{
    char kept[sizeof r->folder.text + 16];
    kill(r->broker.pid, memory ? SIGTERM : SIGKILL);
    waitpid(r->broker.pid, NULL, 0);
    for (int p = 0; p < PLAYERS; p++)
        UNTIL(r, !r->players[p].up);
    snprintf(kept, sizeof kept, "%s/mosquitto.db", r->folder.text);
    if (!memory)
        unlink(kept);
    real_broker_run(&r->broker);
    real_connect(r, WATCHER);
}

static void real_open(struct real *r)
{
    char more[FILE_PATH_MAX + 128];
    r->folder = tree_new();
    snprintf(more, sizeof more, "allow_anonymous true\npersistence true\npersistence_location %s/",
             r->folder.text);
    r->broker = real_broker_start(more);
    for (int p = 0; p < PLAYERS; p++)
        r->players[p].mqtt = real_client(r, p);
    real_connect(r, WATCHER);
}

static void real_close(struct real *r)
{
    for (size_t i = 0; i < r->ghost_count; i++)
        mqtt_free(r->ghosts[i]);
    for (int p = 0; p < PLAYERS; p++)
        mqtt_free(r->players[p].mqtt);
    real_broker_stop(&r->broker);
    tree_free(&r->folder);
}

/* ---- one scenario on both ---- */

enum act { CONNECT, CLOSE, CUT, VANISH, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, RETAIN, RESTART, DIE };

struct step {
    enum act act;
    int player;
    const char *topic;  /* to publish under, … */
    const char *filter; /* … or to hear */
    char payload[16];
};

static struct step step_draw(struct rng *rng, int number)
{
    /* The likelier the more often it is here. */
    static const enum act acts[] = {
        CONNECT,   CONNECT,   CONNECT,   CONNECT,     CLOSE,   CUT,     VANISH,  SUBSCRIBE,
        SUBSCRIBE, SUBSCRIBE, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, PUBLISH, PUBLISH, PUBLISH,
        PUBLISH,   RETAIN,    RETAIN,    RETAIN,      RESTART, DIE};
    static const char *const topics[] = {"a", "b", "c/1", "c/2", "c/1/x"};
    static const char *const filters[] = {"a", "b", "c/1", "c/+", "+/1", "c/1/x", "+"};
    enum act act = acts[rng_below(rng, sizeof acts / sizeof acts[0])];
    if (act >= RESTART && rng_below(rng, 4) > 0)
        act = CONNECT;
    struct step s = {
        .act = number <= EARLY_STEPS ? (enum act)(number % 2 ? CONNECT : SUBSCRIBE) : act,
        .player = (int)rng_below(rng, WATCHER),
        .topic = topics[rng_below(rng, sizeof topics / sizeof topics[0])],
        .filter = filters[rng_below(rng, sizeof filters / sizeof filters[0])],
    };
    /* Nothing, retained, erases. */
    if (rng_below(rng, 4) > 0)
        snprintf(s.payload, sizeof s.payload, "%d", number);
    return s;
}

static void model_do(struct model *m, const struct step *s)
{
    struct client *c = m->clients[s->player];
    if (s->act == CONNECT && !client_is_up(c))
        model_connect(m, s->player);
    else if (s->act == CLOSE && client_is_up(c))
        client_close(c);
    else if (s->act == CUT)
        client_cut(c);
    else if (s->act == VANISH)
        client_vanish(c);
    else if (s->act == SUBSCRIBE)
        client_subscribe(c, s->filter);
    else if (s->act == UNSUBSCRIBE)
        client_unsubscribe(c, s->filter);
    else if (s->act == PUBLISH || s->act == RETAIN)
        client_publish(c, s->topic, span_text(s->payload), s->act == RETAIN);
    else if (s->act == RESTART || s->act == DIE) {
        broker_kill(m->broker, s->act == RESTART);
        model_settle(m);
        broker_restart(m->broker, s->act == RESTART);
    }
    model_settle(m);
}

static void real_do(struct real *r, const struct step *s)
{
    struct player *p = &r->players[s->player];
    if (s->act == CONNECT && !p->up)
        real_connect(r, s->player);
    else if (s->act == CLOSE && p->up) {
        mqtt_disconnect(p->mqtt);
        p->up = false;
    } else if (s->act == CUT && p->up) {
        mqtt_drop(p->mqtt);
        p->up = false;
    } else if (s->act == VANISH)
        real_vanish(r, s->player);
    else if (s->act == SUBSCRIBE || s->act == UNSUBSCRIBE)
        real_subscribe(r, s->player, s->filter, s->act == SUBSCRIBE);
    else if (s->act == PUBLISH || s->act == RETAIN)
        real_publish(r, s->player, s->topic, s->payload, s->act == RETAIN);
    else if (s->act == RESTART || s->act == DIE)
        real_restart(r, s->act == RESTART);
    real_settle(r);
}

/* True when all hear the same; otherwise it tells of whom and what. */
static bool agree(struct model *m, struct real *r, const struct step *s, int number)
{
    static const char *const names[] = {"connect",     "close",   "cut",    "vanish",  "subscribe",
                                        "unsubscribe", "publish", "retain", "restart", "die"};
    bool same = true;
    for (int p = 0; p < WATCHER; p++) {
        char model[HEARD_MAX * 32], real[HEARD_MAX * 32];
        told(&m->ears[p], model, sizeof model);
        told(&r->players[p].ear, real, sizeof real);
        if (strcmp(model, real) == 0 && client_is_up(m->clients[p]) == r->players[p].up)
            continue;
        fprintf(
            stderr,
            "step %d, %s by %d of %s or %s: %d hears \"%s\" of the model, \"%s\" of mosquitto\n",
            number, names[s->act], s->player, s->topic, s->filter, p, model, real);
        same = false;
    }
    return same;
}

static size_t play(uint64_t seed)
{
    static struct model m;
    static struct real r;
    struct rng rng = {.state = seed};
    size_t heard = 0;
    m = (struct model){0};
    r = (struct real){0};
    model_open(&m, seed);
    real_open(&r);
    for (int i = 1; i <= STEPS; i++) {
        struct step s = step_draw(&rng, i);
        model_do(&m, &s);
        real_do(&r, &s);
        for (int p = 0; p < WATCHER; p++)
            heard += r.players[p].ear.count;
        if (!agree(&m, &r, &s, i)) {
            fprintf(stderr, "seed %u\n", (unsigned)seed);
            CU_FAIL("the model isn't what mosquitto is");
            break;
        }
    }
    real_close(&r);
    model_close(&m);
    return heard;
}

static void test_clients_hear_the_same_from_the_model_and_from_mosquitto(void)
{
    size_t heard = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        heard += play(seed);
    CU_ASSERT_TRUE(heard > 10 * SEEDS);
}

static const struct suite_test tests[] = {
    TEST(test_clients_hear_the_same_from_the_model_and_from_mosquitto),
};

SUITE_MAIN("brokers", tests)
