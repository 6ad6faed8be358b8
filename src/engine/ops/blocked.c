/* Between NCHW and NCHWc, and channels picked from blocked tensors. */
#include "engine/ops/blocked.h"

#include <string.h>

nnd_status nnd_blocked_output(nnd_op_ctx *c, const int64_t *dims)
{
    int64_t block = nnd_kernel_block();
    const int64_t blocked[NND_BLOCKED_RANK] = {dims[0], nnd_blocks(dims[1], block), dims[2],
                                               dims[3], block};
    return nnd_op_output(c, 0, NND_F32, NND_BLOCKED_RANK, blocked);
}

nnd_status nnd_blocked_check(const nnd_op_ctx *c, size_t i, int64_t channels)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, i, &x));
    int64_t block = nnd_kernel_block();
    if (x->dtype == NND_F32 && x->rank == NND_BLOCKED_RANK && x->dims[4] == block &&
        x->dims[1] == nnd_blocks(channels, block))
        return NND_OK;
    return nnd_op_fail(c, NND_E_INTERNAL,
                       "input %zu is not blocked as the layout pass has planned it", i);
}

/* A blocked tensor cut into tiles: some planes (blocks of channels) each, or a part of one. */
typedef struct cut {
    size_t planes, spatial;
    size_t planes_per_tile, parts;
} cut;

static cut cut_of(const nnd_tensor *blocked)
{
    cut k = {.planes = (size_t)nnd_op_span(blocked, 0, 2),
             .spatial = (size_t)nnd_op_span(blocked, 2, 4),
             .planes_per_tile = 1,
             .parts = 1};
    size_t plane = k.spatial * (size_t)blocked->dims[4];
    if (plane > NND_OP_GRAIN)
        k.parts = nnd_op_tiles(plane);
    else if (plane)
        k.planes_per_tile = NND_OP_GRAIN / plane;
    return k;
}

typedef void (*piece_fn)(const void *user, size_t plane, size_t pixel, size_t pixels);
typedef struct piece_job {
    cut cut;
    piece_fn fn;
    const void *user;
} piece_job;

static nnd_status piece_tile(void *user, size_t tile, int lane)
{
    const piece_job *j = user;
    const cut *k = &j->cut;
    size_t first = tile / k->parts * k->planes_per_tile, part = tile % k->parts;
    size_t from = k->spatial * part / k->parts, to = k->spatial * (part + 1) / k->parts;
    (void)lane;
    for (size_t p = first; p < k->planes && p < first + k->planes_per_tile; p++)
        j->fn(j->user, p, from, to - from);
    return NND_OK;
}

static nnd_status for_pieces(nnd_op_ctx *c, const nnd_tensor *blocked, piece_fn fn,
                             const void *user)
{
    piece_job j = {cut_of(blocked), fn, user};
    if (nnd_tensor_count(blocked) == 0) return NND_OK;
    size_t tiles = (j.cut.planes + j.cut.planes_per_tile - 1) / j.cut.planes_per_tile;
    return nnd_op_for(c, tiles * j.cut.parts, piece_tile, &j);
}

/* ---- reorders ------------------------------------------------------------------------------ */

typedef struct reorder {
    const nnd_tensor *plain, *blocked;
} reorder;

static void block_piece(const void *user, size_t plane, size_t pixel, size_t pixels)
{
    const reorder *r = user;
    nnd_reorder_part_to_nchwc(r->plain->data, r->blocked->data, (size_t)r->plain->dims[1],
                              (size_t)nnd_op_span(r->plain, 2, 4), plane, pixel, pixels);
}

static void unblock_piece(const void *user, size_t plane, size_t pixel, size_t pixels)
{
    const reorder *r = user;
    nnd_reorder_part_to_nchw(r->blocked->data, r->plain->data, (size_t)r->plain->dims[1],
                             (size_t)nnd_op_span(r->plain, 2, 4), plane, pixel, pixels);
}

static nnd_status to_blocked_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    if (x->rank != 4)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, pictures have 4", x->rank);
    int64_t channels = nnd_node_int(c->node, "channels", x->dims[1]);
    if (x->dims[1] != channels)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has %lld channels, %lld are wanted",
                           (long long)x->dims[1], (long long)channels);
    return nnd_blocked_output(c, x->dims);
}

static nnd_status to_blocked_run(nnd_op_ctx *c)
{
    const reorder r = {c->in[0], &c->out[0]};
    return for_pieces(c, r.blocked, block_piece, &r);
}

static nnd_status from_blocked_infer(nnd_op_ctx *c)
{
    int64_t channels = nnd_node_int(c->node, "channels", 0);
    NND_TRY(nnd_blocked_check(c, 0, channels));
    nnd_tensor x = nnd_blocked_logical(c->in[0], channels);
    return nnd_op_output(c, 0, NND_F32, 4, x.dims);
}

static nnd_status from_blocked_run(nnd_op_ctx *c)
{
    const reorder r = {&c->out[0], c->in[0]};
    return for_pieces(c, r.blocked, unblock_piece, &r);
}

/* ---- channels picked ------------------------------------------------------------------------ */

enum { MAX_LANES = 64 };

