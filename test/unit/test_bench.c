#include "manager/bench.h"

#include "test/suite.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOBS 5000

/* A barrier that a job waits at, so that two must be at work at once. */
static pthread_barrier_t meeting;

struct job {
    atomic_uint done;
    unsigned number;
};

static struct job jobs[JOBS];

static void work(void *context)
{
    struct job *j = context;
    unsigned sum = j->number;
    for (unsigned i = 0; i < 100; i++)
        sum = sum * 31 + i;
    atomic_fetch_add(&j->done, 1 + (sum == 0));
}

static void meet(void *context)
{
    pthread_barrier_wait(&meeting);
    work(context);
}

/* All of them, each once, however many threads there are. */
static void try_with(unsigned threads, unsigned rounds)
{
    struct bench *b = bench_new(threads);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < JOBS; i++) {
            jobs[i].number = i;
            atomic_store(&jobs[i].done, 0);
            bench_do(b, work, &jobs[i]);
        }
        bench_wait(b);
        unsigned wrong = 0;
        for (unsigned i = 0; i < JOBS; i++)
            wrong += atomic_load(&jobs[i].done) == 0 || atomic_load(&jobs[i].done) > 2;
        CU_ASSERT_EQUAL(wrong, 0);
    }
    bench_free(b);
}

static void test_every_job_is_done_when_the_wait_is_over(void)
{
    static const unsigned threads[] = {0, 1, 2, BENCH_THREADS_MAX, BENCH_THREADS_MAX + 5};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        try_with(threads[i], 3);
}

static void test_who_waits_without_jobs_does_not_wait(void)
{
    struct bench *b = bench_new(2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    bench_wait(b);
    bench_wait(b);
    bench_free(b);
}

/* Neither would ever end if they came one after the other. */
static void test_two_jobs_are_done_at_the_same_time(void)
{
    struct bench *b = bench_new(2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    pthread_barrier_init(&meeting, NULL, 2);
    atomic_store(&jobs[0].done, 0);
    atomic_store(&jobs[1].done, 0);
    bench_do(b, meet, &jobs[0]);
    bench_do(b, meet, &jobs[1]);
    bench_wait(b);
    CU_ASSERT_TRUE(atomic_load(&jobs[0].done) > 0 && atomic_load(&jobs[1].done) > 0);
    pthread_barrier_destroy(&meeting);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_every_job_is_done_when_the_wait_is_over),
    TEST(test_who_waits_without_jobs_does_not_wait),
    TEST(test_two_jobs_are_done_at_the_same_time),
};

SUITE_MAIN("bench", tests)
