/* Operators that make elements: Range, OneHot, NonZero, CumSum, Trilu, EyeLike. */
#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/blocks.h"

/* ---- Range ---------------------------------------------------------------------------------- */

/* com.microsoft's may leave out the step, which then is 1. */
static nnd_status range_infer(nnd_op_ctx *c)
{
    const nnd_tensor *start, *limit, *delta = nnd_op_in(c, 2);
    NND_TRY(nnd_op_known(c, 0, &start));
    NND_TRY(nnd_op_known(c, 1, &limit));
    if (delta || !c->node->domain[0]) NND_TRY(nnd_op_known(c, 2, &delta));
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    for (size_t i = 0; i < (delta ? 3u : 2u); i++) {
        NND_TRY(nnd_op_expect(c, i, 1u << start->dtype));
        if (nnd_tensor_count(c->in[i]) != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no scalar", i);
    }
    double a = nnd_dtype_get(start->dtype, start->data, 0),
           b = nnd_dtype_get(limit->dtype, limit->data, 0);
    double d = delta ? nnd_dtype_get(delta->dtype, delta->data, 0) : 1;
    double steps = ceil((b - a) / d);
    if (d == 0 || !(fabs(steps) < 1e15)) return nnd_op_fail(c, NND_E_SHAPE, "the range never ends");
    int64_t n = steps > 0 ? (int64_t)steps : 0;
    return nnd_op_output(c, 0, start->dtype, 1, &n);
}

static nnd_status range_run(nnd_op_ctx *c)
{
    const nnd_tensor *start = c->in[0], *delta = nnd_op_in(c, 2), *y = &c->out[0];
    nnd_class in = nnd_class_of(start->dtype);
    nnd_block_memory m;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(y); i++) {
        if (in > NND_IN_F64) {
            const uint64_t step = delta ? (uint64_t)nnd_op_int_at(delta, 0) : 1;
            m.u64[0] = (uint64_t)nnd_op_int_at(start, 0) + i * step;
            nnd_block_store(in, y->dtype, y->data, i, 1, &m);
        } else {
            const double step = delta ? nnd_dtype_get(delta->dtype, delta->data, 0) : 1;
            nnd_dtype_set(y->dtype, y->data, i,
                          nnd_dtype_get(start->dtype, start->data, 0) + (double)i * step);
        }
    }
    return NND_OK;
}

/* ---- OneHot --------------------------------------------------------------------------------- */

static nnd_status onehot_infer(nnd_op_ctx *c)
{
    const nnd_tensor *index, *depth, *values;
    int64_t dims[NND_MAX_RANK + 1];
    int axis;
    NND_TRY(nnd_op_need(c, 0, &index));
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_known(c, 1, &depth));
    NND_TRY(nnd_op_expect(c, 1, NND_NUMBERS));
    NND_TRY(nnd_op_need(c, 2, &values));
    if (index->rank == NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the result has too many dimensions");
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", -1), index->rank + 1, &axis));
    double n = nnd_tensor_count(depth) == 1 ? nnd_dtype_get(depth->dtype, depth->data, 0) : -1;
    if (!(n >= 0 && n < 1e12) || nnd_tensor_count(values) != 2 || !nnd_op_element(values->dtype))
        return nnd_op_fail(c, NND_E_SHAPE, "depth or values are impossible");
    for (int i = 0; i <= index->rank; i++)
        dims[i] = i < axis ? index->dims[i] : i == axis ? (int64_t)n : index->dims[i - 1];
    return nnd_op_output(c, 0, values->dtype, index->rank + 1, dims);
}

static nnd_status onehot_run(nnd_op_ctx *c)
{
    const nnd_tensor *index = c->in[0], *values = c->in[2], *y = &c->out[0];
    int axis;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", -1), y->rank, &axis));
    size_t inner = (size_t)nnd_op_span(y, axis + 1, y->rank), depth = (size_t)y->dims[axis];
    size_t size = nnd_op_element(y->dtype);
    for (size_t i = 0; i < (size_t)nnd_tensor_count(y); i++) {
        size_t at = i / inner / depth * inner + i % inner;
        double k = nnd_dtype_get(index->dtype, index->data, at);
        if (k < 0) k += (double)depth;
        bool on = k == (double)(i / inner % depth);
        memcpy((char *)y->data + i * size, (const char *)values->data + (on ? size : 0), size);
    }
    return NND_OK;
}

/* ---- NonZero -------------------------------------------------------------------------------- */

static bool is_zero(const nnd_tensor *t, size_t i)
{
    return nnd_class_of(t->dtype) <= NND_IN_F64 ? nnd_dtype_get(t->dtype, t->data, i) == 0
                                                : nnd_op_int_at(t, i) == 0;
}

static nnd_status nonzero_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS | 1u << NND_BOOL));
    NND_TRY(nnd_op_known(c, 0, &x));
    int64_t dims[2] = {x->rank, 0};
    for (size_t i = 0; i < (size_t)nnd_tensor_count(x); i++)
        dims[1] += !is_zero(x, i);
    return nnd_op_output(c, 0, NND_I64, 2, dims);
}

static nnd_status nonzero_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    size_t n = (size_t)c->out[0].dims[1], at = 0;
    int64_t *y = c->out[0].data;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(x) && at < n; i++) {
        if (is_zero(x, i)) continue;
        size_t left = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            y[(size_t)d * n + at] = (int64_t)(left % (size_t)x->dims[d]);
            left /= (size_t)x->dims[d];
        }
        at++;
    }
    return NND_OK;
}

