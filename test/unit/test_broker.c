/* Real Mosquittos, in folders and on ports of their own. */
#include "manager/broker.h"

#include "test/suite.h"
#include "test/tree.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define END_MS_MAX 60000

static struct broker *start_at(const struct tree_path *dir, int port, struct errmsg *em)
{
    return broker_start(
        &(struct broker_options){
            .dir = dir->text, .plain = true, .host = "127.0.0.1", .port = port},
        em);
}

static struct broker *start(const struct tree_path *dir, int port)
{
    struct errmsg em = {0};
    struct broker *b = start_at(dir, port, &em);
    tree_must(b != NULL, em.text);
    return b;
}

static bool answers(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return connected;
}

/* A manager that starts a cell and is killed; gives the pid that its broker had. */
static pid_t killed_manager(const struct tree_path *dir, int port)
{
    int ends[2];
    tree_must(pipe(ends) == 0, "pipe");
    pid_t manager = fork();
    if (manager == 0) {
        struct broker *b = start_at(dir, port, NULL);
        pid_t pid = b ? broker_pid(b) : 0;
        if (write(ends[1], &pid, sizeof pid) == sizeof pid)
            pause();
        _exit(1);
    }
    pid_t broker = 0;
    tree_must(read(ends[0], &broker, sizeof broker) == sizeof broker && broker > 0, "first start");
    kill(manager, SIGKILL);
    waitpid(manager, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    return broker;
}

static void kill_and_wait(const struct broker *b)
{
    struct pollfd end = {.fd = broker_descriptor(b), .events = POLLIN};
    kill(broker_pid(b), SIGKILL);
    CU_ASSERT_EQUAL(poll(&end, 1, END_MS_MAX), 1);
}

static off_t size_of(const struct tree_path *dir, const char *name)
{
    struct tree_path path = tree_join(dir, name);
    struct stat st = {0};
    return stat(path.text, &st) == 0 ? st.st_size : -1;
}

static bool holds_open(pid_t pid, const char *path)
{
    char folder[64], at[512], target[FILE_PATH_MAX];
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(folder);
    tree_must(fds != NULL, folder);
    bool found = false;
    for (struct dirent *e; (e = readdir(fds));) {
        snprintf(at, sizeof at, "%s/%s", folder, e->d_name);
        ssize_t len = readlink(at, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        found |= strcmp(target, path) == 0;
    }
    closedir(fds);
    return found;
}

static void test_started_cell_listens_and_stopped_one_leaves_nothing(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *b = start(&dir, port);
    pid_t pid = broker_pid(b);
    CU_ASSERT_TRUE(broker_running(b));
    CU_ASSERT_TRUE(answers(port));
    CU_ASSERT_EQUAL(broker_deadline_ms(b), UINT64_MAX);
    broker_stop(b);
    CU_ASSERT_FALSE(broker_running(b));
    CU_ASSERT_EQUAL(broker_pid(b), 0);
    CU_ASSERT_EQUAL(broker_descriptor(b), -1);
    CU_ASSERT_EQUAL(broker_deadline_ms(b), UINT64_MAX);
    CU_ASSERT_FALSE(answers(port));
    CU_ASSERT_EQUAL(kill(pid, 0), -1);
    broker_free(b);
    tree_free(&dir);
}

static void test_next_manager_adopts_the_cell_of_a_killed_one(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    pid_t pid = killed_manager(&dir, port);
    struct broker *b = start(&dir, port);
    CU_ASSERT_EQUAL(broker_pid(b), pid);
    CU_ASSERT_TRUE(answers(port));
    kill_and_wait(b); /* it is watched although it is no child */
    CU_ASSERT_FALSE(broker_running(b));
    broker_free(b);
    tree_free(&dir);
}

static void test_adopted_cell_can_be_stopped(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    killed_manager(&dir, port);
    struct broker *b = start(&dir, port);
    broker_stop(b);
    CU_ASSERT_FALSE(answers(port));
    broker_free(b);
    tree_free(&dir);
}

static void test_cell_with_other_options_is_stopped_and_started_anew(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    pid_t old = killed_manager(&dir, port);
    int other = broker_free_port("127.0.0.1", 0);
    CU_ASSERT_NOT_EQUAL(other, port);
    struct broker *b = start(&dir, other);
    CU_ASSERT_NOT_EQUAL(broker_pid(b), old);
    CU_ASSERT_FALSE(answers(port));
    CU_ASSERT_TRUE(answers(other));
    broker_stop(b);
    broker_free(b);
    tree_free(&dir);
}

static void test_cell_that_nobody_wants_any_more_is_stopped_and_never_started(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    killed_manager(&dir, port);
    broker_stop_in(dir.text);
    CU_ASSERT_FALSE(answers(port));
    broker_stop_in(dir.text); /* where none runs */
    CU_ASSERT_FALSE(answers(port));
    tree_free(&dir);
    broker_stop_in(dir.text); /* where there is no folder */
}

static void test_killed_cell_comes_back_after_a_growing_wait(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *b = start(&dir, port);
    uint64_t now = 100;
    for (uint64_t wait = BROKER_RETRY_MS_MIN; wait <= 4 * BROKER_RETRY_MS_MIN; wait *= 2) {
        pid_t old = broker_pid(b);
        kill_and_wait(b);
        broker_service(b, now);
        CU_ASSERT_FALSE(broker_running(b));
        CU_ASSERT_EQUAL(broker_deadline_ms(b), now + wait);
        broker_service(b, now + wait - 1);
        CU_ASSERT_EQUAL(broker_descriptor(b), -1);
        now += wait;
        broker_service(b, now);
        CU_ASSERT_TRUE(broker_running(b));
        CU_ASSERT_NOT_EQUAL(broker_pid(b), old);
    }
    now += BROKER_RETRY_MS_MAX;
    kill_and_wait(b);
    broker_service(b, now);
    CU_ASSERT_EQUAL(broker_deadline_ms(b), now + BROKER_RETRY_MS_MIN);
    broker_free(b);
    tree_free(&dir);
}

static void test_wait_between_restarts_is_bounded(void)
{
    struct tree_path dir = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *b = start(&dir, port);
    struct tree_path config = tree_join(&dir, "mosquitto.conf.new/in the way");
    kill_and_wait(b);
    tree_must(file_make_folder(config.text, 0700, NULL) == 0, config.text);
    uint64_t now = 100;
    broker_service(b, now);
    uint64_t wait = 0;
    for (int i = 0; i < 12; i++) {
        wait = broker_deadline_ms(b) - now;
        now += wait;
        broker_service(b, now);
        CU_ASSERT_FALSE(broker_running(b));
    }
    CU_ASSERT_EQUAL(wait, BROKER_RETRY_MS_MAX);
    broker_free(b);
    tree_free(&dir);
}

static void test_taken_port_is_an_error_that_names_it(void)
{
    struct tree_path dir = tree_new(), beside = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *b = start(&dir, port);
    struct errmsg em = {0};
    char name[16];
    snprintf(name, sizeof name, "port %d", port);
    CU_ASSERT_PTR_NULL(start_at(&beside, port, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, name));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "in use"));
    CU_ASSERT_NOT_EQUAL(broker_free_port("127.0.0.1", port), port);
    broker_stop(b);
    CU_ASSERT_EQUAL(broker_free_port("127.0.0.1", port), port);
    broker_free(b);
    tree_free(&dir);
    tree_free(&beside);
}

