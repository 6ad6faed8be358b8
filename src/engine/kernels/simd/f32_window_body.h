/*
 * Depthwise convolution and pooling of blocks of channels. Each output row is a left border, an
 * interior where every tap of the window lies inside the row, and a right border; taps above and
 * below the input are cut from the loop over rows. Interior pixels are done several at a time.
 */
#include <math.h>

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/window_taps.h"

#define PIXELS 6 /* vectors in flight */

typedef enum window_job { DEPTHWISE, MAXIMUM, AVERAGE } window_job;

/* Output columns [first, end) whose whole window lies inside the row. */
static tap_range interior(const nnd_window_args *p)
{
    int64_t first = nnd_ceil_div(p->pad_left, p->stride_w);
    int64_t room = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w + p->pad_left;
    int64_t end = room < 0 ? 0 : room / p->stride_w + 1;
    end = NND_MIN(end, p->out_w);
    first = NND_MIN(first, p->out_w);
    return (tap_range){first, NND_MAX(first, end)};
}

/* One output row: rows of the window that exist and where the first of them lies. */
typedef struct window_row {
    tap_range rows;
    int64_t top; /* input row of tap row 0, may be negative */
    int64_t oh;
} window_row;

/* What an average divides by. */
static float cells_under(const nnd_window_args *p, const window_row *row, int64_t left)
{
    return (float)(average_rows(p, row->top) * average_columns(p, left));
}

NND_INLINE vf window_start(const window_job job, vf bias)
{
    return job == DEPTHWISE ? bias : v_set1(job == MAXIMUM ? -INFINITY : 0.0f);
}

NND_INLINE vf window_step(const window_job job, vf acc, vf x, vf w)
{
    if (job == DEPTHWISE) return v_fma(x, w, acc);
    return job == AVERAGE ? v_add(acc, x) : v_max2(acc, x);
}

NND_INLINE vf window_finish(const window_job job, const nnd_window_args *p, vf acc, vf residual,
                            vf cells)
{
    if (job == MAXIMUM) return acc;
    if (job == AVERAGE) return v_div(acc, cells);
    if (p->residual) acc = v_add(acc, residual);
    return v_min(v_set1(p->high), v_max(v_set1(p->low), acc));
}

/* ---- NCHWc: a pixel is a vector ---------------------------------------------------------- */

/* `count` pixels from column ow of the row; `columns` are the taps that exist for all of them. */
NND_INLINE void blocked_pixels(const window_job job, const nnd_window_args *p,
                               const window_row *row, int64_t ow, const int count,
                               tap_range columns)
{
    vf acc[PIXELS], bias = job == DEPTHWISE ? v_load(p->bias) : v_set1(0.0f);
    int64_t left = ow * p->stride_w - p->pad_left;
    ptrdiff_t step = (ptrdiff_t)(p->stride_w * VLEN);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        acc[i] = window_start(job, bias);
    for (int64_t kh = row->rows.first; kh < row->rows.end; kh++) {
        const float *line = p->x + (row->top + kh * p->dilation_h) * p->in_w * VLEN;
        const float *x = line + (left + columns.first * p->dilation_w) * VLEN;
        int64_t tap = kh * p->kernel_w + columns.first;
        for (int64_t kw = columns.first; kw < columns.end; kw++, tap++) {
            vf w = job == DEPTHWISE ? v_load(p->weights + tap * VLEN) : v_set1(0.0f);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++)
                acc[i] = window_step(job, acc[i], v_load(x + i * step), w);
            x += p->dilation_w * VLEN;
        }
    }
    vf cells = v_set1(job == AVERAGE ? cells_under(p, row, left) : 1.0f);
    int64_t at = (row->oh * p->out_w + ow) * VLEN;
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        vf residual = v_set1(0.0f);
        if (job == DEPTHWISE && p->residual) residual = v_load(p->residual + at + i * VLEN);
        v_store(p->y + at + i * VLEN, window_finish(job, p, acc[i], residual, cells));
    }
}

/* Which columns of the input under a group of outputs do not exist: none, the first, the last, or
   some, which only the loop can tell. */
