#include "base/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec read_clock(clockid_t clock)
{
    struct timespec now;
    int rv = clock_gettime(clock, &now);
    assert(rv == 0);
    (void)rv;
    return now;
}

uint64_t clock_monotonic_ms(void)
{
    struct timespec now = read_clock(CLOCK_BOOTTIME);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_us(void)
{
    struct timespec now = read_clock(CLOCK_BOOTTIME);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_wall_s(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec;
}

/* Time zones change their rules, and devices are moved: tzset looks whether the file is another. */
int32_t clock_east_s(uint64_t wall_s)
{
    time_t at = (time_t)wall_s;
    struct tm local;
    tzset();
    return localtime_r(&at, &local) ? (int32_t)local.tm_gmtoff : 0;
}
