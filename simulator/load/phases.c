#include "simulator/load/load.h"
#include "simulator/load/onlooker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* How long a phase may take, and as many milliseconds more for each agent. */
#define PATIENCE_S 120
#define PATIENCE_AGENT_MS 20
#define LOOK_MS 2
#define STILL_MS 500
/* Of so many agents one may say something meanwhile; a heartbeat comes from one of 1,800. */
#define FEW_OF 500
/* Once its agents are done, the manager is asked so much longer after an answer than that took: it
 * must not be what it is asked for that keeps it busy. */
#define ASK_PAUSE 4
#define HEARTBEAT_MS 900000
/* Four heartbeats are an hour. */
#define HEARTBEATS 4

static int push_both(struct load *l, struct errmsg *em);
static int fill_up(struct load *l, struct errmsg *em);
static int make_tokens(struct load *l, struct errmsg *em);
static int join_all(struct load *l, struct errmsg *em);
static int connect_all(struct load *l, struct errmsg *em);
static int deploy_all(struct load *l, struct errmsg *em);
static int change_documents(struct load *l, struct errmsg *em);
static int beat_once(struct load *l, struct errmsg *em);
static int restart_at_rest(struct load *l, struct errmsg *em);
static int roll_out(struct load *l, struct errmsg *em);
static int cut_all(struct load *l, struct errmsg *em);
static int move_some(struct load *l, struct errmsg *em);
static int quiet_hour(struct load *l, struct errmsg *em);
static int check_all(struct load *l, struct errmsg *em);

static int (*const PHASES[])(struct load *l, struct errmsg *em) = {
    push_both,   fill_up,    make_tokens,      join_all,   floors_measure,
    connect_all, deploy_all, change_documents, beat_once,  restart_at_rest,
    roll_out,    cut_all,    move_some,        quiet_hour, check_all,
};

int phases_play(struct load *l, struct errmsg *em)
{
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < sizeof PHASES / sizeof PHASES[0]; i++)
        rv = l->stop ? ERR_BUSY : PHASES[i](l, em);
    return rv;
}

/* ---- what phases have in common ---- */

/* One phase that is measured. */
struct act {
    struct load *l;
    struct measure *m;
    struct snapshot from;
};

static struct act begin_amid(struct load *l, const char *name, uint64_t count);

/* What the phase before led to is over: for a moment no more was said than heartbeats are. */
static void settle(struct load *l)
{
    struct team_sum sum;
    const uint64_t few = l->options.agents / FEW_OF;
    uint64_t before = 0, now_us = measure_now_us(), still_us = now_us;
    uint64_t until_us = now_us + PATIENCE_S * 1000000ull;
    while (l->team.count > 0 && !l->stop && now_us < until_us &&
           now_us < still_us + STILL_MS * 1000ull) {
        team_sum(&l->team, &sum);
        now_us = measure_now_us();
        uint64_t said = sum.traffic.published + sum.traffic.received;
        if (said > before + few) {
            still_us = now_us;
            before = said;
        }
        poll(NULL, 0, LOOK_MS);
    }
}

static struct act begin(struct load *l, const char *name, uint64_t count)
{
    settle(l);
    return begin_amid(l, name, count);
}

/* While another phase goes on. */
static struct act begin_amid(struct load *l, const char *name, uint64_t count)
{
    struct act p = {.l = l, .m = &l->measures[l->measure_count++]};
    assert(l->measure_count < MEASURES_MAX);
    *p.m = (struct measure){.name = name, .count = count};
    progress_begin(&l->progress, name);
    snapshot_take(&p.from, &l->boss, &l->team);
    return p;
}

static void end(struct act *p, enum floor_type floor)
{
    struct snapshot to;
    p->m->floor = floor;
    snapshot_take(&to, &p->l->boss, &p->l->team);
    measure_between(p->m, &p->from, &to);
    progress_end(&p->l->progress, p->m->cost.seconds);
}

/* One whose floor is no messages. */
static void end_floorless(struct act *p, const char *since)
{
    p->m->floorless = since;
    end(p, FLOOR_COUNT);
}

static int order(struct load *l, const struct order *o, struct errmsg *em)
{
    return team_order(&l->team, o, &l->stop, em);
}

