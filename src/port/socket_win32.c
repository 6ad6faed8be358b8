/* Sockets and polling on Windows. Every nnd_port_fd is a Winsock socket there: a pair and a wake
   are made from a loopback connection, and shared memory by descriptor is not supported. */
#include "port/internal.h"

#if defined(_WIN32)

#include <winsock2.h>
#include <ws2tcpip.h>

#include <limits.h>
#include <string.h>

static nnd_port_once start_once = NND_PORT_ONCE_INIT;
static int start_result;

static void start(void)
{
    WSADATA data;
    start_result = WSAStartup(MAKEWORD(2, 2), &data) == 0 ? 0 : NND_PORT_E_UNSUPPORTED;
}

int nnd_port_sockets_start(void)
{
    nnd_port_once_run(&start_once, start);
    return start_result;
}

static int from_wsa(int code)
{
    switch (code) {
    case 0:
        return NND_PORT_OK;
    case WSAEWOULDBLOCK:
        return NND_PORT_E_AGAIN;
    case WSAECONNRESET:
    case WSAECONNABORTED:
    case WSAESHUTDOWN:
    case WSAEDISCON:
        return NND_PORT_E_CLOSED;
    case WSAECONNREFUSED:
        return NND_PORT_E_REFUSED;
    case WSAETIMEDOUT:
        return NND_PORT_E_TIMEOUT;
    case WSAEADDRINUSE:
        return NND_PORT_E_EXISTS;
    case WSAEACCES:
        return NND_PORT_E_ACCESS;
    case WSAEMFILE:
        return NND_PORT_E_LIMIT;
    case WSAEINVAL:
    case WSAENOTSOCK:
    case WSAEBADF:
        return NND_PORT_E_INVALID;
    case WSAHOST_NOT_FOUND:
    case WSANO_DATA:
        return NND_PORT_E_NOT_FOUND;
    case WSA_NOT_ENOUGH_MEMORY:
    case WSAENOBUFS:
        return NND_PORT_E_MEMORY;
    default:
        return NND_PORT_E_IO;
    }
}

static int last_error(void)
{
    return from_wsa(WSAGetLastError());
}

void nnd_port_fd_close(nnd_port_fd fd)
{
    if (fd != NND_PORT_NO_FD) closesocket((SOCKET)fd);
}

int nnd_port_fd_dup(nnd_port_fd fd, nnd_port_fd *out)
{
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW((SOCKET)fd, GetCurrentProcessId(), &info) != 0) return last_error();
    SOCKET copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (copy == INVALID_SOCKET) return last_error();
    *out = (nnd_port_fd)copy;
    return 0;
}

int nnd_port_shm_create(size_t size, nnd_port_fd *out)
{
    (void)size;
    (void)out;
    return NND_PORT_E_UNSUPPORTED;
}

int nnd_port_shm_size(nnd_port_fd fd, size_t *size, bool *fixed)
{
    (void)fd;
    (void)size;
    (void)fixed;
    return NND_PORT_E_UNSUPPORTED;
}

int nnd_port_shm_map(nnd_port_fd fd, size_t size, bool writable, void **out)
{
    (void)fd;
    (void)size;
    (void)writable;
    (void)out;
    return NND_PORT_E_UNSUPPORTED;
}

void nnd_port_shm_unmap(void *data, size_t size)
{
    (void)data;
    (void)size;
}

static int resolve(const char *host, uint16_t port, bool passive, struct addrinfo **out)
{
    char service[8];
    struct addrinfo hints = {0};
    int rc = nnd_port_sockets_start();
    if (rc) return rc;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = passive ? AI_PASSIVE : 0;
    snprintf(service, sizeof(service), "%u", port);
    int code = getaddrinfo(host ? host : "127.0.0.1", service, &hints, out);
    return code == 0 ? 0 : code == WSA_NOT_ENOUGH_MEMORY ? NND_PORT_E_MEMORY : NND_PORT_E_NOT_FOUND;
}

static SOCKET open_socket(const struct addrinfo *address)
{
    return WSASocketW(address->ai_family, address->ai_socktype, address->ai_protocol, NULL, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

int nnd_port_tcp_listen(const char *host, uint16_t port, nnd_port_fd *out)
{
    struct addrinfo *list;
    int rc = resolve(host, port, true, &list);
    if (rc) return rc;
    rc = NND_PORT_E_NOT_FOUND;
    for (struct addrinfo *a = list; a && rc; a = a->ai_next) {
        BOOL on = TRUE;
        SOCKET fd = open_socket(a);
        if (fd == INVALID_SOCKET) {
            rc = last_error();
            continue;
        }
        /* Without it another program could take over the port. */
        setsockopt(fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof(on));
        if (bind(fd, a->ai_addr, (int)a->ai_addrlen) == 0 && listen(fd, 64) == 0) {
            *out = (nnd_port_fd)fd;
            rc = 0;
        } else {
            rc = last_error();
            closesocket(fd);
        }
    }
    freeaddrinfo(list);
    return rc;
}

int nnd_port_tcp_port(nnd_port_fd listener, uint16_t *port)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if (getsockname((SOCKET)listener, (struct sockaddr *)&address, &size) != 0) return last_error();
    if (address.ss_family == AF_INET)
        *port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    else if (address.ss_family == AF_INET6)
        *port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    else
        return NND_PORT_E_INVALID;
    return 0;
}

static void send_at_once(SOCKET fd)
{
    BOOL on = TRUE;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof(on));
}

