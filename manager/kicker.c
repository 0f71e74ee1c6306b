#include "manager/kicker.h"

#include "base/log.h"
#include "sync/limits.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEPALIVE_S 30

struct kick {
    struct blocked_agent agent;
    unsigned times;  /* it was kicked so far */
    bool refused;    /* under the serial of its certificate, a moment ago */
    uint64_t due_ms; /* of the next time */
};

/* A ring: who came first leaves first. */
struct line {
    struct kick *at;
    size_t first, count, cap;
};

struct kicker {
    struct kicker_options options;
    char url[CELL_URL_MAX + 1];
    struct mqtt *mqtt; /* in the name of who is in turn; NULL: not connecting */
    struct pass pass;  /* over TLS: what it shows */
    struct line *turn; /* whose first is in turn, while there is `mqtt` */
    bool up, down;
    bool held;
    bool outdated; /* that the broker's lists are old was logged */
    uint64_t retry_at_ms;
    struct line fresh; /* never kicked yet */
    struct line again; /* by due_ms */
};

static int line_reserve(struct line *l, size_t count);
static struct kick *line_at(const struct line *l, size_t i);
static void line_push(struct line *l, const struct kick *kick);
static void line_pop(struct line *l);
static const struct line *next_line(const struct kicker *k);
static void skip_unblocked(struct kicker *k, struct line *l);
static void take_over(struct kicker *k, uint64_t now_ms);
static int make_pass(struct kicker *k, const struct kick *kick);
static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void kicked(struct kicker *k, uint64_t now_ms);
static void kicked_on_others(struct kicker *k, struct kick *kick, uint64_t now_ms);
static void missed(struct kicker *k, uint64_t now_ms);
static void leave(struct kicker *k);

struct kicker *kicker_new(const struct kicker_options *options)
{
    struct kicker *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->options = *options;
    snprintf(k->url, sizeof k->url, "%s", options->url);
    return k;
}

void kicker_free(struct kicker *k)
{
    if (!k)
        return;
    mqtt_free(k->mqtt);
    free(k->fresh.at);
    free(k->again.at);
    explicit_bzero(k, sizeof *k);
    free(k);
}

/* So much that everybody may have to be kicked again. */
int kicker_add(struct kicker *k, const struct blocked_agent *agent)
{
    size_t all = kicker_count(k) + 1;
    if (line_reserve(&k->fresh, all) < 0 || line_reserve(&k->again, all) < 0)
        return ERR_NO_MEMORY;
    line_push(&k->fresh, &(struct kick){.agent = *agent});
    return 0;
}

size_t kicker_count(const struct kicker *k)
{
    return k->fresh.count + k->again.count;
}

void kicker_hold(struct kicker *k, bool hold)
{
    k->held = hold;
}

/* ---- lines ---- */

static int line_reserve(struct line *l, size_t count)
{
    if (count <= l->cap)
        return 0;
    size_t cap = count < 16 ? 16 : count * 2;
    struct kick *more = calloc(cap, sizeof *more);
    if (!more)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < l->count; i++)
        more[i] = *line_at(l, i);
    free(l->at);
    *l = (struct line){.at = more, .count = l->count, .cap = cap};
    return 0;
}

static struct kick *line_at(const struct line *l, size_t i)
{
    return &l->at[(l->first + i) % l->cap];
}

static void line_push(struct line *l, const struct kick *kick)
{
    assert(l->count < l->cap);
    *line_at(l, l->count++) = *kick;
}

static void line_pop(struct line *l)
{
    l->first = (l->first + 1) % l->cap;
    l->count--;
}

/* ---- the poll loop ---- */

void kicker_watch(const struct kicker *k, struct pollfd fds[static MQTT_FDS])
{
    for (int i = 0; i < MQTT_FDS; i++)
        fds[i] = (struct pollfd){.fd = -1};
    if (k->mqtt)
        mqtt_watch(k->mqtt, fds);
}

uint64_t kicker_deadline_ms(const struct kicker *k)
{
    const struct line *l = next_line(k);
    if (k->mqtt || k->held || l->count == 0)
        return UINT64_MAX;
    uint64_t due_ms = line_at(l, 0)->due_ms;
    return due_ms > k->retry_at_ms ? due_ms : k->retry_at_ms;
}