/* Begins to count for a goal, from now on. */
static int aim(struct act *p, struct order o, struct errmsg *em)
{
    o.type = ORDER_GOAL;
    o.began_us = measure_now_us();
    p->m->counts = true;
    return order(p->l, &o, em);
}

/* A number that stands in the manager's answer under two names; -1: it doesn't. */
static int64_t ask_number(struct load *l, const char *route, const char *one, const char *two)
{
    json_t *answer = boss_ask(&l->boss, "GET", route, NULL, NULL);
    const json_t *inner = two ? json_object_get(answer, one) : answer;
    const json_t *value = json_object_get(inner, two ? two : one);
    int64_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(answer);
    return number;
}

/* How many the manager has heard by now. */
static int64_t ask_statuses(struct load *l)
{
    return ask_number(l, "/v1/status", "counters", "statuses");
}

/* What the manager has to say for a phase to be over. */
typedef bool hearing(struct load *l, uint64_t wanted);

static int wait_for(struct act *p, uint32_t met, hearing *seen, uint64_t wanted, struct errmsg *em)
{
    struct load *l = p->l;
    uint64_t limit_us =
        (PATIENCE_S * 1000ull + (uint64_t)l->options.agents * PATIENCE_AGENT_MS) * 1000;
    uint64_t ask_us = 0;
    struct team_sum sum;
    for (;;) {
        uint64_t now_us = measure_now_us();
        team_sum(&l->team, &sum);
        progress_show(&l->progress, sum.met, met, now_us);
        if (sum.met >= met && p->m->agents_s == 0)
            p->m->agents_s = (double)(now_us - p->from.at_us) / 1e6;
        if (sum.met >= met && now_us >= ask_us) {
            if (!seen || seen(l, wanted))
                return 0;
            uint64_t answered_us = measure_now_us();
            ask_us = answered_us + ASK_PAUSE * (answered_us - now_us);
        }
        int rv = team_look(&l->team, &l->stop, em);
        if (rv < 0)
            return rv;
        if (now_us > p->from.at_us + limit_us)
            return errmsg_set(em, ERR_TIMEOUT, "%s: after %llu s %u of %u agents are there%s",
                              p->m->name, (unsigned long long)limit_us / 1000000, sum.met, met,
                              sum.met >= met ? ", but the manager has not heard it" : "");
        poll(NULL, 0, LOOK_MS);
    }
}

static void fault(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct load *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (l->faults < BOARD_FAULTS_MAX)
        vsnprintf(l->fault[l->faults], BOARD_FAULT_LEN, fmt, ap);
    l->faults++;
    va_end(ap);
}

/* ---- tokens and joins ---- */

/* Spares, each on one group, as far as its documents shall have them: the manager has them to count
 * and to load. */
static int fill_up(struct load *l, struct errmsg *em)
{
    char body[LABELS_TEXT_MAX + 160];
    int rv = 0;
    if (l->options.deployments <= 1)
        return 0;
    struct act p = begin(l, "deployments", l->options.deployments - 1);
    for (uint32_t i = 1; rv == 0 && i < l->options.deployments && !l->stop; i++) {
        snprintf(body, sizeof body,
                 "{\"name\":\"" SPARE_NAME "%u\",\"bundle\":\"" SCRIPT_DEPLOYMENT
                 "@1\",\"select\":\"%s\"}",
                 i, script_spare(i).text);
        uint64_t from_us = measure_now_us();
        json_t *made = boss_ask(&l->boss, "POST", "/v1/deployments", body, em);
        tally_add(&p.m->tally, measure_now_us() - from_us);
        rv = made ? 0 : ERR_REFUSED;
        json_decref(made);
    }
    end(&p, FLOOR_COUNT);
    return rv < 0 ? rv : floors_commits(l, p.m->count, &p.m->own_floor, em);
}

static int read_tokens(struct load *l, const char *path, uint32_t group, struct errmsg *em)
{
    char line[TOKEN_TEXT_LEN + 2];
    FILE *f = fopen(path, "re");
    int rv = f ? 0 : errmsg_set(em, ERR_IO, "%s: %s", path, strerror(errno));
    for (uint32_t i = group; rv == 0 && i < l->options.agents; i += SCRIPT_GROUPS) {
        if (!fgets(line, sizeof line, f))
            rv = errmsg_set(em, ERR_FORMAT, "%s: it has too few tokens", path);
        line[TOKEN_TEXT_LEN] = '\0';
        if (rv == 0)
            rv = token_parse(line, &l->seeds[i].token, em);
        l->seeds[i].key = l->devices.keys[i];
    }
    if (f)
        fclose(f);
    remove(path);
    return rv;
}

