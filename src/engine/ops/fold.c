/* What undoes a window: Col2Im adds overlapping blocks up, MaxUnpool puts maxima back. */
#include <string.h>

#include "engine/ops/blocks.h"
#include "engine/ops/window.h"

/* ---- Col2Im --------------------------------------------------------------------------------- */

enum { MAX_SPATIAL = 5 };
static const int64_t MAX_EXTENT = (int64_t)1 << 31;

typedef struct fold {
    const nnd_op_ctx *c;
    size_t spatial, area, block, blocks; /* elements of a plane, of a block; number of blocks */
    int64_t image[MAX_SPATIAL], kernel[MAX_SPATIAL], count[MAX_SPATIAL]; /* count: of blocks */
    int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL], begin[MAX_SPATIAL];
    int64_t channels;
} fold;

static nnd_status read_extents(const nnd_op_ctx *c, size_t input, size_t want, int64_t *out,
                               size_t *n)
{
    NND_TRY(nnd_op_list(c, input, input == 1 ? "image_shape" : "block_shape", out, MAX_SPATIAL, n));
    if (*n < 1 || *n == SIZE_MAX || (want && *n != want))
        return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have one extent per dimension",
                           input);
    for (size_t i = 0; i < *n; i++)
        if (out[i] < 1 || out[i] > MAX_EXTENT)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu holds the impossible extent %lld", input,
                               (long long)out[i]);
    return NND_OK;
}

static nnd_status read_steps(const nnd_op_ctx *c, const char *name, size_t count, int64_t least,
                             int64_t *out)
{
    size_t n;
    const int64_t *list = nnd_node_ints(c->node, name, &n);
    if (list && n != count)
        return nnd_op_fail(c, NND_E_SHAPE, "%s has %zu values, %zu are wanted", name, n, count);
    for (size_t i = 0; i < count; i++) {
        out[i] = list ? list[i] : least;
        if (out[i] < least || out[i] > MAX_EXTENT)
            return nnd_op_fail(c, NND_E_SHAPE, "%s has the impossible value %lld", name,
                               (long long)out[i]);
    }
    return NND_OK;
}

static nnd_status read_fold(const nnd_op_ctx *c, fold *f)
{
    int64_t pads[2 * MAX_SPATIAL];
    size_t n;
    const nnd_tensor *x, *needed;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_need(c, 1, &needed));
    NND_TRY(nnd_op_need(c, 2, &needed));
    *f = (fold){.c = c, .area = 1, .block = 1, .blocks = 1};
    NND_TRY(read_extents(c, 1, 0, f->image, &f->spatial));
    NND_TRY(read_extents(c, 2, f->spatial, f->kernel, &n));
    NND_TRY(read_steps(c, "strides", n, 1, f->stride));
    NND_TRY(read_steps(c, "dilations", n, 1, f->dilation));
    NND_TRY(read_steps(c, "pads", 2 * n, 0, pads));
    if (x->rank != 3) return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, not 3", x->rank);
    /* Every product stays below the input's element count, or the input would not fit. */
    int64_t room = x->dims[1], places = x->dims[2];
    for (size_t i = 0; i < n; i++) {
        int64_t reach = (f->kernel[i] - 1) * f->dilation[i] + 1;
        int64_t slack = f->image[i] + pads[i] + pads[i + n] - reach;
        f->begin[i] = pads[i];
        f->count[i] = slack < 0 ? 0 : slack / f->stride[i] + 1;
        room /= f->kernel[i];
        places = f->count[i] ? places / f->count[i] : 0;
        if (room < 1 || places < 1)
            return nnd_op_fail(c, NND_E_SHAPE, "the input does not have one column per block");
        f->block *= (size_t)f->kernel[i];
        f->blocks *= (size_t)f->count[i];
    }
    f->channels = room;
    if (x->dims[1] != room * (int64_t)f->block || x->dims[2] != (int64_t)f->blocks)
        return nnd_op_fail(c, NND_E_SHAPE, "the input does not have one column per block");
    return NND_OK;
}

static nnd_status fold_infer(nnd_op_ctx *c)
{
    fold f;
    int64_t dims[MAX_SPATIAL + 2];
    NND_TRY(read_fold(c, &f));
    dims[0] = c->in[0]->dims[0];
    dims[1] = f.channels;
    memcpy(dims + 2, f.image, f.spatial * sizeof(*dims));
    return nnd_op_output(c, 0, c->in[0]->dtype, (int)f.spatial + 2, dims);
}

/* The sum of all that falls on one element: the cells of the block whose places there are whole. */
static void fold_element(const fold *f, size_t plane, size_t index, nnd_class in,
                         nnd_block_memory *sum)
{
    const nnd_tensor *x = f->c->in[0];
    int64_t at[MAX_SPATIAL];
    size_t left = index;
    nnd_block_memory one;
    memset(sum, 0, sizeof(sum->u64[0]));
    for (size_t d = f->spatial; d-- > 0; left /= (size_t)f->image[d])
        at[d] = (int64_t)(left % (size_t)f->image[d]) + f->begin[d];
    for (size_t cell = 0; cell < f->block; cell++) {
        size_t rest = cell, place = 0, step = 1;
        bool inside = true;
        for (size_t d = f->spatial; d-- > 0 && inside; rest /= (size_t)f->kernel[d]) {
            int64_t k = (int64_t)(rest % (size_t)f->kernel[d]);
            int64_t from = at[d] - k * f->dilation[d];
            inside = from >= 0 && from % f->stride[d] == 0 && from / f->stride[d] < f->count[d];
            if (inside) place += (size_t)(from / f->stride[d]) * step;
            step *= (size_t)f->count[d];
        }
        if (!inside) continue;
        const void *v = nnd_block_load(in, x->dtype, x->data,
                                       (plane * f->block + cell) * f->blocks + place, 1, 1, &one);
        if (in == NND_IN_F32)
            sum->f32[0] += *(const float *)v;
        else if (in == NND_IN_F64)
            sum->f64[0] += *(const double *)v;
        else
            sum->u64[0] += *(const uint64_t *)v;
    }
}