static void test_patient_cell_takes_its_port_when_it_is_free_again(void)
{
    struct tree_path dir = tree_new(), beside = tree_new();
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *holder = start(&beside, port);
    struct broker_options options = {
        .dir = dir.text, .plain = true, .host = "127.0.0.1", .port = port, .patient = true};
    struct broker *b = broker_start(&options, NULL);
    tree_must(b != NULL, "patient start");
    CU_ASSERT_FALSE(broker_running(b));
    broker_service(b, 100);
    CU_ASSERT_FALSE(broker_running(b));
    CU_ASSERT_TRUE(broker_deadline_ms(b) > 100);
    broker_stop(holder);
    broker_service(b, broker_deadline_ms(b));
    CU_ASSERT_TRUE(broker_running(b));
    CU_ASSERT_EQUAL(broker_deadline_ms(b), UINT64_MAX);
    broker_stop(b);
    broker_free(b);
    broker_free(holder);
    tree_free(&dir);
    tree_free(&beside);
}

/* The manager publishes again what was in it. */
static void test_cell_whose_memory_is_damaged_starts_without_it(void)
{
    struct tree_path dir = tree_new();
    tree_file(&dir, "mosquitto.db", 0600, span_text("this is no database at all"));
    int port = broker_free_port("127.0.0.1", 0);
    struct broker *b = start(&dir, port);
    struct tree_path aside = tree_join(&dir, "mosquitto.db.damaged");
    CU_ASSERT_TRUE(answers(port));
    CU_ASSERT_EQUAL(access(aside.text, F_OK), 0);
    broker_stop(b);
    broker_free(b);
    tree_free(&dir);
}

