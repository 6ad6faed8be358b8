/*
 * A connection, inside the room: its state, frames, leases.
 *
 * Threads: any number send, one receives, anyone closes. `send_lock` orders frames and guards the
 * outbox; `lease_lock` guards the two lists below it and is never held while a buffer is let go,
 * because that may call back into this file.
 *
 * A shared buffer that was sent is leased: the sender holds it until the receiver reports, with a
 * RELEASE frame, that the last holder of its mapping is gone; only then may a pool hand the memory
 * out again. Reports never block: what the socket does not take stays in the outbox, which the
 * next send or the waiting receive empties.
 */
#ifndef NND_WIRE_CONNECTION_H
#define NND_WIRE_CONNECTION_H

#include "base/vec.h"
#include "nndeploy/wire.h"
#include "port/port.h"

/* ---- frames ---- */

#define WIRE_MAGIC        0x31444e4eu /* "NND1" */
#define WIRE_VERSION      1u
#define WIRE_HEAD_SIZE    32
#define WIRE_PREFIX_ALIGN 64
#define WIRE_MAX_HELLO    65536
/* Host memory from this size on is moved into a shared buffer where the peer can map it. */
#define WIRE_SHARE_FROM 65536

typedef struct wire_head {
    uint16_t kind;
    uint32_t channel;
    uint64_t id;
    uint64_t body;
} wire_head;

void wire_head_write(const wire_head *head, uint8_t out[WIRE_HEAD_SIZE]);
/* NND_E_FORMAT for a wrong magic, NND_E_UNSUPPORTED for another version. */
nnd_status wire_head_read(const uint8_t in[WIRE_HEAD_SIZE], wire_head *head);
void wire_put_u32(uint8_t *at, uint32_t v);
void wire_put_u64(uint8_t *at, uint64_t v);
uint32_t wire_get_u32(const uint8_t *at);
uint64_t wire_get_u64(const uint8_t *at);

/* ---- capabilities, as bits ---- */

enum { WIRE_SHM = 1, WIRE_CAN_VALUE = 2, WIRE_CAN_EVENT = 4, WIRE_CAN_CONTROL = 8 };
uint32_t wire_capabilities_parse(const char *text); /* unknown words are left out */
const char *wire_capability_name(uint32_t bit);
uint32_t wire_capability_needed(uint32_t kind); /* by a kind of frame; 0 = none */

/* ---- the connection ---- */

typedef struct wire_lease {
    uint64_t id;
    nnd_buffer *buffer;
} wire_lease;

struct nnd_wire {
    atomic_uint refs; /* the owner, and every mapping of a peer's buffer */
    nnd_port_fd fd;
    nnd_port_wake wake;
    atomic_bool closed;
    uint32_t capabilities; /* both sides have them */
    uint64_t max_body;     /* we take */
    uint64_t peer_max_body;
    char *peer_name;

    nnd_port_mutex send_lock;
    NND_VEC(uint8_t) outbox; /* frames that the socket did not take yet */
    size_t outbox_sent;
    atomic_bool outbox_waits; /* outbox is not empty: the receiver watches for room */

    nnd_port_mutex lease_lock;
    NND_VEC(wire_lease) leases; /* our buffers, held for the peer */
    uint64_t next_lease;
    NND_VEC(uint64_t) releases; /* leases of the peer that we no longer need, to be reported */
    size_t imports;             /* mappings of the peer's buffers now */

    /* The frame that is being received; survives a timeout between two calls. */
    uint8_t head_bytes[WIRE_HEAD_SIZE];
    size_t head_size;
    wire_head head;
    nnd_buffer *body; /* NULL while the head is incomplete or the body is empty */
    size_t body_size; /* bytes that arrived */
    nnd_port_fd fds[NND_PORT_MAX_FDS];
    size_t fd_count;
    bool hello_done;
};

void wire_unref(nnd_wire *wire);
/* Marks the connection dead and wakes everybody who waits for it. */
void wire_die(nnd_wire *wire);

/* send.c: one frame {head, first, second}; the descriptors travel with its first byte. */
nnd_status wire_send_frame(nnd_wire *wire, const wire_head *head, const void *first,
                           size_t first_size, const void *second, size_t second_size,
                           const nnd_port_fd *fds, size_t fd_count);
/* Reports releases as far as that is possible without waiting. */
void wire_flush(nnd_wire *wire);

/* receive.c: waits for one whole frame (head, body, fds in the connection's state). */
nnd_status wire_receive_frame(nnd_wire *wire, const nnd_cancel *cancel, int64_t deadline);
void wire_frame_done(nnd_wire *wire);

/* lease.c */
nnd_status wire_lease_add(nnd_wire *wire, nnd_buffer *buffer, uint64_t *id);
void wire_lease_drop(nnd_wire *wire, uint64_t id);
void wire_lease_drop_all(nnd_wire *wire);
/* Maps a descriptor (taken over, also on failure); the mapping's end is reported to the peer. */
nnd_status wire_import(nnd_wire *wire, nnd_port_fd fd, size_t offset, size_t bytes, uint64_t lease,
                       nnd_buffer **out);

/* hello.c: exchanges HELLO frames and settles the capabilities. */
nnd_status wire_hello(nnd_wire *wire, const nnd_wire_options *options, const nnd_cancel *cancel);

#endif
