/* com.microsoft's MRotaryEmbedding: rotary position embedding for text, pictures and films, where a
   token has three positions (time, row, column), each of which turns a section of the features:
   https://arxiv.org/abs/2409.12191, section 2.1. */
#include "engine/ops/real.h"
#include "engine/ops/rotary.h"

enum { X, POSITIONS, COSINE, SINE, STREAMS = 3 };
enum { CHUNKED, INTERLEAVED };

typedef struct layout {
    int64_t batch, rows, heads, size, turned, positions;
    int64_t section[STREAMS], order;
    bool planar; /* heads before rows */
} layout;

static nnd_status read_sections(const nnd_op_ctx *c, layout *l)
{
    size_t count;
    int64_t sum = 0;
    const int64_t *sections = nnd_node_ints(c->node, "mrope_section", &count);
    l->order = nnd_node_int(c->node, "mrope_layout", CHUNKED);
    if (l->order != CHUNKED && l->order != INTERLEAVED)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "mrope_layout %lld", (long long)l->order);
    for (size_t i = 0; sections && count == STREAMS && i < STREAMS; i++) {
        if (sections[i] < 0 || sections[i] > l->turned / 2) break;
        l->section[i] = sections[i];
        sum += sections[i];
    }
    if (!sections || count != STREAMS || sum != l->turned / 2)
        return nnd_op_fail(c, NND_E_SHAPE, "mrope_section does not divide %lld angles",
                           (long long)(l->turned / 2));
    return NND_OK;
}

static nnd_status read_heads(const nnd_op_ctx *c, layout *l)
{
    const nnd_tensor *x = c->in[X];
    int64_t heads = nnd_node_int(c->node, "num_heads", 0);
    int64_t turned = nnd_node_int(c->node, "rotary_embedding_dim", 0);
    l->planar = x->rank == 4;
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
    return NND_OK;
}

static nnd_status read_layout(const nnd_op_ctx *c, layout *l)
{
    *l = (layout){0};
    NND_TRY(nnd_op_expect(c, X, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, POSITIONS, 1u << NND_I64));
    NND_TRY(nnd_op_expect(c, COSINE, 1u << c->in[X]->dtype));
    NND_TRY(nnd_op_expect(c, SINE, 1u << c->in[X]->dtype));
    NND_TRY(read_heads(c, l));
    NND_TRY(read_sections(c, l));
    const nnd_tensor *at = c->in[POSITIONS], *t = c->in[COSINE], *s = c->in[SINE];
    if (t->rank != 2 || s->rank != 2 || t->dims[0] != s->dims[0] || t->dims[1] != s->dims[1] ||
        t->dims[1] != l->turned / 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the cosine and sine caches do not fit %lld features",
                           (long long)l->turned);
    if (at->rank != 3 || at->dims[0] != STREAMS || at->dims[1] != l->batch ||
        at->dims[2] != l->rows)
        return nnd_op_fail(c, NND_E_SHAPE, "there are no three positions for each token");
    l->positions = t->dims[0];
    return NND_OK;
}

static nnd_status rotary_infer(nnd_op_ctx *c)
{
    layout l;
    NND_TRY(read_layout(c, &l));
    return nnd_op_like(c, 0, X);
}

/* Which of the positions turns pair i. */
static size_t stream_of(const layout *l, int64_t i)
{
    if (l->order == CHUNKED)
        return i < l->section[0] ? 0 : i < l->section[0] + l->section[1] ? 1 : 2;
    int64_t stream = i % STREAMS;
    return stream && i < STREAMS * l->section[stream] ? (size_t)stream : 0;
}

/* The angles of one token: cosines, and behind them sines. */
static nnd_status angles_of(const nnd_op_ctx *c, const layout *l, const float *cosine,
                            const float *sine, int64_t token, float *angles)
{
    const int64_t *ids = c->in[POSITIONS]->data;
    const float scale = nnd_node_float(c->node, "scale", 1.0f);
    int64_t half = l->turned / 2;
    for (int64_t i = 0; i < half; i++) {
        int64_t id = ids[(int64_t)stream_of(l, i) * l->batch * l->rows + token];
        if (id < 0 || id >= l->positions)
            return nnd_op_fail(c, NND_E_FORMAT, "position %lld is outside of the caches (%lld)",
                               (long long)id, (long long)l->positions);
        angles[i] = cosine[id * half + i] * scale;
        angles[half + i] = sine[id * half + i] * scale;
    }
    return NND_OK;
}

static nnd_status rotate(nnd_op_ctx *c, const layout *l, const float *x, const float *cosine,
                         const float *sine, float *angles, float *y)
{
    bool interleaved = nnd_node_int(c->node, "interleaved", 0) != 0;
    size_t size = (size_t)l->size, turned = (size_t)l->turned;
    for (int64_t token = 0; token < l->batch * l->rows; token++) {
        int64_t b = token / l->rows, row = token % l->rows;
        NND_TRY(nnd_cancel_check(c->cancel));
        NND_TRY(angles_of(c, l, cosine, sine, token, angles));
        for (int64_t h = 0; h < l->heads; h++) {
            int64_t at = l->planar ? (b * l->heads + h) * l->rows + row : token * l->heads + h;
            nnd_rotary_apply(x + (size_t)at * size, y + (size_t)at * size, size, turned, angles,
                             angles + turned / 2, interleaved);
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
    float *angles = nnd_calloc((size_t)l.turned + 1, sizeof(*angles));
    if (!angles) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the angles");
    nnd_status status = nnd_real_read(c->in[X], &x);
    if (status == NND_OK) status = nnd_real_read(c->in[COSINE], &cosine);
    if (status == NND_OK) status = nnd_real_read(c->in[SINE], &sine);
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &result, &y);
    if (status == NND_OK) status = rotate(c, &l, x.data, cosine.data, sine.data, angles, y);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &result);
    nnd_free(angles);
    nnd_real_free(&x);
    nnd_real_free(&cosine);
    nnd_real_free(&sine);
    nnd_real_free(&result);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "MRotaryEmbedding", 1, 0, 4, 4, 1, 1, 0, rotary_infer, rotary_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_mrotary = {ops, NND_COUNT(ops)};
