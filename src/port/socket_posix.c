/* Descriptors, shared memory, sockets and polling on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif
#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif
#if !defined(MSG_CMSG_CLOEXEC)
#define MSG_CMSG_CLOEXEC 0
#endif

void nnd_port_fd_close(nnd_port_fd fd)
{
    if (fd != NND_PORT_NO_FD) close((int)fd);
}

int nnd_port_fd_dup(nnd_port_fd fd, nnd_port_fd *out)
{
    int copy = fcntl((int)fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return nnd_port_from_errno(errno);
    *out = copy;
    return 0;
}

/* ---- shared memory ---- */

static int open_anonymous(void)
{
#if defined(__linux__) && defined(MFD_ALLOW_SEALING)
    int fd = memfd_create("nndeploy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 || errno != ENOSYS) return fd;
#endif
    /* A named object that loses its name at once. */
    char *name;
    if (nnd_port_temp_name("/nnd", &name)) {
        errno = ENOMEM;
        return -1;
    }
    int shared = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    int code = errno;
    if (shared >= 0) {
        shm_unlink(name);
        fcntl(shared, F_SETFD, FD_CLOEXEC);
    }
    nnd_port_free(name);
    errno = code;
    return shared;
}

int nnd_port_shm_create(size_t size, nnd_port_fd *out)
{
    if (size == 0 || (uint64_t)size > (uint64_t)INT64_MAX) return NND_PORT_E_INVALID;
    int fd = open_anonymous();
    if (fd < 0) return nnd_port_from_errno(errno);
    if (ftruncate(fd, (off_t)size) != 0) {
        int rc = nnd_port_from_errno(errno);
        close(fd);
        return rc;
    }
#if defined(F_ADD_SEALS)
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
#endif
    *out = fd;
    return 0;
}

int nnd_port_shm_size(nnd_port_fd fd, size_t *size, bool *fixed)
{
    struct stat st;
    if (fstat((int)fd, &st) != 0) return nnd_port_from_errno(errno);
    if (st.st_size < 0 || (uint64_t)st.st_size > SIZE_MAX) return NND_PORT_E_LIMIT;
    *size = (size_t)st.st_size;
    if (fixed) {
#if defined(F_GET_SEALS)
        int seals = fcntl((int)fd, F_GET_SEALS);
        *fixed = seals >= 0 && (seals & F_SEAL_SHRINK);
#else
        *fixed = false;
#endif
    }
    return 0;
}

int nnd_port_shm_map(nnd_port_fd fd, size_t size, bool writable, void **out)
{
    int access = PROT_READ | (writable ? PROT_WRITE : 0);
    void *data = mmap(NULL, size, access, MAP_SHARED, (int)fd, 0);
    if (data == MAP_FAILED) return nnd_port_from_errno(errno);
    *out = data;
    return 0;
}

void nnd_port_shm_unmap(void *data, size_t size)
{
    if (data) munmap(data, size);
}

/* ---- sockets ---- */

/* What the kernel could not set together with the call that made the descriptor. */
static void set_up_socket(int fd)
{
#if !defined(__linux__)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
#if defined(SO_NOSIGPIPE)
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    (void)fd;
}

#if defined(__linux__)
#define TYPE_FLAGS SOCK_CLOEXEC
#else
#define TYPE_FLAGS 0
#endif

int nnd_port_socket_pair(nnd_port_fd out[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | TYPE_FLAGS, 0, fds) != 0)
        return nnd_port_from_errno(errno);
    for (int i = 0; i < 2; i++) {
        set_up_socket(fds[i]);
        out[i] = fds[i];
    }
    return 0;
}

static int resolve(const char *host, uint16_t port, bool passive, struct addrinfo **out)
{
    char service[8];
    struct addrinfo hints = {0};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
    snprintf(service, sizeof(service), "%u", port);
    int code = getaddrinfo(host ? host : "127.0.0.1", service, &hints, out);
    if (code == 0) return 0;
    if (code == EAI_MEMORY) return NND_PORT_E_MEMORY;
    return code == EAI_SYSTEM ? nnd_port_from_errno(errno) : NND_PORT_E_NOT_FOUND;
}

static int open_socket(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, address->ai_socktype | TYPE_FLAGS, address->ai_protocol);
    if (fd >= 0) set_up_socket(fd);
    return fd;
}

