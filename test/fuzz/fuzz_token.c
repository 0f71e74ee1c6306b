/* Every text is refused with a sentence, or is the one text of the token that it gives. */
#include "crypto/token.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

/* Longer texts than any token, so that the length is tried as well. */
#define TEXT_MAX (2 * TOKEN_TEXT_LEN)

static void check_parse(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1] = {0};
    struct token t;
    struct errmsg em = {0};
    if (size > 0)
        memcpy(text, data, size < TEXT_MAX ? size : TEXT_MAX);
    int rv = token_parse(text, &t, &em);
    assert(rv == 0 || (rv == ERR_FORMAT && em.text[0]));
    if (rv == 0)
        assert(strcmp(token_format(&t).text, text) == 0);
}

/* A check sum is out of a fuzzer's reach, so the input also serves as a token's content. */
static void check_round_trip(const uint8_t *data, size_t size)
{
    struct token t = {0}, back;
    if (size > 0)
        memcpy(&t, data, size < sizeof t ? size : sizeof t);
    int rv = token_parse(token_format(&t).text, &back, NULL);
    assert(rv == 0);
    assert(t.batch == back.batch && t.index == back.index);
    assert(memcmp(&t.secret, &back.secret, sizeof t.secret) == 0);
    assert(memcmp(t.authority, back.authority, TOKEN_PIN_LEN) == 0);
    assert(memcmp(t.root, back.root, TOKEN_PIN_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_parse(data, size);
    check_round_trip(data, size);
    return 0;
}
