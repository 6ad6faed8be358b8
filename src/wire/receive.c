/*
 * Receiving: one frame at a time, kept across timeouts; decoding into messages.
 */
#include <string.h>

#include "base/port_status.h"
#include "base/str.h"
#include "data/pack.h"
#include "wire/connection.h"

/* ---- waiting ---- */

static void wake_receiver(void *user)
{
    nnd_port_wake_signal(&((nnd_wire *)user)->wake);
}

static nnd_status stopped(const nnd_wire *wire, const nnd_cancel *cancel, int64_t deadline)
{
    if (atomic_load(&wire->closed)) {
        return nnd_error_set(NND_E_CLOSED, "wire: the connection is closed");
    }
    nnd_status status = nnd_cancel_check(cancel);
    if (status == NND_OK && deadline != NND_NO_DEADLINE && nnd_clock_now() >= deadline) {
        status = NND_E_TIMEOUT;
    }
    return status == NND_OK ? NND_OK : nnd_error_set(status, "wire: receiving was stopped");
}

/* Sleeps until the socket has something, a close, a cancel or the deadline; while reports wait in
   the outbox also until there is room for them. */
static nnd_status wait_readable(nnd_wire *wire, const nnd_cancel *cancel, int64_t deadline)
{
    /* A token is const to those who only look at it; a callback is no change of its meaning. */
    nnd_cancel *token = (nnd_cancel *)(uintptr_t)cancel;
    uint64_t id = token ? nnd_cancel_on(token, wake_receiver, wire) : 0;
    if (token && id == 0) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory to wait");
    if (token && nnd_cancel_deadline(token) < deadline) deadline = nnd_cancel_deadline(token);
    uint32_t wanted = NND_PORT_POLL_IN;
    if (atomic_load(&wire->outbox_waits)) wanted |= NND_PORT_POLL_OUT;
    nnd_port_poll items[] = {{wire->fd, wanted, 0}, {wire->wake.fd, NND_PORT_POLL_IN, 0}};
    int rc = nnd_port_poll_wait(items, 2, deadline, NULL);
    if (token) nnd_cancel_forget(token, id);
    nnd_port_wake_drain(&wire->wake);
    if (rc != NND_PORT_OK && rc != NND_PORT_E_TIMEOUT) {
        return nnd_error_from_port(rc, "wire: cannot wait for the peer", NULL);
    }
    if (items[0].ready & NND_PORT_POLL_OUT) wire_flush(wire);
    return NND_OK;
}

/* 1…size bytes; descriptors that come along join those of the frame. */
static nnd_status read_some(nnd_wire *wire, uint8_t *to, size_t size, const nnd_cancel *cancel,
                            int64_t deadline, size_t *got)
{
    for (;;) {
        NND_TRY(stopped(wire, cancel, deadline));
        size_t fds = NND_PORT_MAX_FDS - wire->fd_count;
        int rc = nnd_port_socket_recv(wire->fd, to, size, wire->fds + wire->fd_count, &fds, got);
        if (rc == NND_PORT_OK) {
            wire->fd_count += fds;
            return NND_OK;
        }
        if (rc == NND_PORT_E_CLOSED) {
            return nnd_error_set(NND_E_CLOSED, wire->head_size
                                                   ? "wire: the connection ended in the "
                                                     "middle of a frame"
                                                   : "wire: the peer ended the connection");
        }
        if (rc != NND_PORT_E_AGAIN) return nnd_error_from_port(rc, "wire: cannot receive", NULL);
        NND_TRY(wait_readable(wire, cancel, deadline));
    }
}

/* ---- frames ---- */

void wire_frame_done(nnd_wire *wire)
{
    while (wire->fd_count > 0)
        nnd_port_fd_close(wire->fds[--wire->fd_count]);
    nnd_buffer_unref(wire->body);
    wire->body = NULL;
    wire->head_size = wire->body_size = 0;
}

