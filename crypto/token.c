#include "crypto/token.h"

#include "base/endian.h"

#include <stdio.h>

#define PREFIX "dlt1-"
#define PREFIX_LEN (sizeof PREFIX - 1)

/* Where the parts stand in a token's bytes. */
enum {
    AT_BATCH = 0,
    AT_INDEX = 4,
    AT_SECRET = 8,
    AT_PIN = AT_SECRET + SEAL_SECRET_LEN,
    AT_CHECK = AT_PIN + TOKEN_PIN_LEN,
    RAW_LEN = AT_CHECK + 4,
};

/* Base64 makes 4 characters of 3 bytes, and 3 of the last 2. */
#define CODE_LEN (RAW_LEN / 3 * 4 + 3)
#define TEXT_LEN (PREFIX_LEN + CODE_LEN)

_Static_assert(RAW_LEN % 3 == 2, "CODE_LEN and decode() count on two bytes at the end");
_Static_assert(TEXT_LEN < TOKEN_TEXT_MAX, "a token's text fits");

/* RFC 4648, 5: "base64url". */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const uint8_t raw[static RAW_LEN], char out[static CODE_LEN]);
static int decode(const char *code, uint8_t raw[static RAW_LEN]);
static struct digest check_sum(const uint8_t raw[static AT_CHECK]);

struct seal_secret token_secret(const struct mac_key *batch_key, uint32_t index)
{
    struct mac_key k = mac_derive(batch_key, "dunlin token", index);
    struct seal_secret secret;
    memcpy(secret.bytes, k.bytes, SEAL_SECRET_LEN);
    return secret;
}

struct token_text token_format(const struct token *t)
{
    uint8_t raw[RAW_LEN];
    le32_write(raw + AT_BATCH, t->batch);
    le32_write(raw + AT_INDEX, t->index);
    memcpy(raw + AT_SECRET, t->secret.bytes, SEAL_SECRET_LEN);
    memcpy(raw + AT_PIN, t->pin, TOKEN_PIN_LEN);
    struct digest sum = check_sum(raw);
    memcpy(raw + AT_CHECK, sum.bytes, RAW_LEN - AT_CHECK);
    struct token_text text = {.text = PREFIX};
    encode(raw, text.text + PREFIX_LEN);
    return text;
}

int token_parse(const char *text, struct token *out, struct errmsg *em)
{
    size_t len = strlen(text);
    if (strncmp(text, PREFIX, PREFIX_LEN) != 0)
        return errmsg_set(em, ERR_FORMAT, "not a Dunlin token (it begins with " PREFIX ")");
    if (len < TEXT_LEN)
        return errmsg_set(em, ERR_FORMAT, "token is truncated: %zu of %zu characters", len,
                          TEXT_LEN);
    if (len > TEXT_LEN)
        return errmsg_set(em, ERR_FORMAT, "token is too long: %zu instead of %zu characters", len,
                          TEXT_LEN);
    uint8_t raw[RAW_LEN];
    int bad = decode(text + PREFIX_LEN, raw);
    if (bad > 0)
        return errmsg_set(em, ERR_FORMAT, "token is mistyped: character %zu cannot stand there",
                          PREFIX_LEN + (size_t)bad);
    struct digest sum = check_sum(raw);
    if (memcmp(raw + AT_CHECK, sum.bytes, RAW_LEN - AT_CHECK) != 0)
        return errmsg_set(em, ERR_FORMAT, "token is mistyped: its check sum differs");
    *out = (struct token){.batch = le32_read(raw + AT_BATCH), .index = le32_read(raw + AT_INDEX)};
    memcpy(out->secret.bytes, raw + AT_SECRET, SEAL_SECRET_LEN);
    memcpy(out->pin, raw + AT_PIN, TOKEN_PIN_LEN);
    return 0;
}

static void encode(const uint8_t raw[static RAW_LEN], char out[static CODE_LEN])
{
    for (size_t i = 0; i < CODE_LEN; i++) {
        size_t byte = i * 6 / 8, bit = i * 6 % 8;
        unsigned next = byte + 1 < RAW_LEN ? raw[byte + 1] : 0;
        unsigned window = (unsigned)raw[byte] << 8 | next;
        out[i] = alphabet[window >> (10 - bit) & 63];
    }
}

/* 0, or the number (from 1) of the first character that cannot be. */
static int decode(const char *code, uint8_t raw[static RAW_LEN])
{
    uint32_t window = 0;
    unsigned bits = 0;
    size_t filled = 0;
    for (int i = 0; i < (int)CODE_LEN; i++) {
        const char *found = strchr(alphabet, code[i]);
        if (!found)
            return i + 1;
        window = window << 6 | (uint32_t)(found - alphabet);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        raw[filled++] = (uint8_t)(window >> bits);
    }
    /* The two bits left over are 0 in the one right text of these bytes. */
    return (window & 3) == 0 ? 0 : (int)CODE_LEN;
}

static struct digest check_sum(const uint8_t raw[static AT_CHECK])
{
    static const char purpose[] = "dunlin token";
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_text(purpose));
    digest_add(&s, span_of(raw, AT_CHECK));
    return digest_end(&s);
}
