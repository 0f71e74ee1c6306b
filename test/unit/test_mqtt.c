/* Against a real broker: each test starts its own mosquitto on a free port of the loopback. */
#include "sync/mqtt.h"

#include "sync/limits.h"
#include "test/mqtt_fixture.h"
#include "test/tree.h"

#include <glob.h>
#include <mosquitto.h>
#include <sys/un.h>

/* ---- the tests ---- */

static void test_connected_clients_talk(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    CU_ASSERT_FALSE(c->session_present);
    const char *topics[] = {"a/+", "b"};
    CU_ASSERT_TRUE(mqtt_subscribe(c->mqtt, topics, 2, 1) > 0);
    WAIT(c->answers == 1);
    publish(c, "a/1", span_text("one"), false);
    WAIT(c->messages == 1);
    CU_ASSERT_STRING_EQUAL(c->topic, "a/1");
    CU_ASSERT_TRUE(heard(c, "one"));
    CU_ASSERT_FALSE(c->retained);
    int mid = mqtt_publish(c->mqtt, "b", SPAN_NONE, 0, false);
    CU_ASSERT_EQUAL(c->acks, 1); /* handlers run inside mqtt_service only */
    WAIT(c->messages == 2);
    CU_ASSERT_EQUAL(c->last_ack, mid);
    CU_ASSERT_EQUAL(c->payload_len, 0);
    CU_ASSERT_TRUE(mqtt_unsubscribe(c->mqtt, topics, 2) > 0);
    publish(c, "a/1", span_text("unheard"), false);
    subscribe(c, "c");
    publish(c, "c", span_text("heard"), false);
    WAIT(c->messages == 3);
    CU_ASSERT_TRUE(heard(c, "heard"));
    CU_ASSERT_EQUAL(c->downs, 0);
    end(&b);
}

static void test_retained_message_reaches_a_late_subscriber(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *writer = client_up(0, &b, NULL);
    publish(writer, "doc", span_text("old"), true);
    publish(writer, "doc", span_text("new"), true);
    struct client *reader = client_up(1, &b, NULL);
    subscribe(reader, "doc");
    WAIT(reader->messages == 1);
    CU_ASSERT_TRUE(reader->retained);
    CU_ASSERT_TRUE(heard(reader, "new"));
    end(&b);
}

static struct mqtt_options with_will(void)
{
    return (struct mqtt_options){
        .client_id = "mortal", .keepalive_s = 60, .will_topic = "will", .will = span_text("gone")};
}

static void test_lost_link_sends_the_last_will_and_is_told_once(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *heir = client_up(0, &b, NULL);
    subscribe(heir, "will");
    struct mqtt_options options = with_will();
    struct client *mortal = client_up(1, &b, &options);
    shutdown(descriptor(mortal), SHUT_RDWR);
    WAIT(heir->messages == 1);
    CU_ASSERT_TRUE(heard(heir, "gone"));
    WAIT(mortal->downs == 1);
    CU_ASSERT_EQUAL(descriptor(mortal), -1);
    for (int i = 0; i < 5; i++)
        turn();
    CU_ASSERT_EQUAL(mortal->downs, 1);
    CU_ASSERT_TRUE(strlen(mortal->reason) > 0);
    end(&b);
}

static void test_will_is_the_one_set_before_connecting(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *heir = client_up(0, &b, NULL);
    subscribe(heir, "will");
    struct mqtt_options options = with_will();
    struct client *mortal = client_new(1, &options);
    CU_ASSERT_EQUAL(mqtt_set_will(mortal->mqtt, "will", span_text("newer")), 0);
    CU_ASSERT_EQUAL(mqtt_connect(mortal->mqtt, b.url, NULL), 0);
    WAIT(mortal->ups == 1);
    shutdown(descriptor(mortal), SHUT_RDWR);
    WAIT(heir->messages == 1);
    CU_ASSERT_TRUE(heard(heir, "newer"));
    end(&b);
}

static void test_goodbye_sends_what_is_queued_and_no_will(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *heir = client_up(0, &b, NULL);
    subscribe(heir, "will");
    subscribe(heir, "last");
    struct mqtt_options options = with_will();
    struct client *mortal = client_up(1, &b, &options);
    CU_ASSERT_TRUE(mqtt_publish(mortal->mqtt, "last", span_text("words"), 0, false) > 0);
    mqtt_disconnect(mortal->mqtt);
    CU_ASSERT_EQUAL(descriptor(mortal), -1);
    CU_ASSERT_EQUAL(mqtt_publish(mortal->mqtt, "last", span_text("late"), 0, false), ERR_BUSY);
    WAIT(heir->messages == 1);
    CU_ASSERT_TRUE(heard(heir, "words"));
    for (int i = 0; i < 3; i++) /* the broker has had its turns since */
        publish(heir, "nobody", span_text("x"), false);
    CU_ASSERT_EQUAL(heir->messages, 1);
    CU_ASSERT_EQUAL(mortal->downs + mortal->acks, 0);
    CU_ASSERT_EQUAL(mqtt_connect(mortal->mqtt, b.url, NULL), 0);
    WAIT(mortal->ups == 2);
    end(&b);
}