typedef enum window_edge { NO_EDGE, LEFT_EDGE, RIGHT_EDGE, ANY_EDGE } window_edge;

static window_edge edge_of(const nnd_window_args *p, int64_t left, int64_t columns)
{
    bool some = left < -1 || left + columns > p->in_w + 1;
    if (some || (left < 0 && left + columns > p->in_w)) return ANY_EDGE;
    if (left < 0) return LEFT_EDGE;
    return left + columns > p->in_w ? RIGHT_EDGE : NO_EDGE;
}

/* Column j of a group is one of those. */
NND_INLINE bool beyond_edge(const nnd_window_args *p, const window_edge edge, int64_t left,
                            const int j, const int columns)
{
    if (edge == LEFT_EDGE) return j == 0;
    if (edge == RIGHT_EDGE) return j == columns - 1;
    return edge == ANY_EDGE && (left + j < 0 || left + j >= p->in_w);
}

/*
 * Depthwise, `taps` × `taps` next to each other: each pixel of the input is loaded once for all the
 * outputs that it takes part in. At a border, columns outside of the row are left out.
 */
NND_INLINE void depthwise_pixels(const nnd_window_args *p, const window_row *row, int64_t ow,
                                 const int count, const int taps, const int stride,
                                 const window_edge edge)
{
    const int columns = (count - 1) * stride + taps;
    vf acc[PIXELS], bias = v_load(p->bias), low = v_set1(p->low), high = v_set1(p->high);
    int64_t left = ow * stride - p->pad_left;
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        acc[i] = bias;
    for (int64_t kh = row->rows.first; kh < row->rows.end; kh++) {
        const float *x = p->x + ((row->top + kh * p->dilation_h) * p->in_w + left) * VLEN;
        const float *weights = p->weights + kh * taps * VLEN;
        vf w[5];
#pragma GCC unroll 5
        for (int k = 0; k < taps; k++)
            w[k] = v_load(weights + k * VLEN);
#pragma GCC unroll 16
        for (int j = 0; j < columns; j++) {
            if (beyond_edge(p, edge, left, j, columns)) continue;
            vf v = v_load(x + j * VLEN);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) {
                int k = j - i * stride;
                if (k >= 0 && k < taps) acc[i] = v_fma(v, w[k], acc[i]);
            }
        }
    }
    int64_t at = (row->oh * p->out_w + ow) * VLEN;
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        if (p->residual) acc[i] = v_add(acc[i], v_load(p->residual + at + i * VLEN));
        v_store(p->y + at + i * VLEN, v_min(high, v_max(low, acc[i])));
    }
}

NND_INLINE void depthwise_group(const nnd_window_args *p, const window_row *row, int64_t ow,
                                const int count, const int taps, const int stride)
{
    window_edge edge = edge_of(p, ow * stride - p->pad_left, (count - 1) * stride + taps);
    if (edge == NO_EDGE)
        depthwise_pixels(p, row, ow, count, taps, stride, NO_EDGE);
    else if (edge == LEFT_EDGE && count > 1 && taps == 3)
        depthwise_pixels(p, row, ow, count, taps, stride, LEFT_EDGE);
    else if (edge == RIGHT_EDGE && count > 1 && taps == 3)
        depthwise_pixels(p, row, ow, count, taps, stride, RIGHT_EDGE);
    else
        depthwise_pixels(p, row, ow, count, taps, stride, ANY_EDGE);
}

/* What does not fill a group at the end of a row is done by one of so many pixels that overlaps the
   one before: the same bits again, unless the residual lies where the result goes. */
NND_INLINE int last_group(const nnd_window_args *p, int64_t left)
{
    if (left == 1 || p->out_w < 4 || p->residual == p->y) return 1;
    if (left <= 4) return 4;
    return p->out_w < PIXELS ? 1 : PIXELS;
}

