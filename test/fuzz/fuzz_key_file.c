/* A file with a key is refused with a sentence, or is the one line that this key is written as. */
#include "test/fuzz/fuzz.h"

#include "base/hex.h"
#include "crypto/sign.h"
#include "test/fuzz/file.h"

#include <strings.h>

/* But for capitals among the digits. */
static void check_line(const char *head, struct span key, const uint8_t *data, size_t size)
{
    char hex[2 * PUBLIC_KEY_LEN + 1], line[sizeof hex + 32];
    hex_write(key, hex);
    size_t len = (size_t)snprintf(line, sizeof line, "%s %s\n", head, hex);
    if (len != size || strncasecmp(line, (const char *)data, size) != 0)
        abort();
}

static void check_answer(int rv, const struct errmsg *em)
{
    if (rv != 0 && !(rv == ERR_FORMAT && em->text[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct secret_key secret;
    struct public_key public;
    struct errmsg em = {0};
    int rv = sign_key_read(path, &secret, &em);
    check_answer(rv, &em);
    if (rv == 0)
        check_line("dunlin-secret-key-1", span_of(secret.bytes, SECRET_KEY_LEN), data, size);
    if (rv == 0 && sign_public(&secret, &public) < 0)
        abort();
    em.text[0] = '\0';
    rv = sign_public_read(path, &public, &em);
    check_answer(rv, &em);
    if (rv == 0)
        check_line("dunlin-public-key-1", span_of(public.bytes, PUBLIC_KEY_LEN), data, size);
    return 0;
}
