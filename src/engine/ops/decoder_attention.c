/*
 * com.microsoft's DecoderMaskedMultiHeadAttention: one token of each sequence attends to itself and
 * to a cache of fixed extent (self), or to keys that are all there (cross). With beams, every step
 * of a sequence may come from another beam's row of the cache.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/attention.h"
#include "engine/ops/real.h"

enum { QUERY, KEY, VALUE, MASK, SCORE_BIAS, PAST_K, PAST_V, PAST_LENGTH, BEAMS, ORIGIN, BIAS };
enum { INPUTS = 11, PRESENT_K = 1, PRESENT_V, SCORES, OUTPUTS };

typedef struct decoder {
    int64_t batch, heads, size, v_size;
    int64_t extent; /* rows of the cache, or of the keys */
    bool cross, cached;
} decoder;

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_cache(const nnd_tensor *t, const decoder *d, int64_t size)
{
    return t->rank == 4 && t->dims[0] == d->batch && t->dims[1] == d->heads &&
           t->dims[2] == d->extent && t->dims[3] == size;
}

static nnd_status read_operands(const nnd_op_ctx *c, decoder *d)
{
    const nnd_tensor *q = c->in[QUERY], *k = c->in[KEY], *v = c->in[VALUE];
    bool fits = q->rank == 3 && q->dims[1] == 1 && d->heads > 0 && d->heads < 65536 &&
                q->dims[2] % d->heads == 0;
    if (fits) {
        d->batch = q->dims[0];
        d->size = d->v_size = q->dims[2] / d->heads;
        d->cross = k->rank == 4;
    }
    if (fits && d->cross) {
        d->extent = k->dims[2];
        d->v_size = v->rank == 4 ? v->dims[3] : 0;
        fits = is_cache(k, d, d->size) && is_cache(v, d, d->v_size);
    } else if (fits) {
        d->extent = 1;
        fits = k->rank == 3 && k->dims[0] == d->batch && k->dims[1] == 1 &&
               k->dims[2] == q->dims[2] && v->rank == 3 && v->dims[0] == d->batch &&
               v->dims[1] == 1 && v->dims[2] % d->heads == 0;
        if (fits) d->v_size = v->dims[2] / d->heads;
    }
    if (fits) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit %lld heads",
                       (long long)d->heads);
}