static void dies_and_comes_back(struct broker *b, uint64_t *now)
{
    kill_and_wait(b);
    broker_service(b, *now);
    *now = broker_deadline_ms(b);
    broker_service(b, *now);
    CU_ASSERT_TRUE(broker_running(b));
}

static void test_cell_that_dies_three_times_in_a_row_comes_back_without_its_memory(void)
{
    struct tree_path dir = tree_new();
    struct broker *b = start(&dir, broker_free_port("127.0.0.1", 0));
    struct tree_path aside = tree_join(&dir, "mosquitto.db.damaged");
    uint64_t now = 100;
    broker_stop(b); /* it saves what it remembers */
    broker_free(b);
    tree_must(size_of(&dir, "mosquitto.db") >= 0, "saved");
    b = start(&dir, broker_free_port("127.0.0.1", 0));
    dies_and_comes_back(b, &now);
    dies_and_comes_back(b, &now);
    CU_ASSERT_TRUE(size_of(&dir, "mosquitto.db") >= 0);
    dies_and_comes_back(b, &now);
    CU_ASSERT_EQUAL(access(aside.text, F_OK), 0);
    broker_stop(b);
    broker_free(b);
    tree_free(&dir);
}

static void test_cell_that_ends_at_once_is_an_error_with_its_reason(void)
{
    struct tree_path dir = tree_new();
    tree_folder(&dir, "pid", 0700); /* where it would write its process id */
    struct errmsg em = {0};
    CU_ASSERT_PTR_NULL(start_at(&dir, broker_free_port("127.0.0.1", 0), &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "Error"));
    tree_free(&dir);
}

static void test_unusable_host_or_port_is_refused(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {0};
    static const char *const hosts[] = {"", "two words", "a\nuser root", "[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct broker_options o = {.dir = dir.text, .plain = true, .host = hosts[i], .port = 1883};
        CU_ASSERT_PTR_NULL(broker_start(&o, &em));
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "name a host and a port"));
    }
    CU_ASSERT_PTR_NULL(start_at(&dir, 0, &em));
    CU_ASSERT_PTR_NULL(start_at(&dir, 65536, &em));
    tree_free(&dir);
}

static void test_no_descriptor_of_the_manager_leaks_into_the_cell(void)
{
    struct tree_path dir = tree_new();
    struct tree_path secret = tree_join(&dir, "secret");
    int fd = open(secret.text, O_CREAT | O_RDWR, 0600); /* inherited on purpose */
    struct broker *b = start(&dir, broker_free_port("127.0.0.1", 0));
    struct tree_path lock = tree_join(&dir, "lock");
    CU_ASSERT_TRUE(holds_open(broker_pid(b), lock.text));
    CU_ASSERT_FALSE(holds_open(broker_pid(b), secret.text));
    close(fd);
    broker_stop(b);
    broker_free(b);
    tree_free(&dir);
}

