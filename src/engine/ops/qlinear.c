/*
 * Integer products: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv and com.microsoft's
 * MatMulIntegerToFloat and DynamicQuantizeMatMul.
 *
 * Operands have their zero points taken off first and are summed in 32 bits. The quantised
 * operators scale the sum once, by x_scale·w_scale/y_scale in single precision, and round halves to
 * even, as integer kernels elsewhere do.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/qproduct.h"
#include "nndeploy/data.h"

enum {
    INTEGER = NND_QPRODUCT_INTEGER,
    QLINEAR = NND_QPRODUCT_QLINEAR,
    TO_FLOAT = NND_QPRODUCT_TO_FLOAT,
    DYNAMIC = NND_QPRODUCT_DYNAMIC
};

const nnd_qroles nnd_qroles_of[] = {
    [INTEGER] = {0, -1, 2, 1, -1, 3, -1, -1, -1},
    [QLINEAR] = {0, 1, 2, 3, 4, 5, 6, 7, 8},
    [TO_FLOAT] = {0, 2, 4, 1, 3, 5, -1, -1, 6},
    [DYNAMIC] = {0, -1, -1, 1, 2, 3, -1, -1, 4},
    [NND_QPRODUCT_GEMM] = {0, 1, 2, 3, 4, 5, 7, 8, 6},
    [NND_QPRODUCT_CONV_TO_FLOAT] = {0, 1, 2, 3, 4, 5, -1, -1, 6},
};

const nnd_tensor *nnd_qproduct_at(const nnd_op_ctx *c, int i)
{
    return i < 0 ? NULL : nnd_op_in(c, (size_t)i);
}

double nnd_qproduct_value(const nnd_tensor *t, size_t i, double fallback)
{
    if (!t) return fallback;
    return nnd_dtype_get(t->dtype, t->data, nnd_tensor_count(t) == 1 ? 0 : i);
}

#define BYTES (1u << NND_I8 | 1u << NND_U8)

static nnd_status check_types(const nnd_op_ctx *c, const nnd_qroles *r)
{
    const int scales[] = {r->x_scale, r->w_scale, r->y_scale};
    const int zeros[] = {r->x_zero, r->w_zero, r->y_zero};
    NND_TRY(nnd_op_expect(c, 0, c->op->variant == DYNAMIC ? 1u << NND_F32 : BYTES));
    NND_TRY(nnd_op_expect(c, (size_t)r->w, BYTES));
    for (size_t i = 0; i < NND_COUNT(scales); i++) {
        if (scales[i] >= 0) NND_TRY(nnd_op_expect(c, (size_t)scales[i], NND_FLOATS));
        if (nnd_qproduct_at(c, zeros[i])) NND_TRY(nnd_op_expect(c, (size_t)zeros[i], BYTES));
    }
    if (c->op->variant != QLINEAR) return NND_OK;
    NND_TRY(nnd_op_expect(c, (size_t)r->y_zero, BYTES));
    if (nnd_tensor_count(c->in[r->y_scale]) != 1 || nnd_tensor_count(c->in[r->y_zero]) != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the result's scale or zero point is no scalar");
    return NND_OK;
}

/* One value for all, or one per channel. */
static nnd_status check_counts(const nnd_op_ctx *c, int64_t x_count, int64_t w_count)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    const struct {
        int input;
        int64_t count;
    } all[] = {
        {r->x_scale, x_count}, {r->x_zero, x_count}, {r->w_scale, w_count}, {r->w_zero, w_count}};
    for (size_t i = 0; i < NND_COUNT(all); i++) {
        const nnd_tensor *t = nnd_qproduct_at(c, all[i].input);
        int64_t n = t ? nnd_tensor_count(t) : 1;
        if (n != 1 && n != all[i].count)
            return nnd_op_fail(c, NND_E_SHAPE, "input %d has %lld values, 1 or %lld are wanted",
                               all[i].input, (long long)n, (long long)all[i].count);
    }
    return NND_OK;
}

/* Elements without their zero point. A zero point per channel: `channels` of them, `inner`
   elements each, repeated. */