static nnd_status pick_infer(nnd_op_ctx *c)
{
    size_t count;
    const int64_t *map = nnd_node_ints(c->node, "map", &count);
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    int64_t block = nnd_kernel_block();
    for (size_t i = 0; i < count; i += 2) {
        const nnd_tensor *from;
        NND_TRY(nnd_op_need(c, (size_t)map[i], &from));
        if (from->rank != NND_BLOCKED_RANK || from->dims[4] != block ||
            map[i + 1] / block >= from->dims[1] || from->dims[0] != x->dims[0] ||
            memcmp(from->dims + 2, x->dims + 2, 2 * sizeof(*x->dims)) != 0)
            return nnd_op_fail(c, NND_E_SHAPE, "input %lld does not fit the others",
                               (long long)map[i]);
    }
    const int64_t dims[4] = {x->dims[0], (int64_t)count / 2, x->dims[2], x->dims[3]};
    return nnd_blocked_output(c, dims);
}

/* Where each lane of a block of the result comes from, for image 0; stride: between images. */
static size_t lane_sources(const nnd_op_ctx *c, int64_t block_index, const float **from,
                           size_t *stride)
{
    size_t count, lanes = 0;
    const int64_t *map = nnd_node_ints(c->node, "map", &count);
    size_t block = (size_t)nnd_kernel_block(), first = (size_t)block_index * block;
    for (; lanes < block && first + lanes < count / 2; lanes++) {
        const int64_t *pair = map + 2 * (first + lanes);
        const nnd_tensor *x = c->in[pair[0]];
        size_t plane = (size_t)nnd_op_span(x, 2, NND_BLOCKED_RANK);
        size_t channel = (size_t)pair[1];
        from[lanes] = (const float *)x->data + channel / block * plane + channel % block;
        stride[lanes] = (size_t)x->dims[1] * plane;
    }
    return lanes;
}

static void pick_piece(const void *user, size_t plane, size_t pixel, size_t pixels)
{
    const nnd_op_ctx *c = user;
    const float *from[MAX_LANES] = {NULL};
    size_t stride[MAX_LANES] = {0};
    const nnd_tensor *y = &c->out[0];
    size_t block = (size_t)nnd_kernel_block(), spatial = (size_t)nnd_op_span(y, 2, 4);
    size_t per_image = (size_t)y->dims[1], image = plane / per_image;
    size_t lanes = lane_sources(c, (int64_t)(plane % per_image), from, stride);
    float *to = (float *)y->data + (plane * spatial + pixel) * block;
    bool run = true;
    if (lanes == 0) return;
    for (size_t l = 0; l < block; l++) {
        if (l >= lanes) { /* behind the last channel: anything will do */
            from[l] = from[0];
            continue;
        }
        from[l] += image * stride[l] + pixel * block;
        run = run && from[l] == from[0] + l;
    }
    if (run && from[0] == to) return;
    if (run && lanes == block) {
        memcpy(to, from[0], pixels * block * sizeof(*to));
        return;
    }
    for (size_t p = 0; p < pixels; p++, to += block)
        for (size_t l = 0; l < block; l++)
            to[l] = from[l][p * block];
}

/* Whole blocks of one input after the other, only the last one may end inside of a block. */
static bool pick_joined(const nnd_op_ctx *c)
{
    size_t count, at = 0;
    const int64_t *map = nnd_node_ints(c->node, "map", &count);
    if (c->out[0].dims[0] != 1) return false;
    for (size_t k = 0; k < c->in_count; k++) {
        size_t block = (size_t)nnd_kernel_block(), channel = 0;
        size_t channels = (size_t)c->in[k]->dims[1] * block;
        for (; channel < channels && at < count / 2; channel++, at++)
            if (map[2 * at] != (int64_t)k || map[2 * at + 1] != (int64_t)channel) return false;
        if (channels - channel >= block || (channel < channels && k + 1 < c->in_count))
            return false;
    }
    return at == count / 2;
}

static nnd_status pick_plan(nnd_op_ctx *c)
{
    c->joined = pick_joined(c);
    return NND_OK;
}

static bool all_there(const nnd_op_ctx *c)
{
    const char *at = c->out[0].data;
    for (size_t k = 0; k < c->in_count; at += nnd_tensor_bytes(c->in[k++]))
        if (c->in[k]->data != at) return false;
    return true;
}

static nnd_status pick_run(nnd_op_ctx *c)
{
    if (all_there(c)) return NND_OK;
    return for_pieces(c, &c->out[0], pick_piece, c);
}

#define BLOCKED(name, flags, infer, run, plan_it)                                                  \
    {                                                                                              \
        "", name, 1, 0, 1, -1, 1, 1, flags, infer, run, .plan = plan_it                            \
    }
const nnd_op nnd_op_to_blocked =
    BLOCKED("ToBlocked", NND_OP_BLOCKED_OUT, to_blocked_infer, to_blocked_run, NULL);
const nnd_op nnd_op_from_blocked =
    BLOCKED("FromBlocked", NND_OP_BLOCKED_IN, from_blocked_infer, from_blocked_run, NULL);
const nnd_op nnd_op_pick_channels = BLOCKED("PickChannels", NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT,
                                            pick_infer, pick_run, pick_plan);
