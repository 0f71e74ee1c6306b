/* A file of serial numbers is refused with the line, or gives valid ones that are read back the
 * same from its pieces. */
#include "test/fuzz/fuzz.h"

#include "crypto/token.h"
#include "manager/cli/serials.h"
#include "test/fuzz/file.h"

/* Lines at a time, as mint asks for them. */
#define PIECE 3

static void check_line(const char *line, size_t len)
{
    if (!token_serial_valid(span_of(line, len)))
        abort();
}

/* Every piece ends with a line, and all of them together are what was read. */
static void check_pieces(const struct serials *s)
{
    size_t at = 0, count = 0;
    for (struct span piece; (piece = serials_next(s, &at, PIECE)).len > 0;) {
        const char *line = (const char *)piece.data, *end = line + piece.len;
        if (end != s->lines + at)
            abort();
        for (const char *next; line < end; line = next + 1, count++) {
            next = memchr(line, '\n', (size_t)(end - line));
            if (!next)
                abort();
            check_line(line, (size_t)(next - line));
        }
    }
    if (at != s->len || count != s->count)
        abort();
}

static void check_again(const struct serials *s)
{
    struct serials back = {.lines = NULL};
    int rv = serials_read(&back, fuzz_file((const uint8_t *)s->lines, s->len), NULL);
    if (rv != 0 || back.count != s->count ||
        !span_equal(span_of(back.lines, back.len), span_of(s->lines, s->len)))
        abort();
    serials_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct serials s = {.lines = NULL};
    struct errmsg em = {0};
    int rv = serials_read(&s, fuzz_file(data, size), &em);
    if (rv != 0 && !(rv == ERR_FORMAT && strstr(em.text, ": line ")))
        abort();
    check_pieces(&s);
    if (rv == 0)
        check_again(&s);
    serials_free(&s);
    return 0;
}
