#include "simulator/load/onlooker.h"

#include "simulator/load/measure.h"

#include <poll.h>

/* Between an answer and the next question. */
#define PAUSE_MS 50

static int work(void *context, void *shared, int orders);
static void ask(struct boss *b, struct tally *took);

int onlooker_start(struct onlooker *o, struct boss *b, struct errmsg *em)
{
    return child_start(&o->child, sizeof(struct tally), true, work, b, "an onlooker", em);
}

static int work(void *context, void *shared, int orders)
{
    struct pollfd end = {.fd = orders, .events = POLLIN};
    do
        ask(context, shared);
    while (poll(&end, 1, PAUSE_MS) == 0);
    return 0;
}

/* What is not answered is not counted; the phase itself notices. */
static void ask(struct boss *b, struct tally *took)
{
    uint64_t now_us = measure_now_us();
    json_t *answer = boss_ask(b, "GET", "/v1/status", NULL, NULL);
    if (answer)
        tally_add(took, measure_now_us() - now_us);
    json_decref(answer);
}

struct tally onlooker_stop(struct onlooker *o)
{
    struct tally took = {0};
    child_kill(&o->child);
    if (o->child.shared)
        took = *(const struct tally *)o->child.shared;
    child_free(&o->child);
    return took;
}
