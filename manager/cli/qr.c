#include "manager/cli/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>
#include <string.h>

/* In modules: ISO/IEC 18004, 6.3.8. */
#define QUIET_ZONE 4
/* True black on true white, of the 256 colours that no theme changes. */
#define COLOURS "\033[38;5;16;48;5;231m"
#define COLOURS_END "\033[0m"

static bool is_dark(const QRcode *code, int x, int y);

int qr_print(const char *text, FILE *out, struct errmsg *em)
{
    /* By the upper half's and the lower half's colour: space, and the three block elements. */
    static const char *const blocks[2][2] = {{" ", "\u2584"}, {"\u2580", "\u2588"}};
    /* A screen isn't scratched or stained, so the lowest correction level makes the smallest code.
     */
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code)
        return errmsg_set(em, errno == ERANGE ? ERR_RANGE : ERR_NO_MEMORY,
                          "can't make a QR code of %zu characters: %s", strlen(text),
                          strerror(errno));
    for (int y = -QUIET_ZONE; y < code->width + QUIET_ZONE; y += 2) {
        fputs(COLOURS, out);
        for (int x = -QUIET_ZONE; x < code->width + QUIET_ZONE; x++)
            fputs(blocks[is_dark(code, x, y)][is_dark(code, x, y + 1)], out);
        fputs(COLOURS_END "\n", out);
    }
    QRcode_free(code);
    return 0;
}

static bool is_dark(const QRcode *code, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return inside && (code->data[y * code->width + x] & 1);
}
