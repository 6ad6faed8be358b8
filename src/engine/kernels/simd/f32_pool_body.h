/*
 * Pooling of planes in NCHW. Rows of a window are joined first, into one row of partial results,
 * then columns: of a 3 × 3 window, an output costs 4 steps and not 8. A group of output rows goes
 * through a buffer with the padding around it, so that no column is special:
 *
 *   1  the rows under each output row are joined; what lies beside them is padding;
 *   2  columns are joined in place, the whole buffer as one stretch;
 *   3  every stride-th column is an output.
 *
 * An average adds the rows of a column from the top down, then those sums from the left, whatever
 * the group and the tile. A tall maximum with stride 1 and any wide one doubles its reach from step
 * to step, which gives the same numbers.
 */
#include <math.h>

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/window_taps.h"

enum {
    BUFFER = 4096, /* floats, half of a small L1 cache */
    WIDEST = 2048, /* columns of the buffer that a group uses at most */
    REACH = 1024,  /* columns that a window covers at once; wider ones take several rounds */
    DOUBLING = 6   /* taps from which on doubling is less work */
};

typedef enum pool_job { MAXIMUM, AVERAGE } pool_job;

/* What goes through the buffer at once: `bands` planes × `rows` output rows × `columns`, and of
   their windows `taps` columns. */
typedef struct pool_group {
    const float *x; /* the first plane */
    float *y;
    int64_t bands, row, rows, column, columns, tap, taps;
    int64_t left;        /* the input's column that column 0 of the buffer is */
    int64_t pitch;       /* columns of the buffer */
    int64_t first, end;  /* columns of the buffer that the input has */
    int64_t held;        /* rows of the buffer for each band */
    bool doubles;        /* rows are joined in the buffer */
    const float *counts; /* AVERAGE: columns under each window */
} pool_group;

NND_INLINE float pool_start(const pool_job job)
{
    return job == MAXIMUM ? -INFINITY : 0.0f;
}

NND_INLINE vf pool_step(const pool_job job, vf acc, vf x)
{
    return job == MAXIMUM ? v_max2(acc, x) : v_add(acc, x);
}

NND_INLINE float pool_step_1(const pool_job job, float acc, float x)
{
    if (job == AVERAGE) return acc + x;
    return x > acc || isnan(x) ? x : acc;
}