static void test_killed_broker_is_told_once(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    CU_ASSERT_TRUE(mqtt_publish(c->mqtt, "t", span_text("x"), 1, false) > 0);
    real_broker_stop(&b);
    WAIT(c->downs == 1);
    for (int i = 0; i < 5; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 1);
    CU_ASSERT_EQUAL(mqtt_publish(c->mqtt, "t", span_text("x"), 0, false), ERR_BUSY);
    end(&b);
}

static void test_nobody_there_is_told_once(void)
{
    struct real_broker b = {0};
    int port;
    int fd = bind_free(&port); /* bound and not listening: refuses */
    struct client *c = client_new(0, NULL);
    snprintf(b.url, sizeof b.url, "mqtt://127.0.0.1:%d", port);
    for (int attempt = 1; attempt <= 3; attempt++) {
        CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b.url, NULL), 0);
        CU_ASSERT_EQUAL(c->downs, attempt - 1);
        WAIT(c->downs == attempt);
        CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "refused"));
    }
    for (int i = 0; i < 5; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 3);
    CU_ASSERT_EQUAL(c->ups, 0);
    close(fd);
    end(&b);
}

/* A label has 63 bytes at most, so that no server is asked for this name. */
static void test_unknown_host_is_told(void)
{
    struct real_broker b = {0};
    struct client *c = client_new(0, NULL);
    char url[80];
    snprintf(url, sizeof url, "mqtt://n%063d", 7);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "host name"));
    end(&b);
}

static void test_refusing_broker_gives_its_reason(void)
{
    struct real_broker b = real_broker_start("allow_anonymous false");
    struct client *c = client_new(0, NULL);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b.url, NULL), 0);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "not authorised"));
    CU_ASSERT_EQUAL(c->ups, 0);
    end(&b);
}

/* Mosquitto refuses subscriptions only by its plugin, where Debian has it. */
static void test_refused_subscription_is_a_lost_link(void)
{
    char config[] = "/tmp/dunlin-test-mqtt-XXXXXX", more[512];
    glob_t plugins;
    CU_ASSERT_EQUAL_FATAL(glob("/usr/lib/*/mosquitto_dynamic_security.so", 0, NULL, &plugins), 0);
    int fd = mkstemp(config);
    dprintf(fd, "{\"defaultACLAccess\": {\"subscribe\": false}, \"anonymousGroup\": \"all\","
                "\"groups\": [{\"groupname\": \"all\"}], \"clients\": [], \"roles\": []}");
    close(fd);
    snprintf(more, sizeof more, "allow_anonymous true\nplugin %s\nplugin_opt_config_file %s",
             plugins.gl_pathv[0], config);
    struct real_broker b = real_broker_start(more);
    struct client *c = client_up(0, &b, NULL);
    CU_ASSERT_TRUE(mqtt_subscribe(c->mqtt, &(const char *){"a"}, 1, 0) > 0);
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "refused a subscription"));
    CU_ASSERT_EQUAL(c->answers, 0);
    end(&b);
    unlink(config);
    globfree(&plugins);
}

static void test_broker_that_never_greets_is_given_up(void)
{
    struct real_broker b = {0};
    int port;
    int fd = bind_free(&port);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 5), 0);
    struct client *c = client_new(0, NULL);
    snprintf(b.url, sizeof b.url, "mqtt://127.0.0.1:%d", port);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b.url, NULL), 0);
    ahead_ms += MQTT_CONNECT_MS_MAX / 2;
    for (int i = 0; i < 3; i++)
        turn();
    CU_ASSERT_EQUAL(c->downs, 0);
    ahead_ms += MQTT_CONNECT_MS_MAX / 2;
    WAIT(c->downs == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "does not answer"));
    close(fd);
    end(&b);
}