/* Checks a complete head and makes room for its body. */
static nnd_status begin_body(nnd_wire *wire)
{
    nnd_status status = wire_head_read(wire->head_bytes, &wire->head);
    if (status != NND_OK) {
        return wire->hello_done ? nnd_error_wrap(NND_E_FORMAT, "wire: malformed frame") : status;
    }
    const wire_head *head = &wire->head;
    uint64_t limit = wire->hello_done ? wire->max_body : WIRE_MAX_HELLO;
    if (head->body > limit) {
        return nnd_error_set(NND_E_LIMIT,
                             "wire: a frame of %llu bytes is larger than the limit of "
                             "%llu",
                             (unsigned long long)head->body, (unsigned long long)limit);
    }
    if (wire->hello_done && (wire_capability_needed(head->kind) & ~wire->capabilities)) {
        return nnd_error_set(NND_E_FORMAT, "wire: the peer sent what was not agreed on (%s)",
                             wire_capability_name(wire_capability_needed(head->kind)));
    }
    if (head->body == 0) return NND_OK;
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = (size_t)head->body;
    return nnd_buffer_create(&desc, &wire->body);
}

static nnd_status read_frame(nnd_wire *wire, const nnd_cancel *cancel, int64_t deadline)
{
    size_t got;
    while (wire->head_size < WIRE_HEAD_SIZE) {
        NND_TRY(read_some(wire, wire->head_bytes + wire->head_size,
                          WIRE_HEAD_SIZE - wire->head_size, cancel, deadline, &got));
        wire->head_size += got;
        if (wire->head_size == WIRE_HEAD_SIZE) NND_TRY(begin_body(wire));
    }
    uint8_t *body = nnd_buffer_data(wire->body);
    while (wire->body_size < wire->head.body) {
        NND_TRY(read_some(wire, body + wire->body_size, (size_t)wire->head.body - wire->body_size,
                          cancel, deadline, &got));
        wire->body_size += got;
    }
    return NND_OK;
}

nnd_status wire_receive_frame(nnd_wire *wire, const nnd_cancel *cancel, int64_t deadline)
{
    nnd_status status = read_frame(wire, cancel, deadline);
    /* After a timeout or a cancel the frame goes on with the next call. */
    if (status != NND_OK && status != NND_E_TIMEOUT && status != NND_E_CANCELLED) {
        wire_die(wire);
        wire_frame_done(wire);
    }
    return status;
}

/* ---- values ---- */

typedef struct incoming {
    nnd_buffer *buffers[NND_PORT_MAX_FDS];
    size_t count;
} incoming;

static nnd_status attached(void *user, uint32_t attachment, nnd_buffer **out)
{
    const incoming *in = user;
    if (attachment >= in->count) {
        return nnd_error_set(NND_E_FORMAT, "wire: attachment %u of %zu", attachment, in->count);
    }
    *out = nnd_buffer_ref(in->buffers[attachment]);
    return NND_OK;
}

static nnd_status import_all(nnd_wire *wire, const uint8_t *prefix, incoming *in)
{
    while (wire->fd_count > in->count) {
        const uint8_t *entry = prefix + 8 + 24 * in->count;
        uint64_t offset = wire_get_u64(entry + 8), bytes = wire_get_u64(entry + 16);
        nnd_port_fd fd = wire->fds[in->count];
        wire->fds[in->count] = NND_PORT_NO_FD; /* taken over */
        if (offset > SIZE_MAX || bytes > SIZE_MAX) {
            nnd_port_fd_close(fd);
            return nnd_error_set(NND_E_OVERFLOW, "wire: an attachment is too large");
        }
        NND_TRY(wire_import(wire, fd, (size_t)offset, (size_t)bytes, wire_get_u64(entry),
                            &in->buffers[in->count]));
        in->count++;
    }
    return NND_OK;
}

static nnd_status read_value(nnd_wire *wire, nnd_value **out)
{
    const uint8_t *body = nnd_buffer_data(wire->body);
    size_t count = wire->body_size >= 8 ? wire_get_u32(body) : 0;
    size_t used = 8 + 24 * (count <= NND_PORT_MAX_FDS ? count : 0);
    size_t prefix = (used + WIRE_PREFIX_ALIGN - 1) / WIRE_PREFIX_ALIGN * WIRE_PREFIX_ALIGN;
    if (count != wire->fd_count || wire->body_size < prefix) {
        return nnd_error_set(NND_E_FORMAT, "wire: a value announces %zu attachments and has %zu",
                             count, wire->fd_count);
    }
    incoming in = {.count = 0};
    nnd_status status = import_all(wire, body, &in);
    if (status == NND_OK) {
        nnd_unpack_hooks hooks = {attached, wire->body, &in};
        nnd_unpacker u;
        nnd_unpacker_init(&u, body + prefix, wire->body_size - prefix, &hooks);
        nnd_value *value;
        status = nnd_unpack_value(&u, &value);
        if (status == NND_OK && nnd_unpacker_left(&u) > 0) {
            nnd_value_unref(value);
            status = nnd_unpack_fail(&u, "%zu bytes are left over", nnd_unpacker_left(&u));
        }
        if (status == NND_OK) *out = value;
    }
    while (in.count > 0)
        nnd_buffer_unref(in.buffers[--in.count]);
    return status;
}

