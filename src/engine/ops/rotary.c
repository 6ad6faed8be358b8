/* RotaryEmbedding of ai.onnx and of com.microsoft. */
#include "engine/ops/rotary.h"

#include <string.h>

#include "engine/ops/real.h"

void nnd_rotary_apply(const float *x, float *y, size_t size, size_t turned, const float *cosine,
                      const float *sine, bool interleaved)
{
    size_t half = turned / 2;
    for (size_t i = 0; i < half; i++) {
        size_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
        float p = x[a], q = x[b];
        y[a] = cosine[i] * p - sine[i] * q;
        y[b] = sine[i] * p + cosine[i] * q;
    }
    if (x != y && size > turned) memcpy(y + turned, x + turned, (size - turned) * sizeof(*y));
}

/* com.microsoft has the positions as input 1, ai.onnx as an optional input 3. */
enum { ONNX, MICROSOFT };

typedef struct layout {
    const nnd_tensor *x, *cosine, *sine, *ids;
    int64_t batch, rows, heads, size, turned, positions;
    bool planar;
} layout;

static nnd_status read_caches(const nnd_op_ctx *c, layout *l)
{
    const nnd_tensor *t = l->cosine;
    int rank = l->ids ? 2 : 3;
    bool same = t->rank == rank && l->sine->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = t->dims[i] == l->sine->dims[i];
    if (!same || t->dims[rank - 1] != l->turned / 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the cosine and sine caches do not fit %lld features",
                           (long long)l->turned);
    l->positions = t->dims[0];
    if (!l->ids && (t->dims[0] != l->batch || t->dims[1] != l->rows))
        return nnd_op_fail(c, NND_E_SHAPE, "the caches do not have a row per position");
    if (!l->ids) return NND_OK;
    int64_t n = nnd_tensor_count(l->ids);
    bool start = c->op->variant == MICROSOFT && n == 1;
    if (n != l->batch * l->rows && !start)
        return nnd_op_fail(c, NND_E_SHAPE, "there are %lld position ids", (long long)n);
    return NND_OK;
}

static nnd_status read_layout(const nnd_op_ctx *c, layout *l)
{
    bool ms = c->op->variant == MICROSOFT;
    size_t cosine = ms ? 2 : 1, ids = ms ? 1 : 3;
    *l = (layout){0};
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, cosine, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, cosine + 1, NND_FLOATS));
    if (ms || nnd_op_in(c, ids)) NND_TRY(nnd_op_expect(c, ids, 1u << NND_I64));
    const nnd_tensor *x = l->x = c->in[0];
    l->cosine = c->in[cosine];
    l->sine = c->in[cosine + 1];
    l->ids = nnd_op_in(c, ids);
    int64_t heads = nnd_node_int(c->node, "num_heads", 0);
    int64_t turned = nnd_node_int(c->node, "rotary_embedding_dim", 0);
    l->planar = x->rank == 4;
    if (x->rank == 3 && ms && heads == 0 && l->cosine->rank == 2 && l->cosine->dims[1] > 0)
        heads = x->dims[2] / (turned > 0 ? turned : 2 * l->cosine->dims[1]);
    if (x->rank != 4 && (x->rank != 3 || heads < 1 || x->dims[2] % heads))
        return nnd_op_fail(c, NND_E_SHAPE, "%lld heads do not divide the input", (long long)heads);
    l->batch = x->dims[0];
    l->heads = l->planar ? x->dims[1] : heads;
    l->rows = l->planar ? x->dims[2] : x->dims[1];
    l->size = l->planar ? x->dims[3] : x->dims[2] / heads;
    l->turned = turned > 0 ? turned : l->size;
    if (l->turned > l->size || l->turned % 2)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld of %lld features cannot be rotated",
                           (long long)l->turned, (long long)l->size);
    return read_caches(c, l);
}

static nnd_status rotary_infer(nnd_op_ctx *c)
{
    layout l;
    NND_TRY(read_layout(c, &l));
    return nnd_op_like(c, 0, 0);
}

/* Row of the caches for position `row` of batch element `batch`. */
static nnd_status cache_row(const nnd_op_ctx *c, const layout *l, int64_t batch, int64_t row,
                            int64_t *out)
{
    *out = batch * l->rows + row;
    if (!l->ids) return NND_OK;
    const int64_t *ids = l->ids->data;
    bool start = nnd_tensor_count(l->ids) == 1 && l->batch * l->rows != 1;
    int64_t id = ids[start ? 0 : *out];
    if (id < 0 || id >= l->positions || (start && row >= l->positions - id))
        return nnd_op_fail(c, NND_E_FORMAT, "position %lld is outside of the caches (%lld)",
                           (long long)id, (long long)l->positions);
    *out = id + (start ? row : 0);
    return NND_OK;
}

static nnd_status rotate(nnd_op_ctx *c, const layout *l, const float *x, const float *cosine,
                         const float *sine, float *y)
{
    bool interleaved = nnd_node_int(c->node, "interleaved", 0) != 0;
    size_t half = (size_t)l->turned / 2;
    for (int64_t b = 0; b < l->batch; b++) {
        for (int64_t r = 0; r < l->rows; r++) {
            int64_t row;
            NND_TRY(cache_row(c, l, b, r, &row));
            for (int64_t h = 0; h < l->heads; h++) {
                int64_t at =
                    l->planar ? (b * l->heads + h) * l->rows + r : (b * l->rows + r) * l->heads + h;
                nnd_rotary_apply(x + at * l->size, y + at * l->size, (size_t)l->size,
                                 (size_t)l->turned, cosine + (size_t)row * half,
                                 sine + (size_t)row * half, interleaved);
            }
        }
    }
    return NND_OK;
}

static nnd_status rotary_run(nnd_op_ctx *c)
{
    layout l;
    nnd_real x = {0}, cosine = {0}, sine = {0}, result = {0};
    float *y;
    NND_TRY(read_layout(c, &l));
    nnd_status status = nnd_real_read(l.x, &x);
    if (status == NND_OK) status = nnd_real_read(l.cosine, &cosine);
    if (status == NND_OK) status = nnd_real_read(l.sine, &sine);
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &result, &y);
    if (status == NND_OK) status = rotate(c, &l, x.data, cosine.data, sine.data, y);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &result);
    nnd_real_free(&x);
    nnd_real_free(&cosine);
    nnd_real_free(&sine);
    nnd_real_free(&result);
    return status;
}

static const nnd_op ops[] = {
    {"", "RotaryEmbedding", 23, 0, 3, 4, 1, 1, 0, rotary_infer, rotary_run, .variant = ONNX},
    {"com.microsoft", "RotaryEmbedding", 1, 0, 4, 4, 1, 1, 0, rotary_infer, rotary_run,
     .variant = MICROSOFT},
};
const nnd_op_family nnd_ops_rotary = {ops, NND_COUNT(ops)};
