/*
 * Fused element-wise and normalising operators of transformer exports: SwiGLU and com.microsoft's
 * BiasGelu, FastGelu, SkipLayerNormalization, SkipSimplifiedLayerNormalization,
 * EmbedLayerNormalization and QEmbedLayerNormalization. Statistics that somebody asks for are taken
 * in double.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/element.h"
#include "engine/ops/qlinear.h"
#include "engine/ops/real.h"

/* ---- BiasGelu, FastGelu --------------------------------------------------------------------- */

enum { EXACT, FAST };

static nnd_status gelu_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0], *bias = nnd_op_in(c, 1);
    if (bias) {
        NND_TRY(nnd_op_expect(c, 1, 1u << x->dtype));
        if (x->rank < 1 || bias->rank != 1 || bias->dims[0] != x->dims[x->rank - 1])
            return nnd_op_fail(c, NND_E_SHAPE, "the bias does not fit the last dimension");
    }
    return nnd_op_like(c, 0, 0);
}

typedef struct gelu_job {
    const float *x, *bias;
    float *y;
    size_t n;
    nnd_act act;
} gelu_job;

static nnd_status gelu_row(void *user, size_t row, int lane)
{
    const gelu_job *j = user;
    const float *x = j->x + row * j->n;
    float *y = j->y + row * j->n;
    (void)lane;
    for (size_t i = 0; i < j->n; i++)
        y[i] = x[i] + (j->bias ? j->bias[i] : 0.0f);
    nnd_act_apply(&j->act, y, y, j->n);
    return NND_OK;
}

static nnd_status gelu_run(nnd_op_ctx *c)
{
    nnd_real x = {0}, bias = {0}, result = {0};
    const nnd_tensor *t = c->in[0];
    gelu_job j = {.n = t->rank ? (size_t)t->dims[t->rank - 1] : 1};
    j.act.kind = c->op->variant == FAST ? NND_ACT_GELU_TANH : NND_ACT_GELU;
    nnd_status status = nnd_real_read(t, &x);
    if (status == NND_OK) status = nnd_real_read(nnd_op_in(c, 1), &bias);
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &result, &j.y);
    j.x = x.data;
    j.bias = bias.data;
    if (status == NND_OK && j.n)
        status = nnd_op_for(c, (size_t)nnd_tensor_count(t) / j.n, gelu_row, &j);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &result);
    nnd_real_free(&x);
    nnd_real_free(&bias);
    nnd_real_free(&result);
    return status;
}

/* ---- SwiGLU --------------------------------------------------------------------------------- */

static nnd_status swiglu_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << c->in[0]->dtype));
    const nnd_tensor *a = c->in[0], *b = c->in[1];
    if (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) != 0)
        return nnd_op_fail(c, NND_E_SHAPE, "the gate and the value have different shapes");
    return nnd_op_like(c, 0, 0);
}

static nnd_status swiglu_tile(void *user, size_t tile, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *a = c->in[0], *b = c->in[1], *y = &c->out[0];
    double alpha = (double)nnd_node_float(c->node, "alpha", 1.0f);
    size_t begin = tile * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > (size_t)nnd_tensor_count(y)) end = (size_t)nnd_tensor_count(y);
    for (size_t i = begin; i < end && y->dtype == NND_F32; i++) {
        float gate = ((const float *)a->data)[i], value = ((const float *)b->data)[i];
        ((float *)y->data)[i] = gate / (1.0f + expf(-(float)alpha * gate)) * value;
    }
    for (size_t i = begin; i < end && y->dtype != NND_F32; i++) {
        double gate = nnd_get(a, i);
        nnd_set(y, i, gate / (1.0 + exp(-alpha * gate)) * nnd_get(b, i));
    }
    return NND_OK;
}

static nnd_status swiglu_run(nnd_op_ctx *c)
{
    return nnd_op_for(c, nnd_op_tiles((size_t)nnd_tensor_count(&c->out[0])), swiglu_tile, c);
}

/* ---- normalising a row ----------------------------------------------------------------------- */

