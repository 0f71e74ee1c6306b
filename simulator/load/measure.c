#include "simulator/load/measure.h"

#include <time.h>
#include <unistd.h>

static double seconds_between(const struct usage *from, const struct usage *to);

uint64_t measure_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void snapshot_take(struct snapshot *s, const struct boss *b, const struct team *t)
{
    struct usage own = usage_of(getpid());
    s->manager = boss_usage(b);
    s->brokers = boss_brokers(b);
    s->simulator = team_usage(t);
    usage_add(&s->simulator, &own);
    team_sum(t, &s->sum);
    s->at_us = measure_now_us();
}

void measure_between(struct measure *m, const struct snapshot *from, const struct snapshot *to)
{
    const struct hub_counters *a = &from->sum.traffic, *b = &to->sum.traffic;
    m->cost.seconds = (double)(to->at_us - from->at_us) / 1e6;
    m->cost.manager_s = seconds_between(&from->manager, &to->manager);
    m->cost.brokers_s = seconds_between(&from->brokers, &to->brokers);
    m->cost.simulator_s = seconds_between(&from->simulator, &to->simulator);
    m->messages = b->published + b->received - a->published - a->received;
    m->bytes = b->bytes_in + b->bytes_out - a->bytes_in - a->bytes_out;
    m->documents = to->sum.documents - from->sum.documents;
    m->chunks = to->sum.chunks - from->sum.chunks;
    if (m->counts)
        m->tally = to->sum.tally;
}

static double seconds_between(const struct usage *from, const struct usage *to)
{
    return to->cpu_us > from->cpu_us ? (double)(to->cpu_us - from->cpu_us) / 1e6 : 0;
}
