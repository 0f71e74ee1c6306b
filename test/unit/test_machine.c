#include "simulator/load/machine.h"

#include "test/suite.h"
#include "test/tree.h"

static const struct machine_needs million = {
    .agents = 1000000, .connections = 1000000, .processes = 51};

static struct tree_path proc;

static void says(const char *file, const char *text)
{
    tree_file(&proc, file, 0600, span_text(text));
}

static void set_up(void)
{
    static const char *const folders[] = {"sys", "sys/fs", "sys/net", "sys/net/ipv4",
                                          "sys/net/netfilter"};
    proc = tree_new();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        tree_folder(&proc, folders[i], 0700);
    says("sys/fs/file-max", "9223372036854775807\n");
    says("sys/fs/file-nr", "1984\t0\t9223372036854775807\n");
    says("sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    says("sys/net/ipv4/tcp_mem", "2020000\t2020000\t3030000\n");
    says("meminfo", "MemTotal: 24000000 kB\nMemFree: 1 kB\nMemAvailable: 22000000 kB\n");
}

static void refused(const struct machine_needs *n, const char *why)
{
    struct errmsg em = {.text = ""};
    CU_ASSERT_EQUAL(machine_check(proc.text, n, &em), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, why));
    tree_free(&proc);
}

static void test_usual_machine_serves_a_million(void)
{
    struct errmsg em;
    set_up();
    CU_ASSERT_EQUAL(machine_check(proc.text, &million, &em), 0);
    tree_free(&proc);
}

static void test_what_is_not_told_limits_nothing(void)
{
    struct errmsg em;
    proc = tree_new();
    CU_ASSERT_EQUAL(machine_check(proc.text, &million, &em), 0);
    tree_free(&proc);
}

static void test_few_open_files_in_all_are_named_with_what_to_set(void)
{
    set_up();
    says("sys/fs/file-max", "1048576\n");
    refused(&million, "fs.file-max of 2020000, and it is 1048576: run `sysctl -w "
                      "fs.file-max=2020000` first");
}

static void test_tracked_connections_count_only_where_they_are_tracked(void)
{
    struct errmsg em;
    set_up();
    says("sys/net/netfilter/nf_conntrack_max", "262144\n");
    says("sys/net/netfilter/nf_conntrack_count", "0\n");
    CU_ASSERT_EQUAL(machine_check(proc.text, &million, &em), 0);
    says("sys/net/netfilter/nf_conntrack_count", "7\n");
    refused(&million, "run `sysctl -w net.netfilter.nf_conntrack_max=1010000` first");
}

static void test_few_ports_are_named(void)
{
    const struct machine_needs n = {.agents = 19000, .connections = 19000, .processes = 1};
    set_up();
    says("sys/net/ipv4/ip_local_port_range", "50000 60999\n");
    refused(&n, "19000 agents need 20000 ports from each address, and there are 11000");
}

/* Of a machine with 24 GiB, as Linux sets it. */
static void test_little_room_for_tcp_is_named(void)
{
    set_up();
    says("sys/net/ipv4/tcp_mem", "287901\t383869\t575802\n");
    refused(&million,
            "1000000 agents need 2020000 pages for TCP, and there is pressure from 383869: run "
            "`sysctl -w net.ipv4.tcp_mem=\"2020000 2020000 3030000\"` first");
}

static void test_little_memory_is_named(void)
{
    const struct machine_needs n = {
        .agents = 300000, .connections = 300000, .processes = 16, .tls = true};
    set_up();
    refused(&n, "300000 agents need about 32626 MiB of memory, and 21484 are available");
}

static void test_agents_that_share_connections_need_less(void)
{
    struct machine_needs n = {.agents = 1000000, .connections = 1000000, .processes = 50};
    set_up();
    says("sys/fs/file-max", "1048576\n");
    says("sys/net/ipv4/ip_local_port_range", "50000 60999\n");
    says("meminfo", "MemAvailable: 7000000 kB\n");
    n.connections = 100;
    CU_ASSERT_EQUAL(machine_check(proc.text, &n, NULL), 0);
    n.connections = n.agents;
    refused(&n, "fs.file-max");
}

static const struct suite_test tests[] = {
    TEST(test_usual_machine_serves_a_million),
    TEST(test_what_is_not_told_limits_nothing),
    TEST(test_few_open_files_in_all_are_named_with_what_to_set),
    TEST(test_tracked_connections_count_only_where_they_are_tracked),
    TEST(test_few_ports_are_named),
    TEST(test_little_room_for_tcp_is_named),
    TEST(test_little_memory_is_named),
    TEST(test_agents_that_share_connections_need_less),
};

SUITE_MAIN("machine", tests)