static nnd_status widen(const nnd_tensor *t, const nnd_tensor *zero, size_t channels, size_t inner,
                        int32_t **out)
{
    size_t n = (size_t)nnd_tensor_count(t), bytes;
    if (!nnd_size_mul(n, sizeof(int32_t), &bytes) || bytes > SIZE_MAX - 64)
        return nnd_error_set(NND_E_OVERFLOW, "an operand is too large");
    *out = nnd_alloc_aligned(bytes + 1, 64);
    if (!*out) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to widen an operand");
    for (size_t i = 0; i < n; i++) {
        int32_t z = zero ? (int32_t)nnd_qproduct_value(zero, i / inner % channels, 0) : 0;
        int32_t v =
            t->dtype == NND_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
        (*out)[i] = v - z;
    }
    return NND_OK;
}

/* Rounds half to even without a call, as long as the rounding mode is the usual one:
   adding 1.5·2^23 leaves no fraction bits. What is beyond ±1024 saturates in any byte type. */
static float to_code(float v, float zero, float low, float high)
{
    const float magic = 12582912.0f;
    v = v > -1024.0f ? (v < 1024.0f ? v : 1024.0f) : -1024.0f;
    v = (v + magic) - magic + zero;
    return v < low ? low : v > high ? high : v;
}

/* How the sums of one output channel become results. */
typedef struct rescale {
    float scale, zero, low, high; /* the limits of the codes */
    double bias;
} rescale;

/* What is added to scaled sums, not to the sums themselves. */
static bool has_float_bias(const nnd_op_ctx *c)
{
    const nnd_tensor *bias = nnd_qproduct_at(c, nnd_qroles_of[c->op->variant].bias);
    return bias && bias->dtype == NND_F32;
}

static rescale rescale_of(const nnd_op_ctx *c, float x_scale, size_t channel)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    rescale s = {.scale = x_scale *
                          (float)nnd_qproduct_value(nnd_qproduct_at(c, r->w_scale), channel, 1),
                 .bias = -0.0}; /* changes nothing, not even the sign of a 0 */
    if (c->op->variant == QLINEAR) {
        s.scale /= (float)nnd_qproduct_value(nnd_qproduct_at(c, r->y_scale), 0, 1);
        s.zero = (float)nnd_qproduct_value(nnd_qproduct_at(c, r->y_zero), 0, 0);
        nnd_codes codes = nnd_codes_of(c->node, c->out[0].dtype);
        s.low = (float)codes.low;
        s.high = (float)codes.high;
    } else if (has_float_bias(c)) {
        s.bias = nnd_qproduct_value(nnd_qproduct_at(c, r->bias), channel, 0);
    }
    return s;
}

/* Writes one sum as the operator's result. */
static void store(const nnd_op_ctx *c, size_t to, int32_t sum, const rescale *s)
{
    const nnd_tensor *y = &c->out[0];
    float scaled = (float)sum * s->scale;
    if (y->dtype == NND_I32)
        ((int32_t *)y->data)[to] = sum;
    else if (y->dtype == NND_F32)
        ((float *)y->data)[to] = (float)((double)scaled + s->bias);
    else if (y->dtype == NND_I8)
        ((int8_t *)y->data)[to] = (int8_t)to_code(scaled, s->zero, s->low, s->high);
    else
        ((uint8_t *)y->data)[to] = (uint8_t)to_code(scaled, s->zero, s->low, s->high);
}

/* ---- matrices ----------------------------------------------------------------------------------
 */

static nnd_status read_batch(const nnd_op_ctx *c, const nnd_tensor *a, const nnd_tensor *b,
                             nnd_qmatrices *p)
{
    int ar = a->rank > 2 ? a->rank - 2 : 0, br = b->rank > 2 ? b->rank - 2 : 0;
    int64_t a_step = 1, b_step = 1;
    p->rank = ar > br ? ar : br;
    p->batches = 1;
    for (int i = p->rank - 1; i >= 0; i--) {
        int64_t x = i >= p->rank - ar ? a->dims[i - (p->rank - ar)] : 1;
        int64_t y = i >= p->rank - br ? b->dims[i - (p->rank - br)] : 1;
        if (x != y && x != 1 && y != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "batch dimensions %lld and %lld do not broadcast",
                               (long long)x, (long long)y);
        p->batch[i] = x == 1 ? y : x;
        p->a_step[i] = x == 1 ? 0 : a_step;
        p->b_step[i] = y == 1 ? 0 : b_step;
        a_step *= x;
        b_step *= y;
        p->batches *= (size_t)p->batch[i];
    }
    return NND_OK;
}