int nnd_port_tcp_listen(const char *host, uint16_t port, nnd_port_fd *out)
{
    struct addrinfo *list;
    int rc = resolve(host, port, true, &list);
    if (rc) return rc;
    rc = NND_PORT_E_NOT_FOUND;
    for (struct addrinfo *a = list; a && rc; a = a->ai_next) {
        int on = 1;
        int fd = open_socket(a);
        if (fd < 0) {
            rc = nnd_port_from_errno(errno);
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 64) == 0) {
            *out = fd;
            rc = 0;
        } else {
            rc = errno == EADDRINUSE ? NND_PORT_E_EXISTS : nnd_port_from_errno(errno);
            close(fd);
        }
    }
    freeaddrinfo(list);
    return rc;
}

int nnd_port_tcp_port(nnd_port_fd listener, uint16_t *port)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    if (getsockname((int)listener, (struct sockaddr *)&address, &size) != 0)
        return nnd_port_from_errno(errno);
    if (address.ss_family == AF_INET)
        *port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    else if (address.ss_family == AF_INET6)
        *port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    else
        return NND_PORT_E_INVALID;
    return 0;
}

static int wait_for(int fd, uint32_t events, int64_t deadline)
{
    nnd_port_poll item = {fd, events, 0};
    return nnd_port_poll_wait(&item, 1, deadline, NULL);
}

static void send_at_once(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int nnd_port_tcp_accept(nnd_port_fd listener, int64_t deadline, nnd_port_fd *out)
{
    for (;;) {
        int rc = wait_for((int)listener, NND_PORT_POLL_IN, deadline);
        if (rc) return rc;
#if defined(__linux__)
        int fd = accept4((int)listener, NULL, NULL, SOCK_CLOEXEC);
#else
        int fd = accept((int)listener, NULL, NULL);
#endif
        if (fd >= 0) {
            set_up_socket(fd);
            send_at_once(fd);
            *out = fd;
            return 0;
        }
        /* The peer may have gone again; a shut-down listener fails for good. */
        if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
            return errno == EINVAL ? NND_PORT_E_CLOSED : nnd_port_from_errno(errno);
    }
}

static int connect_one(const struct addrinfo *address, int64_t deadline, nnd_port_fd *out)
{
    int fd = open_socket(address);
    if (fd < 0) return nnd_port_from_errno(errno);
    int rc = nnd_port_socket_set_nonblocking(fd, true);
    if (rc == 0 && connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno == EINPROGRESS || errno == EINTR) {
            int code = 0;
            socklen_t size = sizeof(code);
            rc = wait_for(fd, NND_PORT_POLL_OUT, deadline);
            if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
            if (rc == 0) rc = nnd_port_from_errno(code);
        } else {
            rc = nnd_port_from_errno(errno);
        }
    }
    if (rc == 0) rc = nnd_port_socket_set_nonblocking(fd, false);
    if (rc) {
        close(fd);
        return rc;
    }
    send_at_once(fd);
    *out = fd;
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

int nnd_port_socket_set_nonblocking(nnd_port_fd fd, bool on)
{
    int flags = fcntl((int)fd, F_GETFL);
    if (flags < 0) return nnd_port_from_errno(errno);
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl((int)fd, F_SETFL, flags) == 0 ? 0 : nnd_port_from_errno(errno);
}

int nnd_port_socket_shutdown(nnd_port_fd fd)
{
    return shutdown((int)fd, SHUT_RDWR) == 0 ? 0 : nnd_port_from_errno(errno);
}

bool nnd_port_socket_passes_fds(nnd_port_fd fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    return getsockname((int)fd, (struct sockaddr *)&address, &size) == 0 &&
           address.ss_family == AF_UNIX;
}

/* Room for the control message, aligned as the headers in it need. */
typedef union fd_message {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(NND_PORT_MAX_FDS * sizeof(int))];
} fd_message;

int nnd_port_socket_send(nnd_port_fd fd, const void *data, size_t size, const nnd_port_fd *fds,
                         size_t fd_count, size_t *sent)
{
    if (fd_count > NND_PORT_MAX_FDS || (fd_count > 0 && size == 0)) return NND_PORT_E_INVALID;
    struct iovec piece = {(void *)(uintptr_t)data, size};
    struct msghdr message = {0};
    fd_message control;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (fd_count > 0) {
        int numbers[NND_PORT_MAX_FDS];
        for (size_t i = 0; i < fd_count; i++)
            numbers[i] = (int)fds[i];
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), numbers, fd_count * sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg((int)fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return nnd_port_from_errno(errno);
    *sent = (size_t)n;
    return 0;
}

/* Hands out the descriptors of a received message and closes those without room. */
static void collect_fds(struct msghdr *message, nnd_port_fd *fds, size_t room, size_t *count)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (*count >= room) {
                close(fd);
                continue;
            }
#if !defined(__linux__)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
            fds[(*count)++] = fd;
        }
    }
}

