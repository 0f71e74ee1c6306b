#include "manager/cli/table.h"

#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GAP 2

struct cell {
    size_t start, len;
    enum paint paint;
};

/* All text stands in one growing stream; cells say where. */
struct table {
    size_t columns;
    size_t head_cells;
    struct cell *cells;
    size_t count, cap;
    FILE *stream;
    char *text;
    size_t text_len;
    bool failed;
};

static void print_row(const struct table *t, const struct cell *row, const size_t widths[],
                      FILE *out, bool colour);
static bool is_control(const char *at, size_t left);

static const char *const paint_codes[] = {
    [PAINT_NONE] = "",         [PAINT_BOLD] = "\033[1m",  [PAINT_DIM] = "\033[2m",
    [PAINT_GOOD] = "\033[32m", [PAINT_BUSY] = "\033[33m", [PAINT_BAD] = "\033[31m",
};

struct table *table_new(size_t columns, const char *const titles[])
{
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->columns = columns;
    t->stream = open_memstream(&t->text, &t->text_len);
    t->failed = !t->stream;
    for (size_t i = 0; titles && i < columns; i++)
        table_cell(t, PAINT_BOLD, "%s", titles[i]);
    t->head_cells = t->count;
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    if (t->stream)
        fclose(t->stream);
    free(t->text);
    free(t->cells);
    free(t);
}

void table_cell(struct table *t, enum paint paint, const char *fmt, ...)
{
    if (!t || t->failed)
        return;
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct cell *cells = realloc(t->cells, cap * sizeof *cells);
        if (!cells) {
            t->failed = true;
            return;
        }
        t->cells = cells;
        t->cap = cap;
    }
    long start = ftell(t->stream);
    va_list ap;
    va_start(ap, fmt);
    int len = vfprintf(t->stream, fmt, ap);
    va_end(ap);
    t->failed = start < 0 || len < 0;
    t->cells[t->count++] =
        (struct cell){.start = (size_t)start, .len = len < 0 ? 0 : (size_t)len, .paint = paint};
}

size_t table_rows(const struct table *t)
{
    return t ? (t->count - t->head_cells) / t->columns : 0;
}

int table_print(struct table *t, FILE *out, bool colour)
{
    if (!t)
        return ERR_NO_MEMORY;
    if (t->failed || fflush(t->stream) != 0) {
        table_free(t);
        return ERR_NO_MEMORY;
    }
    assert(t->count % t->columns == 0);
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->count; i++) {
        size_t w = table_width(t->text + t->cells[i].start, t->cells[i].len);
        if (w > widths[i % t->columns])
            widths[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->count; i += t->columns)
        print_row(t, &t->cells[i], widths, out, colour);
    table_free(t);
    return 0;
}

bool table_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fileno(out)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* Bytes that continue a character don't count. */
size_t table_width(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

void table_clean(const char *text, size_t len, FILE *out)
{
    for (size_t i = 0; i < len; i++) {
        bool control = is_control(text + i, len - i);
        fputc(control ? '?' : text[i], out);
        i += control && (unsigned char)text[i] >= 0x80; /* which has two bytes */
    }
}

const char *table_paint_code(enum paint paint)
{
    return paint == PAINT_NONE ? "\033[0m" : paint_codes[paint];
}

enum paint table_state_paint(const char *state)
{
    static const struct {
        const char *state;
        enum paint paint;
    } paints[] = {
        {"Ready", PAINT_GOOD},  {"Online", PAINT_GOOD},     {"Waiting", PAINT_BUSY},
        {"up", PAINT_GOOD},     {"done", PAINT_GOOD},       {"active", PAINT_GOOD},
        {"Failed", PAINT_BAD},  {"RolledBack", PAINT_BAD},  {"down", PAINT_BAD},
        {"revoked", PAINT_BAD}, {"Offline", PAINT_DIM},     {"Paused", PAINT_DIM},
        {"used up", PAINT_DIM}, {"expired", PAINT_DIM},     {"Revoked", PAINT_DIM},
        {"Removed", PAINT_DIM}, {"Quarantined", PAINT_BAD}, {"CutOff", PAINT_BAD},
        {"stopped", PAINT_BAD}, {"aborted", PAINT_BAD},     {"pending", PAINT_DIM},
    };
    for (size_t i = 0; i < sizeof paints / sizeof paints[0]; i++)
        if (strcmp(paints[i].state, state) == 0)
            return paints[i].paint;
    return PAINT_BUSY;
}

/* The last column isn't padded, nor are empty ones behind the last that says something. */
static void print_row(const struct table *t, const struct cell *row, const size_t widths[],
                      FILE *out, bool colour)
{
    size_t used = t->columns;
    while (used > 0 && row[used - 1].len == 0)
        used--;
    for (size_t i = 0; i < used; i++) {
        bool painted = colour && row[i].paint != PAINT_NONE;
        if (painted)
            fputs(paint_codes[row[i].paint], out);
        table_clean(t->text + row[i].start, row[i].len, out);
        if (painted)
            fputs("\033[0m", out);
        if (i + 1 < used)
            fprintf(out, "%*s",
                    (int)(widths[i] - table_width(t->text + row[i].start, row[i].len) + GAP), "");
    }
    fputc('\n', out);
}

/* C0, DEL, and C1 as UTF-8 writes it: each can start an escape sequence. */
static bool is_control(const char *at, size_t left)
{
    unsigned char c = (unsigned char)at[0];
    if (c < 0x20 || c == 0x7f)
        return true;
    return c == 0xc2 && left > 1 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] < 0xa0;
}
