#include "manager/address.h"

#include "test/suite.h"

#include <string.h>

static void test_a_certificate_names_each_host_once_and_none_that_is_all(void)
{
    static const char *const all[] = {
        "fleet.example.org", "0.0.0.0", "::", "localhost", "127.0.0.1", "localhost"};
    const char *names[6];
    CU_ASSERT_EQUAL_FATAL(address_names(all, 6, names), 3);
    CU_ASSERT_STRING_EQUAL(names[0], "fleet.example.org");
    CU_ASSERT_STRING_EQUAL(names[1], "localhost");
    CU_ASSERT_STRING_EQUAL(names[2], "127.0.0.1");
}

static void test_the_name_that_devices_are_told_comes_first(void)
{
    const char *names[ADDRESS_HOSTS_MAX];
    struct daemon_options o = {.host = "0.0.0.0", .advertise = "fleet.example.org"};
    CU_ASSERT_EQUAL(address_hosts(&o, names), 3);
    CU_ASSERT_STRING_EQUAL(names[0], "fleet.example.org");
    o = (struct daemon_options){.host = "192.0.2.7"};
    CU_ASSERT_EQUAL(address_hosts(&o, names), 3);
    CU_ASSERT_STRING_EQUAL(names[0], "192.0.2.7");
}

static void test_only_addresses_of_this_machine_are_loopback(void)
{
    CU_ASSERT_TRUE(address_is_loopback("127.0.0.1"));
    CU_ASSERT_TRUE(address_is_loopback("127.9.8.7"));
    CU_ASSERT_TRUE(address_is_loopback("::1"));
    CU_ASSERT_TRUE(address_is_loopback("localhost"));
    CU_ASSERT_FALSE(address_is_loopback("127.0.0.1.example.org"));
    CU_ASSERT_FALSE(address_is_loopback("0.0.0.0"));
}

static void test_an_address_of_version_6_is_written_in_brackets(void)
{
    char text[64];
    address_write("mqtts", "2001:db8::1", 8884, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "mqtts://[2001:db8::1]:8884");
    address_write("", "fleet", 443, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "fleet:443");
}

static const struct suite_test tests[] = {
    TEST(test_a_certificate_names_each_host_once_and_none_that_is_all),
    TEST(test_the_name_that_devices_are_told_comes_first),
    TEST(test_only_addresses_of_this_machine_are_loopback),
    TEST(test_an_address_of_version_6_is_written_in_brackets),
};

SUITE_MAIN("manager address", tests)
