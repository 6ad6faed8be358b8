/* Softmax, LogSoftmax, Hardmax. Before opset 13 the input was seen as a matrix cut at `axis`. */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"

enum { PLAIN, LOGARITHM, HARD };

typedef struct job {
    const nnd_tensor *x, *y;
    size_t outer, n, inner; /* the sum runs over n elements, `inner` apart */
    int variant;
    size_t rows_per_tile;
} job;

static nnd_status layout(const nnd_op_ctx *c, job *j)
{
    int axis;
    const nnd_tensor *x = c->in[0];
    bool matrix = c->node->opset < 13;
    int64_t chosen = nnd_node_int(c->node, "axis", matrix ? 1 : -1);
    if (matrix && x->rank >= 0 && chosen == x->rank) {
        axis = x->rank; /* the old form allows an empty second part */
    } else {
        NND_TRY(nnd_op_axis(c, chosen, x->rank ? x->rank : 1, &axis));
        if (!x->rank) axis = 0;
    }
    *j = (job){.x = x, .y = &c->out[0], .variant = c->op->variant};
    j->outer = (size_t)nnd_op_span(x, 0, axis);
    j->n = matrix           ? (size_t)nnd_op_span(x, axis, x->rank)
           : axis < x->rank ? (size_t)x->dims[axis]
                            : 1;
    j->inner = matrix || !x->rank ? 1 : (size_t)nnd_op_span(x, axis + 1, x->rank);
    return NND_OK;
}

static nnd_status softmax_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(layout(c, &j));
    return nnd_op_like(c, 0, 0);
}

static void one_row(const job *j, size_t row)
{
    size_t base = row / j->inner * j->n * j->inner + row % j->inner, best = 0;
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < j->n; i++) {
        double v = nnd_dtype_get(j->x->dtype, j->x->data, base + i * j->inner);
        if (v > top) {
            top = v;
            best = i;
        }
    }
    for (size_t i = 0; i < j->n && j->variant != HARD; i++)
        sum += exp(nnd_dtype_get(j->x->dtype, j->x->data, base + i * j->inner) - top);
    for (size_t i = 0; i < j->n; i++) {
        size_t at = base + i * j->inner;
        double v = nnd_dtype_get(j->x->dtype, j->x->data, at) - top;
        double y = j->variant == HARD    ? (double)(i == best)
                   : j->variant == PLAIN ? exp(v) / sum
                                         : v - log(sum);
        nnd_dtype_set(j->y->dtype, j->y->data, at, y);
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t begin = index * j->rows_per_tile, end = begin + j->rows_per_tile;
    (void)lane;
    if (end > j->outer * j->inner) end = j->outer * j->inner;
    if (j->x->dtype == NND_F32 && j->inner == 1 && j->variant != HARD) {
        const float *x = (const float *)j->x->data + begin * j->n;
        float *y = (float *)j->y->data + begin * j->n;
        if (j->variant == PLAIN)
            nnd_softmax_rows(x, y, end - begin, j->n);
        else
            nnd_log_softmax_rows(x, y, end - begin, j->n);
        return NND_OK;
    }
    for (size_t row = begin; row < end; row++)
        one_row(j, row);
    return NND_OK;
}

/* Neighbouring sums of f32 side by side, whole rows of them at a time. */
enum { COLUMNS = 256, COLUMNS_AT_LEAST = 4 };

static void column_softmax(const job *j, const float *x, float *y, size_t count)
{
    float top[COLUMNS], sum[COLUMNS], power[COLUMNS];
    memcpy(top, x, count * sizeof(*top));
    memset(sum, 0, count * sizeof(*sum));
    for (size_t i = 1; i < j->n; i++)
        nnd_binary_apply(NND_BINARY_MAX, NND_BINARY_BOTH, top, x + i * j->inner, top, count, NULL);
    for (size_t i = 0; i < j->n; i++) {
        float *to = y + i * j->inner, *e = j->variant == PLAIN ? to : power;
        nnd_binary_apply(NND_BINARY_SUB, NND_BINARY_BOTH, x + i * j->inner, top, to, count, NULL);
        nnd_unary_apply(NND_UNARY_EXP, to, e, count);
        nnd_binary_apply(NND_BINARY_ADD, NND_BINARY_BOTH, sum, e, sum, count, NULL);
    }
    nnd_binary_op last = j->variant == PLAIN ? NND_BINARY_DIV : NND_BINARY_SUB;
    if (j->variant == LOGARITHM) nnd_unary_apply(NND_UNARY_LOG, sum, sum, count);
    for (size_t i = 0; i < j->n; i++)
        nnd_binary_apply(last, NND_BINARY_BOTH, y + i * j->inner, sum, y + i * j->inner, count,
                         NULL);
}

static nnd_status column_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t chunks = (j->inner + COLUMNS - 1) / COLUMNS, first = index % chunks * COLUMNS;
    size_t at = index / chunks * j->n * j->inner + first, left = j->inner - first;
    (void)lane;
    column_softmax(j, (const float *)j->x->data + at, (float *)j->y->data + at,
                   left < COLUMNS ? left : COLUMNS);
    return NND_OK;
}

static nnd_status softmax_run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(layout(c, &j));
    size_t rows = j.outer * j.inner;
    if (!rows || !j.n) return NND_OK;
    if (j.x->dtype == NND_F32 && j.inner >= COLUMNS_AT_LEAST && j.variant != HARD)
        return nnd_op_for(c, j.outer * ((j.inner + COLUMNS - 1) / COLUMNS), column_tile, &j);
    j.rows_per_tile = NND_OP_GRAIN / j.n ? NND_OP_GRAIN / j.n : 1;
    return nnd_op_for(c, (rows + j.rows_per_tile - 1) / j.rows_per_tile, tile, &j);
}

#define ROW(name, v)                                                                               \
    {                                                                                              \
        "", name, 1, 0, 1, 1, 1, 1, NND_OP_INPLACE, softmax_infer, softmax_run, .variant = v       \
    }
static const nnd_op ops[] = {ROW("Softmax", PLAIN), ROW("LogSoftmax", LOGARITHM),
                             ROW("Hardmax", HARD)};
const nnd_op_family nnd_ops_softmax = {ops, NND_COUNT(ops)};
