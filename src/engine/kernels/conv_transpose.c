/*
 * Transposed convolution as one direct convolution per phase of the output (see kernels.h).
 *
 * Along one axis, output o = p + q·stride of phase p sees tap k from input i when i·stride + k =
 * o + begin. With r = (p + begin) mod stride, its taps are r, r + stride, …, and tap t of these
 * reads i = q + (p + begin − r)/stride − t: a convolution of stride 1 whose taps lie backwards,
 * with so many pixels of padding that its first tap may lie in front of the input.
 *
 * Packed: the weights of all residues r, rows before columns, each as direct convolution has them.
 */
#include "engine/kernels/set.h"

#define MOST_PHASES 64 /* more, and each is hardly worth its plan */

/* One phase along one axis. */
typedef struct phase {
    int64_t residue, taps;
    int64_t outputs;       /* may be ≤ 0 */
    int64_t before, after; /* padding; negative when inputs would be cut off */
} phase;

/* The phases of the whole output, and the convolution of each. */
typedef struct part {
    nnd_conv *conv;
    size_t packed_at, packed_bytes; /* by residue */
    size_t tiles;                   /* 0: no pixel of the output */
    phase rows, columns;
} part;

struct nnd_conv_transpose {
    nnd_conv_transpose_desc desc;
    size_t count, tiles, packed_bytes, lane_bytes;
    part parts[];
};

static phase phase_of(int64_t p, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                      int64_t begin)
{
    phase f = {.residue = (p + begin) % stride};
    f.taps = (kernel - 1 - f.residue) / stride + 1;
    f.outputs = out > p ? (out - p - 1) / stride + 1 : 0;
    f.before = f.taps - 1 - (p + begin) / stride;
    f.after = f.outputs + f.taps - 1 - in - f.before;
    return f;
}

static phase phase_of_rows(const nnd_conv_transpose_desc *d, int64_t p)
{
    return phase_of(p, d->in_h, d->out_h, d->kernel_h, d->stride_h, d->begin_h);
}

static phase phase_of_columns(const nnd_conv_transpose_desc *d, int64_t p)
{
    return phase_of(p, d->in_w, d->out_w, d->kernel_w, d->stride_w, d->begin_w);
}

static bool axis_can(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t begin)
{
    const int64_t limit = INT32_MAX;
    if (in < 1 || out < 1 || stride < 1 || begin < 0 || kernel < stride) return false;
    if (in > limit || out > limit || kernel > limit || begin > limit) return false;
    if (stride > MOST_PHASES) return false;
    for (int64_t p = 0; p < stride; p++) {
        phase f = phase_of(p, in, out, kernel, stride, begin);
        if (f.before < 0 || f.after < 0) return false;
    }
    return true;
}

bool nnd_conv_transpose_can(const nnd_conv_transpose_desc *d)
{
    return nnd_kernel_set_current()->tile_planar && d->groups >= 1 && d->in_channels >= 1 &&
           d->out_channels >= 1 && d->in_channels % d->groups == 0 &&
           d->out_channels % d->groups == 0 &&
           axis_can(d->in_h, d->out_h, d->kernel_h, d->stride_h, d->begin_h) &&
           axis_can(d->in_w, d->out_w, d->kernel_w, d->stride_w, d->begin_w) &&
           d->stride_h * d->stride_w <= MOST_PHASES;
}

/* A phase without pixels is planned for one, since its weights have their place. */
static nnd_status make_part(const nnd_conv_transpose_desc *d, int64_t ph, int64_t pw, part *out)
{
    phase rows = phase_of_rows(d, ph), columns = phase_of_columns(d, pw);
    bool empty = rows.outputs < 1 || columns.outputs < 1;
    nnd_conv_desc conv = {.batch = d->batch,
                          .in_channels = d->in_channels,
                          .in_h = d->in_h,
                          .in_w = d->in_w,
                          .out_channels = d->out_channels,
                          .groups = d->groups,
                          .kernel_h = rows.taps,
                          .kernel_w = columns.taps,
                          .stride_h = 1,
                          .stride_w = 1,
                          .dilation_h = 1,
                          .dilation_w = 1,
                          .pad_top = rows.before,
                          .pad_left = columns.before,
                          .pad_bottom = rows.after + (rows.outputs < 1),
                          .pad_right = columns.after + (columns.outputs < 1),
                          .in_layout = d->in_layout,
                          .out_layout = d->out_layout};
    if (!empty)
        conv.place = (nnd_conv_place){.height = d->out_h,
                                      .width = d->out_w,
                                      .first_h = ph,
                                      .first_w = pw,
                                      .step_h = NND_MIN(d->stride_h, d->out_h),
                                      .step_w = NND_MIN(d->stride_w, d->out_w)};
    *out = (part){.rows = rows, .columns = columns};
    NND_TRY(nnd_conv_create(&conv, NND_CONV_DIRECT, &out->conv));
    out->packed_bytes =
        (size_t)nnd_round_up((int64_t)nnd_conv_packed_bytes(out->conv), NND_KERNEL_ALIGN);
    out->tiles = empty ? 0 : nnd_conv_tiles(out->conv, 0);
    return NND_OK;
}

