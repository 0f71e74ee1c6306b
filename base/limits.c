#include "base/limits.h"

#include <sys/resource.h>

void limits_leave_no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
}

void limits_raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}