typedef struct norm {
    const float *gamma, *beta; /* beta may be NULL */
    size_t n;
    double epsilon;
    bool simplified; /* root mean square, no mean */
} norm;

static void normalise(const norm *p, const float *x, float *y, float *mean_out, float *inverse_out)
{
    if (!mean_out && !inverse_out) {
        if (p->simplified)
            nnd_rms_norm_rows(x, p->gamma, (float)p->epsilon, y, 1, p->n);
        else
            nnd_layer_norm_rows(x, p->gamma, p->beta, (float)p->epsilon, y, 1, p->n);
        return;
    }
    double mean = 0, squares = 0;
    for (size_t i = 0; i < p->n && !p->simplified; i++)
        mean += (double)x[i];
    mean /= (double)(p->n ? p->n : 1);
    for (size_t i = 0; i < p->n; i++) {
        double d = (double)x[i] - mean;
        squares += d * d;
    }
    double inverse = 1.0 / sqrt(squares / (double)(p->n ? p->n : 1) + p->epsilon);
    for (size_t i = 0; i < p->n; i++) {
        double v = ((double)x[i] - mean) * inverse * (double)p->gamma[i];
        y[i] = (float)(p->beta ? v + (double)p->beta[i] : v);
    }
    if (mean_out) *mean_out = (float)mean;
    if (inverse_out) *inverse_out = (float)inverse;
}

static nnd_status check_vector(const nnd_op_ctx *c, size_t i, int64_t n)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t) return NND_OK;
    NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    if (nnd_tensor_count(t) == n) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have %lld values", i, (long long)n);
}

/* ---- SkipLayerNormalization ------------------------------------------------------------------ */

enum { LAYER, SIMPLIFIED };

/* Inputs: x, skip, gamma, then beta and bias, or bias alone. */
static nnd_status skip_infer(nnd_op_ctx *c)
{
    for (size_t i = 0; i < 3; i++)
        NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    const nnd_tensor *x = c->in[0], *skip = c->in[1];
    int64_t all = nnd_tensor_count(x), n = x->rank ? x->dims[x->rank - 1] : 0;
    int64_t more = nnd_tensor_count(skip);
    if (x->rank < 2 || x->rank > 3 || n < 1 || skip->rank < 1 || skip->dims[skip->rank - 1] != n)
        return nnd_op_fail(c, NND_E_SHAPE, "input and skip do not fit each other");
    if (more != all && !(x->rank == 3 && more == x->dims[1] * n))
        return nnd_op_fail(c, NND_E_SHAPE, "skip does not broadcast to the input");
    for (size_t i = 2; i < c->in_count; i++)
        NND_TRY(check_vector(c, i, n));
    int64_t rows[3] = {x->dims[0], x->rank == 3 ? x->dims[1] : 1, 1};
    if (x->rank == 2) rows[1] = 1;
    NND_TRY(nnd_op_like(c, 0, 0));
    NND_TRY(nnd_op_output(c, 1, NND_F32, x->rank, rows));
    NND_TRY(nnd_op_output(c, 2, NND_F32, x->rank, rows));
    return nnd_op_like(c, 3, 0);
}

typedef struct skip_job {
    nnd_real x, skip, gamma, beta, bias, result, total;
    norm norm;
    size_t skip_count;
    float *y, *sum, *mean, *inverse;
} skip_job;

static nnd_status skip_row(void *user, size_t row, int lane)
{
    const skip_job *j = user;
    size_t n = j->norm.n, at = row * n;
    const float *skip = j->skip.data + at % j->skip_count;
    float *sum = j->sum ? j->sum + at : j->y + at;
    (void)lane;
    for (size_t i = 0; i < n; i++)
        sum[i] = j->x.data[at + i] + skip[i] + (j->bias.data ? j->bias.data[i] : 0.0f);
    normalise(&j->norm, sum, j->y + at, j->mean ? j->mean + row : NULL,
              j->inverse ? j->inverse + row : NULL);
    return NND_OK;
}