static int make_batch(struct load *l, uint32_t group, struct errmsg *em)
{
    char path[FILE_PATH_MAX], count[16], *comma;
    struct labels labels = script_labels(group, false);
    int rv = file_path(path, em, "%s/tokens", l->dir);
    snprintf(count, sizeof count, "%u", script_group_size(&l->script, group));
    comma = strchr(labels.text, ',');
    *comma = '\0';
    const char *words[] = {"token",   "create",    "--count", count,      "--ttl", "7d",
                           "--label", labels.text, comma + 1, "--output", path,    NULL};
    if (rv == 0)
        rv = boss_run(&l->boss, words, em);
    return rv < 0 ? rv : read_tokens(l, path, group, em);
}

static int find_door(struct load *l, struct errmsg *em)
{
    json_t *status = boss_ask(&l->boss, "GET", "/v1/status", NULL, em);
    const char *url = json_string_value(json_object_get(status, "join_url"));
    bool plain = json_is_true(json_object_get(status, "plain"));
    bool good = url && load_address(url, &l->door) == 0;
    json_decref(status);
    if (good && plain == l->options.tls)
        return errmsg_set(em, ERR_REFUSED, "the manager in %s has %s: run this %s --tls", l->dir,
                          plain ? "plain links" : "links with TLS", plain ? "without" : "with");
    return good ? 0
                : errmsg_set(em, ERR_REFUSED, "the manager in %s says of no address where to join",
                             l->dir);
}

static int make_tokens(struct load *l, struct errmsg *em)
{
    int rv = 0;
    struct act p = begin(l, "tokens", l->options.agents);
    for (uint32_t g = 0; rv == 0 && g < SCRIPT_GROUPS && g < l->options.agents && !l->stop; g++) {
        uint64_t from_us = measure_now_us();
        rv = make_batch(l, g, em);
        tally_add(&p.m->tally, measure_now_us() - from_us);
    }
    end_floorless(&p,
                  "a batch is one row and all its secrets follow from a key, so that nothing is "
                  "left without them");
    struct crowd_options crowd = {.script = l->script,
                                  .seeds = l->seeds,
                                  .keys = l->options.tls ? l->devices.keys : NULL,
                                  .trunks = l->options.connections,
                                  .cells = l->boss.cells,
                                  .seed = p.from.at_us};
    return rv < 0 ? rv : team_open(&l->team, &crowd, l->workers, em);
}

static bool knows_agents(struct load *l, uint64_t wanted)
{
    return ask_number(l, "/v1/status", "agents", "total") >= (int64_t)wanted;
}

static int join_all(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "join", l->options.agents);
    int rv = aim(&p, (struct order){.goal = GOAL_JOINED}, em);
    if (rv == 0)
        rv = order(l, &(struct order){.type = ORDER_JOIN, .at = l->door}, em);
    if (rv == 0)
        rv = wait_for(&p, l->options.agents, knows_agents, l->options.agents, em);
    end(&p, FLOOR_JOIN);
    return rv;
}

static bool sees_online(struct load *l, uint64_t wanted)
{
    return ask_number(l, "/v1/status", "agents", "online") == (int64_t)wanted;
}

static int connect_all(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "connect", l->options.agents);
    int rv = aim(&p, (struct order){.goal = GOAL_UP}, em);
    if (rv == 0)
        rv = order(l, &(struct order){.type = ORDER_START}, em);
    if (rv == 0)
        rv = wait_for(&p, l->options.agents, sees_online, l->options.agents, em);
    end(&p, FLOOR_CONNECT);
    return rv;
}

/* ---- deployments ---- */

static int write_text(const char *path, const char *text, struct errmsg *em)
{
    return file_write(path, span_text(text), 0700, em);
}

