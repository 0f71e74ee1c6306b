/*
 * log: one line per fact on standard error: time, level, a stable event name, then key=value
 * fields. It keeps no files and rotates nothing; the service manager does. Cores never call it.
 */
#ifndef DUNLIN_BASE_LOG_H
#define DUNLIN_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are not written. The start value is LOG_INFO. */
void log_threshold(enum log_level level);

/* The same by the level's word: debug, info, warn or error. False for any other. */
bool log_threshold_named(const char *word);

/*
 * Writes one line. `event` is a stable name such as "cell-started"; `fmt` makes the "key=value"
 * fields. Control characters are replaced, so one call is one line, whatever a device or a file
 * sent.
 */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
