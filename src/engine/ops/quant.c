/* QuantizeLinear, DequantizeLinear (per tensor, per axis, blocked), DynamicQuantizeLinear. */
#include <math.h>
#include <string.h>

#include "engine/kernels/int8.h"
#include "engine/onnx/onnx.h"
#include "engine/ops/qlinear.h"
#include "engine/ops/rows.h"

/* Where the scale of element i is. */
typedef struct scaling {
    size_t inner, extent, block; /* per axis: one scale per `block` steps along it */
    bool whole;                  /* one scale for everything */
} scaling;

static nnd_status read_scaling(const nnd_op_ctx *c, scaling *s)
{
    const nnd_tensor *x = c->in[0], *scale = c->in[1], *zero = nnd_op_in(c, 2);
    int axis;
    if (zero && (nnd_tensor_count(zero) != nnd_tensor_count(scale)))
        return nnd_op_fail(c, NND_E_SHAPE, "scale and zero point differ in shape");
    *s = (scaling){.whole = nnd_tensor_count(scale) == 1 && scale->rank < 2, .block = 1};
    if (s->whole) return NND_OK;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), x->rank, &axis));
    s->inner = (size_t)nnd_op_span(x, axis + 1, x->rank);
    s->extent = (size_t)x->dims[axis];
    if (scale->rank == 1) {
        if (scale->dims[0] == x->dims[axis]) return NND_OK;
    } else if (scale->rank == x->rank && scale->dims[axis] > 0) {
        s->block = (size_t)nnd_node_int(c->node, "block_size", 0);
        if (!s->block)
            s->block = (s->extent + (size_t)scale->dims[axis] - 1) / (size_t)scale->dims[axis];
        bool fits = (size_t)scale->dims[axis] == (s->extent + s->block - 1) / s->block;
        for (int i = 0; fits && i < x->rank; i++)
            fits = i == axis || scale->dims[i] == x->dims[i];
        if (fits) return NND_OK;
    }
    return nnd_op_fail(c, NND_E_SHAPE, "the scale does not fit the input");
}

static size_t scale_index(const scaling *s, bool blocked, size_t i)
{
    if (s->whole) return 0;
    size_t along = i / s->inner % s->extent;
    if (!blocked) return along;
    size_t outer = i / s->inner / s->extent, blocks = (s->extent + s->block - 1) / s->block;
    return (outer * blocks + along / s->block) * s->inner + i % s->inner;
}

static nnd_dtype quantized_type(const nnd_op_ctx *c)
{
    nnd_dtype named = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "output_dtype", 0));
    if (nnd_op_in(c, 2)) return c->in[2]->dtype;
    return named != NND_DTYPE_INVALID ? named : NND_U8;
}

static bool is_integer(nnd_dtype t)
{
    return (t >= NND_I64 && t <= NND_I2) || (t >= NND_U64 && t <= NND_U2);
}

static nnd_status quantize_infer(nnd_op_ctx *c)
{
    scaling s;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS | 1u << NND_I32));
    NND_TRY(nnd_op_expect(c, 1, NND_FLOATS | 1u << NND_I32));
    NND_TRY(read_scaling(c, &s));
    nnd_dtype to = quantized_type(c);
    if (to == NND_F8E8M0 || to >= NND_STRING)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "to %s", nnd_dtype_name(to));
    return nnd_op_output(c, 0, to, c->in[0]->rank, c->in[0]->dims);
}

static double clamp_to(nnd_dtype t, double v)
{
    unsigned bits = nnd_dtype_bits(t);
    bool is_signed = t >= NND_I64 && t <= NND_I2;
    double high = ldexp(1.0, (int)bits - (is_signed ? 1 : 0)) - 1, low = is_signed ? -high - 1 : 0;
    return v < low ? low : v > high ? high : v;
}