static void test_persistent_session_keeps_what_came_meanwhile(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct mqtt_options options = {.client_id = "keeper", .persistent = true, .keepalive_s = 60};
    struct client *keeper = client_up(0, &b, &options);
    CU_ASSERT_FALSE(keeper->session_present);
    subscribe(keeper, "t");
    mqtt_disconnect(keeper->mqtt);
    struct client *writer = client_up(1, &b, NULL);
    for (int i = 0; i < 10; i++)
        publish(writer, "t", span_text("meanwhile"), false);
    CU_ASSERT_EQUAL(mqtt_connect(keeper->mqtt, b.url, NULL), 0);
    WAIT(keeper->messages == 10);
    CU_ASSERT_EQUAL(keeper->ups, 2);
    CU_ASSERT_TRUE(keeper->session_present);
    end(&b);
}

static void test_many_messages_in_flight_are_all_acknowledged(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true\nmax_queued_messages 0\n"
                                             "max_inflight_messages 0");
    struct client *c = client_up(0, &b, NULL);
    subscribe(c, "t/#");
    for (int i = 0; i < 2000; i++)
        CU_ASSERT_TRUE(mqtt_publish(c->mqtt, "t/1", span_text("x"), 1, false) > 0);
    WAIT(c->acks == 2000 && c->messages == 2000);
    end(&b);
}

static void test_payload_of_a_chunk_passes_and_a_larger_one_does_not(void)
{
    static uint8_t large[CHUNK_MAX + 2];
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL);
    subscribe(c, "t");
    memset(large, 0x5a, sizeof large);
    publish(c, "t", span_of(large, CHUNK_MAX + 1), false);
    WAIT(c->messages == 1);
    CU_ASSERT_TRUE(span_equal(span_of(c->payload, c->payload_len), span_of(large, CHUNK_MAX + 1)));
    CU_ASSERT_EQUAL(mqtt_publish(c->mqtt, "t", span_of(large, CHUNK_MAX + 2), 1, false), ERR_RANGE);
    /* Somebody else sends it. */
    struct mosquitto *stranger = mosquitto_new("stranger", true, NULL);
    CU_ASSERT_EQUAL(mosquitto_connect(stranger, "127.0.0.1", b.port, 60), MOSQ_ERR_SUCCESS);
    mosquitto_publish(stranger, NULL, "t", (int)sizeof large, large, 0, false);
    while (mosquitto_want_write(stranger))
        mosquitto_loop(stranger, 10, 1);
    mosquitto_publish(stranger, NULL, "t", 5, "after", 0, false);
    WAIT(c->messages == 2);
    CU_ASSERT_TRUE(heard(c, "after"));
    mosquitto_destroy(stranger);
    end(&b);
}

static void test_handler_may_publish(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL), *other = client_up(1, &b, NULL);
    subscribe(other, "answer");
    subscribe(c, "t");
    c->on_message = PUBLISH;
    publish(other, "t", span_text("x"), false);
    WAIT(other->messages == 1 && c->acks == 1);
    end(&b);
}

static void test_handler_may_disconnect_and_hears_nothing_more(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL), *other = client_up(1, &b, NULL);
    subscribe(c, "t");
    c->on_message = DISCONNECT;
    for (int i = 0; i < 20; i++)
        mqtt_publish(other->mqtt, "t", span_text("x"), 1, false);
    WAIT(other->acks == 20 && descriptor(c) == -1);
    CU_ASSERT_EQUAL(c->messages, 1);
    CU_ASSERT_EQUAL(c->downs, 0);
    end(&b);
}

static void test_handler_may_disconnect_and_connect_again(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL), *other = client_up(1, &b, NULL);
    subscribe(c, "t");
    c->on_message = CONNECT_AGAIN;
    c->url = b.url;
    publish(other, "t", span_text("x"), false);
    WAIT(c->ups == 2);
    CU_ASSERT_EQUAL(c->downs, 0);
    subscribe(c, "t");
    end(&b);
}

static void test_handler_may_free(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &b, NULL), *other = client_up(1, &b, NULL);
    subscribe(c, "t");
    c->on_message = FREE;
    for (int i = 0; i < 20; i++)
        mqtt_publish(other->mqtt, "t", span_text("x"), 0, false);
    WAIT(c->mqtt == NULL && other->acks == 20);
    CU_ASSERT_EQUAL(c->messages, 1);
    other->on_down = FREE;
    real_broker_stop(&b);
    WAIT(other->mqtt == NULL);
    CU_ASSERT_EQUAL(other->downs, 1);
    end(&b);
}

