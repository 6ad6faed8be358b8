/*
 * Heads of frames and names of capabilities.
 */
#include <string.h>

#include "wire/connection.h"

void wire_put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

void wire_put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

uint32_t wire_get_u32(const uint8_t *at)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v |= (uint32_t)at[i] << (8 * i);
    return v;
}

uint64_t wire_get_u64(const uint8_t *at)
{
    return wire_get_u32(at) | (uint64_t)wire_get_u32(at + 4) << 32;
}

/* u32 magic, u16 version, u16 kind, u32 flags (0), u32 channel, u64 id, u64 body bytes. */
void wire_head_write(const wire_head *head, uint8_t out[WIRE_HEAD_SIZE])
{
    wire_put_u32(out, WIRE_MAGIC);
    wire_put_u32(out + 4, WIRE_VERSION | (uint32_t)head->kind << 16);
    wire_put_u32(out + 8, 0);
    wire_put_u32(out + 12, head->channel);
    wire_put_u64(out + 16, head->id);
    wire_put_u64(out + 24, head->body);
}

nnd_status wire_head_read(const uint8_t in[WIRE_HEAD_SIZE], wire_head *head)
{
    if (wire_get_u32(in) != WIRE_MAGIC) {
        return nnd_error_set(NND_E_FORMAT, "wire: the peer does not speak this protocol");
    }
    uint32_t version = wire_get_u32(in + 4) & 0xffffu;
    if (version != WIRE_VERSION) {
        return nnd_error_set(NND_E_UNSUPPORTED, "wire: the peer speaks version %u, this is %u",
                             version, WIRE_VERSION);
    }
    if (wire_get_u32(in + 8) != 0) {
        return nnd_error_set(NND_E_FORMAT, "wire: a frame has unknown flags");
    }
    head->kind = (uint16_t)(wire_get_u32(in + 4) >> 16);
    head->channel = wire_get_u32(in + 12);
    head->id = wire_get_u64(in + 16);
    head->body = wire_get_u64(in + 24);
    if (head->kind < NND_WIRE_HELLO || head->kind > NND_WIRE_BYE) {
        return nnd_error_set(NND_E_FORMAT, "wire: unknown kind of frame %u", head->kind);
    }
    return NND_OK;
}

/* ---- capabilities ---- */

static const struct {
    const char *name;
    uint32_t bit;
} capabilities[] = {
    {"shm", WIRE_SHM},
    {"value", WIRE_CAN_VALUE},
    {"event", WIRE_CAN_EVENT},
    {"control", WIRE_CAN_CONTROL},
};

uint32_t wire_capabilities_parse(const char *text)
{
    uint32_t bits = 0;
    while (*text) {
        size_t size = strcspn(text, " ");
        for (size_t i = 0; i < NND_COUNT(capabilities); i++)
            if (strlen(capabilities[i].name) == size && !memcmp(capabilities[i].name, text, size))
                bits |= capabilities[i].bit;
        text += size;
        text += strspn(text, " ");
    }
    return bits;
}

const char *wire_capability_name(uint32_t bit)
{
    for (size_t i = 0; i < NND_COUNT(capabilities); i++)
        if (capabilities[i].bit == bit) return capabilities[i].name;
    return "none";
}

uint32_t wire_capability_needed(uint32_t kind)
{
    switch (kind) {
    case NND_WIRE_VALUE:
        return WIRE_CAN_VALUE;
    case NND_WIRE_RELEASE:
        return WIRE_SHM;
    case NND_WIRE_EVENT:
        return WIRE_CAN_EVENT;
    case NND_WIRE_CONTROL:
    case NND_WIRE_REPLY:
    case NND_WIRE_CANCEL:
        return WIRE_CAN_CONTROL;
    default:
        return 0;
    }
}
