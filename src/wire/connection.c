/*
 * Connections: opening, listening, closing.
 */
#include "wire/connection.h"

#include <string.h>

#include "base/port_status.h"

/* ---- life ---- */

static nnd_status create(nnd_port_fd fd, const nnd_wire_options *options, nnd_wire **out)
{
    nnd_wire *wire = nnd_calloc(1, sizeof(*wire));
    if (!wire) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory for a connection");
    int rc = nnd_port_wake_init(&wire->wake);
    if (rc != 0) {
        nnd_free(wire);
        return nnd_error_from_port(rc, "wire: cannot set up the connection", NULL);
    }
    rc = nnd_port_mutex_init(&wire->send_lock);
    if (rc == 0) rc = nnd_port_mutex_init(&wire->lease_lock);
    if (rc == 0) rc = nnd_port_socket_set_nonblocking(fd, true);
    if (rc != 0) {
        nnd_port_wake_fini(&wire->wake);
        nnd_free(wire);
        return nnd_error_from_port(rc, "wire: cannot set up the connection", NULL);
    }
    atomic_init(&wire->refs, 1);
    wire->fd = fd;
    wire->max_body = options->max_body ? options->max_body : (uint64_t)1 << 30;
    *out = wire;
    return NND_OK;
}

void wire_unref(nnd_wire *wire)
{
    if (atomic_fetch_sub(&wire->refs, 1) != 1) return;
    nnd_port_wake_fini(&wire->wake);
    nnd_port_mutex_fini(&wire->send_lock);
    nnd_port_mutex_fini(&wire->lease_lock);
    nnd_vec_free(&wire->outbox);
    nnd_vec_free(&wire->leases);
    nnd_vec_free(&wire->releases);
    nnd_free(wire->peer_name);
    nnd_free(wire);
}

void wire_die(nnd_wire *wire)
{
    atomic_store(&wire->closed, true);
    nnd_port_socket_shutdown(wire->fd);
    nnd_port_wake_signal(&wire->wake);
}

void nnd_wire_close(nnd_wire *wire)
{
    if (!wire || atomic_load(&wire->closed)) return;
    /* Good manners only: a peer that does not read will see the end of the stream instead. */
    if (nnd_port_mutex_try_lock(&wire->send_lock)) {
        uint8_t bye[WIRE_HEAD_SIZE];
        size_t sent;
        wire_head head = {.kind = NND_WIRE_BYE};
        wire_head_write(&head, bye);
        if (wire->outbox.count == 0) {
            (void)nnd_port_socket_send(wire->fd, bye, sizeof(bye), NULL, 0, &sent);
        }
        nnd_port_mutex_unlock(&wire->send_lock);
    }
    wire_die(wire);
}

void nnd_wire_destroy(nnd_wire *wire)
{
    if (!wire) return;
    nnd_wire_close(wire);
    wire_frame_done(wire);
    wire_lease_drop_all(wire);
    /* Reports of mappings that are still held find the connection closed. */
    nnd_port_mutex_lock(&wire->send_lock);
    nnd_port_fd_close(wire->fd);
    wire->fd = NND_PORT_NO_FD;
    nnd_port_mutex_unlock(&wire->send_lock);
    wire_unref(wire);
}

const char *nnd_wire_peer_name(const nnd_wire *wire)
{
    return wire->peer_name;
}

bool nnd_wire_has(const nnd_wire *wire, const char *capability)
{
    uint32_t bits = capability ? wire_capabilities_parse(capability) : 0;
    return bits != 0 && (wire->capabilities & bits) == bits;
}

/* ---- opening ---- */

/* Takes the descriptor over, also on failure. */
static nnd_status open_socket(nnd_port_fd fd, const nnd_wire_options *options,
                              const nnd_cancel *cancel, nnd_wire **out)
{
    static const nnd_wire_options defaults = NND_WIRE_OPTIONS_INIT;
    if (!options) options = &defaults;
    nnd_wire *wire = NULL;
    nnd_status status = NND_OK;
    if (options->size < sizeof(*options)) {
        status =
            nnd_error_set(NND_E_INVALID_ARGUMENT, "wire options begin with NND_WIRE_OPTIONS_INIT");
    }
    if (status == NND_OK) status = create(fd, options, &wire);
    if (status != NND_OK) {
        nnd_port_fd_close(fd);
        return status;
    }
    status = wire_hello(wire, options, cancel);
    if (status != NND_OK) {
        nnd_wire_destroy(wire);
        return status;
    }
    *out = wire;
    return NND_OK;
}

nnd_status nnd_wire_pair(int fds[2])
{
    nnd_port_fd pair[2];
    NND_TRY(nnd_error_from_port(nnd_port_socket_pair(pair), "wire: cannot make a pair of sockets",
                                NULL));
    fds[0] = (int)pair[0];
    fds[1] = (int)pair[1];
    return NND_OK;
}

