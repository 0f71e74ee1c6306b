#include "agent/address.h"

#include "test/suite.h"

#include <string.h>

static const char *door(const char *text)
{
    static struct address a;
    static struct errmsg em;
    return address_of_door(text, &a, &em) == 0 ? a.url : em.text;
}

static void test_a_host_alone_is_the_door_over_tls(void)
{
    CU_ASSERT_STRING_EQUAL(door("fleet.example.org"), "mqtts://fleet.example.org:8884");
    CU_ASSERT_STRING_EQUAL(door("fleet.example.org:443"), "mqtts://fleet.example.org:443");
    CU_ASSERT_STRING_EQUAL(door("192.0.2.7"), "mqtts://192.0.2.7:8884");
    CU_ASSERT_STRING_EQUAL(door("[2001:db8::1]"), "mqtts://[2001:db8::1]:8884");
    CU_ASSERT_STRING_EQUAL(door("[2001:db8::1]:99"), "mqtts://[2001:db8::1]:99");
}

static void test_a_url_is_kept_but_for_a_missing_port(void)
{
    CU_ASSERT_STRING_EQUAL(door("mqtts://edge:8884"), "mqtts://edge:8884");
    CU_ASSERT_STRING_EQUAL(door("mqtts://edge"), "mqtts://edge:8884");
    CU_ASSERT_STRING_EQUAL(door("mqtt://127.0.0.1:1884"), "mqtt://127.0.0.1:1884");
}

static void test_plain_links_don_t_leave_this_machine(void)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtt://fleet.example.org"), "this machine alone"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtt://10.0.0.1:1883"), "this machine alone"));
    /* Whoever answers for names may say anything of this one. */
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtt://localhost"), "this machine alone"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtt://127.0.0.1.example.org"), "this machine alone"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtt://127.example.net:1883"), "this machine alone"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("unix:///tmp/sock"), "this machine alone"));
    CU_ASSERT_EQUAL(address_check("mqtt://127.0.0.1:1883", NULL), 0);
    CU_ASSERT_EQUAL(address_check("mqtt://[::1]:1883", NULL), 0);
    CU_ASSERT_EQUAL(address_check("mqtts://10.0.0.1", NULL), 0);
}

static void test_what_is_no_address_is_named(void)
{
    char longest[CELL_URL_MAX + 2];
    memset(longest, 'h', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(door(""), "missing"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("mqtts://"), "missing"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("http://host"), "not supported"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door("host:x"), "port"));
    CU_ASSERT_PTR_NOT_NULL(strstr(door(longest), "longer than"));
}

static const struct suite_test tests[] = {
    TEST(test_a_host_alone_is_the_door_over_tls),
    TEST(test_a_url_is_kept_but_for_a_missing_port),
    TEST(test_plain_links_don_t_leave_this_machine),
    TEST(test_what_is_no_address_is_named),
};

SUITE_MAIN("agent_address", tests)
