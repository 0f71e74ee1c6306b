/*
 * hub_fixture: a hub of the simulator's lines, and clients of the library's at the other end of a
 * real broker. One test program includes it, as it does mqtt_fixture.
 */
#ifndef DUNLIN_TEST_HUB_FIXTURE_H
#define DUNLIN_TEST_HUB_FIXTURE_H

#include "simulator/load/hub.h"
#include "test/mqtt_fixture.h"

static struct hub *hub;

/* Both ends go on until it is so. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ms = real_ms() + PATIENCE_MS;                                               \
        while (!(condition) && real_ms() < until_ms) {                                             \
            hub_service(hub, 5);                                                                   \
            turn();                                                                                \
        }                                                                                          \
        CU_ASSERT_TRUE(condition);                                                                 \
    } while (0)

static inline void hub_begin(const struct hub_handler *handler)
{
    hub = calloc(1, sizeof *hub);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hub);
    CU_ASSERT_EQUAL(hub_init(hub, handler, NULL), 0);
}

static inline void hub_end(void)
{
    hub_close(hub);
    free(hub);
}

#endif