/* Strangers can make a broker complain as often as they like. */
static void test_long_log_is_set_aside_and_goes_on(void)
{
    static const char line[] =
        "a line of the log that somebody on the network has caused to be written\n";
    struct tree_path dir = tree_new(), log = tree_join(&dir, "mosquitto.log");
    struct broker *b = start(&dir, broker_free_port("127.0.0.1", 0));
    FILE *f = fopen(log.text, "a");
    tree_must(f != NULL, log.text);
    for (int i = 0; i < 20000; i++)
        fputs(line, f);
    fclose(f);
    off_t before = size_of(&dir, "mosquitto.log");
    broker_service(b, 100);
    CU_ASSERT_TRUE(broker_running(b));
    CU_ASSERT_EQUAL(size_of(&dir, "mosquitto.log"), 0);
    CU_ASSERT_EQUAL(size_of(&dir, "mosquitto.log.old"), before);
    broker_stop(b); /* its last words are in the new one */
    CU_ASSERT_TRUE(size_of(&dir, "mosquitto.log") < 1000);
    broker_free(b);
    tree_free(&dir);
}

static void test_door_has_two_sockets_and_no_port(void)
{
    struct tree_path dir = tree_new();
    struct broker_options o = {.dir = dir.text, .kind = BROKER_DOOR, .plain = true};
    tree_file(&dir, "acl", 0600, span_text("pattern write dl1/join/+\n"));
    struct broker *b = broker_start(&o, NULL);
    tree_must(b != NULL, "door");
    CU_ASSERT_FALSE(broker_adopted(b));
    CU_ASSERT_TRUE(size_of(&dir, BROKER_SOCKET) >= 0);
    CU_ASSERT_TRUE(size_of(&dir, BROKER_GATE_SOCKET) >= 0);
    broker_reload(b);
    broker_free(b);
    b = broker_start(&o, NULL);
    CU_ASSERT_TRUE(broker_adopted(b));
    broker_stop(b);
    broker_free(b);
    tree_free(&dir);
}

static void test_folder_that_is_too_deep_for_sockets_is_an_error_that_names_it(void)
{
    char deep[128];
    struct errmsg em = {.text = ""};
    struct tree_path dir = tree_new();
    memset(deep, 'x', 100);
    deep[100] = '\0';
    struct tree_path inside = tree_join(&dir, deep);
    CU_ASSERT_PTR_NULL(start_at(&inside, broker_free_port("127.0.0.1", 0), &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "choose a shorter folder"));
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_started_cell_listens_and_stopped_one_leaves_nothing),
    TEST(test_next_manager_adopts_the_cell_of_a_killed_one),
    TEST(test_adopted_cell_can_be_stopped),
    TEST(test_cell_with_other_options_is_stopped_and_started_anew),
    TEST(test_cell_that_nobody_wants_any_more_is_stopped_and_never_started),
    TEST(test_killed_cell_comes_back_after_a_growing_wait),
    TEST(test_wait_between_restarts_is_bounded),
    TEST(test_taken_port_is_an_error_that_names_it),
    TEST(test_patient_cell_takes_its_port_when_it_is_free_again),
    TEST(test_cell_whose_memory_is_damaged_starts_without_it),
    TEST(test_cell_that_dies_three_times_in_a_row_comes_back_without_its_memory),
    TEST(test_cell_that_ends_at_once_is_an_error_with_its_reason),
    TEST(test_unusable_host_or_port_is_refused),
    TEST(test_no_descriptor_of_the_manager_leaks_into_the_cell),
    TEST(test_long_log_is_set_aside_and_goes_on),
    TEST(test_door_has_two_sockets_and_no_port),
    TEST(test_folder_that_is_too_deep_for_sockets_is_an_error_that_names_it),
};

SUITE_MAIN("broker", tests)