nnd_status nnd_wire_open_fd(int fd, const nnd_wire_options *options, nnd_wire **out)
{
    if (fd < 0) return nnd_error_set(NND_E_INVALID_ARGUMENT, "wire: %d is no descriptor", fd);
    return open_socket(fd, options, NULL, out);
}

static nnd_status check_port(int port)
{
    if (port >= 0 && port <= 65535) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "wire: port %d is outside 0…65535", port);
}

nnd_status nnd_wire_connect_tcp(const char *host, int port, const nnd_wire_options *options,
                                nnd_wire **out)
{
    enum { DEFAULT_SECONDS = 5 };
    NND_TRY(check_port(port));
    int64_t limit = options && options->hello_timeout_ns > 0
                        ? options->hello_timeout_ns
                        : DEFAULT_SECONDS * INT64_C(1000000000);
    int64_t now = nnd_clock_now();
    nnd_port_fd fd;
    int rc = nnd_port_tcp_connect(host, (uint16_t)port,
                                  now > INT64_MAX - limit ? INT64_MAX : now + limit, &fd);
    NND_TRY(nnd_error_from_port(rc, "wire: cannot connect to", host ? host : "the loopback"));
    return open_socket(fd, options, NULL, out);
}

/* ---- listening ---- */

struct nnd_wire_listener {
    nnd_port_fd fd;
    int port;
    nnd_port_wake wake;
};

nnd_status nnd_wire_listen_tcp(const char *host, int port, nnd_wire_listener **out)
{
    NND_TRY(check_port(port));
    nnd_wire_listener *listener = nnd_calloc(1, sizeof(*listener));
    if (!listener) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory for a listener");
    uint16_t bound = 0;
    int rc = nnd_port_wake_init(&listener->wake);
    if (rc == 0)
        rc = nnd_port_tcp_listen(host, (uint16_t)port, &listener->fd);
    else
        listener->wake.fd = listener->wake.writer = NND_PORT_NO_FD;
    if (rc != 0) listener->fd = NND_PORT_NO_FD;
    if (rc == 0) rc = nnd_port_tcp_port(listener->fd, &bound);
    if (rc != 0) {
        nnd_wire_listener_destroy(listener);
        return nnd_error_from_port(rc, "wire: cannot listen on", host ? host : "the loopback");
    }
    listener->port = bound;
    *out = listener;
    return NND_OK;
}

int nnd_wire_listener_port(const nnd_wire_listener *listener)
{
    return listener->port;
}

void nnd_wire_listener_destroy(nnd_wire_listener *listener)
{
    if (!listener) return;
    nnd_port_fd_close(listener->fd);
    nnd_port_wake_fini(&listener->wake);
    nnd_free(listener);
}

static void wake_listener(void *user)
{
    nnd_port_wake_signal(&((nnd_wire_listener *)user)->wake);
}

static nnd_status wait_for_peer(nnd_wire_listener *listener, const nnd_cancel *cancel,
                                nnd_port_fd *fd)
{
    for (;;) {
        nnd_status status = nnd_cancel_check(cancel);
        if (status != NND_OK) return nnd_error_set(status, "wire: waiting for a peer was stopped");
        int rc = nnd_port_tcp_accept(listener->fd, 0, fd);
        if (rc == NND_PORT_OK) return NND_OK;
        if (rc != NND_PORT_E_TIMEOUT && rc != NND_PORT_E_AGAIN) {
            return nnd_error_from_port(rc, "wire: cannot accept a peer", NULL);
        }
        nnd_port_poll items[] = {{listener->fd, NND_PORT_POLL_IN, 0},
                                 {listener->wake.fd, NND_PORT_POLL_IN, 0}};
        int64_t deadline = cancel ? nnd_cancel_deadline(cancel) : NND_PORT_FOREVER;
        (void)nnd_port_poll_wait(items, 2, deadline, NULL);
        nnd_port_wake_drain(&listener->wake);
    }
}

nnd_status nnd_wire_accept(nnd_wire_listener *listener, const nnd_wire_options *options,
                           const nnd_cancel *cancel, nnd_wire **out)
{
    /* A token is const to those who only look at it; a callback is no change of its meaning. */
    nnd_cancel *token = (nnd_cancel *)(uintptr_t)cancel;
    uint64_t id = token ? nnd_cancel_on(token, wake_listener, listener) : 0;
    if (token && id == 0) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory to wait");
    nnd_port_fd fd;
    nnd_status status = wait_for_peer(listener, cancel, &fd);
    if (token) nnd_cancel_forget(token, id);
    NND_TRY(status);
    return open_socket(fd, options, cancel, out);
}
