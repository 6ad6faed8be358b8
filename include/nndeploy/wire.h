/*
 * nndeploy/wire.h: the framed, versioned protocol for values, events and control between processes
 * and machines.
 *
 * A frame is {u32 magic "NND1", u16 version, u16 kind, u32 flags, u32 channel, u64 id, u64 body
 * bytes}, little-endian, then the body. The first frame each way is HELLO with capabilities; what
 * both sides have is used. Values travel as bytes, or, over a socketpair or Unix socket where both
 * sides said "shm", as a file descriptor of their shared buffer: no pixel is copied.
 *
 * Sections: 1 connections · 2 messages
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_WIRE_H
#define NNDEPLOY_WIRE_H

#include "nndeploy/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 connections --------------------------------------------------------------------- */

typedef struct nnd_wire nnd_wire;
typedef struct nnd_wire_options {
    size_t size;              /* = sizeof(nnd_wire_options) */
    const char *name;         /* who we are, "worker" */
    const char *capabilities; /* space-separated: "shm value event control"; NULL = all we can */
    uint64_t max_body;        /* bytes; larger frames are NND_E_LIMIT. 0 = 1 GiB */
    int64_t hello_timeout_ns; /* 0 = 5 s */
} nnd_wire_options;
/* clang-format off */
#define NND_WIRE_OPTIONS_INIT {sizeof(nnd_wire_options), NULL, NULL, 0, 0}
/* clang-format on */

/* A connected pair of sockets for a child process: fds[0] stays, fds[1] goes. */
NND_API nnd_status nnd_wire_pair(int fds[2]);
/* Takes the descriptor over (also on failure) and exchanges HELLO. */
NND_API nnd_status nnd_wire_open_fd(int fd, const nnd_wire_options *options, nnd_wire **out);
NND_API nnd_status nnd_wire_connect_tcp(const char *host, int port, const nnd_wire_options *options,
                                        nnd_wire **out);
typedef struct nnd_wire_listener nnd_wire_listener;
/* Port 0: any that is free. */
NND_API nnd_status nnd_wire_listen_tcp(const char *host, int port, nnd_wire_listener **out);
NND_API int nnd_wire_listener_port(const nnd_wire_listener *listener);
NND_API nnd_status nnd_wire_accept(nnd_wire_listener *listener, const nnd_wire_options *options,
                                   const nnd_cancel *cancel, nnd_wire **out);
NND_API void nnd_wire_listener_destroy(nnd_wire_listener *listener);
NND_API void nnd_wire_close(nnd_wire *wire); /* wakes a blocked receive; takes NULL */
NND_API void nnd_wire_destroy(nnd_wire *wire);
NND_API const char *nnd_wire_peer_name(const nnd_wire *wire);
NND_API bool nnd_wire_has(const nnd_wire *wire, const char *capability); /* both sides have it */

/* ---- 2 messages ------------------------------------------------------------------------ */

typedef enum nnd_wire_kind {
    NND_WIRE_HELLO = 1,
    NND_WIRE_VALUE = 2,
    NND_WIRE_EVENT = 3,
    NND_WIRE_CONTROL = 4,
    NND_WIRE_REPLY = 5,
    NND_WIRE_CANCEL = 6,
    NND_WIRE_RELEASE = 7,
    NND_WIRE_BYE = 8
} nnd_wire_kind;
typedef struct nnd_wire_message {
    nnd_wire_kind kind;
    uint32_t channel; /* port, stream: the parties agree */
    uint64_t id;      /* request the message belongs to */
    nnd_value *value; /* VALUE: owned by the receiver */
    char *json;       /* EVENT, CONTROL, REPLY: a JSON text, NUL-terminated, owned */
    size_t json_size;
    nnd_status status; /* REPLY */
} nnd_wire_message;
/* Sending is thread-safe (one frame at a time); blocks while the peer does not read. A value whose
   bulk is in SHARED memory travels by descriptor, host memory from 64 KiB on is moved there (one
   counted copy), all else as bytes. A buffer that went by descriptor stays referenced here until
   the peer lets go of it, which nnd_wire_receive learns: a side that sends values also receives.
   NND_E_UNSUPPORTED for what not both sides can do, NND_E_LIMIT above the peer's max_body,
   NND_E_CLOSED when the connection is gone. A value received by descriptor is read-only (see
   nnd_value_writable) and keeps its content as long as the connection lives. */
NND_API nnd_status nnd_wire_send_value(nnd_wire *wire, uint32_t channel, uint64_t id,
                                       nnd_value *value);
NND_API nnd_status nnd_wire_send_json(nnd_wire *wire, nnd_wire_kind kind, uint32_t channel,
                                      uint64_t id, nnd_status status, const char *json);
NND_API nnd_status nnd_wire_send_cancel(nnd_wire *wire, uint64_t id);
/* One receiving thread. RELEASE, HELLO and BYE never appear as messages. NND_E_CLOSED at the peer's
   end, NND_E_FORMAT for anything malformed (the connection is then dead), NND_E_CANCELLED /
   NND_E_TIMEOUT by the token. NND_E_UNSUPPORTED for a value of a type that this process lacks: the
   connection lives on, channel and id are filled in. */
NND_API nnd_status nnd_wire_receive(nnd_wire *wire, const nnd_cancel *cancel,
                                    nnd_wire_message *out);
NND_API void nnd_wire_message_fini(nnd_wire_message *message);

#ifdef __cplusplus
}
#endif
#endif