/* ---- messages ---- */

static nnd_status read_json(nnd_wire *wire, nnd_wire_message *out)
{
    const uint8_t *body = nnd_buffer_data(wire->body);
    if (wire->body_size < 4) return nnd_error_set(NND_E_FORMAT, "wire: a message ends early");
    const char *json = (const char *)body + 4;
    size_t size = wire->body_size - 4;
    if (memchr(json, '\0', size) || !nnd_utf8_valid(json, size)) {
        return nnd_error_set(NND_E_FORMAT, "wire: a message is no text");
    }
    out->json = nnd_strdup_n(json, size);
    if (!out->json) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory for a message");
    out->json_size = size;
    out->status = (nnd_status)(int32_t)wire_get_u32(body);
    return NND_OK;
}

static nnd_status read_releases(nnd_wire *wire)
{
    const uint8_t *body = nnd_buffer_data(wire->body);
    if (wire->body_size % 8 != 0) return nnd_error_set(NND_E_FORMAT, "wire: a release ends early");
    for (size_t i = 0; i < wire->body_size; i += 8)
        wire_lease_drop(wire, wire_get_u64(body + i));
    return NND_OK;
}

/* What the frame at hand says; *handled when there is nothing for the caller in it. */
static nnd_status decode(nnd_wire *wire, nnd_wire_message *out, bool *handled)
{
    *handled = false;
    if (wire->head.kind != NND_WIRE_VALUE && wire->fd_count > 0) {
        return nnd_error_set(NND_E_FORMAT, "wire: descriptors came with a frame without a value");
    }
    switch (wire->head.kind) {
    case NND_WIRE_VALUE:
        return read_value(wire, &out->value);
    case NND_WIRE_EVENT:
    case NND_WIRE_CONTROL:
    case NND_WIRE_REPLY:
        return read_json(wire, out);
    case NND_WIRE_CANCEL:
        return NND_OK;
    case NND_WIRE_RELEASE:
        *handled = true;
        return read_releases(wire);
    case NND_WIRE_BYE:
        return nnd_error_set(NND_E_CLOSED, "wire: the peer ended the connection");
    default:
        return nnd_error_set(NND_E_FORMAT, "wire: HELLO comes only once");
    }
}

/* A whole frame that cannot be used here (a type of an absent plug-in, no memory) leaves the stream
   in order; anything else that is wrong with it does not. */
static bool is_survivable(nnd_status status)
{
    return status == NND_OK || status == NND_E_UNSUPPORTED || status == NND_E_OUT_OF_MEMORY;
}

nnd_status nnd_wire_receive(nnd_wire *wire, const nnd_cancel *cancel, nnd_wire_message *out)
{
    bool handled;
    memset(out, 0, sizeof(*out));
    do {
        nnd_status status = wire_receive_frame(wire, cancel, NND_NO_DEADLINE);
        if (status == NND_E_TIMEOUT || status == NND_E_CANCELLED) return status;
        if (status == NND_OK) {
            status = decode(wire, out, &handled);
            out->kind = (nnd_wire_kind)wire->head.kind;
            out->channel = wire->head.channel;
            out->id = wire->head.id;
            wire_frame_done(wire);
            if (!is_survivable(status)) wire_die(wire);
        }
        if (atomic_load(&wire->closed)) wire_lease_drop_all(wire);
        if (status != NND_OK) return status;
    } while (handled);
    return NND_OK;
}

void nnd_wire_message_fini(nnd_wire_message *message)
{
    if (!message) return;
    nnd_value_unref(message->value);
    nnd_free(message->json);
    memset(message, 0, sizeof(*message));
}
