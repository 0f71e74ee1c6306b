#include "sync/resolve.h"

#include "test/names.h"
#include "test/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define NOW_MS 1000

static struct resolve r;
static struct errmsg em;

static int start(const char *host)
{
    em.text[0] = '\0';
    return resolve_start(&r, host, 8883, NOW_MS, &em);
}

/* Waits for the child's answer. */
static int answer(void)
{
    struct pollfd fd = {.fd = resolve_descriptor(&r), .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&fd, 1, 60000), 1);
    return resolve_look(&r, NOW_MS, &em);
}

static bool is_v4(const struct resolve_address *a, const char *text)
{
    char digits[INET_ADDRSTRLEN];
    return a->of.any.sa_family == AF_INET && ntohs(a->of.v4.sin_port) == 8883 &&
           a->len == sizeof a->of.v4 &&
           strcmp(inet_ntop(AF_INET, &a->of.v4.sin_addr, digits, sizeof digits), text) == 0;
}

static bool has_children(void)
{
    return !(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void test_digits_are_there_at_once(void)
{
    CU_ASSERT_EQUAL(start("192.0.2.7"), 1);
    CU_ASSERT_EQUAL(r.count, 1);
    CU_ASSERT_TRUE(is_v4(&r.addresses[0], "192.0.2.7"));
    CU_ASSERT_EQUAL(resolve_descriptor(&r), -1);
    CU_ASSERT_EQUAL(start("2001:db8::7"), 1);
    CU_ASSERT_EQUAL(r.addresses[0].of.any.sa_family, AF_INET6);
    CU_ASSERT_FALSE(has_children());
}

static void test_a_name_is_asked_for_in_a_child(void)
{
    CU_ASSERT_EQUAL(start("both.test"), 0);
    CU_ASSERT_EQUAL(answer(), 1);
    CU_ASSERT_EQUAL(r.count, 2);
    CU_ASSERT_TRUE(is_v4(&r.addresses[0], "127.255.255.254"));
    CU_ASSERT_TRUE(is_v4(&r.addresses[1], "127.0.0.1"));
    CU_ASSERT_EQUAL(resolve_descriptor(&r), -1);
    CU_ASSERT_FALSE(has_children());
}

static void test_the_systems_own_names_are_found(void)
{
    CU_ASSERT_EQUAL(start("localhost"), 0);
    CU_ASSERT_EQUAL(answer(), 1);
    CU_ASSERT_TRUE(r.count >= 1);
}

static void test_a_name_that_nobody_has_is_told(void)
{
    CU_ASSERT_EQUAL(start("none.test"), 0);
    CU_ASSERT_EQUAL(answer(), ERR_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(em.text, "the host name can't be found: Name or service not known");
    CU_ASSERT_FALSE(has_children());
}

static void test_a_resolver_that_hangs_is_given_up(void)
{
    CU_ASSERT_EQUAL(start("slow.test"), 0);
    CU_ASSERT_EQUAL(resolve_look(&r, NOW_MS + RESOLVE_MS_MAX - 1, &em), 0);
    CU_ASSERT_TRUE(resolve_descriptor(&r) >= 0);
    CU_ASSERT_EQUAL(resolve_look(&r, NOW_MS + RESOLVE_MS_MAX, &em), ERR_TIMEOUT);
    CU_ASSERT_EQUAL(resolve_descriptor(&r), -1);
    CU_ASSERT_FALSE(has_children());
}

static void test_nobody_needs_to_wait_for_the_answer(void)
{
    CU_ASSERT_EQUAL(start("slow.test"), 0);
    resolve_cancel(&r);
    CU_ASSERT_EQUAL(resolve_descriptor(&r), -1);
    CU_ASSERT_FALSE(has_children());
    resolve_cancel(&r);
    resolve_cancel(&(struct resolve){0});
}

static void test_a_child_that_dies_is_no_answer(void)
{
    CU_ASSERT_EQUAL(start("slow.test"), 0);
    kill(r.child, SIGKILL);
    CU_ASSERT_EQUAL(answer(), ERR_NOT_FOUND);
    CU_ASSERT_FALSE(has_children());
}

static void test_it_works_where_children_are_not_waited_for(void)
{
    signal(SIGCHLD, SIG_IGN);
    CU_ASSERT_EQUAL(start("both.test"), 0);
    CU_ASSERT_EQUAL(answer(), 1);
    CU_ASSERT_EQUAL(start("slow.test"), 0);
    resolve_cancel(&r);
    CU_ASSERT_FALSE(has_children());
    signal(SIGCHLD, SIG_DFL);
}

/* The child of a parent that was killed must not keep its lock. */
static void test_the_child_keeps_nothing_open(void)
{
    int ends[2];
    char byte;
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    CU_ASSERT_EQUAL(start("slow.test"), 0);
    close(ends[1]);
    CU_ASSERT_EQUAL(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 60000), 1);
    CU_ASSERT_EQUAL(read(ends[0], &byte, 1), 0);
    resolve_cancel(&r);
    close(ends[0]);
}

static const struct suite_test tests[] = {
    TEST(test_digits_are_there_at_once),
    TEST(test_a_name_is_asked_for_in_a_child),
    TEST(test_the_systems_own_names_are_found),
    TEST(test_a_name_that_nobody_has_is_told),
    TEST(test_a_resolver_that_hangs_is_given_up),
    TEST(test_nobody_needs_to_wait_for_the_answer),
    TEST(test_a_child_that_dies_is_no_answer),
    TEST(test_it_works_where_children_are_not_waited_for),
    TEST(test_the_child_keeps_nothing_open),
};

SUITE_MAIN("resolve", tests)
