#include "simulator/load/progress.h"

#include <stdio.h>
#include <unistd.h>

#define DRAW_US 100000
#define WIDTH 40

void progress_open(struct progress *p)
{
    *p = (struct progress){.terminal = isatty(STDERR_FILENO) == 1};
}

void progress_begin(struct progress *p, const char *name)
{
    p->name = name;
    p->drawn_us = 0;
}

void progress_show(struct progress *p, uint32_t done, uint32_t all, uint64_t now_us)
{
    static const char full[] = "########################################";
    if (!p->terminal || now_us < p->drawn_us + DRAW_US || all == 0)
        return;
    p->drawn_us = now_us;
    int filled = (int)((uint64_t)WIDTH * (done < all ? done : all) / all);
    fprintf(stderr, "\r%-15s [%.*s%*s] %u of %u ", p->name, filled, full, WIDTH - filled, "", done,
            all);
}

void progress_end(struct progress *p, double seconds)
{
    fprintf(stderr, "%s%-15s %.1f s\n", p->terminal ? "\r\033[K" : "", p->name, seconds);
}
