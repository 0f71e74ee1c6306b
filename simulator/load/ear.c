#include "simulator/load/ear.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURN_MS 100
#define FINISH_TURNS 50
#define SOCKET "sock"

_Static_assert(FLOOR_CHUNK_LEN <= HUB_OUT - 256, "or it can't be said");

/* Its lines, the door's last. */
struct ears {
    struct hub hub;
    struct ear_board *board;
    uint32_t count;
    bool door;
    const struct floor_topics *topics;
    uint32_t document_len;
    struct line lines[EAR_CELLS_MAX + 1];
};

static int work(void *context, void *shared, int orders);
static int open_lines(struct ears *e, const struct ear_options *o);
static int open_socket(void *context);
static int open_inside(struct ears *e, const char *dir, const char *folder);
static int finish(struct ears *e);
static void speak(struct ears *e, enum ear_word word);
static void speak_on(struct ears *e, struct line *l, enum ear_word word);
static void speak_chunks(struct ears *e, struct line *l, size_t len);
static void on_opened(void *context, struct line *l);
static void on_packet(void *context, struct line *l, const struct packet *p);
static void on_down(void *context, struct line *l, const char *reason);
static void answer(struct ears *e, struct line *l, struct span topic);

int ear_start(struct ear *e, const struct ear_options *o, struct errmsg *em)
{
    struct ear_options own = *o;
    int rv = child_start(&e->child, sizeof *e->board, true, work, &own, "the floor", em);
    e->board = e->child.shared;
    return rv;
}

void ear_speak(struct ear *e, enum ear_word word)
{
    uint8_t order = (uint8_t)word;
    if (!child_order(&e->child, &order, 1))
        e->board->ready = 0;
}

void ear_stop(struct ear *e)
{
    child_end(&e->child);
    child_free(&e->child);
    *e = (struct ear){0};
}

/* ---- in its process ---- */

static int work(void *context, void *shared, int orders)
{
    uint8_t order;
    const struct ear_options *o = context;
    struct ears *e = calloc(1, sizeof *e);
    const struct hub_handler handler = {
        .context = e, .opened = on_opened, .packet = on_packet, .down = on_down};
    if (!e || hub_init(&e->hub, &handler, NULL) < 0 || hub_listen(&e->hub, orders) < 0)
        return 1;
    e->board = shared;
    e->topics = o->tls ? &FLOOR_TLS : &FLOOR_PLAIN;
    e->document_len = o->document_len;
    if (open_lines(e, o) < 0)
        return 1;
    for (;;) {
        if (!hub_service(&e->hub, TURN_MS))
            continue;
        if (read(orders, &order, 1) != 1)
            return finish(e);
        speak(e, (enum ear_word)order);
    }
}

/* What it said last is to be with the brokers. */
static int finish(struct ears *e)
{
    bool open = true;
    for (int turns = 0; open && turns < FINISH_TURNS; turns++) {
        hub_service(&e->hub, TURN_MS);
        open = false;
        for (uint32_t i = 0; i < e->count; i++)
            open |= e->lines[i].open > 0;
    }
    return 0;
}

/* Those of TLS only by their sockets, since this one has no certificate. */
static int open_lines(struct ears *e, const struct ear_options *o)
{
    char folder[32];
    int rv = 0;
    for (uint32_t i = 0; rv == 0 && i < o->cells; i++) {
        snprintf(folder, sizeof folder, "cells/%u", i);
        if (o->tls)
            rv = open_inside(e, o->dir, folder);
        else
            line_open(&e->hub, &e->lines[e->count], &o->at[i], 0);
        e->count++;
    }
    e->door = o->dir != NULL;
    return rv == 0 && e->door ? open_inside(e, o->dir, "door") : rv;
}

/* Its path may be longer than a socket's name. */
static int open_inside(struct ears *e, const char *dir, const char *folder)
{
    char path[FILE_PATH_MAX];
    struct errmsg em;
    int rv = file_path(path, &em, "%s/%s", dir, folder);
    return rv < 0 ? rv : file_inside(path, open_socket, e, &em);
}

static int open_socket(void *context)
{
    struct ears *e = context;
    line_open_path(&e->hub, &e->lines[e->count], SOCKET);
    return 0;
}

static void on_opened(void *context, struct line *l)
{
    struct ears *e = context;
    char name[32];
    snprintf(name, sizeof name, "ear-%d", (int)(l - e->lines));
    line_greet(&e->hub, l, &(struct packet_connect){.client_id = name});
}

static void on_packet(void *context, struct line *l, const struct packet *p)
{
    struct ears *e = context;
    bool door = e->door && l == &e->lines[e->count];
    const char *topic = door ? FLOOR_TOPIC_JOIN : e->topics->up;
    char all[32];
    snprintf(all, sizeof all, "%s+", door ? "dl1/join/" : topic);
    if (p->type == PACKET_CONNACK)
        line_subscribe(&e->hub, l, &(const char *){all}, 1, 1);
    e->board->ready += p->type == PACKET_SUBACK;
    if (p->type != PACKET_PUBLISH || p->topic.len < strlen(topic) ||
        memcmp(p->topic.data, topic, strlen(topic)) != 0)
        return;
    e->board->heard++;
    if (door)
        answer(e, l, p->topic);
}

/* To whom is in the topic's last part. */
static void answer(struct ears *e, struct line *l, struct span topic)
{
    static const uint8_t payload[FLOOR_ANSWER_LEN];
    char to[96];
    size_t skip = strlen(FLOOR_TOPIC_JOIN);
    snprintf(to, sizeof to, FLOOR_TOPIC_JOINED "%.*s", (int)(topic.len - skip),
             (const char *)topic.data + skip);
    line_publish(&e->hub, l, to, span_of(payload, sizeof payload), false);
}

static void speak(struct ears *e, enum ear_word word)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (word != EAR_CONTENT)
            speak_on(e, &e->lines[i], word);
        if (word == EAR_CONTENT || word == EAR_NOTHING)
            speak_chunks(e, &e->lines[i], word == EAR_NOTHING ? 0 : FLOOR_CHUNK_LEN);
    }
}

/* The document before the head that leads to it. */
static void speak_on(struct ears *e, struct line *l, enum ear_word word)
{
    static const uint8_t payload[FLOOR_DOCUMENT_LEN_MAX];
    char topic[96];
    bool notice = word == EAR_NOTICE;
    for (unsigned k = notice ? FLOOR_GROUPS : 0; k < 2 * FLOOR_GROUPS; k++) {
        bool head = k >= FLOOR_GROUPS;
        size_t len = head && !notice ? FLOOR_HEAD_LEN : e->document_len;
        snprintf(topic, sizeof topic, "%s%u/0", head ? e->topics->head : e->topics->document,
                 k % FLOOR_GROUPS);
        line_publish(&e->hub, l, topic, span_of(payload, word == EAR_NOTHING ? 0 : len), !notice);
    }
}

static void speak_chunks(struct ears *e, struct line *l, size_t len)
{
    static const uint8_t payload[FLOOR_CHUNK_LEN];
    char topic[96];
    for (unsigned k = 0; k < FLOOR_CHUNKS; k++) {
        snprintf(topic, sizeof topic, FLOOR_CHUNK_TOPIC, e->topics->chunk, k);
        line_publish(&e->hub, l, topic, span_of(payload, len), true);
    }
}

static void on_down(void *context, struct line *l, const char *reason)
{
    struct ears *e = context;
    (void)l;
    fprintf(stderr, "dunlin-sim: the floor: %s\n", reason);
    e->board->ready = 0;
}