static nnd_status read_cache(const nnd_op_ctx *c, decoder *d)
{
    const nnd_tensor *k = nnd_op_in(c, PAST_K), *v = nnd_op_in(c, PAST_V);
    const nnd_tensor *beams = nnd_op_in(c, BEAMS), *origin = nnd_op_in(c, ORIGIN);
    d->cached = k || v;
    for (size_t i = PRESENT_K; i <= PRESENT_V && !d->cached; i++)
        if (i < c->node->output_count && c->node->outputs[i] != NND_NO_ID)
            return nnd_op_fail(c, NND_E_UNSUPPORTED, "present keys and values without past ones");
    if (!d->cached) return NND_OK;
    if (d->cross || !nnd_node_int(c->node, "past_present_share_buffer", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a cache that is not of fixed extent");
    uint32_t real = 1u << c->in[QUERY]->dtype;
    NND_TRY(nnd_op_expect(c, PAST_K, real));
    NND_TRY(nnd_op_expect(c, PAST_V, real));
    NND_TRY(nnd_op_expect(c, PAST_LENGTH, 1u << NND_I32));
    d->extent = k->rank == 4 ? k->dims[2] : 0;
    if (!is_cache(k, d, d->size) || !is_cache(v, d, d->v_size) ||
        nnd_tensor_count(c->in[PAST_LENGTH]) != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the cache does not fit the new keys");
    if (beams) NND_TRY(nnd_op_expect(c, BEAMS, 1u << NND_I32));
    if (beams && nnd_tensor_count(beams) != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "beam_width is no single number");
    if (!origin) return NND_OK;
    NND_TRY(nnd_op_expect(c, ORIGIN, 1u << NND_I32));
    if (origin->rank == 3 && origin->dims[2] <= d->extent &&
        origin->dims[0] * origin->dims[1] == d->batch)
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "cache_indirection does not fit the cache");
}

static nnd_status read_decoder(const nnd_op_ctx *c, decoder *d)
{
    const nnd_tensor *bias = nnd_op_in(c, BIAS);
    *d = (decoder){.heads = nnd_node_int(c->node, "num_heads", 0)};
    NND_TRY(nnd_op_expect(c, QUERY, NND_FLOATS));
    uint32_t real = 1u << c->in[QUERY]->dtype;
    NND_TRY(nnd_op_expect(c, KEY, real)); /* packed operands have none: only other runtimes do */
    NND_TRY(nnd_op_expect(c, VALUE, real));
    NND_TRY(read_operands(c, d));
    if (nnd_op_in(c, SCORE_BIAS)) NND_TRY(nnd_op_expect(c, SCORE_BIAS, real));
    if (nnd_op_in(c, MASK)) NND_TRY(nnd_op_expect(c, MASK, 1u << NND_I32));
    if (bias) NND_TRY(nnd_op_expect(c, BIAS, real));
    if (bias && nnd_tensor_count(bias) != d->heads * (2 * d->size + d->v_size))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not fit the heads");
    return read_cache(c, d);
}

/* How many keys are attended; NND_E_AGAIN when that is not known yet. */
static nnd_status read_total(const nnd_op_ctx *c, const decoder *d, int64_t *out)
{
    const nnd_tensor *past;
    *out = d->extent;
    if (!d->cached) return NND_OK;
    NND_TRY(nnd_op_known(c, PAST_LENGTH, &past));
    int64_t before = nnd_op_int_at(past, 0);
    if (before < 0 || before >= d->extent)
        return nnd_op_fail(c, NND_E_FORMAT, "past_sequence_length %lld leaves no room in the cache",
                           (long long)before);
    *out = before + 1;
    return NND_OK;
}

static nnd_status decoder_infer(nnd_op_ctx *c)
{
    decoder d;
    int64_t total;
    NND_TRY(read_decoder(c, &d));
    nnd_dtype real = c->in[QUERY]->dtype;
    int64_t y[3] = {d.batch, 1, d.heads * d.v_size};
    int64_t k[4] = {d.batch, d.heads, d.extent, d.size};
    int64_t v[4] = {d.batch, d.heads, d.extent, d.v_size};
    NND_TRY(nnd_op_output(c, 0, real, 3, y));
    NND_TRY(nnd_op_output(c, PRESENT_K, real, 4, k));
    NND_TRY(nnd_op_output(c, PRESENT_V, real, 4, v));
    if (c->out_count <= SCORES) return NND_OK;
    NND_TRY(read_total(c, &d, &total));
    int64_t scores[4] = {d.batch, d.heads, 1, total};
    return nnd_op_output(c, SCORES, real, 4, scores);
}

static nnd_attention sizes_of(const decoder *d, int64_t keys)
{
    return (nnd_attention){.batch = (size_t)d->batch,
                           .heads = (size_t)d->heads,
                           .kv_heads = (size_t)d->heads,
                           .rows = 1,
                           .keys = (size_t)keys,
                           .size = (size_t)d->size,
                           .v_size = (size_t)d->v_size};
}

static nnd_status decoder_plan(nnd_op_ctx *c)
{
    decoder d;
    NND_TRY(read_decoder(c, &d));
    nnd_attention a = sizes_of(&d, d.extent);
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    return NND_OK;
}

static double decoder_flops(const nnd_op_ctx *c)
{
    decoder d;
    if (read_decoder(c, &d) != NND_OK) return 0;
    return 2.0 * (double)d.batch * (double)d.heads * (double)d.extent * (double)(d.size + d.v_size);
}

/* ---- a run ----------------------------------------------------------------------------------- */

typedef struct job {
    decoder d;
    int64_t total;
    nnd_real in[INPUTS], out[OUTPUTS], made[6];
    size_t made_count;
} job;

static nnd_status make(job *j, int64_t a, int64_t b, int64_t c, int64_t d, float **out)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_F32, 4, (int64_t[]){a, b, c, d}, NULL));
    return nnd_real_result(&t, true, &j->made[j->made_count++], out);
}