/* The same noise in each version, but for its last part. */
static int make_content(const char *folder, unsigned version, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    uint8_t *bytes = malloc(SCRIPT_CONTENT_BYTES);
    struct rng rng = {.state = 1};
    int rv = bytes ? file_path(path, em, "%s/content", folder) : ERR_NO_MEMORY;
    for (size_t i = 0; bytes && i < SCRIPT_CONTENT_BYTES; i++) {
        if (i == SCRIPT_CONTENT_BYTES / 8 * 7)
            rng.state = version;
        bytes[i] = (uint8_t)rng_next(&rng);
    }
    if (rv == 0)
        rv = file_write(path, span_of(bytes, SCRIPT_CONTENT_BYTES), 0600, em);
    free(bytes);
    return rv;
}

static int push(struct load *l, unsigned version, struct errmsg *em)
{
    char folder[FILE_PATH_MAX], hook[FILE_PATH_MAX], number[8], route[64];
    snprintf(number, sizeof number, "%u", version);
    int rv = file_path(folder, em, "%s/bundle", l->dir);
    if (rv == 0)
        rv = file_path(hook, em, "%s/hooks", folder);
    if (rv == 0)
        rv = file_make_folder(hook, 0700, em);
    if (rv == 0)
        rv = file_path(hook, em, "%s/hooks/health", folder);
    if (rv == 0)
        rv = write_text(hook, "#!/bin/sh\n", em);
    if (rv == 0)
        rv = make_content(folder, version, em);
    const char *words[] = {"bundle",          "push",      folder, "--name",
                           SCRIPT_DEPLOYMENT, "--version", number, NULL};
    if (rv == 0)
        rv = boss_run(&l->boss, words, em);
    if (rv < 0)
        return rv;
    snprintf(route, sizeof route, "/v1/bundles/" SCRIPT_DEPLOYMENT "@%u", version);
    json_t *bundle = boss_ask(&l->boss, "GET", route, NULL, em);
    const char *digest = json_string_value(json_object_get(bundle, "digest"));
    rv = digest && digest_parse(digest, &l->bundles[version - 1]) == 0
             ? 0
             : errmsg_set(em, ERR_FORMAT, "%s: the manager names no digest", route);
    json_decref(bundle);
    return rv;
}

/* Before anybody joins: the first push makes a publisher's key, and the whole fleet would hear of
 * it. */
static int push_both(struct load *l, struct errmsg *em)
{
    int rv = find_door(l, em);
    if (rv == 0)
        rv = push(l, 1, em);
    return rv < 0 ? rv : push(l, 2, em);
}

static const char FIRST[] = "deployment: " SCRIPT_DEPLOYMENT "\n"
                            "bundle: " SCRIPT_DEPLOYMENT "@1\n"
                            "placement:\n"
                            "  all: true\n";

static const char SECOND[] = "deployment: " SCRIPT_DEPLOYMENT "\n"
                             "bundle: " SCRIPT_DEPLOYMENT "@2\n"
                             "placement:\n"
                             "  all: true\n"
                             "rollout:\n"
                             "  max_failed: 20%\n"
                             "  stages:\n"
                             "    - {name: staging, select: env=staging, concurrency: 100%}\n"
                             "    - {name: canary, select: env=canary, concurrency: 50%}\n"
                             "    - {name: prod, select: env=prod, concurrency: 50%}\n";

static int deploy(struct load *l, const char *text, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/deployment.yaml", l->dir);
    if (rv == 0)
        rv = write_text(path, text, em);
    const char *words[] = {"deploy", path, "--confirm", NULL};
    return rv < 0 ? rv : boss_run(&l->boss, words, em);
}

static bool sees_ready(struct load *l, uint64_t wanted)
{
    return ask_number(l, "/v1/deployments/" SCRIPT_DEPLOYMENT, "ready", NULL) == (int64_t)wanted;
}

static int deploy_all(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "deployment", l->options.agents);
    int rv = aim(&p, (struct order){.goal = GOAL_RUNS, .bundle = l->bundles[0]}, em);
    if (rv == 0)
        rv = deploy(l, FIRST, em);
    if (rv == 0)
        rv = wait_for(&p, l->options.agents, sees_ready, l->options.agents, em);
    end(&p, FLOOR_DOCUMENT);
    return rv;
}

