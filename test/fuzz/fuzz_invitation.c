/* Every text is refused with a sentence, or is the one text of the invitation that it gives. */
#include "sync/invitation.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

#define TEXT_MAX (2 * INVITATION_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1] = {0};
    struct invitation i;
    struct errmsg em = {0};
    if (size > 0)
        memcpy(text, data, size < TEXT_MAX ? size : TEXT_MAX);
    int rv = invitation_read(text, &i, &em);
    assert(rv == 0 || (rv == ERR_FORMAT && em.text[0]));
    if (rv == 0)
        assert(strcmp(invitation_write(&i).text, text) == 0);
    return 0;
}