static nnd_status skip_read(nnd_op_ctx *c, skip_job *j)
{
    bool simple = c->op->variant == SIMPLIFIED;
    NND_TRY(nnd_real_read(c->in[0], &j->x));
    NND_TRY(nnd_real_read(c->in[1], &j->skip));
    NND_TRY(nnd_real_read(c->in[2], &j->gamma));
    if (!simple) NND_TRY(nnd_real_read(nnd_op_in(c, 3), &j->beta));
    NND_TRY(nnd_real_read(nnd_op_in(c, simple ? 3 : 4), &j->bias));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->result, &j->y));
    if (c->out_count > 3) NND_TRY(nnd_real_result(&c->out[3], false, &j->total, &j->sum));
    j->mean = c->out_count > 1 ? c->out[1].data : NULL;
    j->inverse = c->out_count > 2 ? c->out[2].data : NULL;
    j->skip_count = (size_t)nnd_tensor_count(c->in[1]);
    j->norm = (norm){.gamma = j->gamma.data,
                     .beta = j->beta.data,
                     .n = (size_t)c->in[0]->dims[c->in[0]->rank - 1],
                     .epsilon = (double)nnd_node_float(c->node, "epsilon", 1e-12f),
                     .simplified = simple};
    return NND_OK;
}

static nnd_status skip_run(nnd_op_ctx *c)
{
    skip_job j = {0};
    nnd_status status = skip_read(c, &j);
    if (status == NND_OK)
        status = nnd_op_for(c, (size_t)nnd_tensor_count(c->in[0]) / j.norm.n, skip_row, &j);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &j.result);
    if (status == NND_OK && c->out_count > 3) status = nnd_real_write(&c->out[3], &j.total);
    nnd_real *all[] = {&j.x, &j.skip, &j.gamma, &j.beta, &j.bias, &j.result, &j.total};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        nnd_real_free(all[i]);
    return status;
}

/* ---- EmbedLayerNormalization, QEmbedLayerNormalization --------------------------------------- */

enum { IDS, SEGMENTS, WORDS, PLACES, KINDS, GAMMA, BETA, MASK, POSITIONS };
/* The quantised form has scales instead of positions, one for each of WORDS … BETA, and then zero
   points in the same order. */
enum { SCALES = 8, ZEROS = 13, QUANTISED = 1 };

static bool is_quantised(const nnd_op_ctx *c)
{
    return c->op->variant == QUANTISED;
}

static const nnd_tensor *positions_of(const nnd_op_ctx *c)
{
    return is_quantised(c) ? NULL : nnd_op_in(c, POSITIONS);
}

/* Floats, or bytes with a scale and a zero point. */
static nnd_status check_quantised(const nnd_op_ctx *c, size_t i)
{
    if (!is_quantised(c)) return nnd_op_expect(c, i, NND_FLOATS);
    const size_t scale = SCALES + i - WORDS, zero = ZEROS + i - WORDS;
    NND_TRY(nnd_op_expect(c, i, NND_BYTES));
    NND_TRY(nnd_op_expect(c, scale, 1u << NND_F32));
    NND_TRY(nnd_op_expect(c, zero, 1u << c->in[i]->dtype));
    if (nnd_tensor_count(c->in[scale]) == 1 && nnd_tensor_count(c->in[zero]) == 1) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the scale or zero point of input %zu is no scalar", i);
}

static nnd_scaling scaling_of(const nnd_op_ctx *c, size_t i)
{
    const nnd_tensor *zero = c->in[ZEROS + i - WORDS];
    return (nnd_scaling){.scale = *(const float *)c->in[SCALES + i - WORDS]->data,
                         .zero = (float)nnd_dtype_get(zero->dtype, zero->data, 0)};
}

