#include "simulator/load/onlooker.h"

#include "simulator/load/measure.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between an answer and the next question. */
#define PAUSE_MS 50

static void ask(struct onlooker *o, struct boss *b);

int onlooker_start(struct onlooker *o, struct boss *b, struct errmsg *em)
{
    pid_t parent = getpid();
    *o = (struct onlooker){0};
    struct tally *took =
        mmap(NULL, sizeof *took, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (took == MAP_FAILED)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    o->took = took;
    o->pid = fork();
    if (o->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        while (getppid() == parent)
            ask(o, b);
        _exit(0);
    }
    return o->pid < 0 ? errmsg_set(em, ERR_IO, "no process for an onlooker") : 0;
}

/* What is not answered is not counted; the phase itself notices. */
static void ask(struct onlooker *o, struct boss *b)
{
    uint64_t now_us = measure_now_us();
    json_t *answer = boss_ask(b, "GET", "/v1/status", NULL, NULL);
    if (answer)
        tally_add(o->took, measure_now_us() - now_us);
    json_decref(answer);
    poll(NULL, 0, PAUSE_MS);
}

struct tally onlooker_stop(struct onlooker *o)
{
    struct tally took = {0};
    if (o->pid > 0) {
        kill(o->pid, SIGKILL);
        waitpid(o->pid, NULL, 0);
    }
    if (o->took) {
        took = *o->took;
        munmap(o->took, sizeof *o->took);
    }
    *o = (struct onlooker){0};
    return took;
}