static nnd_status fold_tile(void *user, size_t plane, int lane)
{
    const fold *f = user;
    const nnd_tensor *y = &f->c->out[0];
    nnd_class in = nnd_class_of(y->dtype);
    nnd_block_memory sum;
    (void)lane;
    for (size_t i = 0; i < f->area; i++) {
        fold_element(f, plane, i, in, &sum);
        nnd_block_store(in, y->dtype, y->data, plane * f->area + i, 1, &sum);
    }
    return NND_OK;
}

static nnd_status fold_run(nnd_op_ctx *c)
{
    fold f;
    NND_TRY(read_fold(c, &f));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    f.area = (size_t)nnd_op_span(&c->out[0], 2, c->out[0].rank);
    return nnd_op_for(c, (size_t)(c->in[0]->dims[0] * f.channels), fold_tile, &f);
}

/* ---- MaxUnpool ------------------------------------------------------------------------------ */

/* The extents that the indices count in: what MaxPool's input was by its attributes. */
static nnd_status natural_shape(const nnd_op_ctx *c, int64_t *dims)
{
    int64_t kernel[NND_MAX_SPATIAL], stride[NND_MAX_SPATIAL], pads[2 * NND_MAX_SPATIAL];
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I64));
    const nnd_tensor *x = c->in[0], *at = c->in[1];
    int spatial = x->rank - 2;
    if (spatial < 1 || spatial > NND_MAX_SPATIAL)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, 3 to 5 are supported", x->rank);
    if (at->rank != x->rank || memcmp(at->dims, x->dims, (size_t)x->rank * sizeof(*dims)) != 0)
        return nnd_op_fail(c, NND_E_SHAPE, "the indices have another shape than the values");
    if (!nnd_node_attr(c->node, "kernel_shape"))
        return nnd_op_fail(c, NND_E_FORMAT, "kernel_shape is missing");
    NND_TRY(read_steps(c, "kernel_shape", (size_t)spatial, 1, kernel));
    NND_TRY(read_steps(c, "strides", (size_t)spatial, 1, stride));
    NND_TRY(read_steps(c, "pads", 2 * (size_t)spatial, 0, pads));
    memcpy(dims, x->dims, 2 * sizeof(*dims));
    for (int i = 0; i < spatial; i++) {
        if (x->dims[i + 2] < 1 || x->dims[i + 2] > MAX_EXTENT)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d has an impossible extent", i + 2);
        dims[i + 2] = (x->dims[i + 2] - 1) * stride[i] + kernel[i] - pads[i] - pads[i + spatial];
        if (dims[i + 2] < 1)
            return nnd_op_fail(c, NND_E_SHAPE, "the padding is larger than dimension %d", i + 2);
    }
    return NND_OK;
}

static nnd_status unpool_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK], given[NND_MAX_RANK];
    size_t count;
    NND_TRY(natural_shape(c, dims));
    NND_TRY(nnd_op_list(c, 2, "output_shape", given, NND_MAX_RANK, &count));
    if (count == SIZE_MAX) return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims);
    if (count != (size_t)c->in[0]->rank || given[0] != dims[0] || given[1] != dims[1])
        return nnd_op_fail(c, NND_E_SHAPE, "the given shape does not fit the input");
    return nnd_op_output(c, 0, c->in[0]->dtype, (int)count, given);
}

/* A larger shape that is asked for is filled by position, as the standard's own cases have it:
   index → coordinates of the natural shape → element of the result. */
static nnd_status unpool_run(nnd_op_ctx *c)
{
    int64_t natural[NND_MAX_RANK];
    NND_TRY(natural_shape(c, natural));
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    const int64_t *indices = c->in[1]->data;
    size_t size = nnd_op_element(x->dtype), count = (size_t)nnd_tensor_count(x);
    nnd_tensor whole;
    NND_TRY(nnd_tensor_init(&whole, x->dtype, x->rank, natural, NULL));
    int64_t total = nnd_tensor_count(&whole);
    memset(y->data, 0, nnd_tensor_bytes(y));
    for (size_t i = 0; i < count; i++) {
        int64_t left = indices[i], to = 0, step = 1;
        bool inside = left >= 0 && left < total;
        for (int d = x->rank - 1; d >= 0 && inside; d--) {
            int64_t k = left % natural[d];
            inside = k < y->dims[d];
            to += k * step;
            step *= y->dims[d];
            left /= natural[d];
        }
        if (!inside)
            return nnd_op_fail(c, NND_E_FORMAT, "index %lld is outside of the result",
                               (long long)indices[i]);
        memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + i * size, size);
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Col2Im", 18, 0, 3, 3, 1, 1, 0, fold_infer, fold_run, .variant = 0},
    {"", "MaxUnpool", 9, 0, 2, 3, 1, 1, 0, unpool_infer, unpool_run, .variant = 0},
};
const nnd_op_family nnd_ops_fold = {ops, NND_COUNT(ops)};
