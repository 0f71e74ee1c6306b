/* Every Authorization header is refused, or has the token that its secret writes. */
#include "manager/admin.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

#define HEADER_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char header[HEADER_MAX + 1] = {0};
    struct admin_secret secret, back;
    if (size > 0)
        memcpy(header, data, size < HEADER_MAX ? size : HEADER_MAX);
    if (admin_authorization_read(header, &secret) < 0)
        return 0;
    struct admin_token token = admin_token_format(&secret);
    size_t len = strlen(token.text);
    assert(strlen(header) > len);
    for (size_t i = 1; i <= len; i++) /* the digits' case is free, the prefix's isn't */
        assert((header[strlen(header) - i] | 0x20) == (token.text[len - i] | 0x20));
    memcpy(header, "Bearer ", 7);
    memcpy(header + 7, token.text, len + 1);
    int rv = admin_authorization_read(header, &back);
    assert(rv == 0 && memcmp(&back, &secret, sizeof back) == 0);
    return 0;
}
