/*
 * RandomNormal, RandomUniform, their Like forms, Bernoulli and Multinomial.
 *
 * The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", 2011): a block of four words is a function of a key and a counter, so that any element
 * can be drawn by any thread. The key is the attribute `seed`, or a hash of the node's name where
 * there is none; the counter holds the element and how many random operators ran before in this
 * run. Hence a model gives the same numbers in each run, and each round of a loop gives others.
 */
#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/element.h"

enum { NORMAL, UNIFORM };

/* ---- generator ------------------------------------------------------------------------------ */

typedef struct stream {
    uint32_t key[2];
    uint64_t draw;
} stream;

/* FNV-1a. */
static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; name && *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h;
}

static stream open_stream(nnd_op_ctx *c)
{
    const nnd_attr *seed = nnd_node_attr(c->node, "seed");
    uint64_t key = hash_name(c->node->name);
    uint32_t bits;
    if (seed) {
        float value = nnd_node_float(c->node, "seed", 0.0f);
        memcpy(&bits, &value, sizeof(bits));
        key = bits;
    }
    return (stream){{(uint32_t)key, (uint32_t)(key >> 32)}, nnd_op_draw(c)};
}

static void philox(const stream *s, uint64_t block, uint32_t out[4])
{
    uint32_t k0 = s->key[0], k1 = s->key[1];
    out[0] = (uint32_t)block;
    out[1] = (uint32_t)(block >> 32);
    out[2] = (uint32_t)s->draw;
    out[3] = (uint32_t)(s->draw >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * out[0], p1 = (uint64_t)0xCD9E8D57u * out[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ out[1] ^ k0, (uint32_t)p1,
                            (uint32_t)(p0 >> 32) ^ out[3] ^ k1, (uint32_t)p0};
        memcpy(out, next, sizeof(next));
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* Two numbers of 53 bits in [0, 1). */
static void uniform_pair(const stream *s, uint64_t pair, double out[2])
{
    uint32_t w[4];
    philox(s, pair, w);
    for (int i = 0; i < 2; i++) {
        uint64_t bits = (uint64_t)w[2 * i] << 32 | w[2 * i + 1];
        out[i] = (double)(bits >> 11) * 0x1p-53;
    }
}

/* Box and Muller's pair of normal numbers. */
static void normal_pair(const stream *s, uint64_t pair, double out[2])
{
    double u[2];
    uniform_pair(s, pair, u);
    double radius = sqrt(-2.0 * log(1.0 - u[0])), angle = 2.0 * 3.14159265358979323846 * u[1];
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

typedef struct job {
    nnd_op_ctx *c;
    stream s;
    int variant;
    double scale, shift;
} job;

/* ---- filled tensors ------------------------------------------------------------------------- */

static nnd_status check_type(const nnd_op_ctx *c, nnd_dtype type, uint32_t allowed)
{
    if (allowed >> type & 1u) return NND_OK;
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "to %s", nnd_dtype_name(type));
}

/* The type that the attribute names, or the fallback. */
static nnd_dtype type_of(const nnd_op_ctx *c, nnd_dtype fallback)
{
    int64_t code = nnd_node_int(c->node, "dtype", 0);
    return code ? nnd_onnx_dtype((uint64_t)code) : fallback;
}

static nnd_status random_infer(nnd_op_ctx *c)
{
    const nnd_tensor *like = nnd_op_in(c, 0);
    size_t rank;
    const int64_t *shape = nnd_node_ints(c->node, "shape", &rank);
    if (c->op->max_inputs) {
        NND_TRY(nnd_op_need(c, 0, &like));
        /* The type of the operand counts only when it can be a result's. */
        nnd_dtype own = NND_FLOATS >> like->dtype & 1u ? like->dtype : NND_F32;
        nnd_dtype type = type_of(c, own);
        NND_TRY(check_type(c, type, NND_FLOATS));
        return nnd_op_output(c, 0, type, like->rank, like->dims);
    }
    if (!nnd_node_attr(c->node, "shape") || rank > NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_FORMAT, "the attribute shape is missing or too long");
    nnd_dtype type = type_of(c, NND_F32);
    NND_TRY(check_type(c, type, NND_FLOATS));
    return nnd_op_output(c, 0, type, (int)rank, shape);
}

static nnd_status random_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    size_t begin = tile * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    size_t n = (size_t)nnd_tensor_count(y);
    double pair[2];
    (void)lane;
    if (end > n) end = n;
    for (size_t i = begin; i < end; i++) { /* tiles begin at even elements */
        if (i % 2 == 0) (j->variant == NORMAL ? normal_pair : uniform_pair)(&j->s, i / 2, pair);
        nnd_set(y, i, pair[i % 2] * j->scale + j->shift);
    }
    return NND_OK;
}

static nnd_status random_run(nnd_op_ctx *c)
{
    job j = {.c = c, .s = open_stream(c), .variant = c->op->variant};
    if (j.variant == NORMAL) {
        j.shift = (double)nnd_node_float(c->node, "mean", 0.0f);
        j.scale = (double)nnd_node_float(c->node, "scale", 1.0f);
    } else {
        j.shift = (double)nnd_node_float(c->node, "low", 0.0f);
        j.scale = (double)nnd_node_float(c->node, "high", 1.0f) - j.shift;
    }
    return nnd_op_for(c, nnd_op_tiles((size_t)nnd_tensor_count(&c->out[0])), random_tile, &j);
}

/* ---- Bernoulli ------------------------------------------------------------------------------ */

static nnd_status bernoulli_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    nnd_dtype type = type_of(c, c->in[0]->dtype);
    NND_TRY(check_type(c, type, NND_NUMBERS | 1u << NND_BOOL));
    return nnd_op_output(c, 0, type, c->in[0]->rank, c->in[0]->dims);
}

