/*
 * Sending: frames in order, values with their shared buffers, reports of releases.
 */
#include <string.h>

#include "base/port_status.h"
#include "base/str.h"
#include "data/pack.h"
#include "wire/connection.h"

/* ---- bytes ---- */

static nnd_status is_closed(void)
{
    return nnd_error_set(NND_E_CLOSED, "wire: the connection is closed");
}

/* Waits until the socket takes more; a close ends the wait. */
static nnd_status wait_writable(nnd_wire *wire)
{
    nnd_port_poll item = {wire->fd, NND_PORT_POLL_OUT, 0};
    int rc = nnd_port_poll_wait(&item, 1, NND_PORT_FOREVER, NULL);
    return atomic_load(&wire->closed) ? is_closed()
                                      : nnd_error_from_port(rc, "wire: cannot send", NULL);
}

/* All of it, waiting as long as the peer does not read. Needs send_lock. */
static nnd_status write_all(nnd_wire *wire, const uint8_t *data, size_t size,
                            const nnd_port_fd *fds, size_t fd_count)
{
    while (size > 0) {
        size_t sent = 0;
        if (atomic_load(&wire->closed)) return is_closed();
        int rc = nnd_port_socket_send(wire->fd, data, size, fds, fd_count, &sent);
        if (rc == NND_PORT_E_AGAIN) {
            NND_TRY(wait_writable(wire));
            continue;
        }
        if (rc == NND_PORT_E_CLOSED) return is_closed();
        NND_TRY(nnd_error_from_port(rc, "wire: cannot send", NULL));
        data += sent;
        size -= sent;
        fd_count = 0; /* they went with the first byte */
    }
    return NND_OK;
}

/* ---- the outbox ---- */

/* Turns the releases to report into one frame. Needs send_lock; without memory they wait. */
static void collect_releases(nnd_wire *wire)
{
    nnd_port_mutex_lock(&wire->lease_lock);
    size_t count = wire->releases.count;
    if (count > 0 && nnd_vec_reserve(&wire->outbox, WIRE_HEAD_SIZE + 8 * count)) {
        uint8_t *at = wire->outbox.items + wire->outbox.count;
        wire_head head = {.kind = NND_WIRE_RELEASE, .body = 8 * count};
        wire_head_write(&head, at);
        for (size_t i = 0; i < count; i++)
            wire_put_u64(at + WIRE_HEAD_SIZE + 8 * i, wire->releases.items[i]);
        wire->outbox.count += WIRE_HEAD_SIZE + 8 * count;
        wire->releases.count = 0;
    }
    nnd_port_mutex_unlock(&wire->lease_lock);
}

static void outbox_advance(nnd_wire *wire, size_t sent)
{
    wire->outbox_sent += sent;
    if (wire->outbox_sent == wire->outbox.count) {
        nnd_vec_clear(&wire->outbox);
        wire->outbox_sent = 0;
    }
    atomic_store(&wire->outbox_waits, wire->outbox.count > 0);
}

/* As much as the socket takes at once. Needs send_lock. */
static void drain_outbox(nnd_wire *wire)
{
    collect_releases(wire);
    while (wire->outbox.count > 0 && !atomic_load(&wire->closed)) {
        size_t sent = 0;
        int rc = nnd_port_socket_send(wire->fd, wire->outbox.items + wire->outbox_sent,
                                      wire->outbox.count - wire->outbox_sent, NULL, 0, &sent);
        if (rc == NND_PORT_E_AGAIN) {
            atomic_store(&wire->outbox_waits, true);
            nnd_port_wake_signal(&wire->wake); /* the receiver watches for room */
            return;
        }
        if (rc != NND_PORT_OK) sent = wire->outbox.count - wire->outbox_sent; /* nobody listens */
        outbox_advance(wire, sent);
    }
}

static bool has_releases(nnd_wire *wire)
{
    nnd_port_mutex_lock(&wire->lease_lock);
    bool has = wire->releases.count > 0;
    nnd_port_mutex_unlock(&wire->lease_lock);
    return has;
}

void wire_flush(nnd_wire *wire)
{
    /* Whoever holds the lock comes here after letting it go, so no report is left lying. */
    while (!atomic_load(&wire->closed) && nnd_port_mutex_try_lock(&wire->send_lock)) {
        drain_outbox(wire);
        bool stuck = wire->outbox.count > 0;
        nnd_port_mutex_unlock(&wire->send_lock);
        if (stuck || !has_releases(wire)) return;
    }
}

/* ---- frames ---- */

