/*
 * date: seconds since 1970 as a date and time of day in UTC, and back.
 * It reads no clock, and knows no time zones but as offsets, and no leap seconds.
 */
#ifndef DUNLIN_BASE_DATE_H
#define DUNLIN_BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* 9999-12-31T23:59:59Z: a year has four digits wherever one is written. */
#define DATE_MAX_S 253402300799u

struct date {
    unsigned year, month, day; /* the first of January is month 1, day 1 */
    unsigned hour, minute, second;
};

struct date_text {
    char text[sizeof "1970-01-01T00:00:00Z"];
};

/* Later times than DATE_MAX_S count as that one. */
struct date date_of(uint64_t seconds);

/* The fields must be those of a real date from 1970 on. */
uint64_t date_seconds(const struct date *d);

/* As ISO 8601 writes it. */
struct date_text date_text(uint64_t seconds);

/* Reads a moment as RFC 3339 has it: "2026-12-01T02:00:00Z", or with an offset, like +01:00; T, and
 * a space in its place. False for any other text, also for a day that there isn't, and a fraction
 * of a second. */
bool date_read(const char *text, uint64_t *seconds);

#endif