/* Input i, [batch, 1, width], plus the bias from `first` on. */
static nnd_status add_bias(job *j, size_t i, int64_t width, int64_t first, const float **out)
{
    const float *x = j->in[i].data, *bias = j->in[BIAS].data;
    float *sum;
    *out = x;
    if (!bias) return NND_OK;
    NND_TRY(make(j, j->d.batch, 1, 1, width, &sum));
    for (int64_t k = 0; k < j->d.batch * width; k++)
        sum[k] = x[k] + bias[first + k % width];
    *out = sum;
    return NND_OK;
}

/* The cache with the new row behind the others. */
static nnd_status append(nnd_op_ctx *c, job *j, size_t output, const float *past, const float *row,
                         int64_t size, float **out)
{
    const decoder *d = &j->d;
    bool wanted = output < c->out_count && c->out[output].data;
    int64_t dims[4] = {d->batch, d->heads, d->extent, size};
    nnd_tensor unwanted;
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    nnd_tensor *t = wanted ? &c->out[output] : &unwanted;
    NND_TRY(nnd_real_result(t, true, &j->out[output], out));
    size_t bytes = (size_t)nnd_tensor_count(t) * sizeof(float);
    if (!bytes) return NND_OK;
    memcpy(*out, past, bytes);
    for (int64_t i = 0; i < d->batch * d->heads; i++)
        memcpy(*out + (i * d->extent + j->total - 1) * size, row + i * size,
               (size_t)size * sizeof(float));
    return NND_OK;
}

/* What the beams see: row t of a sequence's beam is that of the beam it came from. */
static nnd_status gather_beams(const nnd_op_ctx *c, job *j, int64_t size, float **cache)
{
    const decoder *d = &j->d;
    const nnd_tensor *origin = c->in[ORIGIN];
    int64_t beams = origin->dims[1], steps = origin->dims[2];
    float *seen;
    NND_TRY(make(j, d->batch, d->heads, d->extent, size, &seen));
    for (int64_t i = 0; i < d->batch * d->heads; i++) {
        int64_t row = i / d->heads, head = i % d->heads;
        const int32_t *from = (const int32_t *)origin->data + row * steps;
        for (int64_t t = 0; t < j->total; t++) {
            int64_t beam = t + 1 < j->total ? (t < steps ? from[t] : -1) : row % beams;
            if (beam < 0 || beam >= beams)
                return nnd_op_fail(c, NND_E_FORMAT, "step %lld comes from beam %lld of %lld",
                                   (long long)t, (long long)beam, (long long)beams);
            int64_t other = ((row / beams * beams + beam) * d->heads + head) * d->extent + t;
            memcpy(seen + (i * d->extent + t) * size, *cache + other * size,
                   (size_t)size * sizeof(float));
        }
    }
    *cache = seen;
    return NND_OK;
}

static nnd_status read_mask(const nnd_op_ctx *c, job *j, nnd_attention *a)
{
    const nnd_tensor *t = nnd_op_in(c, MASK);
    float *values, hidden = nnd_node_float(c->node, "mask_filter_value", -10000.0f);
    if (!t) return NND_OK;
    if (t->rank != 2 || t->dims[0] != j->d.batch || t->dims[1] != j->total)
        return nnd_op_fail(c, NND_E_SHAPE, "the mask does not fit %lld keys", (long long)j->total);
    NND_TRY(make(j, 1, 1, t->dims[0], t->dims[1], &values));
    for (int64_t i = 0; i < nnd_tensor_count(t); i++)
        values[i] = ((const int32_t *)t->data)[i] > 0 ? 0.0f : hidden;
    a->mask = (nnd_bias){.data = values, .batch = a->keys, .column = 1, .columns = a->keys};
    return NND_OK;
}

