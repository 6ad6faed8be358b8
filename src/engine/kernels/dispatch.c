/* The choice of a kernel set, and the kernels that need no plan: thin calls into the set. */
#include <math.h>
#include <string.h>

#include "engine/kernels/sets.h"

/* Best first. */
static const nnd_kernel_set *const sets[] = {
#if defined(__x86_64__)
    &nnd_kernel_set_avx512,
    &nnd_kernel_set_avx2,
#elif defined(__aarch64__)
    &nnd_kernel_set_neon,
#endif
    &nnd_kernel_set_reference,
};

const nnd_kernel_set *nnd_kernel_set_current(void)
{
    nnd_isa current = nnd_isa_current();
    size_t i = 0;
    while (sets[i]->isa > current && i + 1 < NND_COUNT(sets))
        i++;
    return sets[i];
}

const nnd_bf16_tile *nnd_bf16_tile_current(bool pairs)
{
    static const nnd_bf16_tile *const tiles[] = {
#if defined(__x86_64__)
        &nnd_bf16_tile_avx512bf16,
        &nnd_bf16_tile_avx512,
        &nnd_bf16_tile_avx2,
#elif defined(__aarch64__)
        &nnd_bf16_tile_neon_bf16,
        &nnd_bf16_tile_neon,
#endif
        NULL
    };
    const nnd_bf16_tile *const *t = tiles;
    while (*t && ((*t)->isa > nnd_isa_current() || ((*t)->pairs && !pairs)))
        t++;
    return *t;
}

int nnd_kernel_block(void)
{
    return nnd_kernel_set_current()->block;
}

size_t nnd_kernel_elements(nnd_kernel_layout layout, size_t n, size_t channels, size_t spatial)
{
    if (layout == NND_KERNEL_NCHW) return n * channels * spatial;
    size_t block = (size_t)nnd_kernel_block();
    return n * ((channels + block - 1) / block) * block * spatial;
}

bool nnd_act_is_clamp(const nnd_act *act, float *low, float *high)
{
    *low = -INFINITY;
    *high = INFINITY;
    switch (act->kind) {
    case NND_ACT_NONE:
        return true;
    case NND_ACT_RELU:
        *low = 0.0f;
        return true;
    case NND_ACT_CLIP:
        /* A clamp to [low, high] gives high when low > high, as min(max(x, low), high) does. */
        *low = act->alpha;
        *high = act->beta;
        return true;
    default:
        return false;
    }
}

void nnd_act_apply(const nnd_act *act, const float *x, float *y, size_t n)
{
    if (act->kind == NND_ACT_NONE) {
        if (x != y) memcpy(y, x, n * sizeof *y);
        return;
    }
    nnd_kernel_set_current()->act(act, x, y, n);
}

void nnd_unary_apply(nnd_unary_op op, const float *x, float *y, size_t n)
{
    nnd_kernel_set_current()->unary(op, x, y, n);
}

/* Element-wise chains work in pieces that stay in the first-level cache. */
#define PIECE 2048

static void act_in_place(const nnd_kernel_set *set, const nnd_act *act, float *y, size_t n)
{
    if (act && act->kind != NND_ACT_NONE) set->act(act, y, y, n);
}

void nnd_binary_apply(nnd_binary_op op, nnd_binary_mode mode, const float *a, const float *b,
                      float *y, size_t n, const nnd_act *act)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    if (n == 0) return;
    /* A scalar that lives inside y must survive the first piece. */
    float scalar = mode == NND_BINARY_SCALAR_A ? a[0] : b[0];
    for (size_t i = 0; i < n; i += PIECE) {
        size_t count = NND_MIN((size_t)PIECE, n - i);
        const float *left = mode == NND_BINARY_SCALAR_A ? &scalar : a + i;
        const float *right = mode == NND_BINARY_SCALAR_B ? &scalar : b + i;
        set->binary(op, mode, left, right, y + i, count);
        act_in_place(set, act, y + i, count);
    }
}

