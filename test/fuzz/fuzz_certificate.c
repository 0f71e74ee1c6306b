/* Every certificate is refused, or says what could be issued again and would then say the same. */
#include "crypto/certificate.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

static void check_issues_again(const struct certificate *c)
{
    static const struct secret_key issuer = {.bytes = {1}};
    uint8_t der[CERTIFICATE_MAX];
    struct buffer b = buffer_on(der, sizeof der);
    struct certificate back;
    int rv = certificate_make(c, &issuer, "issuer", &b);
    assert(rv == 0);
    rv = certificate_read(span_buffer(&b), &back);
    assert(rv == 0);
    assert(back.use == c->use && strcmp(back.name, c->name) == 0);
    assert(memcmp(&back.serial, &c->serial, sizeof back.serial) == 0);
    assert(back.not_before_s == c->not_before_s && back.not_after_s == c->not_after_s);
    assert(memcmp(&back.key, &c->key, sizeof back.key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certificate c;
    int rv = certificate_read(span_of(data, size), &c);
    assert(rv == 0 || rv == ERR_FORMAT);
    if (rv == 0)
        check_issues_again(&c);
    rv = certificate_check(span_of(data, size), &(struct public_key){{0}});
    assert(rv == ERR_FORMAT || rv == ERR_SIGNATURE);
    return 0;
}
