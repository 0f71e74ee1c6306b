/*
 * qr: a text as a QR code for a terminal, to be photographed. The only place with libqrencode.
 */
#ifndef DUNLIN_MANAGER_CLI_QR_H
#define DUNLIN_MANAGER_CLI_QR_H

#include "base/err.h"

#include <stdio.h>

/*
 * Prints it in half blocks, two rows to a line, black on white whatever the terminal's colours are,
 * with the quiet zone of ISO/IEC 18004 around it. ERR_RANGE when the text is too long.
 */
int qr_print(const char *text, FILE *out, struct errmsg *em);

#endif