static int wait_for(nnd_port_fd fd, uint32_t events, int64_t deadline)
{
    nnd_port_poll item = {fd, events, 0};
    return nnd_port_poll_wait(&item, 1, deadline, NULL);
}

int nnd_port_tcp_accept(nnd_port_fd listener, int64_t deadline, nnd_port_fd *out)
{
    for (;;) {
        int rc = wait_for(listener, NND_PORT_POLL_IN, deadline);
        if (rc) return rc;
        SOCKET fd = accept((SOCKET)listener, NULL, NULL);
        if (fd != INVALID_SOCKET) {
            send_at_once(fd);
            *out = (nnd_port_fd)fd;
            return 0;
        }
        int code = WSAGetLastError();
        if (code != WSAECONNRESET && code != WSAEWOULDBLOCK)
            return code == WSAEINVAL ? NND_PORT_E_CLOSED : from_wsa(code);
    }
}

static int connect_one(const struct addrinfo *address, int64_t deadline, nnd_port_fd *out)
{
    SOCKET fd = open_socket(address);
    if (fd == INVALID_SOCKET) return last_error();
    int rc = nnd_port_socket_set_nonblocking((nnd_port_fd)fd, true);
    if (rc == 0 && connect(fd, address->ai_addr, (int)address->ai_addrlen) != 0) {
        int code = WSAGetLastError();
        rc = from_wsa(code);
        if (code == WSAEWOULDBLOCK) {
            int size = sizeof(code);
            rc = wait_for((nnd_port_fd)fd, NND_PORT_POLL_OUT, deadline);
            if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&code, &size) != 0)
                code = WSAGetLastError();
            if (rc == 0) rc = from_wsa(code);
        }
    }
    if (rc == 0) rc = nnd_port_socket_set_nonblocking((nnd_port_fd)fd, false);
    if (rc) {
        closesocket(fd);
        return rc;
    }
    send_at_once(fd);
    *out = (nnd_port_fd)fd;
    return 0;
}

int nnd_port_tcp_connect(const char *host, uint16_t port, int64_t deadline, nnd_port_fd *out)
{
    struct addrinfo *list;
    int rc = resolve(host, port, false, &list);
    if (rc) return rc;
    rc = NND_PORT_E_NOT_FOUND;
    for (struct addrinfo *a = list; a && rc && rc != NND_PORT_E_TIMEOUT; a = a->ai_next)
        rc = connect_one(a, deadline, out);
    freeaddrinfo(list);
    return rc;
}

/* A stranger may connect to the listener first: the ports have to match. */
static bool are_connected(SOCKET a, SOCKET b)
{
    struct sockaddr_in local = {0}, peer = {0};
    int size = sizeof(local);
    if (getsockname(a, (struct sockaddr *)&local, &size) != 0) return false;
    size = sizeof(peer);
    if (getpeername(b, (struct sockaddr *)&peer, &size) != 0) return false;
    return local.sin_port == peer.sin_port;
}

int nnd_port_socket_pair(nnd_port_fd out[2])
{
    nnd_port_fd listener, one = NND_PORT_NO_FD, two = NND_PORT_NO_FD;
    uint16_t port;
    int64_t deadline = nnd_port_now() + INT64_C(10000000000);
    int rc = nnd_port_tcp_listen(NULL, 0, &listener);
    if (rc) return rc;
    rc = nnd_port_tcp_port(listener, &port);
    if (rc == 0) rc = nnd_port_tcp_connect(NULL, port, deadline, &one);
    if (rc == 0) rc = nnd_port_tcp_accept(listener, deadline, &two);
    if (rc == 0 && !are_connected((SOCKET)one, (SOCKET)two)) rc = NND_PORT_E_ACCESS;
    nnd_port_fd_close(listener);
    if (rc) {
        nnd_port_fd_close(one);
        nnd_port_fd_close(two);
        return rc;
    }
    out[0] = one;
    out[1] = two;
    return 0;
}

int nnd_port_socket_set_nonblocking(nnd_port_fd fd, bool on)
{
    u_long mode = on;
    return ioctlsocket((SOCKET)fd, (long)FIONBIO, &mode) == 0 ? 0 : last_error();
}

int nnd_port_socket_shutdown(nnd_port_fd fd)
{
    return shutdown((SOCKET)fd, SD_BOTH) == 0 ? 0 : last_error();
}

bool nnd_port_socket_passes_fds(nnd_port_fd fd)
{
    (void)fd;
    return false;
}