void nnd_binary_channel(nnd_binary_op op, nnd_kernel_layout layout, const float *x, const float *s,
                        float *y, size_t channels, size_t spatial, size_t first, size_t count,
                        const nnd_act *act)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    bool blocked = layout == NND_KERNEL_NCHWC;
    size_t block = blocked ? (size_t)set->block : 1;
    size_t per_image = (channels + block - 1) / block;
    for (size_t p = first; p < first + count; p++) {
        const float *scalar = s + p % per_image * block;
        for (size_t i = 0; i < spatial; i += PIECE / block) {
            size_t pixels = NND_MIN(PIECE / block, spatial - i);
            size_t at = (p * spatial + i) * block;
            if (blocked)
                set->binary_block(op, x + at, scalar, y + at, pixels);
            else
                set->binary(op, NND_BINARY_SCALAR_B, x + at, scalar, y + at, pixels);
            act_in_place(set, act, y + at, pixels * block);
        }
    }
}

void nnd_scale_shift_channel(nnd_kernel_layout layout, const float *x, const float *scale,
                             const float *shift, float *y, size_t channels, size_t spatial,
                             size_t first, size_t count, const nnd_act *act)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    bool blocked = layout == NND_KERNEL_NCHWC;
    size_t block = blocked ? (size_t)set->block : 1;
    size_t per_image = (channels + block - 1) / block;
    for (size_t p = first; p < first + count; p++) {
        size_t c = p % per_image * block;
        for (size_t i = 0; i < spatial; i += PIECE / block) {
            size_t pixels = NND_MIN(PIECE / block, spatial - i);
            size_t at = (p * spatial + i) * block;
            if (blocked)
                set->scale_shift_block(x + at, scale + c, shift + c, y + at, pixels);
            else
                set->scale_shift(x + at, scale[c], shift[c], y + at, pixels);
            act_in_place(set, act, y + at, pixels * block);
        }
    }
}

void nnd_global_pool(nnd_pool_kind kind, nnd_kernel_layout layout, const float *x, float *y,
                     size_t spatial, size_t first, size_t count)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    size_t block = layout == NND_KERNEL_NCHWC ? (size_t)set->block : 1;
    set->global_pool[layout](kind, x + first * spatial * block, y + first * block, spatial, count);
}

void nnd_lrn_nchwc(const nnd_lrn_desc *desc, const float *x, float *y, size_t first, size_t count)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    size_t block = (size_t)set->block, plane = desc->spatial * block;
    size_t per_image = (desc->channels + block - 1) / block;
    for (size_t p = first; p < first + count; p++) {
        size_t index = p % per_image, left = desc->channels - index * block;
        nnd_lrn_args args = {
            .x = x + p * plane,
            .y = y + p * plane,
            .pixels = desc->spatial,
            .plane = (ptrdiff_t)plane,
            .before = index > 0,
            .lanes = (int)NND_MIN(left, block),
            .lanes_after = left > block ? (int)NND_MIN(left - block, block) : 0,
            .first = -(desc->size - 1) / 2,
            .last = desc->size / 2,
            .alpha = desc->alpha / (float)desc->size,
            .beta = desc->beta,
            .bias = desc->bias,
        };
        set->lrn(&args);
    }
}

/* Rows much shorter than a vector: the exponentials of many rows are one call. */
enum { SHORT_ROW = 8 };
static void softmax_short_rows(const nnd_kernel_set *set, const float *x, float *y, size_t rows,
                               size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float most = x[0];
        for (size_t i = 1; i < n; i++)
            most = x[i] > most ? x[i] : most;
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] - most;
    }
    y -= rows * n;
    set->unary(NND_UNARY_EXP, y, y, rows * n);
    for (size_t r = 0; r < rows; r++, y += n) {
        float sum = y[0];
        for (size_t i = 1; i < n; i++)
            sum += y[i];
        for (size_t i = 0; i < n; i++)
            y[i] /= sum;
    }
}

void nnd_softmax_rows(const float *x, float *y, size_t rows, size_t n)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    size_t each = n && n <= SHORT_ROW ? PIECE / n : 1;
    for (size_t r = 0; r < rows; r += each) {
        size_t count = NND_MIN(each, rows - r);
        if (n <= SHORT_ROW)
            softmax_short_rows(set, x + r * n, y + r * n, count, n);
        else
            set->softmax(x + r * n, y + r * n, n, false);
    }
}

void nnd_log_softmax_rows(const float *x, float *y, size_t rows, size_t n)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    for (size_t r = 0; r < rows; r++)
        set->softmax(x + r * n, y + r * n, n, true);
}

void nnd_layer_norm_rows(const float *x, const float *gamma, const float *beta, float eps, float *y,
                         size_t rows, size_t n)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    for (size_t r = 0; r < rows; r++)
        set->layer_norm(x + r * n, gamma, beta, eps, y + r * n, n);
}

