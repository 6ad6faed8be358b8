/* Writing elements by index: ScatterElements (and its old name Scatter), ScatterND. */
#include <math.h>
#include <string.h>

#include "engine/ops/blocks.h"
#include "engine/ops/element_rows.h"

typedef enum merge { REPLACE, ADD, MULTIPLY, MINIMUM, MAXIMUM } merge;

static nnd_status read_merge(const nnd_op_ctx *c, merge *out)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *text = nnd_node_string(c->node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (merge)i;
            return NND_OK;
        }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the reduction '%s' is not known", text);
}

static void merge_one(const nnd_tensor *y, size_t to, const nnd_tensor *update, size_t from,
                      merge how)
{
    if (y->dtype == NND_F32 && how <= ADD) { /* what most models do */
        const float *u = update->data;
        float *v = y->data;
        v[to] = how == ADD ? v[to] + u[from] : u[from];
        return;
    }
    size_t size = nnd_op_element(y->dtype);
    nnd_class in = nnd_class_of(y->dtype);
    if (how == REPLACE) {
        memcpy((char *)y->data + to * size, (const char *)update->data + from * size, size);
        return;
    }
    if (in <= NND_IN_F64) {
        double a = nnd_dtype_get(y->dtype, y->data, to),
               b = nnd_dtype_get(update->dtype, update->data, from);
        double v = how == ADD        ? a + b
                   : how == MULTIPLY ? a * b
                   : how == MINIMUM  ? fmin(a, b)
                                     : fmax(a, b);
        nnd_dtype_set(y->dtype, y->data, to, v);
        return;
    }
    nnd_block_memory m;
    uint64_t a = (uint64_t)nnd_op_int_at(y, to), b = (uint64_t)nnd_op_int_at(update, from);
    bool less = in == NND_IN_U64 ? a < b : (int64_t)a < (int64_t)b;
    m.u64[0] = how == ADD ? a + b : how == MULTIPLY ? a * b : (how == MINIMUM) == less ? a : b;
    nnd_block_store(in, y->dtype, y->data, to, 1, &m);
}

static nnd_status check(const nnd_op_ctx *c)
{
    merge how;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(read_merge(c, &how));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32 | 1u << NND_I64));
    NND_TRY(nnd_op_expect(c, 2, 1u << x->dtype));
    if (!nnd_op_element(x->dtype) || (how != REPLACE && !(NND_NUMBERS >> x->dtype & 1u)))
        return nnd_op_expect(c, 0, 0);
    return NND_OK;
}

static nnd_status copy_input(nnd_op_ctx *c)
{
    size_t bytes = nnd_tensor_bytes(c->in[0]);
    if (bytes && c->in[0]->data != c->out[0].data) memcpy(c->out[0].data, c->in[0]->data, bytes);
    return NND_OK;
}

static nnd_status bad_index(const nnd_op_ctx *c, int64_t index, int64_t extent)
{
    return nnd_op_fail(c, NND_E_SHAPE, "index %lld is outside of a dimension of %lld",
                       (long long)index, (long long)extent);
}

/* ---- ScatterElements ------------------------------------------------------------------------ */

static nnd_status elements_infer(nnd_op_ctx *c)
{
    int axis;
    NND_TRY(check(c));
    const nnd_tensor *x = c->in[0], *index = c->in[1], *update = c->in[2];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    bool fits = index->rank == x->rank && update->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = index->dims[i] == update->dims[i] && (i == axis || index->dims[i] <= x->dims[i]);
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "indices and updates do not fit the input");
    return nnd_op_like(c, 0, 0);
}

