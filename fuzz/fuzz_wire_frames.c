/* A peer that sends any bytes. The first byte says whether a proper HELLO goes before the rest. */
#include <string.h>

#include "nndeploy/wire.h"
#include "port/port.h"

static const char capabilities[] = "shm value event control";

/* HELLO as this library writes it: head, u64 largest body, two strings. */
static size_t write_hello(uint8_t *out)
{
    enum { WORDS = sizeof(capabilities) - 1, BODY = 24 + WORDS };
    memset(out, 0, 32 + BODY);
    memcpy(out, "NND1\1\0\1\0", 8);
    out[24] = BODY;
    out[32 + 3] = 1; /* 16 MiB */
    out[32 + 16] = WORDS;
    memcpy(out + 32 + 24, capabilities, WORDS);
    return 32 + BODY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    size_t sent;
    uint8_t hello[128];
    nnd_wire *wire;
    nnd_wire_options options = NND_WIRE_OPTIONS_INIT;
    options.max_body = 1 << 20;
    options.hello_timeout_ns = 1000000; /* without the rest of a HELLO nobody waits long */
    if (size < 1 || size > 65536 || nnd_wire_pair(fds) != NND_OK) return 0;
    if (data[0] & 1) {
        (void)nnd_port_socket_send(fds[1], hello, write_hello(hello), NULL, 0, &sent);
    }
    (void)nnd_port_socket_send(fds[1], data + 1, size - 1, NULL, 0, &sent);
    nnd_status status = nnd_wire_open_fd(fds[0], &options, &wire);
    nnd_port_fd_close(fds[1]); /* what was sent stays readable */
    if (status != NND_OK) return 0;
    nnd_wire_message m;
    do {
        status = nnd_wire_receive(wire, NULL, &m);
        if (status == NND_OK) nnd_wire_message_fini(&m);
    } while (status == NND_OK || status == NND_E_UNSUPPORTED);
    nnd_wire_destroy(wire);
    return 0;
}
