/* Cast and CastLike between all numeric types. */
#include <math.h>
#include <string.h>

#include "data/dtype.h"
#include "engine/kernels/kernels.h"
#include "engine/onnx/onnx.h"
#include "engine/ops/blocks.h"

static nnd_dtype target(const nnd_op_ctx *c)
{
    if (c->op->variant) return c->in_count > 1 && c->in[1] ? c->in[1]->dtype : NND_DTYPE_INVALID;
    const nnd_attr *to = nnd_node_attr(c->node, "to");
    if (!to || to->kind != NND_ATTR_STRING)
        return nnd_onnx_dtype((uint64_t)nnd_node_int(c->node, "to", 0));
    /* Before opset 6 the type was named. */
    static const char *const names[] = {"UNDEFINED", "FLOAT",  "UINT8",  "INT8",   "UINT16",
                                        "INT16",     "INT32",  "INT64",  "STRING", "BOOL",
                                        "FLOAT16",   "DOUBLE", "UINT32", "UINT64"};
    const char *name = nnd_node_string(c->node, "to", "");
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) return nnd_onnx_dtype(i);
    return NND_DTYPE_INVALID;
}

static nnd_status cast_infer(nnd_op_ctx *c)
{
    nnd_dtype to = target(c);
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    bool strange =
        to == NND_DTYPE_INVALID || (to != x->dtype && (to >= NND_STRING || x->dtype >= NND_STRING));
    if (strange)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "from %s to %s", nnd_dtype_name(x->dtype),
                           nnd_dtype_name(to));
    return nnd_op_output(c, 0, to, x->rank, x->dims);
}

/* Float to integer truncates; what does not fit saturates (NaN gives 0), except that the types
   below a byte keep the low bits, as in the standard's own computation. Integers wrap. */
static void convert(const nnd_op_ctx *c, size_t i)
{
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    nnd_class from = nnd_class_of(x->dtype), to = nnd_class_of(y->dtype);
    nnd_block_memory m;
    if (y->dtype == NND_BOOL) {
        ((uint8_t *)y->data)[i] = from <= NND_IN_F64 ? nnd_dtype_get(x->dtype, x->data, i) != 0
                                                     : nnd_op_int_at(x, i) != 0;
        return;
    }
    if (from > NND_IN_F64 && to > NND_IN_F64) {
        m.i64[0] = nnd_op_int_at(x, i);
        nnd_block_store(to, y->dtype, y->data, i, 1, &m);
    } else if (from > NND_IN_F64) {
        double v = x->dtype == NND_U64 ? (double)(uint64_t)nnd_op_int_at(x, i)
                                       : (double)nnd_op_int_at(x, i);
        nnd_dtype_set(y->dtype, y->data, i, v);
    } else {
        double v = nnd_dtype_get(x->dtype, x->data, i);
        if (to > NND_IN_F64 && nnd_dtype_bits(y->dtype) < 8 && fabs(v) < 1e18) {
            m.i64[0] = (int64_t)v;
            nnd_block_store(to, y->dtype, y->data, i, 1, &m);
            return;
        }
        if (y->dtype == NND_F4E2M1 && isnan(v)) v = -0.0; /* it has no NaN; the standard says so */
        nnd_dtype_set(y->dtype, y->data, i, to > NND_IN_F64 ? (isnan(v) ? 0.0 : trunc(v)) : v);
    }
}

static bool is_float8(nnd_dtype t)
{
    return t >= NND_F8E4M3FN && t <= NND_F8E5M2FNUZ;
}

/* Without saturation what is beyond float8's range becomes NaN or, where the type has it, infinity.
 */
static void convert_unsaturated(const nnd_op_ctx *c, size_t i)
{
    static const double largest[] = {448.0, 240.0, 57344.0, 57344.0};
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    double v = nnd_dtype_get(x->dtype, x->data, i);
    static const double half_step[] = {16.0, 8.0, 4096.0, 4096.0};
    size_t kind = (size_t)(y->dtype - NND_F8E4M3FN);
    bool beyond = fabs(v) >= largest[kind] + half_step[kind];
    if (beyond && y->dtype == NND_F8E5M2) /* nnd_dtype_set saturates infinity, too */
        ((uint8_t *)y->data)[i] = signbit(v) ? 0xfc : 0x7c;
    else
        nnd_dtype_set(y->dtype, y->data, i, beyond ? NAN : v);
}

/* E8M0 is the exponent byte of an f32; which way the fraction rounds it is an attribute. */
static void convert_to_exponent(const nnd_op_ctx *c, size_t i)
{
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    const char *mode = nnd_node_string(c->node, "round_mode", "up");
    bool saturate = nnd_node_int(c->node, "saturate", 1) != 0;
    float v = (float)nnd_dtype_get(x->dtype, x->data, i);
    const uint32_t half = 0x400000u;
    uint32_t bits, up = 0;
    memcpy(&bits, &v, sizeof(bits));
    uint32_t exponent = bits >> 23 & 0xffu, fraction = bits & 0x7fffffu;
    if (strcmp(mode, "up") == 0) up = fraction > 0;
    if (strcmp(mode, "nearest") == 0) up = fraction > half || (fraction == half && exponent > 0);
    if (exponent < (saturate ? 0xfeu : 0xffu)) exponent += up;
    ((uint8_t *)y->data)[i] = (uint8_t)exponent;
}

