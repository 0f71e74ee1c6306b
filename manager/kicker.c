#include "manager/kicker.h"

#include "base/log.h"
#include "sync/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define KEEPALIVE_S 30

struct kicker {
    char url[CELL_URL_MAX + 1];
    struct mqtt *mqtt; /* under the name of the first in line; NULL: not connecting */
    bool up;
    bool down;
    uint64_t retry_at_ms;
    size_t first, end, cap; /* of the line */
    struct key_id *line;
};

static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void take_over(struct kicker *k, uint64_t now_ms);
static void leave(struct kicker *k);

struct kicker *kicker_new(const char *url)
{
    struct kicker *k = calloc(1, sizeof *k);
    if (k)
        snprintf(k->url, sizeof k->url, "%s", url);
    return k;
}

void kicker_free(struct kicker *k)
{
    if (!k)
        return;
    mqtt_free(k->mqtt);
    free(k->line);
    free(k);
}

int kicker_add(struct kicker *k, const struct key_id *agent)
{
    if (k->end == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 16;
        struct key_id *more = realloc(k->line, cap * sizeof *more);
        if (!more)
            return ERR_NO_MEMORY;
        k->line = more;
        k->cap = cap;
    }
    k->line[k->end++] = *agent;
    return 0;
}

size_t kicker_count(const struct kicker *k)
{
    return k->end - k->first;
}

/* ---- the poll loop ---- */

void kicker_watch(const struct kicker *k, struct pollfd fds[static MQTT_FDS])
{
    for (int i = 0; i < MQTT_FDS; i++)
        fds[i] = (struct pollfd){.fd = -1};
    if (k && k->mqtt)
        mqtt_watch(k->mqtt, fds);
}

uint64_t kicker_deadline_ms(const struct kicker *k)
{
    return !k || k->mqtt || kicker_count(k) == 0 ? UINT64_MAX : k->retry_at_ms;
}

/* Once greeted, the other's session is over. */
void kicker_service(struct kicker *k, const struct pollfd *fds, uint64_t now_ms)
{
    if (!k)
        return;
    if (now_ms >= kicker_deadline_ms(k))
        take_over(k, now_ms);
    else if (k->mqtt)
        mqtt_service(k->mqtt, fds);
    if (k->up) {
        log_event(LOG_INFO, "agent-kicked", "url=%s agent=%s", k->url,
                  key_id_hex(&k->line[k->first]).text);
        k->first++;
        leave(k);
        k->retry_at_ms = now_ms;
    } else if (k->down) {
        leave(k);
        k->retry_at_ms = now_ms + KICKER_RETRY_MS;
    }
}

static void take_over(struct kicker *k, uint64_t now_ms)
{
    struct mqtt_handler handler = {.context = k, .up = on_up, .down = on_down};
    struct key_id_hex id = key_id_hex(&k->line[k->first]);
    k->retry_at_ms = now_ms + KICKER_RETRY_MS;
    k->mqtt = mqtt_new(&(struct mqtt_options){.client_id = id.text, .keepalive_s = KEEPALIVE_S},
                       &handler);
    if (k->mqtt && mqtt_connect(k->mqtt, k->url, NULL) < 0)
        k->down = true;
}

static void on_up(void *context, bool session_present)
{
    struct kicker *k = context;
    (void)session_present;
    k->up = true;
}

static void on_down(void *context, const char *reason)
{
    struct kicker *k = context;
    (void)reason;
    k->down = !k->up;
}

static void leave(struct kicker *k)
{
    mqtt_free(k->mqtt);
    k->mqtt = NULL;
    k->up = false;
    k->down = false;
    if (k->first == k->end)
        k->first = k->end = 0;
}