static void quantize_one(const nnd_op_ctx *c, const scaling *s, size_t i)
{
    const nnd_tensor *x = c->in[0], *scale = c->in[1], *zero = nnd_op_in(c, 2), *y = &c->out[0];
    size_t k = scale_index(s, scale->rank > 1, i);
    /* In single precision, as the standard's own computation: ties are decided there. */
    float v = (float)nnd_dtype_get(x->dtype, x->data, i) /
              (float)nnd_dtype_get(scale->dtype, scale->data, k);
    double z = zero ? nnd_dtype_get(zero->dtype, zero->data, k) : 0.0;
    double q = is_integer(y->dtype) ? clamp_to(y->dtype, nearbyint((double)v) + z) : (double)v + z;
    nnd_dtype_set(y->dtype, y->data, i, isnan(q) && is_integer(y->dtype) ? z : q);
}

typedef struct job {
    const nnd_op_ctx *c;
    scaling s;
    size_t total;
    bool plain; /* `row` does it */
    nnd_quant_row row;
} job;

/* ---- f32 ↔ integers of 8 or 16 bits with one scale ------------------------------------------- */

static bool is_byte(nnd_dtype t)
{
    return t == NND_U8 || t == NND_I8;
}

static bool is_word(nnd_dtype t)
{
    return t == NND_U16 || t == NND_I16;
}

static bool is_plain(const nnd_op_ctx *c, const scaling *s, const nnd_tensor *real,
                     const nnd_tensor *whole)
{
    const nnd_tensor *zero = nnd_op_in(c, 2);
    return s->whole && real->dtype == NND_F32 && (is_byte(whole->dtype) || is_word(whole->dtype)) &&
           (!zero || zero->dtype == whole->dtype) && c->in[1]->dtype == NND_F32;
}

/* A constant that is one number for all elements. */
static bool is_one(const nnd_graph *g, uint32_t id)
{
    const nnd_graph_value *v = &g->values[id];
    return v->is_constant && v->constant.rank < 2 && nnd_tensor_count(&v->constant) == 1;
}

static bool quantizes(const nnd_graph_node *n)
{
    return strcmp(n->op->name, "QuantizeLinear") == 0;
}

bool nnd_quant_row_can(const nnd_graph *g, const nnd_graph_node *n, const nnd_dtype *types)
{
    bool zero = n->formal_count > 2 && n->inputs[2] != NND_NO_ID;
    nnd_dtype from = types[n->inputs[0]];
    nnd_dtype to = nnd_onnx_dtype((uint64_t)nnd_node_int(n, "output_dtype", 0));
    nnd_dtype whole = from;
    if (quantizes(n)) {
        whole = zero ? types[n->inputs[2]] : to == NND_DTYPE_INVALID ? NND_U8 : to;
        if (from != NND_F32) return false;
    } else if (to != NND_DTYPE_INVALID && to != NND_F32) {
        return false;
    }
    return is_byte(whole) && types[n->inputs[1]] == NND_F32 && is_one(g, n->inputs[1]) &&
           (!zero || (types[n->inputs[2]] == whole && is_one(g, n->inputs[2])));
}

void nnd_quant_row_init(const nnd_op_ctx *c, nnd_quant_row *row)
{
    const nnd_tensor *zero = nnd_op_in(c, 2);
    *row = (nnd_quant_row){
        .scale = *(const float *)c->in[1]->data,
        .zero = zero ? (int32_t)nnd_dtype_get(zero->dtype, zero->data, 0) : 0,
        .type = quantizes(c->node) ? c->out[0].dtype : c->in[0]->dtype,
    };
}

/* Limits first: they are integers, so that rounding cannot leave them, and what lies between is
   small enough to be rounded, halves to even, by adding and subtracting 1.5·2^23. Compilers make
   vectors of all of it. */