nnd_status nnd_qmatrices_read(const nnd_op_ctx *c, nnd_qmatrices *p)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    NND_TRY(check_types(c, r));
    const nnd_tensor *a = c->in[r->x], *b = c->in[r->w];
    *p = (nnd_qmatrices){0};
    if (!a->rank || !b->rank) return nnd_op_fail(c, NND_E_SHAPE, "a scalar is no matrix");
    p->m = a->rank == 1 ? 1 : a->dims[a->rank - 2];
    p->k = a->dims[a->rank - 1];
    p->n = b->rank == 1 ? 1 : b->dims[b->rank - 1];
    if (p->k != (b->rank == 1 ? b->dims[0] : b->dims[b->rank - 2]))
        return nnd_op_fail(c, NND_E_SHAPE, "the inner dimensions do not fit");
    NND_TRY(read_batch(c, a, b, p));
    memcpy(p->out, p->batch, sizeof(p->out));
    p->out_rank = p->rank;
    if (a->rank > 1) p->out[p->out_rank++] = p->m;
    if (b->rank > 1) p->out[p->out_rank++] = p->n;
    const nnd_tensor *bias = c->op->variant == QLINEAR ? NULL : nnd_qproduct_at(c, r->bias);
    if (bias && (bias->dtype != NND_F32 || nnd_tensor_count(bias) != p->n))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per column");
    return check_counts(c, p->m, p->n);
}

void nnd_qmatrices_locate(const nnd_qmatrices *p, size_t batch, size_t *a, size_t *b)
{
    *a = *b = 0;
    for (int i = p->rank - 1; i >= 0; i--) {
        size_t step = batch % (size_t)p->batch[i];
        batch /= (size_t)p->batch[i];
        *a += step * (size_t)p->a_step[i];
        *b += step * (size_t)p->b_step[i];
    }
}

static nnd_dtype result_type(const nnd_op_ctx *c)
{
    if (c->op->variant == INTEGER) return NND_I32;
    return c->op->variant == QLINEAR ? c->in[7]->dtype : NND_F32;
}

static nnd_status matmul_infer(nnd_op_ctx *c)
{
    nnd_qmatrices p;
    NND_TRY(nnd_qmatrices_read(c, &p));
    return nnd_op_output(c, 0, result_type(c), p.out_rank, p.out);
}

static double matmul_flops(const nnd_op_ctx *c)
{
    nnd_qmatrices p;
    if (nnd_qmatrices_read(c, &p) != NND_OK) return 0;
    return 2.0 * (double)p.m * (double)p.n * (double)p.k * (double)p.batches;
}

enum { STRIP = 128 }; /* columns that are summed at once */

typedef struct matmul_job {
    const nnd_op_ctx *c;
    nnd_qmatrices p;
    int32_t *a, *b;
    float x_scale; /* of an input that was quantised here; else the operator has an input for it */
} matmul_job;

static nnd_status matmul_row(void *user, size_t index, int lane)
{
    const matmul_job *j = user;
    const nnd_qmatrices *p = &j->p;
    size_t n = (size_t)p->n, k = (size_t)p->k, m = (size_t)p->m;
    size_t a_matrix, b_matrix;
    (void)lane;
    nnd_qmatrices_locate(p, index / m, &a_matrix, &b_matrix);
    const int32_t *a = j->a + (a_matrix * m + index % m) * k, *b = j->b + b_matrix * k * n;
    float x_scale = j->x_scale;
    if (j->c->op->variant != DYNAMIC)
        x_scale = (float)nnd_qproduct_value(
            nnd_qproduct_at(j->c, nnd_qroles_of[j->c->op->variant].x_scale), index % m, 1);
    for (size_t col = 0; col < n; col += STRIP) {
        uint32_t sums[STRIP] = {0}; /* wraps around as 32-bit hardware does */
        size_t width = n - col < STRIP ? n - col : STRIP;
        for (size_t i = 0; i < k; i++)
            for (size_t x = 0; x < width; x++)
                sums[x] += (uint32_t)a[i] * (uint32_t)b[i * n + col + x];
        for (size_t x = 0; x < width; x++) {
            rescale s = rescale_of(j->c, x_scale, col + x);
            store(j->c, index * n + col + x, (int32_t)sums[x], &s);
        }
    }
    return NND_OK;
}