static nnd_status write_outbox(nnd_wire *wire)
{
    size_t left = wire->outbox.count - wire->outbox_sent;
    if (left == 0) return NND_OK;
    NND_TRY(write_all(wire, wire->outbox.items + wire->outbox_sent, left, NULL, 0));
    outbox_advance(wire, left);
    return NND_OK;
}

nnd_status wire_send_frame(nnd_wire *wire, const wire_head *head, const void *first,
                           size_t first_size, const void *second, size_t second_size,
                           const nnd_port_fd *fds, size_t fd_count)
{
    uint32_t needed = wire_capability_needed(head->kind);
    if (needed & ~wire->capabilities) {
        return nnd_error_set(NND_E_UNSUPPORTED, "wire: not both sides can '%s'",
                             wire_capability_name(needed));
    }
    if (wire->hello_done && head->body > wire->peer_max_body) {
        return nnd_error_set(NND_E_LIMIT,
                             "wire: a body of %llu bytes is larger than the peer's "
                             "limit of %llu",
                             (unsigned long long)head->body,
                             (unsigned long long)wire->peer_max_body);
    }
    /* Small frames go out in one piece. */
    enum { SMALL = 4096 };
    uint8_t start[WIRE_HEAD_SIZE + SMALL];
    size_t start_size = WIRE_HEAD_SIZE;
    wire_head_write(head, start);
    if (first_size <= SMALL) {
        if (first_size) memcpy(start + start_size, first, first_size);
        start_size += first_size;
        first_size = 0;
    }
    if (first_size == 0 && second_size <= sizeof(start) - start_size) {
        if (second_size) memcpy(start + start_size, second, second_size);
        start_size += second_size;
        second_size = 0;
    }
    nnd_port_mutex_lock(&wire->send_lock);
    nnd_status status = write_outbox(wire);
    if (status == NND_OK) status = write_all(wire, start, start_size, fds, fd_count);
    if (status == NND_OK) status = write_all(wire, first, first_size, NULL, 0);
    if (status == NND_OK) status = write_all(wire, second, second_size, NULL, 0);
    if (status != NND_OK) wire_die(wire); /* a frame that ends in the middle ends everything */
    nnd_port_mutex_unlock(&wire->send_lock);
    wire_flush(wire);
    return status;
}

/* ---- values ---- */

/* The buffers that travel beside a value's bytes. */
typedef struct outgoing {
    nnd_wire *wire;
    size_t count;
    nnd_buffer *buffers[NND_PORT_MAX_FDS];
    const nnd_buffer *sources[NND_PORT_MAX_FDS]; /* for finding one that comes twice */
    nnd_port_fd fds[NND_PORT_MAX_FDS];
    uint64_t offsets[NND_PORT_MAX_FDS]; /* of the buffer in what the descriptor names */
    uint64_t leases[NND_PORT_MAX_FDS];
} outgoing;

static bool shares(void *user, const nnd_buffer *buffer)
{
    const outgoing *o = user;
    return (o->wire->capabilities & WIRE_SHM) && nnd_buffer_kind(buffer) == NND_MEM_SHARED;
}

/* Adds a shared buffer (its reference is taken over); false when that is not possible. */
static bool add_shared(outgoing *o, nnd_buffer *shared, const nnd_buffer *source,
                       uint32_t *attachment)
{
    int fd;
    size_t offset;
    if (o->count == NND_PORT_MAX_FDS || nnd_buffer_export_fd(shared, &fd, &offset) != NND_OK) {
        nnd_buffer_unref(shared);
        return false;
    }
    o->buffers[o->count] = shared;
    o->sources[o->count] = source;
    o->fds[o->count] = fd;
    o->offsets[o->count] = offset;
    *attachment = (uint32_t)o->count++;
    return true;
}

/* Moves a piece of host memory into a shared buffer: one counted copy instead of the two that
   going through the socket costs. */
static bool move_to_shared(outgoing *o, nnd_buffer *buffer, size_t offset, size_t size,
                           uint32_t *attachment)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *shared;
    desc.bytes = size;
    desc.kind = NND_MEM_SHARED;
    if (nnd_buffer_create(&desc, &shared) != NND_OK) return false;
    if (nnd_buffer_copy(shared, 0, buffer, offset, size, NULL) != NND_OK) {
        nnd_buffer_unref(shared);
        return false;
    }
    return add_shared(o, shared, NULL, attachment);
}