static void quantize_words(const nnd_quant_row *r, const float *x, uint16_t *y, size_t n)
{
    const int32_t least = r->type == NND_I16 ? INT16_MIN : 0;
    const float low = (float)(least - r->zero), high = (float)(least + UINT16_MAX - r->zero);
    const float rounding = 12582912.0f;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / r->scale;
        v = v == v ? v : 0.0f;
        v = v < low ? low : v;
        v = v > high ? high : v;
        y[i] = (uint16_t)((int32_t)((v + rounding) - rounding) + r->zero);
    }
}

void nnd_quantize_row_apply(const nnd_quant_row *r, const float *x, void *y, size_t n)
{
    if (is_word(r->type))
        quantize_words(r, x, y, n);
    else
        nnd_int8_quantise(x, r->scale, r->zero, r->type == NND_I8, y, n);
}

void nnd_dequantize_row_apply(const nnd_quant_row *r, const void *x, float *y, size_t n)
{
    const float zero = (float)r->zero, scale = r->scale;
    if (r->type == NND_U16)
        for (size_t i = 0; i < n; i++)
            y[i] = ((float)((const uint16_t *)x)[i] - zero) * scale;
    else if (r->type == NND_I16)
        for (size_t i = 0; i < n; i++)
            y[i] = ((float)((const int16_t *)x)[i] - zero) * scale;
    else
        nnd_int8_dequantise(x, r->scale, r->zero, r->type == NND_I8, y, n);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

static nnd_status quantize_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->total) end = j->total;
    if (j->plain) {
        nnd_quantize_row_apply(&j->row, (const float *)j->c->in[0]->data + begin,
                               (char *)j->c->out[0].data + begin * nnd_op_element(j->row.type),
                               end - begin);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++)
        quantize_one(j->c, &j->s, i);
    return NND_OK;
}

static nnd_status quantize_run(nnd_op_ctx *c)
{
    job j = {.c = c, .total = (size_t)nnd_tensor_count(c->in[0])};
    NND_TRY(read_scaling(c, &j.s));
    j.plain = is_plain(c, &j.s, c->in[0], &c->out[0]);
    if (j.plain) nnd_quant_row_init(c, &j.row);
    return nnd_op_for(c, nnd_op_tiles(j.total), quantize_tile, &j);
}

static nnd_status dequantize_infer(nnd_op_ctx *c)
{
    scaling s;
    const nnd_tensor *x, *scale;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_need(c, 1, &scale));
    if (x->dtype >= NND_STRING || x->dtype == NND_F8E8M0) return nnd_op_expect(c, 0, 0);
    NND_TRY(nnd_op_expect(c, 1, NND_FLOATS));
    NND_TRY(read_scaling(c, &s));
    nnd_dtype named = nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "output_dtype", 0));
    return nnd_op_output(c, 0, named != NND_DTYPE_INVALID ? named : scale->dtype, x->rank, x->dims);
}

static nnd_status dequantize_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_tensor *const *in = j->c->in, *zero = nnd_op_in(j->c, 2), *y = &j->c->out[0];
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->total) end = j->total;
    if (j->plain) {
        nnd_dequantize_row_apply(&j->row,
                                 (const char *)in[0]->data + begin * nnd_op_element(j->row.type),
                                 (float *)y->data + begin, end - begin);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++) {
        size_t k = scale_index(&j->s, in[1]->rank > 1, i);
        double v = nnd_dtype_get(in[0]->dtype, in[0]->data, i);
        if (zero) v -= nnd_dtype_get(zero->dtype, zero->data, k);
        nnd_dtype_set(y->dtype, y->data, i, v * nnd_dtype_get(in[1]->dtype, in[1]->data, k));
    }
    return NND_OK;
}

static nnd_status dequantize_run(nnd_op_ctx *c)
{
    job j = {.c = c, .total = (size_t)nnd_tensor_count(c->in[0])};
    NND_TRY(read_scaling(c, &j.s));
    j.plain = is_plain(c, &j.s, &c->out[0], c->in[0]);
    if (j.plain) nnd_quant_row_init(c, &j.row);
    return nnd_op_for(c, nnd_op_tiles(j.total), dequantize_tile, &j);
}

