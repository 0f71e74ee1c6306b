/*
 * table: aligned columns of text for people, in colour when that is wanted.
 * It knows nothing of what the cells say, only that anybody may have written them: control
 * characters never reach the terminal.
 */
#ifndef DUNLIN_MANAGER_CLI_TABLE_H
#define DUNLIN_MANAGER_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

enum paint { PAINT_NONE, PAINT_BOLD, PAINT_DIM, PAINT_GOOD, PAINT_BUSY, PAINT_BAD };

struct table;

/* `titles` has `columns` texts, or is NULL for a table without a head. NULL when memory is short;
 * every other function takes that NULL and passes it on to table_print. */
struct table *table_new(size_t columns, const char *const titles[]);
void table_free(struct table *t);

/* Adds the next cell, row by row. */
void table_cell(struct table *t, enum paint paint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Rows so far, without the head. */
size_t table_rows(const struct table *t);

/* Writes all and frees the table. ERR_NO_MEMORY when a cell found no room. */
int table_print(struct table *t, FILE *out, bool colour);

/* Colour is for terminals whose user hasn't set NO_COLOR (no-color.org). */
bool table_colour(FILE *out);

/* The columns that a text takes: characters, as far as UTF-8 tells. */
size_t table_width(const char *text, size_t len);

/* Writes a text with every control character replaced by '?'. */
void table_clean(const char *text, size_t len, FILE *out);

/* What makes a terminal write in a colour; PAINT_NONE: as usual. */
const char *table_paint_code(enum paint paint);

/* The colour of a deployment's or an agent's state by its name. */
enum paint table_state_paint(const char *state);

#endif
