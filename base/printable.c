#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>

/* The length of the well-formed character that begins here, or 0. */
static size_t decode(const uint8_t *at, size_t left, uint32_t *character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || at[0] > 0xf4)
        return 0;
    uint32_t c = len == 1 ? at[0] : at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (at[i] & 0x3fu);
    }
    if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *character = c;
    return len;
}

/* Controls, separators of lines, marks of direction, and what is no character. */
static bool is_seen(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } unseen[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200b, 0x200f}, {0x2028, 0x202e},
        {0x2060, 0x206f}, {0xfdd0, 0xfdef}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
        if (c >= unseen[i].from && c <= unseen[i].to)
            return false;
    return (c & 0xfffe) != 0xfffe;
}

/* The length of a control sequence (ECMA-48, 5.4): ESC [, parameters, a final byte; or 0. */
static size_t sequence(const uint8_t *at, size_t left)
{
    size_t len = 2;
    if (left < 3 || at[0] != 0x1b || at[1] != '[')
        return 0;
    while (len < left && at[len] >= 0x20 && at[len] <= 0x3f)
        len++;
    return len < left && at[len] >= 0x40 && at[len] <= 0x7e ? len + 1 : 0;
}

static size_t end_of_line(const uint8_t *at, size_t left)
{
    if (at[0] == '\r')
        return left > 1 && at[1] == '\n' ? 2 : 1;
    return at[0] == '\n';
}

size_t printable_text(struct span in, char *out)
{
    size_t len = 0, used;
    for (size_t i = 0; i < in.len; i += used) {
        const uint8_t *at = in.data + i;
        uint32_t c = 0;
        if ((used = sequence(at, in.len - i)) > 0)
            continue;
        if ((used = end_of_line(at, in.len - i)) > 0) {
            out[len++] = '\n';
            continue;
        }
        used = decode(at, in.len - i, &c);
        if (used > 0 && is_seen(c)) {
            memcpy(out + len, at, used);
            len += used;
            continue;
        }
        out[len++] = c == '\t' ? ' ' : '?';
        used += used == 0;
    }
    out[len] = '\0';
    return len;
}
