#include "sync/mark.h"

#include "base/endian.h"
#include "sync/wire.h"

/* As many bytes of it travel. */
#define MARK_MAC_LEN 12

static struct digest mac(uint64_t serial, const struct mac_key *key)
{
    uint8_t bytes[8];
    le64_write(bytes, serial);
    return mac_of(key, span_of(bytes, sizeof bytes));
}

int mark_write(uint64_t serial, const struct mac_key *key, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, 2);
    wire_put_u64(&w, serial);
    wire_put_bytes(&w, span_of(mac(serial, key).bytes, MARK_MAC_LEN));
    return wire_end(&w);
}

int mark_read(struct span bytes, const struct mac_key *key, uint64_t *serial)
{
    uint8_t told[MARK_MAC_LEN];
    struct wire_reader r = wire_reader_on(bytes);
    wire_get_array(&r, 2, 2);
    *serial = wire_get_u64(&r, INT64_MAX);
    wire_get_bytes_into(&r, told, sizeof told);
    int rv = wire_done(&r);
    if (rv < 0)
        return rv;
    struct digest expected = mac(*serial, key);
    bool ours = mac_equal(span_of(told, sizeof told), span_of(expected.bytes, sizeof told));
    return ours ? 0 : ERR_SIGNATURE;
}
