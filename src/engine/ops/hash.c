/* com.microsoft's MurmurHash3: 32 bits for each element, by its bytes ("MurmurHash3_x86_32" of
   Austin Appleby, 2011, in the public domain). */
#include <string.h>

#include "engine/ops/op.h"

static uint32_t rotate(uint32_t v, int bits)
{
    return v << bits | v >> (32 - bits);
}

static uint32_t mix(uint32_t word)
{
    return rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

/* Words are read low byte first, whatever the machine. */
static uint32_t hash_bytes(const uint8_t *bytes, size_t size, uint32_t seed)
{
    uint32_t h = seed, tail = 0;
    const size_t words = size / 4;
    for (size_t i = 0; i < words; i++, bytes += 4) {
        const uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                              (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        h = rotate(h ^ mix(word), 13) * 5 + 0xe6546b64u;
    }
    for (size_t i = size % 4; i > 0; i--)
        tail = tail << 8 | bytes[i - 1];
    h ^= mix(tail) ^ (uint32_t)size;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static nnd_status infer(nnd_op_ctx *c)
{
    const uint32_t types = 1u << NND_U32 | 1u << NND_I32 | 1u << NND_U64 | 1u << NND_I64 |
                           1u << NND_F32 | 1u << NND_F64 | 1u << NND_STRING;
    NND_TRY(nnd_op_expect(c, 0, types));
    const nnd_dtype to = nnd_node_int(c->node, "positive", 1) ? NND_U32 : NND_I32;
    return nnd_op_output(c, 0, to, c->in[0]->rank, c->in[0]->dims);
}

static nnd_status hash_tile(void *user, size_t tile, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *x = c->in[0];
    const uint32_t seed = (uint32_t)nnd_node_int(c->node, "seed", 0);
    const size_t size = nnd_op_element(x->dtype), count = (size_t)nnd_tensor_count(x);
    size_t i = tile * NND_OP_GRAIN, end = i + NND_OP_GRAIN < count ? i + NND_OP_GRAIN : count;
    uint32_t *y = c->out[0].data;
    (void)lane;
    for (; i < end && x->dtype != NND_STRING; i++)
        y[i] = hash_bytes((const uint8_t *)x->data + i * size, size, seed);
    for (; i < end; i++) {
        const nnd_string *text = (const nnd_string *)x->data + i;
        y[i] = hash_bytes((const uint8_t *)text->text, text->size, seed);
    }
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    return nnd_op_for(c, nnd_op_tiles((size_t)nnd_tensor_count(c->in[0])), hash_tile, c);
}

static const nnd_op ops[] = {
    {"com.microsoft", "MurmurHash3", 1, 0, 1, 1, 1, 1, 0, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_hash = {ops, NND_COUNT(ops)};