static nnd_status multiply(nnd_op_ctx *c, const nnd_tensor *x, const nnd_tensor *x_zero,
                           float x_scale)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    matmul_job j = {.c = c, .x_scale = x_scale};
    if (c->step) return nnd_qmatmul_run(c, x, (int32_t)nnd_qproduct_value(x_zero, 0, 0), x_scale);
    NND_TRY(nnd_qmatrices_read(c, &j.p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    size_t k = j.p.k ? (size_t)j.p.k : 1;
    nnd_status status = widen(x, x_zero, (size_t)j.p.m, k, &j.a);
    if (status == NND_OK)
        status = widen(c->in[r->w], nnd_qproduct_at(c, r->w_zero), (size_t)j.p.n, 1, &j.b);
    if (status == NND_OK) status = nnd_op_for(c, j.p.batches * (size_t)j.p.m, matmul_row, &j);
    nnd_free_aligned(j.a);
    nnd_free_aligned(j.b);
    return status;
}

static nnd_status matmul_run(nnd_op_ctx *c)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    float x_scale = (float)nnd_qproduct_value(nnd_qproduct_at(c, r->x_scale), 0, 1);
    return multiply(c, c->in[r->x], nnd_qproduct_at(c, r->x_zero), x_scale);
}

/* Quantises A to u8 as DynamicQuantizeLinear does, multiplies, scales back. */
static nnd_status dynamic_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    nnd_dynamic s;
    uint8_t *bytes = nnd_alloc((size_t)nnd_tensor_count(x) + 1);
    if (!bytes) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to quantise the input");
    nnd_tensor quantised, point;
    nnd_status status = nnd_dynamic_quantise(c, x, bytes, &s);
    if (status == NND_OK) status = nnd_tensor_init(&quantised, NND_U8, x->rank, x->dims, bytes);
    if (status == NND_OK) status = nnd_tensor_init(&point, NND_U8, 0, NULL, &s.zero);
    if (status == NND_OK) status = multiply(c, &quantised, &point, s.scale);
    nnd_free(bytes);
    return status;
}

/* ---- convolution --------------------------------------------------------------------------------
 */

/* Both operands with the channels innermost, so that a tap is one product of short vectors. */
typedef struct conv_job {
    const nnd_op_ctx *c;
    nnd_window w; /* three dimensions, leading ones of extent 1 */
    int64_t groups;
    int16_t *x, *weight;
    bool planar; /* one channel per group: planes stay planes */
} conv_job;

nnd_status nnd_qconv_read(const nnd_op_ctx *c, nnd_window *w, int64_t *groups)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    NND_TRY(check_types(c, r));
    const nnd_tensor *x = c->in[r->x], *weight = c->in[r->w], *bias = nnd_qproduct_at(c, r->bias);
    if (weight->rank != x->rank || x->rank < 3)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, the weights %d", x->rank,
                           weight->rank);
    NND_TRY(nnd_window_read(c, weight->dims + 2, w));
    *groups = nnd_node_int(c->node, "group", 1);
    if (*groups < 1 || *groups > weight->dims[0] || weight->dims[0] % *groups ||
        x->dims[1] % *groups || weight->dims[1] != x->dims[1] / *groups)
        return nnd_op_fail(c, NND_E_SHAPE, "input channels and weights do not fit %lld groups",
                           (long long)*groups);
    const bool of_floats = bias && bias->dtype == NND_F32 && c->op == &nnd_op_conv_to_float;
    if (bias &&
        ((bias->dtype != NND_I32 && !of_floats) || nnd_tensor_count(bias) != weight->dims[0]))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one i32 per output channel");
    return check_counts(c, 1, weight->dims[0]);
}

static nnd_status conv_infer(nnd_op_ctx *c)
{
    nnd_window w;
    int64_t groups, dims[NND_MAX_RANK];
    NND_TRY(nnd_qconv_read(c, &w, &groups));
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    dims[0] = c->in[r->x]->dims[0];
    dims[1] = c->in[r->w]->dims[0];
    memcpy(dims + 2, w.out, (size_t)w.spatial * sizeof(*dims));
    return nnd_op_output(c, 0, result_type(c), c->in[r->x]->rank, dims);
}