static void test_down_handler_may_connect_again(void)
{
    struct real_broker first = real_broker_start("allow_anonymous true");
    struct real_broker second = real_broker_start("allow_anonymous true");
    struct client *c = client_up(0, &first, NULL);
    c->on_down = CONNECT_AGAIN;
    c->url = second.url;
    real_broker_stop(&first);
    WAIT(c->ups == 2);
    CU_ASSERT_EQUAL(c->downs, 1);
    end(&second);
}

static void test_connection_takes_three_descriptors(void)
{
    struct real_broker b = real_broker_start("allow_anonymous true");
    int before = dup(0);
    close(before);
    client_up(0, &b, NULL);
    int after = dup(0);
    close(after);
    CU_ASSERT_EQUAL(after - before, 3);
    end(&b);
}

static void test_what_needs_a_connection_says_so(void)
{
    struct real_broker b = {0};
    struct errmsg em;
    const char *topic = "t";
    struct client *c = client_new(0, NULL);
    CU_ASSERT_EQUAL(descriptor(c), -1);
    CU_ASSERT_EQUAL(mqtt_publish(c->mqtt, "t", span_text("x"), 0, false), ERR_BUSY);
    CU_ASSERT_EQUAL(mqtt_subscribe(c->mqtt, &topic, 1, 1), ERR_BUSY);
    CU_ASSERT_EQUAL(mqtt_unsubscribe(c->mqtt, &topic, 1), ERR_BUSY);
    mqtt_disconnect(c->mqtt);
    mqtt_service(c->mqtt, NULL);
    CU_ASSERT_EQUAL(c->downs, 0);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, "ftp://h", &em), ERR_USAGE);
    b = real_broker_start("allow_anonymous true");
    client_up(1, &b, NULL);
    CU_ASSERT_EQUAL(mqtt_connect(clients[1].mqtt, b.url, &em), ERR_BUSY);
    end(&b);
}

/* Mosquitto opens one listener after the other, and the fixture has waited for the first. */
static bool listens(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    bool done = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return done;
}

static void test_a_broker_is_reached_through_a_unix_socket(void)
{
    struct tree_path folder = tree_new();
    struct tree_path path = tree_join(&folder, "sock");
    char conf[2 * FILE_PATH_MAX], url[FILE_PATH_MAX + 16];
    snprintf(conf, sizeof conf, "allow_anonymous true\nlistener 0 %s\n", path.text);
    snprintf(url, sizeof url, "unix://%s", path.text);
    struct real_broker b = real_broker_start(conf);
    WAIT(listens(path.text));
    struct client *c = client_new(0, NULL);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
    WAIT(c->ups == 1);
    subscribe(c, "t");
    CU_ASSERT_TRUE(mqtt_publish(c->mqtt, "t", span_text("x"), 1, false) > 0);
    WAIT(c->messages == 1 && c->acks == 1);
    end(&b);
    c = client_new(0, NULL);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, "unix:///nowhere", NULL), 0);
    WAIT(c->downs == 1);
    end(&b);
    tree_free(&folder);
}

/* A listening socket at the path; who connects to it talks to the test. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tree_must(strlen(path) < sizeof address.sun_path, path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
    return fd;
}

/* Sends messages with QoS 1 until nobody has taken any for a while, or `max` were sent. */
static int talk(int fd, int max)
{
    static const char message[] = "\x32\x67\x00\x01t\x00\x07" /* and 98 bytes more */
                                  "------------------------------------------------"
                                  "--------------------------------------------------";
    int sent = 0;
    for (int idle = 0; sent < max && idle < 30;) {
        ssize_t n = send(fd, message, sizeof message - 1, MSG_DONTWAIT);
        CU_ASSERT_TRUE(n == -1 || n == sizeof message - 1);
        sent += n > 0;
        idle = n > 0 ? 0 : idle + 1;
        if (n < 0)
            turn();
    }
    return sent;
}

/* What the library answers must not pile up where nobody reads it. */
static void test_broker_that_talks_without_listening_is_not_listened_to(void)
{
    struct real_broker none = {0};
    struct tree_path folder = tree_new();
    struct tree_path path = tree_join(&folder, "sock");
    char url[FILE_PATH_MAX + 16], heard[65536];
    int door = listen_at(path.text);
    struct client *c = client_new(0, NULL);
    snprintf(url, sizeof url, "unix://%s", path.text);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, url, NULL), 0);
    int fd = accept(door, NULL, NULL);
    CU_ASSERT_EQUAL(send(fd, "\x20\x02\x00\x00", 4, 0), 4);
    WAIT(c->ups == 1);
    int sent = talk(fd, 1000000);
    CU_ASSERT_TRUE(sent > 1000 && sent < 50000);
    int before = c->messages;
    /* As soon as it listens, it is listened to. */
    for (int i = 0; i < 200; i++) {
        while (recv(fd, heard, sizeof heard, MSG_DONTWAIT) > 0)
            ;
        turn();
    }
    CU_ASSERT_EQUAL(c->messages, sent);
    CU_ASSERT_TRUE(before < sent);
    CU_ASSERT_EQUAL(talk(fd, 500), 500);
    CU_ASSERT_EQUAL(c->downs, 0);
    close(fd);
    close(door);
    end(&none);
    tree_free(&folder);
}

