#include "manager/bench.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
    bench_work *work;
    void *job;
};

struct bench {
    pthread_mutex_t lock;
    pthread_cond_t more; /* a task has come, or the end */
    pthread_cond_t rest; /* nobody is at work any more */
    unsigned first, count;
    unsigned busy; /* tasks that threads are at */
    bool end;
    unsigned threads;
    pthread_t ids[BENCH_THREADS_MAX];
    struct task tasks[BENCH_JOBS_MAX];
};

static void *serve(void *context);
static struct task take(struct bench *b);

struct bench *bench_new(unsigned threads)
{
    struct bench *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->more, NULL);
    pthread_cond_init(&b->rest, NULL);
    while (b->threads < threads && b->threads < BENCH_THREADS_MAX &&
           pthread_create(&b->ids[b->threads], NULL, serve, b) == 0)
        b->threads++;
    return b;
}

void bench_free(struct bench *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    assert(b->count == 0 && b->busy == 0);
    b->end = true;
    pthread_cond_broadcast(&b->more);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->threads; i++)
        pthread_join(b->ids[i], NULL);
    pthread_cond_destroy(&b->rest);
    pthread_cond_destroy(&b->more);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void bench_do(struct bench *b, bench_work *work, void *job)
{
    pthread_mutex_lock(&b->lock);
    bool room = b->threads > 0 && b->count < BENCH_JOBS_MAX;
    if (room) {
        b->tasks[(b->first + b->count++) % BENCH_JOBS_MAX] =
            (struct task){.work = work, .job = job};
        pthread_cond_signal(&b->more);
    }
    pthread_mutex_unlock(&b->lock);
    if (!room)
        work(job);
}

void bench_wait(struct bench *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->count > 0) {
        struct task t = take(b);
        pthread_mutex_unlock(&b->lock);
        t.work(t.job);
        pthread_mutex_lock(&b->lock);
    }
    while (b->busy > 0)
        pthread_cond_wait(&b->rest, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

/* With the lock held. */
static struct task take(struct bench *b)
{
    struct task t = b->tasks[b->first];
    b->first = (b->first + 1) % BENCH_JOBS_MAX;
    b->count--;
    return t;
}

static void *serve(void *context)
{
    struct bench *b = context;
    pthread_mutex_lock(&b->lock);
    while (!b->end) {
        if (b->count == 0) {
            pthread_cond_wait(&b->more, &b->lock);
            continue;
        }
        struct task t = take(b);
        b->busy++;
        pthread_mutex_unlock(&b->lock);
        t.work(t.job);
        pthread_mutex_lock(&b->lock);
        if (--b->busy == 0)
            pthread_cond_signal(&b->rest);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}