static nnd_status bernoulli_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    size_t begin = tile * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    size_t n = (size_t)nnd_tensor_count(y);
    double pair[2];
    (void)lane;
    if (end > n) end = n;
    for (size_t i = begin; i < end; i++) {
        if (i % 2 == 0) uniform_pair(&j->s, i / 2, pair);
        nnd_set(y, i, pair[i % 2] < nnd_get(x, i) ? 1.0 : 0.0);
    }
    return NND_OK;
}

static nnd_status bernoulli_run(nnd_op_ctx *c)
{
    job j = {.c = c, .s = open_stream(c)};
    return nnd_op_for(c, nnd_op_tiles((size_t)nnd_tensor_count(&c->out[0])), bernoulli_tile, &j);
}

/* ---- Multinomial ---------------------------------------------------------------------------- */

static nnd_status multinomial_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    nnd_dtype type = type_of(c, NND_I32);
    NND_TRY(check_type(c, type, 1u << NND_I32 | 1u << NND_I64));
    if (c->in[0]->rank != 2 || c->in[0]->dims[1] < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the input is not [batch, at least one class]");
    int64_t dims[2] = {c->in[0]->dims[0], nnd_node_int(c->node, "sample_size", 1)};
    return nnd_op_output(c, 0, type, 2, dims);
}

/* The class at `u` of the way through all weights exp(x − top), whose sum is `sum`. */
static int64_t pick(const nnd_tensor *x, size_t row, size_t classes, double top, double sum,
                    double u)
{
    double reached = 0;
    size_t last = 0;
    for (size_t k = 0; k < classes; k++) {
        double w = exp(nnd_get(x, row * classes + k) - top);
        if (!(w > 0)) continue;
        last = k;
        reached += w;
        if (u * sum < reached) break;
    }
    return (int64_t)last;
}

static nnd_status multinomial_tile(void *user, size_t row, int lane)
{
    const job *j = user;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    size_t classes = (size_t)x->dims[1], samples = (size_t)y->dims[1];
    double top = -INFINITY, sum = 0, pair[2];
    (void)lane;
    for (size_t k = 0; k < classes; k++)
        top = fmax(top, nnd_get(x, row * classes + k));
    if (!isfinite(top))
        return nnd_op_fail(j->c, NND_E_FORMAT, "row %zu has no finite largest logit", row);
    for (size_t k = 0; k < classes; k++) {
        double w = exp(nnd_get(x, row * classes + k) - top);
        sum += w > 0 ? w : 0; /* NaN is no chance */
    }
    for (size_t i = 0; i < samples; i++) {
        size_t at = row * samples + i;
        if (at % 2 == 0 || i == 0) uniform_pair(&j->s, at / 2, pair);
        nnd_set(y, at, (double)pick(x, row, classes, top, sum, pair[at % 2]));
    }
    return NND_OK;
}

static nnd_status multinomial_run(nnd_op_ctx *c)
{
    job j = {.c = c, .s = open_stream(c)};
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)c->in[0]->dims[0], multinomial_tile, &j);
}

#define FILL(name, inputs, v)                                                                      \
    {                                                                                              \
        "", name, 1, 0, inputs, inputs, 1, 1, NND_OP_RANDOM, random_infer, random_run,             \
            .variant = v                                                                           \
    }
static const nnd_op ops[] = {
    FILL("RandomNormal", 0, NORMAL),
    FILL("RandomUniform", 0, UNIFORM),
    FILL("RandomNormalLike", 1, NORMAL),
    FILL("RandomUniformLike", 1, UNIFORM),
    {"", "Bernoulli", 15, 0, 1, 1, 1, 1, NND_OP_RANDOM, bernoulli_infer, bernoulli_run,
     .variant = 0},
    {"", "Multinomial", 7, 0, 1, 1, 1, 1, NND_OP_RANDOM, multinomial_infer, multinomial_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_random = {ops, NND_COUNT(ops)};