/* ---- CumSum, CumProd ------------------------------------------------------------------------ */

static nnd_status cumulative_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32 | 1u << NND_I64));
    return nnd_op_like(c, 0, 0);
}

static nnd_status cumulative_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    int axis;
    if (nnd_tensor_count(c->in[1]) != 1) return nnd_op_fail(c, NND_E_SHAPE, "axis is no scalar");
    NND_TRY(nnd_op_axis(c, nnd_op_int_at(c->in[1], 0), x->rank, &axis));
    bool exclusive = nnd_node_int(c->node, "exclusive", 0) != 0, product = c->op->variant == 1;
    bool reverse = nnd_node_int(c->node, "reverse", 0) != 0;
    nnd_class in = nnd_class_of(x->dtype);
    size_t n = (size_t)x->dims[axis], inner = (size_t)nnd_op_span(x, axis + 1, x->rank);
    size_t rows = (size_t)nnd_op_span(x, 0, axis) * inner;
    for (size_t r = 0; r < rows; r++) {
        size_t base = r / inner * n * inner + r % inner;
        double sum = product ? 1 : 0;
        uint64_t total = product ? 1 : 0;
        for (size_t i = 0; i < n; i++) {
            size_t at = base + (reverse ? n - 1 - i : i) * inner;
            double v = in > NND_IN_F64 ? 0 : nnd_dtype_get(x->dtype, x->data, at), shown;
            uint64_t u = in > NND_IN_F64 ? (uint64_t)nnd_op_int_at(x, at) : 0;
            nnd_block_memory m;
            shown = sum;
            m.u64[0] = total;
            sum = product ? sum * v : sum + v;
            total = product ? total * u : total + u;
            if (!exclusive) {
                shown = sum;
                m.u64[0] = total;
            }
            if (in > NND_IN_F64)
                nnd_block_store(in, y->dtype, y->data, at, 1, &m);
            else
                nnd_dtype_set(y->dtype, y->data, at, shown);
        }
    }
    return NND_OK;
}

/* ---- Trilu, EyeLike ------------------------------------------------------------------------- */

static nnd_status trilu_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    if (x->rank < 2 || !nnd_op_element(x->dtype))
        return nnd_op_fail(c, NND_E_SHAPE, "the input is no matrix");
    return nnd_op_like(c, 0, 0);
}

static nnd_status trilu_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *offset = nnd_op_in(c, 1);
    int64_t rows = x->dims[x->rank - 2], cols = x->dims[x->rank - 1];
    int64_t k = offset && nnd_tensor_count(offset) == 1 ? nnd_op_int_at(offset, 0) : 0;
    bool upper = nnd_node_int(c->node, "upper", 1) != 0;
    size_t size = nnd_op_element(x->dtype), total = (size_t)nnd_tensor_count(x);
    for (size_t i = 0; i < total; i++) {
        int64_t col = (int64_t)i % cols, row = (int64_t)i / cols % rows;
        /* col − row compared with k; k may be any 64-bit number. */
        bool keep = upper ? col - row >= k : col - row <= k;
        char *to = (char *)c->out[0].data + i * size;
        if (keep)
            memmove(to, (const char *)x->data + i * size, size);
        else
            memset(to, 0, size);
    }
    return NND_OK;
}

static nnd_status eye_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    nnd_dtype named = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "dtype", 0));
    nnd_dtype dtype = named != NND_DTYPE_INVALID ? named : x->dtype;
    if (x->rank != 2 || !((NND_NUMBERS | 1u << NND_BOOL) >> dtype & 1u))
        return nnd_op_fail(c, NND_E_SHAPE, "the input is no matrix of numbers");
    return nnd_op_output(c, 0, dtype, 2, x->dims);
}

static nnd_status eye_run(nnd_op_ctx *c)
{
    const nnd_tensor *y = &c->out[0];
    int64_t k = nnd_node_int(c->node, "k", 0);
    memset(y->data, 0, nnd_tensor_bytes(y));
    for (int64_t row = 0; row < y->dims[0]; row++)
        if (k > -y->dims[0] && k < y->dims[1] && row + k >= 0 && row + k < y->dims[1])
            nnd_dtype_set(y->dtype, y->data, (size_t)(row * y->dims[1] + row + k), 1.0);
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Range", 11, 0, 3, 3, 1, 1, 0, range_infer, range_run, .variant = 0},
    {"com.microsoft", "Range", 1, 0, 2, 3, 1, 1, 0, range_infer, range_run, .variant = 0},
    {"", "OneHot", 9, 0, 3, 3, 1, 1, 0, onehot_infer, onehot_run, .variant = 0},
    {"", "NonZero", 9, 0, 1, 1, 1, 1, 0, nonzero_infer, nonzero_run, .variant = 0},
    {"", "CumSum", 11, 0, 2, 2, 1, 1, 0, cumulative_infer, cumulative_run, .variant = 0},
    {"", "CumProd", 26, 0, 2, 2, 1, 1, 0, cumulative_infer, cumulative_run, .variant = 1},
    {"", "Trilu", 14, 0, 1, 2, 1, 1, NND_OP_INPLACE, trilu_infer, trilu_run, .variant = 0},
    {"com.microsoft", "Trilu", 1, 0, 1, 2, 1, 1, NND_OP_INPLACE, trilu_infer, trilu_run,
     .variant = 0},
    {"", "EyeLike", 9, 0, 1, 1, 1, 1, NND_OP_SHAPE_ONLY, eye_infer, eye_run, .variant = 0},
};
const nnd_op_family nnd_ops_generate = {ops, NND_COUNT(ops)};
