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

static void test_an_address_of_version_6_is_written_in_brackets(void)
{
    char text[64];
    address_write("mqtts", "2001:db8::1", 8884, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "mqtts://[2001:db8::1]:8884");
    address_write("", "fleet", 443, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "fleet:443");
}

static struct daemon_options at(const char *host, bool plain)
{
    struct daemon_options o = {.plain = plain};
    snprintf(o.host, sizeof o.host, "%s", host);
    return o;
}

/* Empty: it will do. */
static const char *said(const struct daemon_options *o)
{
    static struct errmsg em;
    em.text[0] = '\0';
    int rv = address_check_options(o, &em);
    CU_ASSERT_EQUAL(rv, em.text[0] ? ERR_USAGE : 0);
    return em.text;
}

static const char *broker(bool plain, const char *url)
{
    struct daemon_options o = at("127.0.0.1", plain);
    o.brokers = &url;
    o.broker_count = 1;
    return said(&o);
}

static void test_plain_managers_are_found_by_loopback_addresses_alone(void)
{
    static const char *const good[] = {"127.0.0.1", "127.3.2.1", "::1"};
    static const char *const bad[] = {
        "localhost", "0.0.0.0", "192.0.2.1", "127.0.0.1.example.org", "127.1", "2001:db8::1", "::"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct daemon_options o = at(good[i], true);
        CU_ASSERT_STRING_EQUAL(said(&o), "");
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct daemon_options o = at(bad[i], true);
        CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "loopback address in digits"));
    }
    struct daemon_options o = at("127.0.0.1", true);
    o.advertise = "fleet.example.org";
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "--advertise fleet.example.org"));
}

static void test_an_address_that_stands_for_all_needs_a_name(void)
{
    struct daemon_options o = at("0.0.0.0", false);
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "--listen 0.0.0.0"));
    o.advertise = "fleet.example.org";
    CU_ASSERT_STRING_EQUAL(said(&o), "");
    o = at("127.0.0.1", false);
    snprintf(o.api_host, sizeof o.api_host, "::");
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "--api ::"));
}

static void test_brokers_are_reached_by_tls(void)
{
    static const char *const bad[] = {"mqtt://127.0.0.1", "mqtt://broker.example.org:1883",
                                      "unix:///run/broker/sock"};
    CU_ASSERT_STRING_EQUAL(broker(false, "mqtts://broker.example.org"), "");
    CU_ASSERT_STRING_EQUAL(broker(false, "mqtts://[2001:db8::1]:8883"), "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(broker(false, bad[i]), "write mqtts://"));
    CU_ASSERT_PTR_NOT_NULL(strstr(broker(false, "x"), "no broker's URL"));
    CU_ASSERT_PTR_NOT_NULL(strstr(broker(false, "http://x"), "not supported"));
}

static void test_plain_brokers_are_on_this_machine(void)
{
    static const char *const bad[] = {"mqtt://192.0.2.1", "mqtts://127.0.0.1", "mqtt://localhost",
                                      "unix:///run/broker/sock", "mqtt://127.0.0.1.example.org"};
    CU_ASSERT_STRING_EQUAL(broker(true, "mqtt://127.0.0.1:1883"), "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(broker(true, bad[i]), "loopback"));
}

static void test_brokers_are_counted_and_named_once(void)
{
    static const char *urls[DAEMON_CELLS_MAX];
    struct daemon_options o = at("127.0.0.1", false);
    o.brokers = urls;
    urls[0] = urls[1] = "mqtts://a.example.org";
    o.broker_count = 2;
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "named twice"));
    o.broker_count = 1;
    o.cells = DAEMON_CELLS_MAX - 1;
    CU_ASSERT_STRING_EQUAL(said(&o), "");
    o.cells = DAEMON_CELLS_MAX;
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "together"));
    o.cells = 0;
    o.no_cells = true;
    CU_ASSERT_STRING_EQUAL(said(&o), "");
    o.broker_count = 0;
    CU_ASSERT_PTR_NOT_NULL(strstr(said(&o), "--cells 0"));
}

static const struct suite_test tests[] = {
    TEST(test_a_certificate_names_each_host_once_and_none_that_is_all),
    TEST(test_the_name_that_devices_are_told_comes_first),
    TEST(test_an_address_of_version_6_is_written_in_brackets),
    TEST(test_plain_managers_are_found_by_loopback_addresses_alone),
    TEST(test_an_address_that_stands_for_all_needs_a_name),
    TEST(test_brokers_are_reached_by_tls),
    TEST(test_plain_brokers_are_on_this_machine),
    TEST(test_brokers_are_counted_and_named_once),
};

SUITE_MAIN("manager address", tests)