/* The elements as f32, but those of large tables of bytes: they stay as they are. */
static nnd_status read_values(const nnd_op_ctx *c, size_t i, nnd_real *out)
{
    if (!is_quantised(c)) return nnd_real_read(nnd_op_in(c, i), out);
    if (i < GAMMA) return NND_OK;
    const nnd_tensor *t = c->in[i];
    const size_t n = (size_t)nnd_tensor_count(t);
    const nnd_scaling s = scaling_of(c, i);
    out->data = out->owned = nnd_alloc_aligned(n * sizeof(float) + 1, 64);
    if (!out->owned) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to read the weights");
    for (size_t k = 0; k < n; k++)
        out->owned[k] = nnd_dequantise(t, k, s);
    return NND_OK;
}

static nnd_status check_table(const nnd_op_ctx *c, size_t i, int64_t n)
{
    NND_TRY(check_quantised(c, i));
    const nnd_tensor *t = c->in[i];
    if (t->rank == 2 && t->dims[1] == n) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no table of %lld features", i, (long long)n);
}

static nnd_status embed_infer(nnd_op_ctx *c)
{
    static const size_t ids[] = {IDS, SEGMENTS, MASK, POSITIONS};
    NND_TRY(nnd_op_expect(c, IDS, 1u << NND_I32));
    const nnd_tensor *x = c->in[IDS], *words, *t;
    NND_TRY(nnd_op_need(c, WORDS, &words));
    const nnd_dtype type = is_quantised(c) ? NND_F32 : words->dtype;
    if (x->rank != 2 || words->rank != 2 || words->dims[1] < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "ids and words are no matrices");
    int64_t n = words->dims[1];
    NND_TRY(check_table(c, WORDS, n));
    NND_TRY(check_table(c, PLACES, n));
    if (nnd_op_in(c, KINDS)) NND_TRY(check_table(c, KINDS, n));
    if (!nnd_op_in(c, KINDS) != !nnd_op_in(c, SEGMENTS))
        return nnd_op_fail(c, NND_E_FORMAT, "segment ids and their table come together");
    for (size_t i = GAMMA; i <= BETA; i++) {
        NND_TRY(check_quantised(c, i));
        if (nnd_tensor_count(c->in[i]) != n)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have %lld values", i,
                               (long long)n);
    }
    for (size_t i = 1; i < NND_COUNT(ids); i++) {
        t = ids[i] == POSITIONS ? positions_of(c) : nnd_op_in(c, ids[i]);
        if (!t) continue;
        NND_TRY(nnd_op_expect(c, ids[i], 1u << NND_I32));
        int64_t count = nnd_tensor_count(t), rows = x->dims[0] * x->dims[1];
        if (count != rows && !(ids[i] == POSITIONS && count == x->dims[1]))
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the ids", ids[i]);
    }
    int64_t dims[3] = {x->dims[0], x->dims[1], n};
    NND_TRY(nnd_op_output(c, 0, type, 3, dims));
    NND_TRY(nnd_op_output(c, 1, NND_I32, 1, dims));
    return nnd_op_output(c, 2, type, 3, dims);
}

typedef struct embed {
    nnd_real words, places, kinds, gamma, beta, result, total;
    norm norm;
    float *y, *sum;
} embed;

static nnd_status add_row(nnd_op_ctx *c, size_t table, const float *data, int64_t id, float *sum)
{
    const nnd_tensor *t = c->in[table];
    if (id < 0 || id >= t->dims[0])
        return nnd_op_fail(c, NND_E_FORMAT, "id %lld is outside of a table of %lld rows",
                           (long long)id, (long long)t->dims[0]);
    const int64_t at = id * t->dims[1];
    if (is_quantised(c)) {
        const nnd_scaling s = scaling_of(c, table);
        for (int64_t i = 0; i < t->dims[1]; i++)
            sum[i] += nnd_dequantise(t, (size_t)(at + i), s);
        return NND_OK;
    }
    for (int64_t i = 0; i < t->dims[1]; i++)
        sum[i] += data[at + i];
    return NND_OK;
}

