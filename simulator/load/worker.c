#include "simulator/load/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_MS 100

static int work(const struct crowd_options *options, int orders);

int worker_start(struct worker *w, const struct crowd_options *options, struct errmsg *em)
{
    int ends[2];
    pid_t parent = getpid();
    struct crowd_options own = *options;
    w->board = own.board =
        mmap(NULL, sizeof *w->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (own.board == MAP_FAILED)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errmsg_set(em, ERR_IO, "no pipe to a worker: %s", strerror(errno));
    fflush(NULL);
    w->pid = fork();
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN);
        close(ends[1]);
        _exit(getppid() == parent ? work(&own, ends[0]) : 1);
    }
    close(ends[0]);
    w->orders = ends[1];
    return w->pid < 0 ? errmsg_set(em, ERR_IO, "no process for a worker: %s", strerror(errno)) : 0;
}

static int work(const struct crowd_options *options, int orders)
{
    struct errmsg em = {.text = ""};
    struct order o = {.type = ORDER_GOAL};
    struct crowd *c = crowd_new(options, &em);
    if (!c || hub_listen(&c->hub, orders) < 0) {
        fprintf(stderr, "dunlin-sim: a worker: %s\n", em.text);
        return 1;
    }
    while (o.type != ORDER_END) {
        if (!crowd_turn(c, TURN_MS))
            continue;
        if (read(orders, &o, sizeof o) != (ssize_t)sizeof o)
            o.type = ORDER_END;
        crowd_obey(c, &o);
    }
    crowd_free(c);
    return 0;
}

void worker_order(struct worker *w, const struct order *o)
{
    if (w->pid > 0 && write(w->orders, o, sizeof *o) == (ssize_t)sizeof *o)
        w->ordered++;
}

bool worker_obeyed(const struct worker *w)
{
    return __atomic_load_n(&w->board->orders, __ATOMIC_ACQUIRE) == w->ordered;
}

bool worker_lives(struct worker *w)
{
    if (w->pid > 0 && waitpid(w->pid, NULL, WNOHANG) == 0)
        return true;
    w->pid = 0;
    return false;
}

void worker_stop(struct worker *w)
{
    if (w->pid > 0) {
        kill(w->pid, SIGKILL);
        waitpid(w->pid, NULL, 0);
        close(w->orders);
    }
    if (w->board)
        munmap(w->board, sizeof *w->board);
    *w = (struct worker){0};
}