static void test_urls_are_taken_apart(void)
{
    static const struct {
        const char *url;
        enum mqtt_scheme scheme;
        const char *host;
        int port;
    } good[] = {
        {"mqtt://localhost", MQTT_PLAIN, "localhost", 1883},
        {"mqtt://a.b:1", MQTT_PLAIN, "a.b", 1},
        {"mqtt://127.0.0.1:65535", MQTT_PLAIN, "127.0.0.1", 65535},
        {"mqtt://[::1]:1884", MQTT_PLAIN, "::1", 1884},
        {"mqtt://[fe80::1]", MQTT_PLAIN, "fe80::1", 1883},
        {"mqtts://h", MQTT_TLS, "h", 8883},
        {"mqtts://h:1883", MQTT_TLS, "h", 1883},
        {"unix:///run/a b:c", MQTT_UNIX, "/run/a b:c", 0},
    };
    static const char *const bad[] = {
        "",
        "localhost",
        "localhost:1883",
        "mqttss://h",
        "ws://h",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://h:0",
        "mqtt://h:65536",
        "mqtt://h:",
        "mqtt://h:x",
        "mqtt://h:1/",
        "mqtt://h/",
        "mqtt://u@h",
        "mqtt://[::1",
        "mqtt://h:+1",
        "mqtt://h: 1",
        "mqtt://[::1]x",
        "unix://",
        "unix://here",
    };
    struct mqtt_url out;
    char longer[MQTT_HOST_MAX + 16] = "unix:///";
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CU_ASSERT_EQUAL(mqtt_parse_url(good[i].url, &out, NULL), 0);
        CU_ASSERT_EQUAL(out.scheme, good[i].scheme);
        CU_ASSERT_STRING_EQUAL(out.host, good[i].host);
        CU_ASSERT_EQUAL(out.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct errmsg em = {""};
        CU_ASSERT_EQUAL(mqtt_parse_url(bad[i], &out, &em), ERR_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, bad[i]));
    }
    memset(longer + strlen(longer), 'x', MQTT_HOST_MAX - 1);
    CU_ASSERT_EQUAL(mqtt_parse_url(longer, &out, NULL), 0);
    strcat(longer, "x");
    CU_ASSERT_EQUAL(mqtt_parse_url(longer, &out, NULL), ERR_USAGE);
    snprintf(longer, sizeof longer, "mqtt://%0256d", 7);
    CU_ASSERT_EQUAL(mqtt_parse_url(longer, &out, NULL), ERR_USAGE);
}

static const struct suite_test tests[] = {
    TEST(test_connected_clients_talk),
    TEST(test_retained_message_reaches_a_late_subscriber),
    TEST(test_lost_link_sends_the_last_will_and_is_told_once),
    TEST(test_will_is_the_one_set_before_connecting),
    TEST(test_goodbye_sends_what_is_queued_and_no_will),
    TEST(test_killed_broker_is_told_once),
    TEST(test_nobody_there_is_told_once),
    TEST(test_unknown_host_is_told),
    TEST(test_refusing_broker_gives_its_reason),
    TEST(test_refused_subscription_is_a_lost_link),
    TEST(test_broker_that_never_greets_is_given_up),
    TEST(test_persistent_session_keeps_what_came_meanwhile),
    TEST(test_many_messages_in_flight_are_all_acknowledged),
    TEST(test_payload_of_a_chunk_passes_and_a_larger_one_does_not),
    TEST(test_handler_may_publish),
    TEST(test_handler_may_disconnect_and_hears_nothing_more),
    TEST(test_handler_may_disconnect_and_connect_again),
    TEST(test_handler_may_free),
    TEST(test_down_handler_may_connect_again),
    TEST(test_connection_takes_three_descriptors),
    TEST(test_what_needs_a_connection_says_so),
    TEST(test_a_broker_is_reached_through_a_unix_socket),
    TEST(test_broker_that_talks_without_listening_is_not_listened_to),
    TEST(test_urls_are_taken_apart),
};

SUITE_MAIN("mqtt", tests)
