/* ArgMax, ArgMin, TopK. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/dtype.h"
#include "engine/ops/blocks.h"

/* Orders elements a and b of a tensor: below 0 when a is smaller; NaN is the largest. */
static int compare(const nnd_tensor *t, size_t a, size_t b)
{
    nnd_class in = nnd_class_of(t->dtype);
    if (in <= NND_IN_F64) {
        double x = nnd_dtype_get(t->dtype, t->data, a), y = nnd_dtype_get(t->dtype, t->data, b);
        if (isnan(x) || isnan(y)) return (isnan(x) != 0) - (isnan(y) != 0);
        return (x > y) - (x < y);
    }
    int64_t x = nnd_op_int_at(t, a), y = nnd_op_int_at(t, b);
    if (in == NND_IN_U64) return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
    return (x > y) - (x < y);
}

/* ---- ArgMax, ArgMin ------------------------------------------------------------------------ */

static nnd_status arg_infer(nnd_op_ctx *c)
{
    int axis, rank = 0;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    if (x->dims[axis] == 0) return nnd_op_fail(c, NND_E_SHAPE, "axis %d is empty", axis);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || nnd_node_int(c->node, "keepdims", 1))
            dims[rank++] = i == axis ? 1 : x->dims[i];
    return nnd_op_output(c, 0, NND_I64, rank, dims);
}

static nnd_status arg_run(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    bool last = nnd_node_int(c->node, "select_last_index", 0) != 0;
    size_t n = (size_t)x->dims[axis], inner = (size_t)nnd_op_span(x, axis + 1, x->rank);
    size_t rows = (size_t)nnd_tensor_count(&c->out[0]);
    int sign = c->op->variant ? -1 : 1;
    for (size_t r = 0; r < rows; r++) {
        size_t base = r / inner * n * inner + r % inner, best = 0;
        for (size_t i = 1; i < n; i++) {
            int order = sign * compare(x, base + i * inner, base + best * inner);
            if (order > 0 || (order == 0 && last)) best = i;
        }
        ((int64_t *)c->out[0].data)[r] = (int64_t)best;
    }
    return NND_OK;
}

/* ---- TopK ---------------------------------------------------------------------------------- */

static nnd_status read_k(const nnd_op_ctx *c, int *axis, int64_t *k)
{
    const nnd_tensor *x;
    int64_t list[1];
    size_t count;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", -1), x->rank, axis));
    NND_TRY(nnd_op_list(c, 1, "", list, 1, &count));
    *k = count == 1 ? list[0] : nnd_node_int(c->node, "k", -1);
    if (*k < 0 || *k > x->dims[*axis])
        return nnd_op_fail(c, NND_E_SHAPE, "k is %lld for a dimension of %lld", (long long)*k,
                           (long long)x->dims[*axis]);
    return NND_OK;
}

static nnd_status topk_infer(nnd_op_ctx *c)
{
    int axis;
    int64_t dims[NND_MAX_RANK], k;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(read_k(c, &axis, &k));
    memcpy(dims, c->in[0]->dims, sizeof(dims));
    dims[axis] = k;
    NND_TRY(nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims));
    return nnd_op_output(c, 1, NND_I64, c->in[0]->rank, dims);
}

typedef struct candidates {
    const nnd_tensor *x;
    size_t base, inner;
    int sign;
} candidates;

/* True when index a comes before b: better, or equal and earlier. */
static bool before(const candidates *s, int64_t a, int64_t b)
{
    int order =
        s->sign * compare(s->x, s->base + (size_t)a * s->inner, s->base + (size_t)b * s->inner);
    return order != 0 ? order > 0 : a < b;
}

/* Heap with the worst candidate on top. */
static void sift(const candidates *s, int64_t *heap, size_t n, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && before(s, heap[child], heap[child + 1])) child++;
        if (!before(s, heap[i], heap[child])) return;
        int64_t swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
    }
}

static void top_of_row(const candidates *s, int64_t n, int64_t *heap, size_t k)
{
    for (size_t i = 0; i < k; i++)
        heap[i] = (int64_t)i;
    for (size_t i = k / 2; i-- > 0;)
        sift(s, heap, k, i);
    for (int64_t i = (int64_t)k; i < n && k; i++) {
        if (!before(s, i, heap[0])) continue;
        heap[0] = i;
        sift(s, heap, k, 0);
    }
    for (size_t end = k; end > 1; end--) {
        int64_t worst = heap[0];
        heap[0] = heap[end - 1];
        heap[end - 1] = worst;
        sift(s, heap, end - 1, 0);
    }
}

static nnd_status topk_run(nnd_op_ctx *c)
{
    int axis;
    int64_t k;
    const nnd_tensor *x = c->in[0];
    NND_TRY(read_k(c, &axis, &k));
    size_t inner = (size_t)nnd_op_span(x, axis + 1, x->rank), size = nnd_op_element(x->dtype);
    size_t rows = (size_t)nnd_op_span(x, 0, axis) * inner, n = (size_t)x->dims[axis];
    int64_t *heap = nnd_calloc((size_t)k + 1, sizeof(*heap));
    if (!heap) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for TopK");
    candidates s = {.x = x, .inner = inner, .sign = nnd_node_int(c->node, "largest", 1) ? 1 : -1};
    for (size_t r = 0; r < rows; r++) {
        s.base = r / inner * n * inner + r % inner;
        top_of_row(&s, (int64_t)n, heap, (size_t)k);
        for (size_t i = 0; i < (size_t)k; i++) {
            size_t to = r / inner * (size_t)k * inner + i * inner + r % inner;
            size_t from = s.base + (size_t)heap[i] * inner;
            if (c->out[0].data)
                memcpy((char *)c->out[0].data + to * size, (const char *)x->data + from * size,
                       size);
            if (c->out[1].data) ((int64_t *)c->out[1].data)[to] = heap[i];
        }
    }
    nnd_free(heap);
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "ArgMax", 1, 0, 1, 1, 1, 1, 0, arg_infer, arg_run, .variant = 0},
    {"", "ArgMin", 1, 0, 1, 1, 1, 1, 0, arg_infer, arg_run, .variant = 1},
    {"", "TopK", 1, 0, 1, 2, 2, 2, 0, topk_infer, topk_run, .variant = 0},
};
const nnd_op_family nnd_ops_select = {ops, NND_COUNT(ops)};