/* ---- usual pairs, whole rows ---------------------------------------------------------------- */

typedef void (*cast_rows)(const void *x, void *y, size_t n);

static void f16_to_f32(const void *x, void *y, size_t n)
{
    nnd_f16_to_f32(x, y, n);
}

static void f32_to_f16(const void *x, void *y, size_t n)
{
    nnd_f32_to_f16(x, y, n);
}

static void bf16_to_f32(const void *x, void *y, size_t n)
{
    nnd_bf16_to_f32(x, y, n);
}

static void f32_to_bf16(const void *x, void *y, size_t n)
{
    nnd_f32_to_bf16(x, y, n);
}

#define CAST_ROWS(name, from, to, expression)                                                      \
    static void name(const void *in, void *out, size_t n)                                          \
    {                                                                                              \
        const from *x = in;                                                                        \
        to *y = out;                                                                               \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (to)(expression);                                                               \
    }
CAST_ROWS(i64_to_f32, int64_t, float, x[i])
CAST_ROWS(i32_to_f32, int32_t, float, x[i])
CAST_ROWS(u8_to_f32, uint8_t, float, x[i])
CAST_ROWS(i64_to_i32, int64_t, int32_t, x[i])
CAST_ROWS(i32_to_i64, int32_t, int64_t, x[i])
CAST_ROWS(u8_to_i64, uint8_t, int64_t, x[i])
CAST_ROWS(i64_to_bool, int64_t, uint8_t, x[i] != 0)
CAST_ROWS(f32_to_bool, float, uint8_t, x[i] < 0 || !(x[i] <= 0))
CAST_ROWS(f32_to_f64, float, double, x[i])
CAST_ROWS(f64_to_f32, double, float, x[i])

static cast_rows rows_of(nnd_dtype from, nnd_dtype to)
{
    static const struct {
        nnd_dtype from, to;
        cast_rows run;
    } pairs[] = {{NND_F16, NND_F32, f16_to_f32},   {NND_F32, NND_F16, f32_to_f16},
                 {NND_BF16, NND_F32, bf16_to_f32}, {NND_F32, NND_BF16, f32_to_bf16},
                 {NND_I64, NND_F32, i64_to_f32},   {NND_I32, NND_F32, i32_to_f32},
                 {NND_U8, NND_F32, u8_to_f32},     {NND_BOOL, NND_F32, u8_to_f32},
                 {NND_I64, NND_I32, i64_to_i32},   {NND_I32, NND_I64, i32_to_i64},
                 {NND_BOOL, NND_I64, u8_to_i64},   {NND_I64, NND_BOOL, i64_to_bool},
                 {NND_F32, NND_BOOL, f32_to_bool}, {NND_F32, NND_F64, f32_to_f64},
                 {NND_F64, NND_F32, f64_to_f32}};
    for (size_t i = 0; i < NND_COUNT(pairs); i++)
        if (pairs[i].from == from && pairs[i].to == to) return pairs[i].run;
    return NULL;
}

static nnd_status cast_tile(void *user, size_t index, int lane)
{
    const nnd_op_ctx *c = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN,
           n = (size_t)nnd_tensor_count(&c->out[0]);
    bool plain = is_float8(c->out[0].dtype) && nnd_node_int(c->node, "saturate", 1) == 0;
    void (*one)(const nnd_op_ctx *, size_t) = plain ? convert_unsaturated : convert;
    if (c->out[0].dtype == NND_F8E8M0) one = convert_to_exponent;
    cast_rows rows = rows_of(c->in[0]->dtype, c->out[0].dtype);
    (void)lane;
    if (end > n) end = n;
    if (rows) {
        const char *x = c->in[0]->data;
        char *y = c->out[0].data;
        rows(x + begin * (nnd_dtype_bits(c->in[0]->dtype) / 8),
             y + begin * (nnd_dtype_bits(c->out[0].dtype) / 8), end - begin);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++)
        one(c, i);
    return NND_OK;
}

static nnd_status cast_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    size_t n = (size_t)nnd_tensor_count(x);
    if (x->dtype == c->out[0].dtype) {
        if (n) memcpy(c->out[0].data, x->data, nnd_tensor_bytes(x));
        return NND_OK;
    }
    /* Packed types share bytes between elements: one tile then. */
    bool packed = nnd_dtype_bits(c->out[0].dtype) < 8;
    if (!packed) return nnd_op_for(c, nnd_op_tiles(n), cast_tile, c);
    for (size_t i = 0; i < nnd_op_tiles(n); i++)
        NND_TRY(cast_tile(c, i, 0));
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "Cast", 1, 0, 1, 1, 1, 1, 0, cast_infer, cast_run, .variant = 0},
    {"", "CastLike", 15, 0, 2, 2, 1, 1, 0, cast_infer, cast_run, .variant = 1},
};
const nnd_op_family nnd_ops_cast = {ops, NND_COUNT(ops)};
