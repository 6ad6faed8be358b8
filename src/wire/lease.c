/*
 * Leases: shared buffers of ours that the peer looks at, and mappings of the peer's buffers.
 */
#include "device/device_internal.h"
#include "wire/connection.h"

nnd_status wire_lease_add(nnd_wire *wire, nnd_buffer *buffer, uint64_t *id)
{
    nnd_port_mutex_lock(&wire->lease_lock);
    wire_lease lease = {++wire->next_lease, buffer};
    bool added = nnd_vec_push(&wire->leases, lease);
    if (added) nnd_buffer_ref(buffer);
    nnd_port_mutex_unlock(&wire->lease_lock);
    if (!added) return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory for a lease");
    *id = lease.id;
    return NND_OK;
}

void wire_lease_drop(nnd_wire *wire, uint64_t id)
{
    nnd_buffer *found = NULL;
    nnd_port_mutex_lock(&wire->lease_lock);
    for (size_t i = 0; i < wire->leases.count; i++) {
        if (wire->leases.items[i].id != id) continue;
        found = wire->leases.items[i].buffer;
        wire->leases.items[i] = wire->leases.items[--wire->leases.count];
        break;
    }
    nnd_port_mutex_unlock(&wire->lease_lock);
    nnd_buffer_unref(found);
}

void wire_lease_drop_all(nnd_wire *wire)
{
    for (;;) {
        nnd_buffer *last = NULL;
        nnd_port_mutex_lock(&wire->lease_lock);
        if (wire->leases.count > 0) last = wire->leases.items[--wire->leases.count].buffer;
        nnd_port_mutex_unlock(&wire->lease_lock);
        if (!last) return;
        nnd_buffer_unref(last);
    }
}

/* ---- mappings ---- */

typedef struct import_note {
    nnd_wire *wire;
    uint64_t lease;
} import_note;

/* The last holder of a mapping is gone; called from any thread. */
static void report_release(void *user, void *data)
{
    (void)data;
    import_note *note = user;
    nnd_wire *wire = note->wire;
    nnd_port_mutex_lock(&wire->lease_lock);
    wire->imports--;
    /* Room for every mapping was made when it was imported, so this needs no memory. */
    wire->releases.items[wire->releases.count++] = note->lease;
    nnd_port_mutex_unlock(&wire->lease_lock);
    nnd_free(note);
    wire_flush(wire);
    wire_unref(wire);
}

static bool reserve_import(nnd_wire *wire)
{
    nnd_port_mutex_lock(&wire->lease_lock);
    bool reserved = nnd_vec_reserve(&wire->releases, wire->imports + 1);
    if (reserved) wire->imports++;
    nnd_port_mutex_unlock(&wire->lease_lock);
    return reserved;
}

nnd_status wire_import(nnd_wire *wire, nnd_port_fd fd, size_t offset, size_t bytes, uint64_t lease,
                       nnd_buffer **out)
{
    import_note *note = nnd_alloc(sizeof(*note));
    if (!note || !reserve_import(wire)) {
        nnd_free(note);
        nnd_port_fd_close(fd);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory to map a peer's buffer");
    }
    *note = (import_note){wire, lease};
    nnd_status status = nnd_buffer_import_fd((int)fd, offset, bytes, true, out);
    if (status != NND_OK) {
        nnd_port_mutex_lock(&wire->lease_lock);
        wire->imports--;
        nnd_port_mutex_unlock(&wire->lease_lock);
        nnd_free(note);
        return status;
    }
    atomic_fetch_add(&wire->refs, 1);
    nnd_buffer_on_free(*out, report_release, note);
    return NND_OK;
}