static void to_three_dimensions(nnd_window *w)
{
    int shift = NND_MAX_SPATIAL - w->spatial;
    for (int i = NND_MAX_SPATIAL - 1; i >= 0; i--) {
        bool real = i >= shift;
        int from = real ? i - shift : 0;
        w->in[i] = real ? w->in[from] : 1;
        w->out[i] = real ? w->out[from] : 1;
        w->kernel[i] = real ? w->kernel[from] : 1;
        w->stride[i] = real ? w->stride[from] : 1;
        w->dilation[i] = real ? w->dilation[from] : 1;
        w->begin[i] = real ? w->begin[from] : 0;
    }
}

/* [outer, channels, area] without its zero points to [outer, area, channels] in 16 bits. */
static nnd_status transpose(const nnd_tensor *t, const nnd_tensor *zero, size_t outer,
                            size_t channels, size_t area, int16_t **out)
{
    size_t count = (size_t)nnd_tensor_count(t), bytes;
    if (!nnd_size_mul(count, sizeof(int16_t), &bytes) || bytes > SIZE_MAX - 64)
        return nnd_error_set(NND_E_OVERFLOW, "an operand is too large");
    *out = nnd_alloc_aligned(bytes + 1, 64);
    if (!*out) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to widen an operand");
    for (size_t o = 0; o < outer; o++) {
        int z = (int)nnd_qproduct_value(zero, o, 0);
        for (size_t k = 0; k < channels; k++) {
            size_t from = (o * channels + k) * area;
            int16_t *to = *out + o * channels * area + k;
            for (size_t i = 0; i < area; i++) {
                int v = t->dtype == NND_I8 ? ((const int8_t *)t->data)[from + i]
                                           : ((const uint8_t *)t->data)[from + i];
                to[i * channels] = (int16_t)(v - z);
            }
        }
    }
    return NND_OK;
}

/* Products are below 2^16 and chunks short enough for 31 bits; chunks wrap around. */
static uint32_t dot(const int16_t *a, const int16_t *b, size_t n)
{
    enum { CHUNK = 16384 };
    uint32_t total = 0;
    for (size_t begin = 0; begin < n; begin += CHUNK) {
        size_t end = n - begin < CHUNK ? n : begin + CHUNK;
        int32_t sum = 0;
        for (size_t i = begin; i < end; i++)
            sum += (int32_t)a[i] * (int32_t)b[i];
        total += (uint32_t)sum;
    }
    return total;
}

static uint32_t sum_window(const conv_job *j, const int16_t *x, const int16_t *taps,
                           size_t channels, size_t in_group, const int64_t *o)
{
    const nnd_window *w = &j->w;
    int64_t at_in[3];
    uint32_t sum = 0;
    for (int64_t kz = 0; kz < w->kernel[0]; kz++) {
        at_in[0] = o[0] * w->stride[0] - w->begin[0] + kz * w->dilation[0];
        if (at_in[0] < 0 || at_in[0] >= w->in[0]) continue;
        for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
            at_in[1] = o[1] * w->stride[1] - w->begin[1] + ky * w->dilation[1];
            if (at_in[1] < 0 || at_in[1] >= w->in[1]) continue;
            for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
                at_in[2] = o[2] * w->stride[2] - w->begin[2] + kx * w->dilation[2];
                if (at_in[2] < 0 || at_in[2] >= w->in[2]) continue;
                size_t pixel = (size_t)((at_in[0] * w->in[1] + at_in[1]) * w->in[2] + at_in[2]);
                size_t tap = (size_t)((kz * w->kernel[1] + ky) * w->kernel[2] + kx);
                sum += dot(x + pixel * channels, taps + tap * in_group, in_group);
            }
        }
    }
    return sum;
}

