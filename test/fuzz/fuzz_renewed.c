/* renewed_read, behind a MAC that holds: the input is the message without it. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t whole[RENEWED_MAX + 8];
    struct mac_key key = sample_mac_key();
    if (size > RENEWED_MAX - RENEWAL_MAC_LEN)
        return 0;
    memcpy(whole, data, size);
    le64_write(whole + size, SAMPLE_RENEWAL_NONCE);
    struct digest mac = mac_of(&key, span_of(whole, size + 8));
    memcpy(whole + size, mac.bytes, RENEWAL_MAC_LEN);
    if (!rewrite_is_stable(rewrite_renewed, span_of(whole, size + RENEWAL_MAC_LEN)))
        abort();
    return 0;
}