static bool rollout_is_over(struct load *l, uint64_t wanted)
{
    json_t *answer = boss_ask(&l->boss, "GET", "/v1/rollouts/" SCRIPT_DEPLOYMENT, NULL, NULL);
    const char *state = json_string_value(json_object_get(answer, "state"));
    bool done = state && strcmp(state, "done") == 0;
    json_decref(answer);
    return done && sees_ready(l, wanted);
}

/* Killed, and started at once; over with the first answer. */
static int kill_manager(struct act *p, struct errmsg *em)
{
    boss_kill(&p->l->boss);
    int rv = boss_start(&p->l->boss, em);
    end_floorless(p, "a program starts and reads its database, which `sh test/bench/run.sh store` "
                     "has beside a bare SQLite");
    return rv;
}

/* While nothing goes on. Others find it as it was before. */
static int restart_at_rest(struct load *l, struct errmsg *em)
{
    if (!l->boss.ours)
        return 0;
    struct act p = begin(l, "restart at rest", 1);
    int rv = kill_manager(&p, em);
    return rv < 0 ? rv : wait_for(&p, 0, sees_online, l->options.agents, em);
}

/* When a third of the fleet has the new version. */
static int restart_amid(struct load *l, struct errmsg *em)
{
    struct act p = begin_amid(l, "restart", 1);
    return kill_manager(&p, em);
}

static int roll_out(struct load *l, struct errmsg *em)
{
    uint32_t agents = l->options.agents, failing = script_count_failing(&l->script);
    struct act p = begin(l, "rollout", agents);
    struct act third = p;
    int rv = aim(&p, (struct order){.goal = GOAL_RUNS, .bundle = l->bundles[1]}, em);
    if (rv == 0)
        rv = deploy(l, SECOND, em);
    if (rv == 0 && l->boss.ours)
        rv = wait_for(&third, agents / 3, NULL, 0, em);
    if (rv == 0 && l->boss.ours)
        rv = restart_amid(l, em);
    p.m->agents_s = 0;
    progress_begin(&l->progress, "rollout");
    if (rv == 0)
        rv = wait_for(&p, agents, rollout_is_over, agents - failing, em);
    end(&p, FLOOR_DOCUMENT);
    return rv;
}

/* ---- documents and statuses, links, labels ---- */

static int count_statuses(struct load *l, uint64_t *count, struct errmsg *em)
{
    int64_t now = ask_statuses(l);
    if (now < 0)
        return errmsg_set(em, ERR_IO, "the manager does not say how many statuses came");
    *count = (uint64_t)now;
    return 0;
}

static bool hears_statuses(struct load *l, uint64_t wanted)
{
    return ask_statuses(l) >= (int64_t)wanted;
}

/* Last wills that were not heard yet make nobody offline. */
static bool hears_hellos(struct load *l, uint64_t wanted)
{
    return hears_statuses(l, wanted) && sees_online(l, l->options.agents);
}

/* A new document for everybody, with nothing to do. */
static int change_document(struct act *p, bool paused, struct errmsg *em)
{
    struct load *l = p->l;
    const char *words[] = {"deployment", paused ? "pause" : "resume", SCRIPT_DEPLOYMENT, NULL};
    uint64_t before = 0;
    int rv = count_statuses(l, &before, em);
    if (rv == 0)
        rv = aim(p, (struct order){.goal = GOAL_PAUSED, .paused = paused}, em);
    if (rv == 0)
        rv = boss_run(&l->boss, words, em);
    return rv < 0 ? rv
                  : wait_for(p, l->options.agents, hears_statuses, before + l->options.agents, em);
}

static int change_documents(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "document", 2 * (uint64_t)l->options.agents);
    int rv = change_document(&p, true, em);
    if (rv == 0)
        rv = change_document(&p, false, em);
    end(&p, FLOOR_DOCUMENT);
    return rv;
}

static int beat(struct act *p, struct errmsg *em)
{
    struct load *l = p->l;
    uint64_t before = 0;
    int rv = count_statuses(l, &before, em);
    if (rv == 0)
        rv = aim(p, (struct order){.goal = GOAL_TOLD}, em);
    if (rv == 0)
        rv = order(l, &(struct order){.type = ORDER_WARP, .ms = HEARTBEAT_MS}, em);
    return rv < 0 ? rv
                  : wait_for(p, l->options.agents, hears_statuses, before + l->options.agents, em);
}

