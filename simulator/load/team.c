#include "simulator/load/team.h"

#include <arpa/inet.h>
#include <poll.h>

#define LOOK_MS 1

static void add(struct team_sum *sum, const struct board *b);

int team_open(struct team *t, const struct crowd_options *options, uint32_t count,
              struct errmsg *em)
{
    uint32_t agents = options->script.agents;
    int rv = 0;
    *t = (struct team){0};
    for (uint32_t i = 0; rv == 0 && i < count; i++) {
        struct crowd_options own = *options;
        own.first = (uint32_t)((uint64_t)agents * i / count);
        own.count = (uint32_t)((uint64_t)agents * (i + 1) / count) - own.first;
        own.trunks = options->trunks / count + (i < options->trunks % count);
        own.greetings_max = TEAM_GREETINGS_MAX / count > 0 ? TEAM_GREETINGS_MAX / count : 1;
        own.joins_max = TEAM_JOINS_MAX / count > 0 ? TEAM_JOINS_MAX / count : 1;
        own.joins_max = own.joins_max < TEAM_JOINS_EACH_MAX ? own.joins_max : TEAM_JOINS_EACH_MAX;
        own.from = htonl(0x7f010001 + (i << 8));
        own.seed = options->seed + i;
        rv = worker_start(&t->workers[t->count++], &own, em);
    }
    return rv;
}

void team_close(struct team *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        worker_stop(&t->workers[i]);
    t->count = 0;
}

int team_order(struct team *t, const struct order *o, const volatile bool *stop, struct errmsg *em)
{
    for (uint32_t i = 0; i < t->count; i++)
        worker_order(&t->workers[i], o);
    for (uint32_t i = 0; i < t->count; i++)
        while (!worker_obeyed(&t->workers[i])) {
            int rv = team_look(t, stop, em);
            if (rv < 0)
                return rv;
            poll(NULL, 0, LOOK_MS);
        }
    return 0;
}

void team_sum(const struct team *t, struct team_sum *sum)
{
    *sum = (struct team_sum){0};
    for (uint32_t i = 0; i < t->count; i++)
        add(sum, t->workers[i].board);
}

static void add(struct team_sum *sum, const struct board *b)
{
    sum->met += b->met;
    sum->joined += b->joined;
    sum->trunks += b->trunks;
    sum->statuses += b->statuses;
    sum->chunks += b->chunks;
    sum->documents += b->documents;
    sum->retries += b->retries;
    sum->traffic.bytes_in += b->traffic.bytes_in;
    sum->traffic.bytes_out += b->traffic.bytes_out;
    sum->traffic.packets_in += b->traffic.packets_in;
    sum->traffic.packets_out += b->traffic.packets_out;
    sum->traffic.published += b->traffic.published;
    sum->traffic.received += b->traffic.received;
    sum->traffic.lost += b->traffic.lost;
    sum->checked += b->checked;
    sum->remembered += b->remembered;
    sum->checked_us += b->checked_us;
    sum->faults += b->faults;
    tally_merge(&sum->tally, &b->tally);
}

int team_look(struct team *t, const volatile bool *stop, struct errmsg *em)
{
    if (*stop)
        return errmsg_set(em, ERR_BUSY, "stopped");
    for (uint32_t i = 0; i < t->count; i++)
        if (!worker_lives(&t->workers[i]))
            return errmsg_set(em, ERR_IO, "worker process %u of %u has died", (unsigned)i + 1,
                              (unsigned)t->count);
    return 0;
}

struct usage team_usage(const struct team *t)
{
    struct usage sum = {0};
    for (uint32_t i = 0; i < t->count; i++) {
        struct usage u = usage_of(t->workers[i].child.pid);
        usage_add(&sum, &u);
    }
    return sum;
}

const char *team_fault(const struct team *t, uint32_t i)
{
    for (uint32_t k = 0; k < t->count; k++) {
        const struct board *b = t->workers[k].board;
        uint32_t written = b->faults < BOARD_FAULTS_MAX ? b->faults : BOARD_FAULTS_MAX;
        if (i < written)
            return b->fault[i];
        i -= written;
    }
    return NULL;
}

/* Where a worker before this one saw the cohort too; NULL: this is the first. */
static const struct cohort_seen *seen_before(const struct team *t, uint32_t worker,
                                             const struct cohort_key *key)
{
    for (uint32_t w = 0; w < worker; w++)
        for (uint32_t i = 0; i < t->workers[w].board->cohorts; i++) {
            const struct cohort_seen *seen = &t->workers[w].board->cohort[i];
            if (memcmp(&seen->key, key, sizeof *key) == 0)
                return seen;
        }
    return NULL;
}

bool team_compare(const struct team *t, uint32_t i, struct team_split *split)
{
    for (uint32_t w = 1; w < t->count; w++)
        for (uint32_t k = 0; k < t->workers[w].board->cohorts; k++) {
            const struct cohort_seen *here = &t->workers[w].board->cohort[k];
            const struct cohort_seen *first = seen_before(t, w, &here->key);
            if (!first || revision_compare(first->revision, here->revision) == 0 || i-- > 0)
                continue;
            *split = (struct team_split){
                .worker = w, .here = here->revision, .elsewhere = first->revision};
            return true;
        }
    return false;
}