/* Places in the packed weights go by residue: they are the same whatever is cut off in front. */
static void place_weights(nnd_conv_transpose *t)
{
    for (int64_t r = 0; r < (int64_t)t->count; r++) {
        for (size_t i = 0; i < t->count; i++) {
            part *p = &t->parts[i];
            if (p->rows.residue * t->desc.stride_w + p->columns.residue != r) continue;
            p->packed_at = t->packed_bytes;
            t->packed_bytes += p->packed_bytes;
        }
    }
}

nnd_status nnd_conv_transpose_create(const nnd_conv_transpose_desc *d, nnd_conv_transpose **out)
{
    *out = NULL;
    if (!nnd_conv_transpose_can(d))
        return nnd_error_set(NND_E_UNSUPPORTED, "transposed convolution: no phases for this shape");
    size_t count = (size_t)(d->stride_h * d->stride_w);
    nnd_conv_transpose *t = nnd_calloc(1, sizeof *t + count * sizeof *t->parts);
    if (!t) return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the plan");
    t->desc = *d;
    t->count = count;
    for (size_t i = 0; i < count; i++) {
        part *p = &t->parts[i];
        nnd_status status = make_part(d, (int64_t)i / d->stride_w, (int64_t)i % d->stride_w, p);
        if (status != NND_OK) {
            nnd_conv_transpose_destroy(t);
            return status;
        }
        t->tiles += p->tiles;
        t->lane_bytes = NND_MAX(t->lane_bytes, nnd_conv_lane_bytes(p->conv));
    }
    place_weights(t);
    *out = t;
    return NND_OK;
}

void nnd_conv_transpose_destroy(nnd_conv_transpose *t)
{
    for (size_t i = 0; t && i < t->count; i++)
        nnd_conv_destroy(t->parts[i].conv);
    nnd_free(t);
}

size_t nnd_conv_transpose_packed_bytes(const nnd_conv_transpose *t)
{
    return t->packed_bytes;
}

/* The taps of a part backwards, as weights of a convolution. */
static void turn_weights(const nnd_conv_transpose_desc *d, const part *p, const float *weights,
                         float *to)
{
    int64_t depth = d->in_channels / d->groups, out_depth = d->out_channels / d->groups;
    int64_t area = d->kernel_h * d->kernel_w;
    for (int64_t oc = 0; oc < d->out_channels; oc++) {
        for (int64_t ic = 0; ic < depth; ic++) {
            int64_t input = oc / out_depth * depth + ic;
            const float *window = weights + (input * out_depth + oc % out_depth) * area;
            for (int64_t th = p->rows.taps - 1; th >= 0; th--) {
                const float *row = window + (p->rows.residue + th * d->stride_h) * d->kernel_w;
                for (int64_t tw = p->columns.taps - 1; tw >= 0; tw--)
                    *to++ = row[p->columns.residue + tw * d->stride_w];
            }
        }
    }
}

nnd_status nnd_conv_transpose_pack(const nnd_conv_transpose *t, const float *weights,
                                   const float *bias, void *packed)
{
    const nnd_conv_transpose_desc *d = &t->desc;
    int64_t rows = nnd_ceil_div(d->kernel_h, d->stride_h);
    int64_t columns = nnd_ceil_div(d->kernel_w, d->stride_w);
    int64_t filters = d->out_channels * (d->in_channels / d->groups);
    float *turned = nnd_alloc((size_t)(filters * rows * columns) * sizeof *turned);
    if (!turned) return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory to pack");
    for (size_t i = 0; i < t->count; i++) {
        turn_weights(d, &t->parts[i], weights, turned);
        nnd_conv_pack(t->parts[i].conv, turned, bias, (char *)packed + t->parts[i].packed_at);
    }
    nnd_free(turned);
    return NND_OK;
}

size_t nnd_conv_transpose_tiles(const nnd_conv_transpose *t)
{
    return t->tiles;
}

size_t nnd_conv_transpose_lane_bytes(const nnd_conv_transpose *t)
{
    return t->lane_bytes;
}

void nnd_conv_transpose_run_tile(const nnd_conv_transpose *t, const float *x, const void *packed,
                                 float *y, size_t tile, void *scratch)
{
    const part *p = t->parts;
    for (; tile >= p->tiles; p++)
        tile -= p->tiles;
    const nnd_conv_args args = {.x = x, .packed = (const char *)packed + p->packed_at, .y = y};
    nnd_conv_run_tile(p->conv, &args, 0, tile, scratch);
}