static void fill(float *y, float value, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

NND_INLINE void join_vectors(const pool_job job, const float *x, int64_t step, int64_t taps,
                             float *y, const int count)
{
    vf acc[4];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        acc[i] = v_load(x + i * VLEN);
    for (int64_t k = 1; k < taps; k++) {
        x += step;
#pragma GCC unroll 4
        for (int i = 0; i < count; i++)
            acc[i] = pool_step(job, acc[i], v_load(x + i * VLEN));
    }
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        v_store(y + i * VLEN, acc[i]);
}

/* y[i] = x[i], x[i + step] … joined, `taps` of them; y may be x. */
NND_INLINE void join(const pool_job job, const float *x, int64_t step, int64_t taps, float *y,
                     int64_t n)
{
    int64_t i = 0;
    for (; i + 4 * VLEN <= n; i += 4 * VLEN)
        join_vectors(job, x + i, step, taps, y + i, 4);
    for (; i + VLEN <= n; i += VLEN)
        join_vectors(job, x + i, step, taps, y + i, 1);
    if (i == n) return;
    size_t left = (size_t)(n - i);
    vf acc = v_load_n(x + i, left);
    for (int64_t k = 1; k < taps; k++)
        acc = pool_step(job, acc, v_load_n(x + i + k * step, left));
    v_store_n(y + i, acc, left);
}

/* As join() in place, for a maximum of any number of taps. */
static void join_doubling(float *x, int64_t step, int64_t taps, int64_t n)
{
    int64_t reach = 1, length = n + (taps - 1) * step;
    for (; 2 * reach <= taps; reach *= 2) {
        length -= reach * step;
        join(MAXIMUM, x, reach * step, 2, x, length);
    }
    if (reach < taps) join(MAXIMUM, x, (taps - reach) * step, 2, x, n);
}

/* One row of the buffer from the rows `in` of the window that begins at row `top`. */
NND_INLINE void join_rows(const pool_job job, const nnd_window_args *p, const pool_group *g,
                          const float *plane, int64_t top, tap_range in, float *to)
{
    const float none = pool_start(job);
    int64_t taps = in.end - in.first, wide = taps ? g->end - g->first : 0;
    fill(to, none, g->first);
    if (wide) {
        int64_t row = top + in.first * p->dilation_h;
        const float *x = plane + row * p->in_w + (g->left + g->first);
        join(job, x, p->dilation_h * p->in_w, taps, to + g->first, wide);
    }
    fill(to + g->first + wide, none, g->pitch - g->first - wide);
}

/* Step 1. */
NND_INLINE void fill_buffer(const pool_job job, const nnd_window_args *p, const pool_group *g,
                            float *buffer)
{
    int64_t taps = g->doubles ? 1 : p->kernel_h;
    for (int64_t band = 0; band < g->bands; band++) {
        const float *plane = g->x + band * p->in_h * p->in_w;
        int64_t top = g->row * p->stride_h - p->pad_top;
        for (int64_t r = 0; r < g->held; r++, top += p->stride_h, buffer += g->pitch) {
            tap_range in = taps_inside(top, p->in_h, taps, p->dilation_h);
            join_rows(job, p, g, plane, top, in, buffer);
        }
    }
    fill(buffer, pool_start(job), 2 * VLEN); /* read, and without effect */
}

/* `n` outputs, `stride` apart in the buffer; strides wider than a vector still have their columns
   to join. */
NND_INLINE vf take(const pool_job job, const nnd_window_args *p, const pool_group *g,
                   const float *from, int64_t n)
{
    if (p->stride_w == 1) return v_load(from);
    if (p->stride_w == 2) return v_load_even(from);
    float part[VLEN] = {0};
    int64_t taps = p->stride_w > VLEN ? g->taps : 1;
    for (int64_t i = 0; i < n; i++, from += p->stride_w) {
        part[i] = from[0];
        for (int64_t k = 1; k < taps; k++)
            part[i] = pool_step_1(job, part[i], from[k * p->dilation_w]);
    }
    return v_load(part);
}

/* Step 3, one row. */
NND_INLINE void give_row(const pool_job job, const nnd_window_args *p, const pool_group *g,
                         const float *from, float *y, float rows)
{
    bool last = g->tap + g->taps == p->kernel_w;
    for (int64_t i = 0; i < g->columns; i += VLEN) {
        int64_t n = NND_MIN(g->columns - i, (int64_t)VLEN);
        vf v = take(job, p, g, from + i * p->stride_w, n);
        if (g->tap) v = pool_step(job, n < VLEN ? v_load_n(y + i, (size_t)n) : v_load(y + i), v);
        if (job == AVERAGE && last) v = v_div(v, v_mul(v_set1(rows), v_load(g->counts + i)));
        if (n < VLEN)
            v_store_n(y + i, v, (size_t)n);
        else
            v_store(y + i, v);
    }
}

NND_INLINE void pool_through(const pool_job job, const nnd_window_args *p, const pool_group *g,
                             float *buffer)
{
    fill_buffer(job, p, g, buffer);
    int64_t total = g->bands * g->held * g->pitch;
    if (g->doubles) {
        total -= (p->kernel_h - 1) * p->dilation_h * g->pitch;
        join_doubling(buffer, p->dilation_h * g->pitch, p->kernel_h, total);
    }
    total -= (g->taps - 1) * p->dilation_w;
    if (job == MAXIMUM && g->taps >= DOUBLING && p->stride_w <= VLEN)
        join_doubling(buffer, p->dilation_w, g->taps, total);
    else if (g->taps > 1 && p->stride_w <= VLEN)
        join(job, buffer, p->dilation_w, g->taps, buffer, total);
    for (int64_t band = 0; band < g->bands; band++) {
        for (int64_t r = 0; r < g->rows; r++) {
            int64_t oh = g->row + r;
            float *y = g->y + (band * p->out_h + oh) * p->out_w + g->column;
            float rows = 1.0f;
            if (job == AVERAGE) rows = (float)average_rows(p, oh * p->stride_h - p->pad_top);
            give_row(job, p, g, buffer + (band * g->held + r) * g->pitch, y, rows);
        }
    }
}

/* All rows of `planes` planes for the columns and taps of the group. */
NND_INLINE void pool_rows(const pool_job job, const nnd_window_args *p, pool_group *g,
                          int64_t planes)
{
    float buffer[BUFFER + 2 * VLEN];
    int64_t all = p->row_end - p->row_begin, fit = BUFFER / g->pitch;
    int64_t below = (p->kernel_h - 1) * p->dilation_h;
    g->doubles = job == MAXIMUM && p->stride_h == 1 && p->kernel_h >= DOUBLING && fit > 2 * below;
    if (!g->doubles) below = 0;
    int64_t rows = NND_MIN(all, fit - below);
    int64_t bands = rows == all ? fit / (rows + below) : 1;
    for (int64_t plane = 0; plane < planes; plane += bands) {
        g->x = p->x + plane * p->in_h * p->in_w;
        g->y = p->y + plane * p->out_h * p->out_w;
        g->bands = NND_MIN(bands, planes - plane);
        for (g->row = p->row_begin; g->row < p->row_end; g->row += g->rows) {
            g->rows = NND_MIN(rows, p->row_end - g->row);
            g->held = g->rows + below;
            pool_through(job, p, g, buffer);
        }
    }
}

NND_INLINE void plain_planes(const pool_job job, const nnd_window_args *p, int64_t planes)
{
    float counts[WIDEST + VLEN];
    int64_t most = NND_MIN(p->kernel_w, (REACH - 1) / p->dilation_w + 1);
    int64_t widest = (WIDEST - REACH) / p->stride_w + 1;
    pool_group g = {.counts = counts};
    for (; g.column < p->out_w; g.column += g.columns) {
        g.columns = NND_MIN(widest, p->out_w - g.column);
        int64_t left = g.column * p->stride_w - p->pad_left;
        for (int64_t i = 0; i < g.columns && job == AVERAGE; i++)
            counts[i] = (float)average_columns(p, left + i * p->stride_w);
        if (job == AVERAGE) fill(counts + g.columns, 1.0f, VLEN);
        for (g.tap = 0; g.tap < p->kernel_w; g.tap += g.taps) {
            g.taps = NND_MIN(most, p->kernel_w - g.tap);
            g.left = left + g.tap * p->dilation_w;
            g.pitch = (g.columns - 1) * p->stride_w + (g.taps - 1) * p->dilation_w + 1;
            g.first = NND_MIN(g.pitch, NND_MAX(0, -g.left));
            g.end = NND_MAX(g.first, NND_MIN(g.pitch, p->in_w - g.left));
            pool_rows(job, p, &g, planes);
        }
    }
}

void VEC_NAME(nnd_f32_maxpool_nchw)(const nnd_window_args *args, int64_t planes)
{
    plain_planes(MAXIMUM, args, planes);
}

void VEC_NAME(nnd_f32_avgpool_nchw)(const nnd_window_args *args, int64_t planes)
{
    plain_planes(AVERAGE, args, planes);
}