static int beat_once(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "status", l->options.agents);
    int rv = beat(&p, em);
    end(&p, FLOOR_STATUS);
    return rv;
}

static int quiet_hour(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "quiet hour", (uint64_t)HEARTBEATS * l->options.agents);
    struct onlooker o;
    int rv = onlooker_start(&o, &l->boss, em);
    for (int i = 0; rv == 0 && i < HEARTBEATS; i++)
        rv = beat(&p, em);
    l->asked = onlooker_stop(&o);
    end(&p, FLOOR_STATUS);
    return rv;
}

static int cut_all(struct load *l, struct errmsg *em)
{
    struct act p = begin(l, "reconnect", l->options.agents);
    uint64_t before = 0;
    int rv = count_statuses(l, &before, em);
    if (rv == 0)
        rv = order(l, &(struct order){.type = ORDER_CUT}, em);
    if (rv == 0)
        rv = aim(&p, (struct order){.goal = GOAL_UP, .from_phase = true}, em);
    if (rv == 0)
        rv = wait_for(&p, l->options.agents, hears_hellos, before + l->options.agents, em);
    end(&p, FLOOR_RETURN);
    return rv;
}

static int move_some(struct load *l, struct errmsg *em)
{
    static const char *const words[] = {"agent",      "label",     "--select",
                                        SCRIPT_MOVED, "moved=yes", NULL};
    uint32_t moved = script_count_moved(&l->script);
    struct act p = begin(l, "labels", moved);
    int rv = aim(&p, (struct order){.goal = GOAL_MOVED}, em);
    if (rv == 0 && moved > 0)
        rv = boss_run(&l->boss, words, em);
    if (rv == 0)
        rv = wait_for(&p, moved, sees_ready, l->options.agents - script_count_failing(&l->script),
                      em);
    end(&p, FLOOR_DOCUMENT);
    return rv;
}

/* ---- the end ---- */

static void compare_cohorts(struct load *l)
{
    struct team_split split;
    for (uint32_t i = 0; team_compare(&l->team, i, &split); i++)
        fault(l, "worker %u: a cohort's agents hold document %u.%u, elsewhere %u.%u", split.worker,
              split.here.epoch, split.here.number, split.elsewhere.epoch, split.elsewhere.number);
}

static void expect(struct load *l, const char *what, int64_t is, uint32_t should)
{
    if (is != should)
        fault(l, "the manager counts %lld of %s instead of %u", (long long)is, what, should);
}

static void expect_spares(struct load *l)
{
    json_t *status = boss_ask(&l->boss, "GET", "/v1/status", NULL, NULL), *deployment;
    uint32_t number, counted = 0;
    size_t i;
    json_array_foreach(json_object_get(status, "deployments"), i, deployment)
    {
        const char *name = json_string_value(json_object_get(deployment, "name"));
        if (!name || sscanf(name, SPARE_NAME "%u", &number) != 1)
            continue;
        bool placed = number <= SCRIPT_SPARES_MAX;
        expect(l, name, json_integer_value(json_object_get(deployment, "ready")),
               placed ? script_group_size(&l->script, (number - 1) % SCRIPT_GROUPS) : 0);
        counted++;
    }
    expect(l, "spare deployments", counted, l->options.deployments - 1);
    json_decref(status);
}

static int check_all(struct load *l, struct errmsg *em)
{
    static const char route[] = "/v1/deployments/" SCRIPT_DEPLOYMENT;
    uint32_t agents = l->options.agents, failing = script_count_failing(&l->script);
    struct act p = begin(l, "check", agents);
    int rv = order(
        l, &(struct order){.type = ORDER_CHECK, .bundle = l->bundles[1], .before = l->bundles[0]},
        em);
    compare_cohorts(l);
    expect(l, "agents", ask_number(l, "/v1/status", "agents", "total"), agents);
    expect(l, "agents online", ask_number(l, "/v1/status", "agents", "online"), agents);
    expect(l, "agents ready", ask_number(l, route, "ready", NULL), agents - failing);
    expect(l, "agents failed", ask_number(l, route, "failed", NULL), failing);
    expect_spares(l);
    end_floorless(&p, "the simulator looks at its own agents and asks the manager a few questions");
    return rv;
}
