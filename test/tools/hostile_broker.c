/* A broker that means no good, on 127.0.0.1:PORT, one client at a time:
 *   endless  greets, then publishes without pause on the topics that it is given, to whoever
 * listens deaf     the same, with QoS 1, and reads nothing that comes back drip     greets, begins
 * a long message, and sends a byte of it in a tenth of a second lure     takes connections and says
 * nothing at all flap     greets, and hangs up at once Each TOPIC is published with random bytes of
 * all sizes; it ends when it is told to. */
#include "bundles/chunk.h"
#include "crypto/random.h"
#include "test/tree.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#define TOPIC_LEN_MAX 200
#define PACKET_LEN_MAX (CHUNK_FRAME_MAX + TOPIC_LEN_MAX + 16)

static uint8_t noise[CHUNK_FRAME_MAX];

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    tree_must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    tree_must(listen(fd, 8) == 0, "listen");
    return fd;
}

/* A PUBLISH with so many random bytes; gives its length. */
static size_t make_message(uint8_t *out, const char *topic, int qos, size_t payload)
{
    size_t name = strlen(topic), left = 2 + name + (qos ? 2 : 0) + payload, len = 0;
    out[len++] = (uint8_t)(0x31 | qos << 1);
    do {
        out[len++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        left >>= 7;
    } while (left > 0);
    out[len++] = (uint8_t)(name >> 8);
    out[len++] = (uint8_t)name;
    for (size_t i = 0; i < name; i++)
        out[len++] = (uint8_t)topic[i];
    if (qos) {
        out[len++] = 1;
        out[len++] = (uint8_t)(payload | 1);
    }
    memcpy(out + len, noise, payload);
    return len + payload;
}

/* All of it, or false when the client has gone. */
static bool send_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void hear(int fd)
{
    uint8_t heard[4096];
    while (recv(fd, heard, sizeof heard, MSG_DONTWAIT) > 0)
        ;
}

static void talk(int fd, int qos, char **topics, int count)
{
    static uint8_t packet[PACKET_LEN_MAX];
    static const size_t sizes[] = {1, 20, 300, 5000, 65536, CHUNK_FRAME_MAX};
    for (size_t i = 0;; i++) {
        size_t payload = sizes[i % (sizeof sizes / sizeof sizes[0])];
        const char *topic = count > 0 ? topics[i % (size_t)count] : "dl1/trust";
        random_bytes(noise, payload < 64 ? payload : 64);
        if (qos == 0)
            hear(fd);
        if (!send_all(fd, packet, make_message(packet, topic, qos, payload)))
            return;
    }
}

static void drip(int fd)
{
    static uint8_t packet[PACKET_LEN_MAX];
    size_t len = make_message(packet, "dl1/trust", 0, CHUNK_MAX);
    for (size_t i = 0; i < len && send_all(fd, packet + i, 1); i++) {
        hear(fd);
        poll(NULL, 0, 100);
    }
}

static void serve(int fd, const char *mode, char **topics, int count)
{
    static const uint8_t connack[] = {0x20, 0x02, 0x00, 0x00};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, 1000);
    if (strcmp(mode, "lure") == 0)
        poll(NULL, 0, -1);
    if (!send_all(fd, connack, sizeof connack) || strcmp(mode, "flap") == 0)
        return;
    if (strcmp(mode, "drip") == 0)
        drip(fd);
    else
        talk(fd, strcmp(mode, "deaf") == 0, topics, count);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: hostile_broker PORT endless|deaf|drip|lure|flap [TOPIC...]\n", stderr);
        return 2;
    }
    int door = listen_on(atoi(argv[1]));
    random_bytes(noise, sizeof noise);
    for (int fd; (fd = accept(door, NULL, NULL)) >= 0; close(fd))
        serve(fd, argv[2], argv + 3, argc - 3);
    return 1;
}