/* ---- DynamicQuantizeLinear --------------------------------------------------------------------
 */

enum { MAX_PARTS = 64 }; /* of a search for the extremes */

typedef struct range_job {
    const float *x;
    size_t n, parts;
    float low[MAX_PARTS], high[MAX_PARTS];
} range_job;

static nnd_status range_part(void *user, size_t index, int lane)
{
    range_job *j = user;
    size_t begin = j->n / j->parts * index, end = begin + j->n / j->parts;
    (void)lane;
    if (index + 1 == j->parts) end = j->n;
    nnd_int8_range(j->x + begin, end - begin, &j->low[index], &j->high[index]);
    return NND_OK;
}

/* The scale and the zero point that the extremes of x set. */
static nnd_status find_scaling(const nnd_op_ctx *c, const nnd_tensor *x, nnd_dynamic *s)
{
    range_job j = {.x = x->data, .n = (size_t)nnd_tensor_count(x)};
    j.parts = nnd_op_tiles(j.n);
    j.parts = j.parts < 1 ? 1 : j.parts > MAX_PARTS ? MAX_PARTS : j.parts;
    if (j.n) NND_TRY(nnd_op_for(c, j.parts, range_part, &j));
    float low = 0.0f, high = 0.0f;
    for (size_t i = 0; i < j.parts; i++) {
        low = fminf(low, j.low[i]);
        high = fmaxf(high, j.high[i]);
    }
    s->scale = (high - low) / 255.0f;
    /* Nothing but zeros has no scale, and infinite numbers none that means something. */
    double zero = s->scale > 0 ? clamp_to(NND_U8, nearbyint((double)(0.0f - low / s->scale))) : 0.0;
    s->zero = isnan(zero) ? 0 : (uint8_t)zero;
    return NND_OK;
}

typedef struct dynamic_job {
    const float *x;
    uint8_t *y;
    size_t n;
    nnd_dynamic s;
} dynamic_job;

static nnd_status dynamic_tile(void *user, size_t index, int lane)
{
    const dynamic_job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->n) end = j->n;
    nnd_int8_quantise(j->x + begin, j->s.scale > 0 ? j->s.scale : 1.0f, j->s.zero, false,
                      j->y + begin, end - begin);
    return NND_OK;
}

nnd_status nnd_dynamic_quantise(const nnd_op_ctx *c, const nnd_tensor *x, uint8_t *y,
                                nnd_dynamic *s)
{
    NND_TRY(find_scaling(c, x, s));
    dynamic_job j = {.x = x->data, .y = y, .n = (size_t)nnd_tensor_count(x), .s = *s};
    return y ? nnd_op_for(c, nnd_op_tiles(j.n), dynamic_tile, &j) : NND_OK;
}

static nnd_status dynamic_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(nnd_op_output(c, 0, NND_U8, c->in[0]->rank, c->in[0]->dims));
    NND_TRY(nnd_op_output(c, 1, NND_F32, 0, NULL));
    return nnd_op_output(c, 2, NND_U8, 0, NULL);
}

static nnd_status dynamic_run(nnd_op_ctx *c)
{
    nnd_dynamic s;
    NND_TRY(nnd_dynamic_quantise(c, c->in[0], c->out[0].data, &s));
    if (c->out[1].data) *(float *)c->out[1].data = s.scale;
    if (c->out[2].data) *(uint8_t *)c->out[2].data = s.zero;
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "QuantizeLinear", 10, 0, 2, 3, 1, 1, 0, quantize_infer, quantize_run, .variant = 0},
    {"", "DequantizeLinear", 10, 0, 2, 3, 1, 1, 0, dequantize_infer, dequantize_run, .variant = 0},
    {"", "DynamicQuantizeLinear", 11, 0, 1, 1, 3, 3, 0, dynamic_infer, dynamic_run, .variant = 0},
};
const nnd_op_family nnd_ops_quant = {ops, NND_COUNT(ops)};
