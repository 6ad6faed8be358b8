/*
 * HELLO: u64 largest body we take, string name, string capabilities, in the packed form of data.
 */
#include <string.h>

#include "base/str.h"
#include "data/pack.h"
#include "wire/connection.h"

enum { ALL_CAPABILITIES = WIRE_SHM | WIRE_CAN_VALUE | WIRE_CAN_EVENT | WIRE_CAN_CONTROL };

static nnd_status send_hello(nnd_wire *wire, const char *name, uint32_t offered)
{
    nnd_str words = {0};
    for (uint32_t bit = 1; bit <= WIRE_CAN_CONTROL; bit <<= 1)
        if (offered & bit) nnd_str_printf(&words, "%s ", wire_capability_name(bit));
    nnd_packer p;
    nnd_packer_init(&p, NULL);
    nnd_pack_u64(&p, wire->max_body);
    nnd_pack_string(&p, name);
    nnd_status status = nnd_pack_string(&p, words.data ? words.data : "");
    if (words.failed) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "wire: no memory for HELLO");
    if (status == NND_OK) {
        wire_head head = {.kind = NND_WIRE_HELLO, .body = p.size};
        status = wire_send_frame(wire, &head, p.bytes, p.size, NULL, 0, NULL, 0);
    }
    nnd_packer_fini(&p);
    nnd_str_free(&words);
    return status;
}

static nnd_status read_hello(nnd_wire *wire, uint32_t offered)
{
    if (wire->head.kind != NND_WIRE_HELLO || wire->fd_count > 0) {
        return nnd_error_set(NND_E_FORMAT, "wire: the peer did not begin with HELLO");
    }
    nnd_unpacker u;
    char *name = NULL, *words = NULL;
    nnd_unpacker_init(&u, nnd_buffer_data(wire->body), wire->body_size, NULL);
    nnd_unpack_u64(&u, &wire->peer_max_body);
    nnd_unpack_string(&u, &name);
    nnd_unpack_string(&u, &words);
    nnd_status status = u.status;
    if (status == NND_OK && (!name || !words || !nnd_utf8_valid(name, strlen(name)))) {
        status = nnd_unpack_fail(&u, "HELLO has no name or no capabilities");
    }
    /* What follows is for later versions of the protocol. */
    if (status == NND_OK) wire->capabilities = offered & wire_capabilities_parse(words);
    nnd_free(words);
    if (status != NND_OK) {
        nnd_free(name);
        return status;
    }
    wire->peer_name = name;
    return NND_OK;
}

nnd_status wire_hello(nnd_wire *wire, const nnd_wire_options *options, const nnd_cancel *cancel)
{
    enum { DEFAULT_SECONDS = 5 };
    uint32_t offered =
        options->capabilities ? wire_capabilities_parse(options->capabilities) : ALL_CAPABILITIES;
    if (!nnd_port_socket_passes_fds(wire->fd)) offered &= ~(uint32_t)WIRE_SHM;
    int64_t limit = options->hello_timeout_ns > 0 ? options->hello_timeout_ns
                                                  : DEFAULT_SECONDS * INT64_C(1000000000);
    int64_t now = nnd_clock_now();
    int64_t deadline = now > INT64_MAX - limit ? INT64_MAX : now + limit;
    NND_TRY(send_hello(wire, options->name ? options->name : "", offered));
    nnd_status status = wire_receive_frame(wire, cancel, deadline);
    if (status == NND_E_TIMEOUT && nnd_cancel_check(cancel) == NND_OK) {
        return nnd_error_set(NND_E_TIMEOUT, "wire: no HELLO from the peer within %lld ms",
                             (long long)(limit / 1000000));
    }
    NND_TRY(status);
    NND_TRY(read_hello(wire, offered));
    wire_frame_done(wire);
    wire->hello_done = true;
    return NND_OK;
}
