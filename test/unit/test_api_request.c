/* Answers that depend on no connection. */
#include "manager/api_request.h"
#include "test/suite.h"

static void test_answer_that_finds_no_memory_is_no_success(void)
{
    struct request r = {.status = 0};
    request_reply(&r, MHD_HTTP_OK, NULL);
    CU_ASSERT_EQUAL(r.status, MHD_HTTP_INTERNAL_SERVER_ERROR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r.response);
    MHD_destroy_response(r.response);
}

static const struct suite_test tests[] = {
    TEST(test_answer_that_finds_no_memory_is_no_success),
};

SUITE_MAIN("api_request", tests)