static nnd_status embed_rows(nnd_op_ctx *c, embed *e)
{
    const nnd_tensor *x = c->in[IDS], *segments = nnd_op_in(c, SEGMENTS);
    const nnd_tensor *positions = positions_of(c);
    size_t length = (size_t)x->dims[1], rows = (size_t)nnd_tensor_count(x), n = e->norm.n;
    const int32_t *ids = x->data;
    for (size_t row = 0; row < rows; row++) {
        float *y = e->y + row * n, *sum = e->sum ? e->sum + row * n : y;
        int64_t place = (int64_t)(row % length);
        if (positions)
            place = ((const int32_t *)positions
                         ->data)[nnd_tensor_count(positions) == (int64_t)rows ? row : row % length];
        NND_TRY(add_row(c, WORDS, e->words.data, ids[row], sum));
        NND_TRY(add_row(c, PLACES, e->places.data, place, sum));
        if (segments)
            NND_TRY(add_row(c, KINDS, e->kinds.data, ((const int32_t *)segments->data)[row], sum));
        normalise(&e->norm, sum, y, NULL, NULL);
    }
    return NND_OK;
}

/* How many positions of each sequence the mask lets through. */
static void count_mask(nnd_op_ctx *c)
{
    const nnd_tensor *mask = nnd_op_in(c, MASK), *x = c->in[IDS];
    if (c->out_count < 2 || !c->out[1].data) return;
    for (int64_t b = 0; b < x->dims[0]; b++) {
        int32_t n = 0;
        for (int64_t i = 0; mask && i < x->dims[1]; i++)
            n += ((const int32_t *)mask->data)[b * x->dims[1] + i] != 0;
        ((int32_t *)c->out[1].data)[b] = n;
    }
}

static nnd_status embed_read(nnd_op_ctx *c, embed *e)
{
    NND_TRY(read_values(c, WORDS, &e->words));
    NND_TRY(read_values(c, PLACES, &e->places));
    NND_TRY(read_values(c, KINDS, &e->kinds));
    NND_TRY(read_values(c, GAMMA, &e->gamma));
    NND_TRY(read_values(c, BETA, &e->beta));
    NND_TRY(nnd_real_result(&c->out[0], true, &e->result, &e->y));
    if (c->out_count > 2) NND_TRY(nnd_real_result(&c->out[2], false, &e->total, &e->sum));
    e->norm = (norm){.gamma = e->gamma.data,
                     .beta = e->beta.data,
                     .n = (size_t)c->in[WORDS]->dims[1],
                     .epsilon = (double)nnd_node_float(c->node, "epsilon", 1e-12f)};
    return NND_OK;
}

static nnd_status embed_run(nnd_op_ctx *c)
{
    embed e = {0};
    nnd_status status = embed_read(c, &e);
    if (status == NND_OK) status = embed_rows(c, &e);
    if (status == NND_OK) count_mask(c);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &e.result);
    if (status == NND_OK && c->out_count > 2) status = nnd_real_write(&c->out[2], &e.total);
    nnd_real *all[] = {&e.words, &e.places, &e.kinds, &e.gamma, &e.beta, &e.result, &e.total};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        nnd_real_free(all[i]);
    return status;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {"", "SwiGLU", 28, 0, 2, 2, 1, 1, 0, swiglu_infer, swiglu_run, .variant = 0},
    {MS, "BiasGelu", 1, 0, 2, 2, 1, 1, 0, gelu_infer, gelu_run, .variant = EXACT},
    {MS, "FastGelu", 1, 0, 1, 2, 1, 1, 0, gelu_infer, gelu_run, .variant = FAST},
    {MS, "SkipLayerNormalization", 1, 0, 3, 5, 1, 4, 0, skip_infer, skip_run, .variant = LAYER},
    {MS, "SkipSimplifiedLayerNormalization", 1, 0, 3, 4, 1, 4, 0, skip_infer, skip_run,
     .variant = SIMPLIFIED},
    {MS, "EmbedLayerNormalization", 1, 0, 1, 9, 1, 3, 0, embed_infer, embed_run, .variant = 0},
    {MS, "QEmbedLayerNormalization", 1, 0, 1, 18, 1, 2, 0, embed_infer, embed_run,
     .variant = QUANTISED},
};
const nnd_op_family nnd_ops_fused = {ops, NND_COUNT(ops)};