int nnd_port_socket_send(nnd_port_fd fd, const void *data, size_t size, const nnd_port_fd *fds,
                         size_t fd_count, size_t *sent)
{
    (void)fds;
    if (fd_count > 0) return NND_PORT_E_UNSUPPORTED;
    int n = send((SOCKET)fd, data, size > INT_MAX ? INT_MAX : (int)size, 0);
    if (n < 0) return last_error();
    *sent = (size_t)n;
    return 0;
}

int nnd_port_socket_recv(nnd_port_fd fd, void *data, size_t size, nnd_port_fd *fds,
                         size_t *fd_count, size_t *received)
{
    (void)fds;
    if (size == 0) return NND_PORT_E_INVALID;
    int n = recv((SOCKET)fd, data, size > INT_MAX ? INT_MAX : (int)size, 0);
    if (n < 0) return last_error();
    if (fd_count) *fd_count = 0;
    if (n == 0) return NND_PORT_E_CLOSED;
    *received = (size_t)n;
    return 0;
}

static int poll_timeout(int64_t deadline)
{
    if (deadline == NND_PORT_FOREVER) return -1;
    int64_t left = deadline - nnd_port_now();
    if (deadline < 0 || left <= 0) return 0;
    int64_t ms = left / 1000000 + (left % 1000000 != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static size_t take_results(nnd_port_poll *items, const WSAPOLLFD *fds, size_t count)
{
    size_t ready = 0;
    for (size_t i = 0; i < count; i++) {
        short got = fds[i].fd == INVALID_SOCKET ? 0 : fds[i].revents;
        items[i].ready = 0;
        if (got & POLLRDNORM) items[i].ready |= NND_PORT_POLL_IN;
        if (got & POLLWRNORM) items[i].ready |= NND_PORT_POLL_OUT;
        if (got & (POLLHUP | POLLERR | POLLNVAL)) items[i].ready |= NND_PORT_POLL_HANGUP;
        if (items[i].ready) ready++;
    }
    return ready;
}

static int poll_until(nnd_port_poll *items, WSAPOLLFD *fds, size_t count, int64_t deadline,
                      size_t *ready)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || fds[i].fd != INVALID_SOCKET;
    for (;;) {
        int timeout = poll_timeout(deadline), n = 0;
        if (any)
            n = WSAPoll(fds, (ULONG)count, timeout);
        else
            Sleep(timeout < 0 ? INFINITE : (DWORD)timeout); /* WSAPoll refuses an empty list */
        if (n < 0) return last_error();
        *ready = n > 0 ? take_results(items, fds, count) : 0;
        if (*ready > 0) return 0;
        if (timeout >= 0 && nnd_port_now() >= deadline) return NND_PORT_E_TIMEOUT;
    }
}

int nnd_port_poll_wait(nnd_port_poll *items, size_t count, int64_t deadline, size_t *ready_count)
{
    enum { FEW = 16 };
    WSAPOLLFD few[FEW], *fds = few;
    size_t ready = 0;
    int rc = nnd_port_sockets_start();
    if (rc) return rc;
    if (count > FEW) {
        if (count > ULONG_MAX / sizeof(*fds)) return NND_PORT_E_INVALID;
        fds = nnd_port_alloc(count * sizeof(*fds));
        if (!fds) return NND_PORT_E_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].ready = 0;
        fds[i].fd = items[i].fd == NND_PORT_NO_FD ? INVALID_SOCKET : (SOCKET)items[i].fd;
        fds[i].revents = 0;
        fds[i].events = (short)((items[i].events & NND_PORT_POLL_IN ? POLLRDNORM : 0) |
                                (items[i].events & NND_PORT_POLL_OUT ? POLLWRNORM : 0));
    }
    rc = poll_until(items, fds, count, deadline, &ready);
    if (fds != few) nnd_port_free(fds);
    if (rc == 0 && ready_count) *ready_count = ready;
    return rc;
}

int nnd_port_wake_init(nnd_port_wake *wake)
{
    nnd_port_fd pair[2];
    int rc = nnd_port_socket_pair(pair);
    if (rc) return rc;
    rc = nnd_port_socket_set_nonblocking(pair[0], true);
    if (rc == 0) rc = nnd_port_socket_set_nonblocking(pair[1], true);
    if (rc) {
        nnd_port_fd_close(pair[0]);
        nnd_port_fd_close(pair[1]);
        return rc;
    }
    wake->fd = pair[0];
    wake->writer = pair[1];
    return 0;
}

void nnd_port_wake_fini(nnd_port_wake *wake)
{
    nnd_port_fd_close(wake->fd);
    nnd_port_fd_close(wake->writer);
    wake->fd = wake->writer = NND_PORT_NO_FD;
}

void nnd_port_wake_signal(nnd_port_wake *wake)
{
    /* A full buffer is a wake already. */
    (void)send((SOCKET)wake->writer, "w", 1, 0);
}

void nnd_port_wake_drain(nnd_port_wake *wake)
{
    char bytes[256];
    while (recv((SOCKET)wake->fd, bytes, sizeof(bytes), 0) > 0) {}
}

#endif