void nnd_rms_norm_rows(const float *x, const float *gamma, float eps, float *y, size_t rows,
                       size_t n)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    for (size_t r = 0; r < rows; r++)
        set->rms_norm(x + r * n, gamma, eps, y + r * n, n);
}

void nnd_reduce_rows(nnd_row_op op, const float *x, float *y, size_t rows, size_t n)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    for (size_t r = 0; r < rows; r++)
        y[r] = set->reduce(op, x + r * n, n);
}

/* Channels of the NCHW side that block p holds, and their first plane. */
static size_t block_channels(size_t p, size_t channels, size_t block, size_t *plane)
{
    size_t per_image = (channels + block - 1) / block;
    size_t c = p % per_image * block;
    *plane = p / per_image * channels + c;
    return NND_MIN(block, channels - c);
}

void nnd_reorder_part_to_nchwc(const float *nchw, float *nchwc, size_t channels, size_t spatial,
                               size_t block, size_t pixel, size_t pixels)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    size_t lanes = (size_t)set->block, plane;
    size_t used = block_channels(block, channels, lanes, &plane);
    set->to_nchwc(nchw + plane * spatial + pixel, spatial,
                  nchwc + (block * spatial + pixel) * lanes, used, pixels);
}

void nnd_reorder_part_to_nchw(const float *nchwc, float *nchw, size_t channels, size_t spatial,
                              size_t block, size_t pixel, size_t pixels)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    size_t lanes = (size_t)set->block, plane;
    size_t used = block_channels(block, channels, lanes, &plane);
    set->to_nchw(nchwc + (block * spatial + pixel) * lanes, nchw + plane * spatial + pixel, spatial,
                 used, pixels);
}

void nnd_reorder_to_nchwc(const float *nchw, float *nchwc, size_t channels, size_t spatial,
                          size_t first, size_t count)
{
    for (size_t p = first; p < first + count; p++)
        nnd_reorder_part_to_nchwc(nchw, nchwc, channels, spatial, p, 0, spatial);
}

void nnd_reorder_to_nchw(const float *nchwc, float *nchw, size_t channels, size_t spatial,
                         size_t first, size_t count)
{
    for (size_t p = first; p < first + count; p++)
        nnd_reorder_part_to_nchw(nchwc, nchw, channels, spatial, p, 0, spatial);
}

void nnd_transpose(const float *x, size_t ldx, float *y, size_t ldy, size_t rows, size_t cols)
{
    nnd_kernel_set_current()->transpose(x, ldx, y, ldy, rows, cols);
}

void nnd_transpose_strip(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                         size_t first, size_t count)
{
    nnd_kernel_set_current()->transpose(x + first, ldx, y + first * ldy, ldy, rows, count);
}

void nnd_mix_rows(const float *x, size_t pitch, const int32_t *rows, const float *weights,
                  size_t taps, float *y, size_t n)
{
    nnd_kernel_set_current()->mix_rows(x, pitch, rows, weights, taps, y, n);
}

void nnd_mix_pixels(const float *x, size_t lanes, const int32_t *columns, const float *weights,
                    size_t taps, float *y, size_t pixels)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    if (lanes > 1) {
        set->mix_pixels(x, columns, weights, taps, y, pixels);
        return;
    }
    for (size_t p = 0; p < pixels; p++, columns += taps, weights += taps) {
        float sum = taps == 1 ? x[columns[0]] : weights[0] * x[columns[0]];
        for (size_t k = 1; k < taps; k++)
            sum += weights[k] * x[columns[k]];
        y[p] = sum;
    }
}

void nnd_f16_to_f32(const uint16_t *x, float *y, size_t n)
{
    nnd_kernel_set_current()->f16_to_f32(x, y, n);
}

void nnd_f32_to_f16(const float *x, uint16_t *y, size_t n)
{
    nnd_kernel_set_current()->f32_to_f16(x, y, n);
}

void nnd_bf16_to_f32(const uint16_t *x, float *y, size_t n)
{
    nnd_kernel_set_current()->bf16_to_f32(x, y, n);
}

void nnd_f32_to_bf16(const float *x, uint16_t *y, size_t n)
{
    nnd_kernel_set_current()->f32_to_bf16(x, y, n);
}
