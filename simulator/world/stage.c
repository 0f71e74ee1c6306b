#include "simulator/world/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 512

static void *grow(void *memory, size_t count, size_t *room, size_t size);
static void sink(struct stage *s);
static void rise(struct stage *s, size_t i);
static void add_line(struct stage *s, const char *line);

void stage_open(struct stage *s, uint64_t seed)
{
    *s = (struct stage){.rng = {.state = seed}};
    s->trace = grow(NULL, 1, &s->trace_room, 1);
    s->trace[0] = '\0';
}

void stage_close(struct stage *s)
{
    for (size_t i = 0; i < s->event_count; i++)
        free(s->events[i].payload);
    free(s->events);
    free(s->trace);
}

uint64_t stage_wall_s(const struct stage *s)
{
    return STAGE_WALL_S + s->now_ms / 1000;
}

/* ---- events ---- */

void stage_at(struct stage *s, uint64_t at_ms, stage_fn *run, void *context, uint64_t tag,
              void *payload)
{
    s->events = grow(s->events, s->event_count + 1, &s->event_room, sizeof s->events[0]);
    s->events[s->event_count] = (struct stage_event){
        .at_ms = at_ms > s->now_ms ? at_ms : s->now_ms,
        .serial = s->serial++,
        .run = run,
        .context = context,
        .tag = tag,
        .payload = payload,
    };
    rise(s, s->event_count++);
}

bool stage_next(struct stage *s, uint64_t until_ms)
{
    if (s->event_count == 0 || s->events[0].at_ms > until_ms) {
        s->now_ms = until_ms;
        return false;
    }
    struct stage_event e = s->events[0];
    s->events[0] = s->events[--s->event_count];
    sink(s);
    s->now_ms = e.at_ms;
    e.run(e.context, e.tag, e.payload);
    free(e.payload);
    return true;
}

static bool before(const struct stage_event *a, const struct stage_event *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->serial < b->serial);
}

static void swap(struct stage *s, size_t a, size_t b)
{
    struct stage_event e = s->events[a];
    s->events[a] = s->events[b];
    s->events[b] = e;
}

static void rise(struct stage *s, size_t i)
{
    for (; i > 0 && before(&s->events[i], &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap(s, i, (i - 1) / 2);
}

static void sink(struct stage *s)
{
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < s->event_count && before(&s->events[child + 1], &s->events[child]))
            child++;
        if (child >= s->event_count || !before(&s->events[child], &s->events[i]))
            return;
        swap(s, i, child);
        i = child;
    }
}

/* Room for `count` elements; a simulation without memory has nothing to say. */
static void *grow(void *memory, size_t count, size_t *room, size_t size)
{
    if (count <= *room)
        return memory;
    *room = count < 64 ? 64 : count * 2;
    memory = realloc(memory, *room * size);
    if (!memory)
        abort();
    return memory;
}

/* ---- the trace ---- */

static void __attribute__((format(printf, 2, 0)))
write_line(struct stage *s, const char *fmt, va_list args)
{
    char text[LINE_MAX_LEN], line[LINE_MAX_LEN + 40];
    vsnprintf(text, sizeof text, fmt, args);
    snprintf(line, sizeof line, "t=%llu.%03u %s\n", (unsigned long long)(s->now_ms / 1000),
             (unsigned)(s->now_ms % 1000), text);
    add_line(s, line);
}

void stage_trace(struct stage *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(s, fmt, args);
    va_end(args);
}

void stage_fault(struct stage *s, const char *fmt, ...)
{
    va_list args;
    if (s->fault[0] != '\0')
        return;
    va_start(args, fmt);
    vsnprintf(s->fault, sizeof s->fault, fmt, args);
    va_end(args);
    stage_trace(s, "FAULT %s", s->fault);
}

static void add_line(struct stage *s, const char *line)
{
    size_t len = strlen(line);
    s->trace = grow(s->trace, s->trace_len + len + 1, &s->trace_room, 1);
    memcpy(s->trace + s->trace_len, line, len + 1);
    s->trace_len += len;
}