static bool attach(void *user, nnd_buffer *buffer, size_t offset, size_t size, uint32_t *attachment,
                   uint64_t *attachment_offset)
{
    outgoing *o = user;
    if (!(o->wire->capabilities & WIRE_SHM)) return false;
    *attachment_offset = offset;
    for (size_t i = 0; i < o->count; i++) {
        if (o->sources[i] == buffer) {
            *attachment = (uint32_t)i;
            return true;
        }
    }
    if (nnd_buffer_kind(buffer) == NND_MEM_SHARED) {
        return add_shared(o, nnd_buffer_ref(buffer), buffer, attachment);
    }
    *attachment_offset = 0;
    return size >= WIRE_SHARE_FROM && move_to_shared(o, buffer, offset, size, attachment);
}

/* Body of VALUE: u32 attachments, u32 0, per attachment u64 lease, u64 offset, u64 bytes; zeros up
   to a multiple of WIRE_PREFIX_ALIGN; the packed value. */
static size_t write_prefix(const outgoing *o, uint8_t *prefix, size_t room)
{
    size_t used = 8 + 24 * o->count;
    size_t size = (used + WIRE_PREFIX_ALIGN - 1) / WIRE_PREFIX_ALIGN * WIRE_PREFIX_ALIGN;
    memset(prefix, 0, room);
    wire_put_u32(prefix, (uint32_t)o->count);
    for (size_t i = 0; i < o->count; i++) {
        wire_put_u64(prefix + 8 + 24 * i, o->leases[i]);
        wire_put_u64(prefix + 16 + 24 * i, o->offsets[i]);
        wire_put_u64(prefix + 24 + 24 * i, nnd_buffer_size(o->buffers[i]));
    }
    return size;
}

static nnd_status send_packed(outgoing *o, uint32_t channel, uint64_t id, const nnd_packer *p)
{
    uint8_t prefix[8 + 24 * NND_PORT_MAX_FDS + WIRE_PREFIX_ALIGN];
    size_t leased = 0;
    nnd_status status = NND_OK;
    for (; leased < o->count && status == NND_OK; leased++)
        status = wire_lease_add(o->wire, o->buffers[leased], &o->leases[leased]);
    if (status == NND_OK) {
        size_t size = write_prefix(o, prefix, sizeof(prefix));
        wire_head head = {NND_WIRE_VALUE, channel, id, (uint64_t)size + p->size};
        status = wire_send_frame(o->wire, &head, prefix, size, p->bytes, p->size, o->fds, o->count);
        if (status == NND_OK) return NND_OK;
    } else {
        leased--; /* the one that failed */
    }
    while (leased > 0)
        wire_lease_drop(o->wire, o->leases[--leased]);
    return status;
}

nnd_status nnd_wire_send_value(nnd_wire *wire, uint32_t channel, uint64_t id, nnd_value *value)
{
    if (!value) return nnd_error_set(NND_E_INVALID_ARGUMENT, "wire: no value to send");
    outgoing o = {.wire = wire};
    nnd_pack_hooks hooks = {shares, attach, &o};
    nnd_packer p;
    nnd_packer_init(&p, &hooks);
    nnd_status status = nnd_pack_value(&p, value);
    if (status == NND_OK) status = send_packed(&o, channel, id, &p);
    nnd_packer_fini(&p);
    for (size_t i = 0; i < o.count; i++) {
        nnd_port_fd_close(o.fds[i]);
        nnd_buffer_unref(o.buffers[i]);
    }
    return status;
}

/* ---- texts and cancel ---- */

nnd_status nnd_wire_send_json(nnd_wire *wire, nnd_wire_kind kind, uint32_t channel, uint64_t id,
                              nnd_status status, const char *json)
{
    if (kind != NND_WIRE_EVENT && kind != NND_WIRE_CONTROL && kind != NND_WIRE_REPLY) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "wire: frames of kind %d carry no JSON",
                             (int)kind);
    }
    if (!json) json = "null";
    size_t size = strlen(json);
    if (!nnd_utf8_valid(json, size)) {
        return nnd_error_set(NND_E_FORMAT, "wire: the JSON text is not UTF-8");
    }
    uint8_t code[4];
    wire_put_u32(code, (uint32_t)status);
    wire_head head = {(uint16_t)kind, channel, id, sizeof(code) + (uint64_t)size};
    return wire_send_frame(wire, &head, code, sizeof(code), json, size, NULL, 0);
}

nnd_status nnd_wire_send_cancel(nnd_wire *wire, uint64_t id)
{
    wire_head head = {.kind = NND_WIRE_CANCEL, .id = id};
    return wire_send_frame(wire, &head, NULL, 0, NULL, 0, NULL, 0);
}