static nnd_status conv_row(void *user, size_t index, int lane)
{
    const conv_job *j = user;
    const nnd_qroles *r = &nnd_qroles_of[j->c->op->variant];
    const nnd_tensor *y = &j->c->out[0], *x = j->c->in[r->x], *weight = j->c->in[r->w];
    const nnd_tensor *bias = nnd_qproduct_at(j->c, r->bias);
    size_t rows = (size_t)(j->w.out[0] * j->w.out[1]), outputs = (size_t)y->dims[1];
    size_t row = index % rows, m = index / rows % outputs, n = index / rows / outputs;
    int64_t o[3] = {(int64_t)row / j->w.out[1], (int64_t)row % j->w.out[1], 0};
    (void)lane;
    size_t channels = (size_t)x->dims[1], in_group = (size_t)weight->dims[1];
    size_t area = (size_t)(j->w.in[0] * j->w.in[1] * j->w.in[2]);
    size_t filter = (size_t)nnd_op_span(weight, 1, weight->rank);
    size_t channel = m / (outputs / (size_t)j->groups) * in_group;
    const int16_t *first = j->x + n * area * channels + (j->planar ? channel * area : channel);
    rescale scale =
        rescale_of(j->c, (float)nnd_qproduct_value(nnd_qproduct_at(j->c, r->x_scale), 0, 1), m);
    uint32_t start = bias && bias->dtype == NND_I32 ? ((const uint32_t *)bias->data)[m] : 0;
    for (; o[2] < j->w.out[2]; o[2]++) {
        uint32_t sum = start + sum_window(j, first, j->weight + m * filter,
                                          j->planar ? 1 : channels, in_group, o);
        store(j->c, index * (size_t)j->w.out[2] + (size_t)o[2], (int32_t)sum, &scale);
    }
    return NND_OK;
}

static nnd_status conv_run(nnd_op_ctx *c)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    conv_job j = {.c = c};
    if (c->step) return nnd_qconv_run(c);
    NND_TRY(nnd_qconv_read(c, &j.w, &j.groups));
    const nnd_tensor *x = c->in[r->x], *w = c->in[r->w];
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    if (!count) return NND_OK;
    to_three_dimensions(&j.w);
    j.planar = w->dims[1] == 1;
    size_t batch = (size_t)x->dims[0], channels = (size_t)x->dims[1];
    nnd_status status =
        transpose(x, nnd_qproduct_at(c, r->x_zero), j.planar ? batch * channels : batch,
                  j.planar ? 1 : channels, (size_t)nnd_op_span(x, 2, x->rank), &j.x);
    if (status == NND_OK)
        status = transpose(w, nnd_qproduct_at(c, r->w_zero), (size_t)w->dims[0], (size_t)w->dims[1],
                           (size_t)nnd_op_span(w, 2, w->rank), &j.weight);
    if (status == NND_OK) status = nnd_op_for(c, count / (size_t)j.w.out[2], conv_row, &j);
    nnd_free_aligned(j.x);
    nnd_free_aligned(j.weight);
    return status;
}

static double conv_flops(const nnd_op_ctx *c)
{
    const nnd_tensor *w = c->in[nnd_qroles_of[c->op->variant].w];
    return 2.0 * (double)nnd_tensor_count(&c->out[0]) * (double)nnd_op_span(w, 1, w->rank);
}

#define MATMUL(domain, name, since, low, high, run, v)                                             \
    {                                                                                              \
        domain, name, since, 0, low, high, 1, 1, 0, matmul_infer, run, nnd_qmatmul_prepare, NULL,  \
            nnd_qmatmul_plan, nnd_qmatmul_unplan, matmul_flops, v                                  \
    }
#define CONV(name, low, high, v)                                                                   \
    {                                                                                              \
        "", name, 10, 0, low, high, 1, 1, 0, conv_infer, conv_run, nnd_qconv_prepare, NULL,        \
            nnd_qconv_plan, nnd_qconv_unplan, conv_flops, v                                        \
    }
#define MS "com.microsoft"
static const nnd_op ops[] = {
    MATMUL("", "MatMulInteger", 10, 2, 4, matmul_run, INTEGER),
    MATMUL("", "QLinearMatMul", 10, 8, 8, matmul_run, QLINEAR),
    CONV("ConvInteger", 2, 4, INTEGER),
    CONV("QLinearConv", 8, 9, QLINEAR),
    MATMUL(MS, "MatMulIntegerToFloat", 1, 4, 7, matmul_run, TO_FLOAT),
    MATMUL(MS, "DynamicQuantizeMatMul", 1, 3, 5, dynamic_run, DYNAMIC),
};
const nnd_op nnd_op_conv_to_float = CONV("ConvIntegerToFloat", 6, 7, NND_QPRODUCT_CONV_TO_FLOAT);
const nnd_op_family nnd_ops_qlinear = {ops, NND_COUNT(ops)};
