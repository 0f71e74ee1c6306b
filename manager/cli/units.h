/*
 * units: numbers as people write them: sizes, counts, durations and times ago.
 * It knows no clock; the caller brings the time.
 */
#ifndef DUNLIN_MANAGER_CLI_UNITS_H
#define DUNLIN_MANAGER_CLI_UNITS_H

#include <stdint.h>

struct units_text {
    char text[64];
};

/* "0 B", "181 KiB", "20.0 MiB": three digits or so. */
struct units_text units_bytes(uint64_t bytes);

/* "1 file", "3 files". */
struct units_text units_count(uint64_t n, const char *noun);

/* The same with "no" for none and the set it is taken from: "3 of 4 ready". */
struct units_text units_of(uint64_t part, uint64_t whole, const char *word);

/* "90 s", "5 min", "3 h", "2 days". */
struct units_text units_span(uint64_t seconds);

/* A moment seen from now: "3 min ago", "just now", "in 23 h". */
struct units_text units_ago(int64_t then_s, int64_t now_s);

/* Seconds since 1970 of "2024-05-01T12:00:00Z"; ERR_FORMAT for anything else. */
int units_time(const char *iso8601, int64_t *seconds);

/* The same of a day alone, "2024-05-01", at its beginning (UTC), or of a duration before now, "2h".
 */
int units_since(const char *text, int64_t now_s, int64_t *seconds);

#endif
