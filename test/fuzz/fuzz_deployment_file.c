/* A text is refused with its place in the file, or becomes a deployment with valid names. */
#include "manager/cli/deployment_file.h"
#include "sync/topic.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

/* Complete, and within what is kept of one. */
static void check_plan(const struct deployment_file *d)
{
    uint8_t bytes[PLAN_BYTES_MAX];
    struct buffer out = buffer_on(bytes, sizeof bytes);
    static struct plan again;
    uint32_t count = d->plan.count;
    assert(d->planned || count == 0);
    again = d->plan;
    assert(plan_complete(&again, NULL) == 0 && again.count == count);
    assert(plan_write(&d->plan, &out) == 0);
    assert(plan_read(span_buffer(&out), &again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct deployment_file d;
    struct selector s;
    struct errmsg em = {0};
    int rv = deployment_file_read(&d, "f", span_of(data, size), &em);
    assert(rv == 0 || (rv == ERR_USAGE && strncmp(em.text, "f:", 2) == 0));
    if (rv < 0)
        return 0;
    assert(name_valid(span_text(d.deployment)) && name_valid(span_text(d.bundle.name)) &&
           name_valid(span_text(d.bundle.version)));
    assert(d.placed ? d.all != (d.select[0] != '\0') : !d.all && !d.select[0]);
    assert(!d.select[0] || selector_parse(&s, span_text(d.select), NULL) == 0);
    assert(d.priority <= PRIORITY_MAX);
    check_plan(&d);
    return 0;
}