/* A whole row for one kind of window. */
NND_INLINE void depthwise_row(const nnd_window_args *p, const window_row *row, const int taps,
                              const int stride)
{
    int64_t ow = 0, left = p->out_w % PIXELS, end = p->out_w - left;
    for (; ow < end; ow += PIXELS)
        depthwise_group(p, row, ow, PIXELS, taps, stride);
    if (left == 0) return;
    int count = last_group(p, left);
    if (count == PIXELS)
        depthwise_group(p, row, p->out_w - PIXELS, PIXELS, taps, stride);
    else if (count == 4)
        depthwise_group(p, row, p->out_w - 4, 4, taps, stride);
    for (; count == 1 && ow < p->out_w; ow++)
        depthwise_group(p, row, ow, 1, taps, stride);
}

#if VEC_REGISTERS >= 32
/*
 * 3 × 3 where every tap row exists for both of two output rows: all weights and sums are in
 * registers, and each pixel of the input is loaded once.
 */
NND_INLINE void pair_pixels(const nnd_window_args *p, const vf w[9], int64_t oh, int64_t ow,
                            const int count, const int stride, const window_edge edge)
{
    const int columns = (count - 1) * stride + 3;
    vf acc[2][PIXELS], bias = v_load(p->bias), low = v_set1(p->low), high = v_set1(p->high);
    int64_t left = ow * stride - p->pad_left, top = oh * stride - p->pad_top;
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        acc[0][i] = acc[1][i] = bias;
#pragma GCC unroll 8
    for (int row = 0; row < stride + 3; row++) {
        const float *x = p->x + ((top + row) * p->in_w + left) * VLEN;
#pragma GCC unroll 16
        for (int j = 0; j < columns; j++) {
            if (beyond_edge(p, edge, left, j, columns)) continue;
            vf v = v_load(x + j * VLEN);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) {
                int k = j - i * stride, below = row - stride;
                if (k < 0 || k > 2) continue;
                if (row < 3) acc[0][i] = v_fma(v, w[row * 3 + k], acc[0][i]);
                if (below >= 0) acc[1][i] = v_fma(v, w[below * 3 + k], acc[1][i]);
            }
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++) {
        int64_t at = ((oh + r) * p->out_w + ow) * VLEN;
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            vf sum = acc[r][i];
            if (p->residual) sum = v_add(sum, v_load(p->residual + at + i * VLEN));
            v_store(p->y + at + i * VLEN, v_min(high, v_max(low, sum)));
        }
    }
}

NND_INLINE void pair_group(const nnd_window_args *p, const vf w[9], int64_t oh, int64_t ow,
                           const int count, const int stride)
{
    window_edge edge = edge_of(p, ow * stride - p->pad_left, (count - 1) * stride + 3);
    if (edge == NO_EDGE)
        pair_pixels(p, w, oh, ow, count, stride, NO_EDGE);
    else if (edge == LEFT_EDGE && count > 1)
        pair_pixels(p, w, oh, ow, count, stride, LEFT_EDGE);
    else if (edge == RIGHT_EDGE && count > 1)
        pair_pixels(p, w, oh, ow, count, stride, RIGHT_EDGE);
    else
        pair_pixels(p, w, oh, ow, count, stride, ANY_EDGE);
}

/* Rows [row, end) in pairs while there are any; returns the first that is left. */
NND_INLINE int64_t depthwise_pairs(const nnd_window_args *p, int64_t row, int64_t end,
                                   const int stride)
{
    int64_t left = p->out_w % PIXELS, whole = p->out_w - left;
    int count = last_group(p, left);
    vf w[9];
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++)
        w[k] = v_load(p->weights + k * VLEN);
    for (; row + 2 <= end; row += 2) {
        int64_t ow = 0;
        for (; ow < whole; ow += PIXELS)
            pair_group(p, w, row, ow, PIXELS, stride);
        if (left == 0) continue;
        if (count == PIXELS)
            pair_group(p, w, row, p->out_w - PIXELS, PIXELS, stride);
        else if (count == 4)
            pair_group(p, w, row, p->out_w - 4, 4, stride);
        for (; count == 1 && ow < p->out_w; ow++)
            pair_group(p, w, row, ow, 1, stride);
    }
    return row;
}