/* Who was never kicked comes first. */
static const struct line *next_line(const struct kicker *k)
{
    return k->fresh.count > 0 ? &k->fresh : &k->again;
}

/* Once greeted, the other's session is over. */
void kicker_service(struct kicker *k, const struct pollfd *fds, uint64_t now_ms)
{
    if (k->mqtt) {
        mqtt_service(k->mqtt, fds);
    } else if (now_ms >= kicker_deadline_ms(k)) {
        skip_unblocked(k, &k->fresh);
        skip_unblocked(k, &k->again);
        if (now_ms >= kicker_deadline_ms(k))
            take_over(k, now_ms);
    }
    if (k->up)
        kicked(k, now_ms);
    else if (k->down)
        missed(k, now_ms);
}

static void skip_unblocked(struct kicker *k, struct line *l)
{
    while (l->count > 0 && !k->options.blocked(k->options.context, &line_at(l, 0)->agent.id))
        line_pop(l);
}

static void take_over(struct kicker *k, uint64_t now_ms)
{
    struct mqtt_handler handler = {.context = k, .up = on_up, .down = on_down};
    k->turn = k->fresh.count > 0 ? &k->fresh : &k->again;
    const struct kick *kick = line_at(k->turn, 0);
    struct key_id_hex id = key_id_hex(&kick->agent.id);
    struct mqtt_options options = {.client_id = id.text, .keepalive_s = KEEPALIVE_S};
    k->retry_at_ms = now_ms + KICKER_RETRY_MS;
    if (k->options.pass && make_pass(k, kick) < 0)
        return;
    options.tls = k->options.pass ? &k->pass.link : NULL;
    k->mqtt = mqtt_new(&options, &handler);
    if (k->mqtt && mqtt_connect(k->mqtt, k->url, NULL) < 0)
        k->down = true;
}

static int make_pass(struct kicker *k, const struct kick *kick)
{
    const struct mqtt_tls *ours = &k->options.pass->link;
    return pass_make_as(&k->pass, k->options.keys, &kick->agent, !kick->refused, ours->folder,
                        ours->tls.now_s);
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

/* ---- what came of it ---- */

static void kicked(struct kicker *k, uint64_t now_ms)
{
    struct kick kick = *line_at(k->turn, 0);
    line_pop(k->turn);
    if (kick.times++ == 0 && !kick.refused)
        log_event(LOG_INFO, "agent-kicked", "url=%s agent=%s", k->url,
                  key_id_hex(&kick.agent.id).text);
    leave(k);
    k->retry_at_ms = now_ms;
    if (k->options.pass) {
        kicked_on_others(k, &kick, now_ms);
    } else if (kick.times == 1) {
        kick.due_ms = now_ms + KICKER_AGAIN_MS;
        line_push(&k->again, &kick);
    }
}

/* Those of before, whom it refused all along, are no news. */
static void kicked_on_others(struct kicker *k, struct kick *kick, uint64_t now_ms)
{
    k->retry_at_ms = now_ms + KICKER_PACE_MS;
    if (kick->refused) {
        log_event(kick->times > 1 ? LOG_INFO : LOG_DEBUG, "agent-shut-out", "url=%s agent=%s",
                  k->url, key_id_hex(&kick->agent.id).text);
        k->outdated = false;
        return;
    }
    if (kick->times > 1 && !k->outdated) {
        log_event(LOG_WARN, "kit-outdated", "url=%s agent=%s what=\"%s\"", k->url,
                  key_id_hex(&kick->agent.id).text,
                  "the broker still lets a blocked agent in: give it a new kit");
        k->outdated = true;
    }
    kick->due_ms = now_ms + KICKER_LOOK_MS;
    line_push(&k->again, kick);
}

/* Refused under the agent's serial, we come under another at once. */
static void missed(struct kicker *k, uint64_t now_ms)
{
    struct kick *kick = line_at(k->turn, 0);
    kick->refused = k->options.pass && !kick->refused && mqtt_loss(k->mqtt) == ERR_REFUSED;
    leave(k);
    k->retry_at_ms = kick->refused ? now_ms : now_ms + KICKER_RETRY_MS;
}

static void leave(struct kicker *k)
{
    mqtt_free(k->mqtt);
    k->mqtt = NULL;
    k->up = false;
    k->down = false;
}
