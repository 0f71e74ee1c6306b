/*
 * printable: text that somebody else wrote, made fit for logs, JSON and terminals: UTF-8 as the
 * Unicode Standard has it (table 3-7), lines, and nothing that steers a terminal or turns the order
 * of letters. It knows nothing of what the text says.
 */
#ifndef DUNLIN_BASE_PRINTABLE_H
#define DUNLIN_BASE_PRINTABLE_H

#include "base/span.h"

/*
 * Writes the text to `out`, which has room for as many bytes as `in` and a NUL, and returns its
 * length. Colours and other sequences of terminals are left out, tabs become blanks, ends of lines
 * '\n'; each other byte or character that is not to be seen becomes '?'.
 */
size_t printable_text(struct span in, char *out);

#endif
