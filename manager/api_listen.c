#include "manager/api_listen.h"

#include "base/file.h"
#include "manager/api_tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int bind_local(const char *path, struct errmsg *em);
static int bind_remote(const char *host, int *port, struct errmsg *em);
static int bind_address(const struct addrinfo *address);
static int port_of(int fd);

/* An external loop, in which an answer may wait. */
#define FLAGS (MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME)

struct MHD_Daemon *api_listen_local(const char *path, const struct api_hooks *hooks,
                                    struct errmsg *em)
{
    int fd = bind_local(path, em);
    if (fd < 0)
        return NULL;
    struct MHD_Daemon *http = MHD_start_daemon(
        FLAGS, 0, NULL, NULL, hooks->request, hooks->context, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, hooks->completed, hooks->context, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_SILENCE_S_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY, MHD_OPTION_END);
    if (!http) {
        errmsg_set(em, ERR_IO, "%s: cannot serve HTTP: %s", path, strerror(errno));
        close(fd);
    }
    return http;
}

static int bind_local(const char *path, struct errmsg *em)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return errmsg_set(em, ERR_RANGE,
                          "%s: a socket's path has at most %zu bytes; choose a shorter folder",
                          path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path);
    mode_t before = umask(0177);
    bool bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    if (bound && listen(fd, API_CONNECTIONS_MAX) == 0)
        return fd;
    int rv = errmsg_set(em, file_error(errno), "%s: cannot listen: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rv;
}

struct MHD_Daemon *api_listen_remote(const char *host, int *port, const struct api_hooks *hooks,
                                     struct errmsg *em)
{
    if (MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK) != MHD_YES) {
        errmsg_set(em, ERR_IO, "--api: this libmicrohttpd was built without TLS");
        return NULL;
    }
    int fd = bind_remote(host, port, em);
    if (fd < 0)
        return NULL;
    struct MHD_Daemon *http = MHD_start_daemon(
        FLAGS | MHD_USE_TLS, 0, hooks->admit, hooks->context, hooks->request, hooks->context,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, hooks->completed, hooks->context,
        MHD_OPTION_NOTIFY_CONNECTION, hooks->notified, hooks->context, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)API_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)API_CONNECTIONS_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)API_SILENCE_S_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)API_CONNECTION_MEMORY, MHD_OPTION_HTTPS_CERT_CALLBACK, api_tls_retrieve,
        MHD_OPTION_HTTPS_PRIORITIES, API_TLS_PRIORITIES, MHD_OPTION_END);
    if (!http) {
        errmsg_set(em, ERR_IO, "--api %s:%d: cannot serve HTTPS: %s", host, *port, strerror(errno));
        close(fd);
    }
    return http;
}

static int bind_remote(const char *host, int *port, struct errmsg *em)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", *port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0)
        return errmsg_set(em, ERR_NOT_FOUND, "--api %s: %s", host, gai_strerror(code));
    int fd = bind_address(found);
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return errmsg_set(em, ERR_IO, "--api %s:%d: cannot listen: %s", host, *port,
                          strerror(reason));
    *port = port_of(fd);
    return fd;
}

/* -1 with errno. After a restart connections of the last run may still linger on the port. */
static int bind_address(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(fd, API_CONNECTIONS_MAX) == 0)
        return fd;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}
