/* Pad: constant, reflect, edge, wrap; negative pads cut. CenterCropPad: zeros, or a cut, on both
   sides. */
#include <string.h>

#include "engine/ops/blocks.h"

typedef enum mode { CONSTANT, REFLECT, EDGE, WRAP } mode;
enum { PAD, CENTER };

typedef struct padding {
    mode mode;
    int64_t begin[NND_MAX_RANK], end[NND_MAX_RANK];
} padding;

static nnd_status read_mode(const nnd_op_ctx *c, padding *p)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *text = nnd_node_string(c->node, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            p->mode = (mode)i;
            return NND_OK;
        }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the mode '%s' is not known", text);
}

static nnd_status read_pads(const nnd_op_ctx *c, padding *p)
{
    int64_t pads[2 * NND_MAX_RANK], axes[NND_MAX_RANK];
    size_t count, axis_count;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    *p = (padding){0};
    NND_TRY(read_mode(c, p));
    const char *name = c->node->opset < 2 ? "paddings" : "pads";
    NND_TRY(nnd_op_list(c, 1, name, pads, 2 * NND_MAX_RANK, &count));
    NND_TRY(nnd_op_list(c, 3, "axes", axes, NND_MAX_RANK, &axis_count));
    size_t n = axis_count == SIZE_MAX ? (size_t)x->rank : axis_count;
    uint32_t set;
    if (axis_count != SIZE_MAX) NND_TRY(nnd_op_axes(c, axes, n, x->rank, &set));
    if (count != 2 * n) return nnd_op_fail(c, NND_E_SHAPE, "there are not two pads per dimension");
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axis_count == SIZE_MAX ? (int64_t)i : axes[i];
        if (axis < 0) axis += x->rank;
        if (pads[i] > INT32_MAX || pads[i] < INT32_MIN || pads[n + i] > INT32_MAX ||
            pads[n + i] < INT32_MIN)
            return nnd_op_fail(c, NND_E_LIMIT, "a pad is too large");
        p->begin[axis] = pads[i];
        p->end[axis] = pads[n + i];
    }
    return NND_OK;
}

static nnd_status read_center(const nnd_op_ctx *c, padding *p)
{
    int64_t shape[NND_MAX_RANK];
    size_t count, axis_count;
    uint32_t set;
    const nnd_tensor *x, *given;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_need(c, 1, &given));
    *p = (padding){.mode = CONSTANT};
    NND_TRY(nnd_op_list(c, 1, "shape", shape, NND_MAX_RANK, &count));
    const int64_t *axes = nnd_node_ints(c->node, "axes", &axis_count);
    if (axes) NND_TRY(nnd_op_axes(c, axes, axis_count, x->rank, &set));
    if (count != (axes ? axis_count : (size_t)x->rank))
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one extent per axis");
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i, missing;
        if (axis < 0) axis += x->rank;
        if (shape[i] < 0 || shape[i] > INT64_MAX / 2)
            return nnd_op_fail(c, NND_E_SHAPE, "the extent %lld is impossible",
                               (long long)shape[i]);
        missing = shape[i] - x->dims[axis];
        p->begin[axis] = missing / 2; /* towards zero: an odd element goes to the end */
        p->end[axis] = missing - missing / 2;
    }
    return NND_OK;
}

static nnd_status read_padding(const nnd_op_ctx *c, padding *p)
{
    return (c->op->variant == CENTER ? read_center : read_pads)(c, p);
}

static nnd_status pad_infer(nnd_op_ctx *c)
{
    padding p;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_padding(c, &p));
    const nnd_tensor *x = c->in[0];
    if (!nnd_op_element(x->dtype)) return nnd_op_expect(c, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i] + p.begin[i] + p.end[i];
        if (dims[i] < 0) return nnd_op_fail(c, NND_E_SHAPE, "dimension %d becomes negative", i);
        if (p.mode != CONSTANT && x->dims[i] == 0 && dims[i] > 0)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d is empty", i);
    }
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