/* Keys and values, [batch, heads, extent, size]. */
static nnd_status find_keys(nnd_op_ctx *c, job *j, nnd_attention *a)
{
    const decoder *d = &j->d;
    const float *k = j->in[KEY].data, *v = j->in[VALUE].data;
    int64_t width = d->heads * d->size, beams = 1;
    if (!d->cross) {
        NND_TRY(add_bias(j, KEY, width, width, &k));
        NND_TRY(add_bias(j, VALUE, d->heads * d->v_size, 2 * width, &v));
    }
    if (d->cached) {
        float *keys, *values;
        NND_TRY(append(c, j, PRESENT_K, j->in[PAST_K].data, k, d->size, &keys));
        NND_TRY(append(c, j, PRESENT_V, j->in[PAST_V].data, v, d->v_size, &values));
        if (nnd_op_in(c, BEAMS)) beams = nnd_op_int_at(c->in[BEAMS], 0);
        if (beams > 1 && !nnd_op_in(c, ORIGIN))
            return nnd_op_fail(c, NND_E_FORMAT, "there are beams without cache_indirection");
        if (beams > 1 && c->in[ORIGIN]->dims[1] != beams)
            return nnd_op_fail(c, NND_E_SHAPE, "cache_indirection is not one of %lld beams",
                               (long long)beams);
        if (beams > 1) NND_TRY(gather_beams(c, j, d->size, &keys));
        if (beams > 1) NND_TRY(gather_beams(c, j, d->v_size, &values));
        k = keys;
        v = values;
    }
    a->k = nnd_heads_planar(k, (size_t)d->extent, a->heads, a->size);
    a->v = nnd_heads_planar(v, (size_t)d->extent, a->heads, a->v_size);
    return NND_OK;
}

static nnd_status attend(nnd_op_ctx *c, job *j)
{
    const float *q;
    NND_TRY(read_total(c, &j->d, &j->total));
    for (size_t i = 0; i < INPUTS; i++)
        if (i != MASK && (i < PAST_LENGTH || i == BIAS))
            NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    nnd_attention a = sizes_of(&j->d, j->total);
    NND_TRY(add_bias(j, QUERY, j->d.heads * j->d.size, 0, &q));
    NND_TRY(find_keys(c, j, &a));
    a.q = nnd_heads_packed(q, 1, a.heads, a.size);
    a.scale = nnd_node_float(c->node, "scale", 0.0f);
    if (a.scale == 0) a.scale = 1.0f / sqrtf((float)(a.size ? a.size : 1));
    NND_TRY(read_mask(c, j, &a));
    NND_TRY(nnd_bias_read(c, nnd_op_in(c, SCORE_BIAS), j->in[SCORE_BIAS].data, &a, &a.bias));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->out[0], &a.y));
    a.y_head = a.v_size;
    a.y_batch = a.y_row = a.heads * a.v_size;
    if (c->out_count > SCORES)
        NND_TRY(nnd_real_result(&c->out[SCORES], false, &j->out[SCORES], &a.tap));
    a.tap_stage = NND_TAP_BIASED;
    NND_TRY(nnd_attention_run(c, &a));
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_real_write(&c->out[i], &j->out[i]));
    return NND_OK;
}

static nnd_status decoder_run(nnd_op_ctx *c)
{
    job j = {0};
    NND_TRY(read_decoder(c, &j.d));
    nnd_status status = attend(c, &j);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < OUTPUTS; i++)
        nnd_real_free(&j.out[i]);
    for (size_t i = 0; i < j.made_count; i++)
        nnd_real_free(&j.made[i]);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "DecoderMaskedMultiHeadAttention", 1, 0, 1, INPUTS, 1, OUTPUTS, 0,
     decoder_infer, decoder_run, .plan = decoder_plan, .flops = decoder_flops},
};
const nnd_op_family nnd_ops_decoder = {ops, NND_COUNT(ops)};
