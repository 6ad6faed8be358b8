/*
 * FlexAttention of ai.onnx.preview: attention whose scores and probabilities pass through
 * sub-graphs. Both are whole tensors then; what is between them is done row by row.
 */
#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/element.h"

enum { Q, K, V };

typedef struct flex {
    nnd_op_ctx *c;
    int64_t batch, heads, kv_heads, rows, keys, size, v_size;
    double scale;
    nnd_tensor scores; /* [batch, heads, rows, keys] in the softmax's type */
    void *memory;
} flex;

static nnd_status read_flex(nnd_op_ctx *c, flex *f)
{
    for (size_t i = Q; i <= V; i++) {
        NND_TRY(nnd_op_expect(c, i, i ? 1u << c->in[Q]->dtype : NND_FLOATS));
        if (c->in[i]->rank != 4)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu has rank %d, not 4", i, c->in[i]->rank);
    }
    const int64_t *q = c->in[Q]->dims, *k = c->in[K]->dims, *v = c->in[V]->dims;
    if (q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || k[2] != v[2] || q[3] != k[3] || k[1] < 1 ||
        q[1] % k[1])
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit each other");
    *f = (flex){c, q[0], q[1], k[1], q[2], k[2], q[3], v[3], 0, {0}, NULL};
    const nnd_attr *scale = nnd_node_attr(c->node, "scale");
    f->scale = scale ? (double)nnd_node_float(c->node, "scale", 1.0f)
                     : 1.0 / sqrt((double)(f->size > 0 ? f->size : 1));
    int64_t code = nnd_node_int(c->node, "softmax_precision", 0);
    nnd_dtype type = c->in[Q]->dtype == NND_F64 ? NND_F64 : NND_F32;
    if (code) type = nnd_onnx_dtype((uint64_t)code);
    if (!(NND_FLOATS >> type & 1u))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "softmax_precision %s", nnd_dtype_name(type));
    int64_t dims[4] = {f->batch, f->heads, f->rows, f->keys};
    return nnd_tensor_init(&f->scores, type, 4, dims, NULL);
}

static nnd_status flex_infer(nnd_op_ctx *c)
{
    flex f;
    NND_TRY(read_flex(c, &f));
    return NND_E_AGAIN;
}

/* First element of the keys or values that a row of scores belongs to. */
static size_t shared(const flex *f, size_t row, int64_t size)
{
    size_t head = row / (size_t)f->rows % (size_t)f->heads;
    size_t batch = row / (size_t)f->rows / (size_t)f->heads;
    size_t kv = head / (size_t)(f->heads / f->kv_heads);
    return (batch * (size_t)f->kv_heads + kv) * (size_t)(f->keys * size);
}

static nnd_status score_tile(void *user, size_t row, int lane)
{
    const flex *f = user;
    const nnd_tensor *q = f->c->in[Q], *k = f->c->in[K];
    size_t size = (size_t)f->size, from = shared(f, row, f->size);
    (void)lane;
    for (size_t i = 0; i < (size_t)f->keys; i++) {
        double sum = 0;
        for (size_t d = 0; d < size; d++)
            sum += nnd_get(q, row * size + d) * nnd_get(k, from + i * size + d);
        nnd_set(&f->scores, row * (size_t)f->keys + i, sum * f->scale);
    }
    return NND_OK;
}

/* A row that sees nothing has no weights at all. */
static nnd_status softmax_tile(void *user, size_t row, int lane)
{
    const flex *f = user;
    size_t n = (size_t)f->keys, at = row * n;
    double top = -INFINITY, sum = 0;
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        double v = nnd_get(&f->scores, at + i);
        top = v > top || isnan(v) ? v : top;
    }
    if (top == -INFINITY) top = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp(nnd_get(&f->scores, at + i) - top);
    for (size_t i = 0; i < n; i++)
        nnd_set(&f->scores, at + i, sum != 0 ? exp(nnd_get(&f->scores, at + i) - top) / sum : 0.0);
    return NND_OK;
}

static nnd_status value_tile(void *user, size_t row, int lane)
{
    const flex *f = user;
    const nnd_tensor *v = f->c->in[V], *y = &f->c->out[0];
    size_t size = (size_t)f->v_size, from = shared(f, row, f->v_size);
    (void)lane;
    for (size_t d = 0; d < size; d++) {
        double sum = 0;
        for (size_t i = 0; i < (size_t)f->keys; i++)
            sum += nnd_get(&f->scores, row * (size_t)f->keys + i) * nnd_get(v, from + i * size + d);
        nnd_set(y, row * size + d, sum);
    }
    return NND_OK;
}

static nnd_status take_scores(void *user, size_t index, const nnd_body_input *output)
{
    flex *f = user;
    const nnd_tensor *t = output->tensor;
    bool fits = index == 0 && t->dtype == f->scores.dtype && t->rank == 4 &&
                memcmp(t->dims, f->scores.dims, 4 * sizeof(t->dims[0])) == 0;
    if (!fits)
        return nnd_op_fail(f->c, NND_E_SHAPE, "a sub-graph changes the shape of its operand");
    memcpy(f->scores.data, t->data, nnd_tensor_bytes(t));
    return NND_OK;
}

static nnd_status modify(flex *f, const char *attr)
{
    nnd_graph *body = nnd_node_graph(f->c->node, attr);
    const nnd_body_input input = {&f->scores, NULL};
    if (!body) return NND_OK;
    if (body->input_count != 1 || body->output_count != 1)
        return nnd_op_fail(f->c, NND_E_FORMAT, "%s does not have one input and one output", attr);
    return nnd_op_run_body(f->c, body, &input, take_scores, f);
}

static nnd_status attend(flex *f)
{
    nnd_op_ctx *c = f->c;
    int64_t dims[4] = {f->batch, f->heads, f->rows, f->v_size};
    size_t rows = (size_t)(f->batch * f->heads * f->rows);
    NND_TRY(nnd_op_make_output(c, 0, c->in[Q]->dtype, 4, dims));
    if (nnd_tensor_count(&c->out[0]) == 0 || !c->out[0].data) return NND_OK;
    f->memory = nnd_alloc_aligned(nnd_tensor_bytes(&f->scores) + 64, 64);
    if (!f->memory) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the scores");
    f->scores.data = f->memory;
    NND_TRY(nnd_op_for(c, rows, score_tile, f));
    NND_TRY(modify(f, "score_mod"));
    NND_TRY(nnd_op_for(c, rows, softmax_tile, f));
    NND_TRY(modify(f, "prob_mod"));
    return nnd_op_for(c, rows, value_tile, f);
}

static nnd_status flex_run(nnd_op_ctx *c)
{
    flex f;
    NND_TRY(read_flex(c, &f));
    nnd_status status = attend(&f);
    nnd_free_aligned(f.memory);
    return status;
}

static const nnd_op ops[] = {
    {"ai.onnx.preview", "FlexAttention", 1, 0, 3, 3, 1, 1, NND_OP_DYNAMIC, flex_infer, flex_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_flex = {ops, NND_COUNT(ops)};