static nnd_status elements_run(nnd_op_ctx *c)
{
    merge how;
    nnd_element_rows r;
    const nnd_tensor *index = c->in[1];
    NND_TRY(read_merge(c, &how));
    NND_TRY(nnd_element_rows_begin(c, &r));
    NND_TRY(copy_input(c));
    for (size_t row = 0; row < r.rows; row++) {
        size_t base = nnd_element_rows_next(&r);
        for (size_t i = 0; i < r.length; i++) {
            size_t from = row * r.length + i;
            int64_t k = nnd_op_int_at(index, from);
            if (k < -r.extent || k >= r.extent) return bad_index(c, k, r.extent);
            size_t to = base + (size_t)(k < 0 ? k + r.extent : k) * r.stride + i * r.step;
            merge_one(&c->out[0], to, c->in[2], from, how);
        }
    }
    return NND_OK;
}

/* ---- ScatterND ------------------------------------------------------------------------------ */

static nnd_status nd_infer(nnd_op_ctx *c)
{
    NND_TRY(check(c));
    const nnd_tensor *x = c->in[0], *index = c->in[1], *update = c->in[2];
    int64_t depth = index->rank ? index->dims[index->rank - 1] : -1;
    bool fits = depth >= 0 && depth <= x->rank && update->rank == index->rank - 1 + x->rank - depth;
    for (int i = 0; fits && i < update->rank; i++)
        fits = update->dims[i] ==
               (i < index->rank - 1 ? index->dims[i] : x->dims[i - (index->rank - 1) + depth]);
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "indices and updates do not fit the input");
    return nnd_op_like(c, 0, 0);
}

/* Which piece of the input the i-th tuple of indices names. */
static inline nnd_status nd_place(const nnd_op_ctx *c, const int64_t *wide, int depth, size_t i,
                                  size_t *to)
{
    const int64_t *dims = c->in[0]->dims;
    *to = 0;
    for (int d = 0; d < depth; d++) {
        size_t at = i * (size_t)depth + (size_t)d;
        int64_t k = wide ? wide[at] : nnd_op_int_at(c->in[1], at), extent = dims[d];
        if (k < -extent || k >= extent) return bad_index(c, k, extent);
        *to = *to * (size_t)extent + (size_t)(k < 0 ? k + extent : k);
    }
    return NND_OK;
}

/* One after the other: the last of those that name the same place wins. */
static nnd_status nd_replace(nnd_op_ctx *c, const int64_t *wide, int depth, size_t n, size_t bytes)
{
    char *y = c->out[0].data;
    const char *from = c->in[2]->data;
    for (size_t i = 0; i < n; i++) {
        size_t to;
        NND_TRY(nd_place(c, wide, depth, i, &to));
        if (bytes == 4) /* mostly */
            memcpy(y + to * 4, from + i * 4, 4);
        else if (bytes)
            memcpy(y + to * bytes, from + i * bytes, bytes);
    }
    return NND_OK;
}

static nnd_status nd_run(nnd_op_ctx *c)
{
    merge how;
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    NND_TRY(read_merge(c, &how));
    NND_TRY(copy_input(c));
    int depth = (int)index->dims[index->rank - 1];
    const int64_t *wide = index->dtype == NND_I64 ? index->data : NULL;
    size_t piece = (size_t)nnd_op_span(x, depth, x->rank),
           n = (size_t)nnd_op_span(index, 0, index->rank - 1);
    if (how == REPLACE) return nd_replace(c, wide, depth, n, piece * nnd_op_element(x->dtype));
    for (size_t i = 0; i < n; i++) {
        size_t to;
        NND_TRY(nd_place(c, wide, depth, i, &to));
        for (size_t e = 0; e < piece; e++)
            merge_one(&c->out[0], to * piece + e, c->in[2], i * piece + e, how);
    }
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Scatter", 9, 0, 3, 3, 1, 1, NND_OP_INPLACE, elements_infer, elements_run, .variant = 0},
    {"", "ScatterElements", 11, 0, 3, 3, 1, 1, NND_OP_INPLACE, elements_infer, elements_run,
     .variant = 0},
    {"", "ScatterND", 11, 0, 3, 3, 1, 1, NND_OP_INPLACE, nd_infer, nd_run, .variant = 0},
};
const nnd_op_family nnd_ops_scatter = {ops, NND_COUNT(ops)};
