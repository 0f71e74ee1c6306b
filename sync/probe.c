#include "sync/probe.h"

void probe_want(struct probe *p)
{
    p->wanted = true;
}

/* Who waits for an answer need not ask again: TCP repeats the question over whatever network there
 * is, and the answer comes over that. */
bool probe_due(const struct probe *p, uint64_t now_ms)
{
    return p->wanted && !probe_waits(p) && now_ms >= p->next_ms;
}

void probe_begin(struct probe *p, uint64_t now_ms)
{
    *p = (struct probe){
        .silent_until_ms = now_ms + PROBE_SILENCE_MS,
        .next_ms = now_ms + PROBE_APART_MS,
    };
}

void probe_hear(struct probe *p, uint64_t now_ms)
{
    if (probe_waits(p))
        p->silent_until_ms = now_ms + PROBE_SILENCE_MS;
}

void probe_end(struct probe *p)
{
    p->silent_until_ms = 0;
}

bool probe_waits(const struct probe *p)
{
    return p->silent_until_ms != 0;
}

bool probe_failed(const struct probe *p, uint64_t now_ms)
{
    return probe_waits(p) && now_ms >= p->silent_until_ms;
}