/* Pairs of rows from `oh` on whose windows lie inside the input; the first row that is left. */
NND_INLINE int64_t usual_pairs(const nnd_window_args *p, int64_t oh)
{
    int64_t stride = p->stride_h, top = oh * stride - p->pad_top;
    if (p->kernel_h != 3 || p->kernel_w != 3 || p->dilation_h != 1 || p->dilation_w != 1 ||
        p->stride_w != stride || stride > 2 || top < 0)
        return oh;
    int64_t room = p->in_h - 3 + p->pad_top;
    int64_t end = room < 0 ? 0 : NND_MIN(p->row_end, room / stride + 1);
    if (stride == 1) return depthwise_pairs(p, oh, end, 1);
    return depthwise_pairs(p, oh, end, 2);
}
#endif

/* Usual windows have kernels of their own: false for any other. */
NND_INLINE bool usual_depthwise_row(const nnd_window_args *p, const window_row *row)
{
    if (p->kernel_w != p->kernel_h || p->dilation_w != 1 || p->stride_w > 2) return false;
    if (p->kernel_w == 3 && p->stride_w == 1)
        depthwise_row(p, row, 3, 1);
    else if (p->kernel_w == 3)
        depthwise_row(p, row, 3, 2);
    else if (p->kernel_w == 5 && p->stride_w == 1)
        depthwise_row(p, row, 5, 1);
    else if (p->kernel_w == 5)
        depthwise_row(p, row, 5, 2);
    else
        return false;
    return true;
}

NND_INLINE void blocked_border(const window_job job, const nnd_window_args *p,
                               const window_row *row, int64_t from, int64_t to)
{
    for (int64_t ow = from; ow < to; ow++) {
        tap_range columns =
            taps_inside(ow * p->stride_w - p->pad_left, p->in_w, p->kernel_w, p->dilation_w);
        blocked_pixels(job, p, row, ow, 1, columns);
    }
}

NND_INLINE void blocked_window(const window_job job, const nnd_window_args *p)
{
    tap_range inside = interior(p), all = {0, p->kernel_w};
    for (int64_t oh = p->row_begin; oh < p->row_end; oh++) {
#if VEC_REGISTERS >= 32
        if (job == DEPTHWISE) oh = usual_pairs(p, oh);
        if (oh == p->row_end) break;
#endif
        window_row row = {.top = oh * p->stride_h - p->pad_top, .oh = oh};
        row.rows = taps_inside(row.top, p->in_h, p->kernel_h, p->dilation_h);
        if (job == DEPTHWISE && usual_depthwise_row(p, &row)) continue;
        blocked_border(job, p, &row, 0, inside.first);
        int64_t ow = inside.first;
        for (; ow + PIXELS <= inside.end; ow += PIXELS)
            blocked_pixels(job, p, &row, ow, PIXELS, all);
        for (; ow + 2 <= inside.end; ow += 2)
            blocked_pixels(job, p, &row, ow, 2, all);
        for (; ow < inside.end; ow++)
            blocked_pixels(job, p, &row, ow, 1, all);
        blocked_border(job, p, &row, inside.end, p->out_w);
    }
}

void VEC_NAME(nnd_f32_depthwise_nchwc)(const nnd_window_args *args)
{
    blocked_window(DEPTHWISE, args);
}

NND_INLINE void blocked_planes(const window_job job, const nnd_window_args *first, int64_t planes)
{
    nnd_window_args p = *first;
    for (int64_t i = 0; i < planes; i++) {
        blocked_window(job, &p);
        p.x += p.in_h * p.in_w * VLEN;
        p.y += p.out_h * p.out_w * VLEN;
    }
}

void VEC_NAME(nnd_f32_maxpool_nchwc)(const nnd_window_args *args, int64_t planes)
{
    blocked_planes(MAXIMUM, args, planes);
}

void VEC_NAME(nnd_f32_avgpool_nchwc)(const nnd_window_args *args, int64_t planes)
{
    blocked_planes(AVERAGE, args, planes);
}
