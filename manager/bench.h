/*
 * bench: threads that do heavy work for one that must not wait, as signing is, while that one goes
 * on. It knows nothing of the work.
 */
#ifndef DUNLIN_MANAGER_BENCH_H
#define DUNLIN_MANAGER_BENCH_H

/* More would help only on machines that nobody runs a manager on. */
#define BENCH_THREADS_MAX 16
/* Jobs in its queue; whoever brings one more does it himself. */
#define BENCH_JOBS_MAX 256

typedef void bench_work(void *job);

struct bench;

/* With so many threads; 0: whoever brings a job does it. The heap holds it; NULL when there is no
 * memory. What cannot be had of the threads is missing, and nothing else. */
struct bench *bench_new(unsigned threads);
/* Nothing may be under way. */
void bench_free(struct bench *b);

/* `work(job)` is called soon, in any thread and order; the job is the bench's until bench_wait.
 * Only one thread brings jobs. */
void bench_do(struct bench *b, bench_work *work, void *job);
/* Helps until all that was brought is done. */
void bench_wait(struct bench *b);

#endif