/* Source index of position i − begin along a dimension; −1 = the constant. */
static int64_t source(mode m, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return i;
    if (m == CONSTANT) return -1;
    if (m == EDGE) return i < 0 ? 0 : n - 1;
    if (m == WRAP) return (i % n + n) % n;
    if (n == 1) return 0;
    int64_t period = 2 * (n - 1), k = (i % period + period) % period;
    return k < n ? k : period - k;
}

typedef struct job {
    const nnd_op_ctx *c;
    padding p;
    size_t size;
    const void *value;
} job;

/* One row of the innermost dimension. */
static nnd_status tile(void *user, size_t row, int lane)
{
    const job *j = user;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    int last = x->rank - 1;
    size_t left = row, from = 0, stride = (size_t)x->dims[last], n = (size_t)y->dims[last];
    bool outside = false;
    char *to = (char *)y->data + row * n * j->size;
    (void)lane;
    for (int d = last - 1; d >= 0; d--) {
        int64_t i = (int64_t)(left % (size_t)y->dims[d]) - j->p.begin[d];
        int64_t k = source(j->p.mode, i, x->dims[d]);
        left /= (size_t)y->dims[d];
        outside = outside || k < 0;
        if (k >= 0) from += (size_t)k * stride;
        stride *= (size_t)x->dims[d];
    }
    /* The part of the row that comes from the input as it is goes in one copy. */
    int64_t begin = j->p.begin[last], extent = x->dims[last];
    int64_t plain = begin > 0 ? begin : 0,
            until = begin + extent < (int64_t)n ? begin + extent : (int64_t)n;
    if (outside) until = plain;
    for (int64_t i = 0; i < (int64_t)n; i++) {
        if (i == plain && plain < until) {
            memcpy(to + (size_t)i * j->size,
                   (const char *)x->data + (from + (size_t)(i - begin)) * j->size,
                   (size_t)(until - plain) * j->size);
            i = until - 1;
            continue;
        }
        int64_t k = outside ? -1 : source(j->p.mode, i - begin, extent);
        const char *value = k < 0 ? j->value : (const char *)x->data + (from + (size_t)k) * j->size;
        memcpy(to + (size_t)i * j->size, value, j->size);
    }
    return NND_OK;
}

static nnd_status pad_run(nnd_op_ctx *c)
{
    job j = {.c = c, .size = nnd_op_element(c->in[0]->dtype)};
    double zero[2] = {0};
    NND_TRY(read_padding(c, &j.p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (c->in[0]->rank == 0) {
        memcpy(c->out[0].data, c->in[0]->data, j.size);
        return NND_OK;
    }
    j.value = zero;
    const nnd_tensor *value = c->op->variant == PAD ? nnd_op_in(c, 2) : NULL;
    if (c->op->variant == PAD && c->node->opset < 11)
        nnd_dtype_set(c->in[0]->dtype, zero, 0, (double)nnd_node_float(c->node, "value", 0.0f));
    if (value) {
        NND_TRY(nnd_op_expect(c, 2, 1u << c->in[0]->dtype));
        if (nnd_tensor_count(value) > 0) j.value = value->data;
    }
    size_t rows = (size_t)nnd_op_span(&c->out[0], 0, c->out[0].rank - 1);
    return nnd_op_for(c, rows, tile, &j);
}

static const nnd_op ops[] = {
    {"", "Pad", 1, 0, 1, 4, 1, 1, 0, pad_infer, pad_run, .variant = PAD},
    {"com.microsoft", "Pad", 1, 0, 2, 3, 1, 1, 0, pad_infer, pad_run, .variant = PAD},
    {"", "CenterCropPad", 18, 0, 2, 2, 1, 1, 0, pad_infer, pad_run, .variant = CENTER},
};
const nnd_op_family nnd_ops_pad = {ops, NND_COUNT(ops)};