int nnd_port_socket_recv(nnd_port_fd fd, void *data, size_t size, nnd_port_fd *fds,
                         size_t *fd_count, size_t *received)
{
    if (size == 0) return NND_PORT_E_INVALID;
    struct iovec piece = {data, size};
    struct msghdr message = {0};
    fd_message control;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    ssize_t n;
    do {
        n = recvmsg((int)fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return nnd_port_from_errno(errno);
    size_t count = 0;
    collect_fds(&message, fds, fds && fd_count ? *fd_count : 0, &count);
    if (fd_count) *fd_count = count;
    if (n == 0) return NND_PORT_E_CLOSED;
    *received = (size_t)n;
    return 0;
}

/* ---- polling ---- */

/* Milliseconds until the deadline, rounded up so that a wait never ends early; -1 = for ever. */
static int poll_timeout(int64_t deadline)
{
    if (deadline == NND_PORT_FOREVER) return -1;
    int64_t left = deadline - nnd_port_now();
    if (deadline < 0 || left <= 0) return 0;
    int64_t ms = left / 1000000 + (left % 1000000 != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static size_t take_results(nnd_port_poll *items, const struct pollfd *fds, size_t count)
{
    size_t ready = 0;
    for (size_t i = 0; i < count; i++) {
        short got = fds[i].revents;
        items[i].ready = 0;
        if (got & POLLIN) items[i].ready |= NND_PORT_POLL_IN;
        if (got & POLLOUT) items[i].ready |= NND_PORT_POLL_OUT;
        if (got & (POLLHUP | POLLERR | POLLNVAL)) items[i].ready |= NND_PORT_POLL_HANGUP;
        if (items[i].ready) ready++;
    }
    return ready;
}

static int poll_until(nnd_port_poll *items, struct pollfd *fds, size_t count, int64_t deadline,
                      size_t *ready)
{
    for (;;) {
        int timeout = poll_timeout(deadline);
        int n = poll(fds, (nfds_t)count, timeout);
        if (n > 0) {
            *ready = take_results(items, fds, count);
            return 0;
        }
        if (n < 0 && errno != EINTR) return nnd_port_from_errno(errno);
        if (n == 0 && timeout >= 0 && nnd_port_now() >= deadline) return NND_PORT_E_TIMEOUT;
    }
}

int nnd_port_poll_wait(nnd_port_poll *items, size_t count, int64_t deadline, size_t *ready_count)
{
    enum { FEW = 16 };
    struct pollfd few[FEW], *fds = few;
    size_t ready = 0;
    if (count > FEW) {
        if (count > SIZE_MAX / sizeof(*fds)) return NND_PORT_E_INVALID;
        fds = nnd_port_alloc(count * sizeof(*fds));
        if (!fds) return NND_PORT_E_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].ready = 0;
        fds[i].fd = (int)items[i].fd;
        fds[i].revents = 0;
        fds[i].events = (short)((items[i].events & NND_PORT_POLL_IN ? POLLIN : 0) |
                                (items[i].events & NND_PORT_POLL_OUT ? POLLOUT : 0));
    }
    int rc = poll_until(items, fds, count, deadline, &ready);
    if (fds != few) nnd_port_free(fds);
    if (rc == 0 && ready_count) *ready_count = ready;
    return rc;
}

int nnd_port_wake_init(nnd_port_wake *wake)
{
#if defined(__linux__)
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return nnd_port_from_errno(errno);
    wake->fd = wake->writer = fd;
#else
    int fds[2];
    if (pipe(fds) != 0) return nnd_port_from_errno(errno);
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    wake->fd = fds[0];
    wake->writer = fds[1];
#endif
    return 0;
}

void nnd_port_wake_fini(nnd_port_wake *wake)
{
    nnd_port_fd_close(wake->fd);
    if (wake->writer != wake->fd) nnd_port_fd_close(wake->writer);
    wake->fd = wake->writer = NND_PORT_NO_FD;
}

void nnd_port_wake_signal(nnd_port_wake *wake)
{
    int saved = errno; /* a signal handler must not disturb it */
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write((int)wake->writer, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    errno = saved;
}

void nnd_port_wake_drain(nnd_port_wake *wake)
{
    uint64_t counter[8];
    while (read((int)wake->fd, counter, sizeof(counter)) > 0) {}
}

#endif
