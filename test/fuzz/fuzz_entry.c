/* A header is refused, or is a safe entry that writes and reads as itself. */
#include "bundles/entry.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

static void check_safe(const struct entry *e)
{
    assert(e->type >= ENTRY_FOLDER && e->type <= ENTRY_TEMPLATE);
    assert(e->mode <= 0777);
    assert(entry_path_safe(e->path) && entry_path_compare(e->path, e->path) == 0);
    if (e->type == ENTRY_FOLDER)
        assert((e->mode & ENTRY_FOLDER_MODE) == ENTRY_FOLDER_MODE);
    if (e->type == ENTRY_LINK)
        assert(entry_target_safe(e->path, e->target));
    else
        assert(e->target[0] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct entry e, again;
    uint8_t memory[ENTRY_HEADER_MAX + 2];
    struct buffer out = buffer_on(memory, sizeof memory);
    int rv = entry_read(span_of(data, size), &e);
    assert(rv == 0 || rv == ERR_FORMAT || rv == ERR_REFUSED);
    if (rv < 0)
        return 0;
    check_safe(&e);
    rv = entry_write(&e, &out);
    assert(rv == 0 && out.len <= size + 2);
    rv = entry_read(span_of(memory + 2, out.len - 2), &again);
    assert(rv == 0 && memcmp(&e, &again, sizeof e) == 0);
    return 0;
}
