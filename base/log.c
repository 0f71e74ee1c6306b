#include "base/log.h"

#include "base/date.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One line; longer ones are cut, since a log line that floods is worth less than one that ends. */
#define LOG_LINE_MAX 1024

static const char words[][6] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

static enum log_level threshold = LOG_INFO;

void log_threshold(enum log_level level)
{
    threshold = level;
}

bool log_threshold_named(const char *word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            threshold = (enum log_level)i;
            return true;
        }
    return false;
}

static size_t stamp(char *line, size_t cap)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct date_text second = date_text((uint64_t)now.tv_sec);
    return (size_t)snprintf(line, cap, "%.*s.%03ldZ", (int)strlen(second.text) - 1, second.text,
                            now.tv_nsec / 1000000);
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    if (level < threshold)
        return;
    char line[LOG_LINE_MAX];
    size_t used = stamp(line, sizeof line);
    used += (size_t)snprintf(line + used, sizeof line - used, " %s %s ", words[level], event);
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + used, sizeof line - used - 1, fmt, ap);
    va_end(ap);
    if (more > 0)
        used += (size_t)more;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[used++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}
