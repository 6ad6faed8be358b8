/*
 * The transforms of Winograd convolution F(4×4, 3×3), with a vector of channels per element. The
 * points are 0, ±1, ±2 and infinity (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", 2015); all factors but those of the weights are small integers.
 */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

/* Bᵀ·d: six elements in steps of `s` vectors from d, to steps of `t` from out. */
NND_INLINE void input_line(const vf d[6], vf out[6])
{
    const vf two = v_set1(2.0f), four = v_set1(4.0f), five = v_set1(5.0f);
    vf even = v_fnma(four, d[2], d[4]), odd = v_fnma(four, d[1], d[3]);
    vf near = v_sub(d[4], d[2]), far = v_mul(two, v_sub(d[3], d[1]));
    out[0] = v_fma(four, d[0], v_fnma(five, d[2], d[4]));
    out[1] = v_add(even, odd);
    out[2] = v_sub(even, odd);
    out[3] = v_add(near, far);
    out[4] = v_sub(near, far);
    out[5] = v_fma(four, d[1], v_fnma(five, d[3], d[5]));
}

/* Aᵀ·m: six elements to four. */
NND_INLINE void output_line(const vf m[6], vf out[4])
{
    vf sum1 = v_add(m[1], m[2]), difference1 = v_sub(m[1], m[2]);
    vf sum2 = v_add(m[3], m[4]), difference2 = v_sub(m[3], m[4]);
    out[0] = v_add(m[0], v_add(sum1, sum2));
    out[1] = v_fma(v_set1(2.0f), difference2, difference1);
    out[2] = v_fma(v_set1(4.0f), sum2, sum1);
    out[3] = v_add(m[5], v_fma(v_set1(8.0f), difference2, difference1));
}

/* 6 × 6 pixels from (top, left) on, zeros outside of the plane. */
NND_INLINE void load_column(const nnd_winograd_args *p, int64_t top, int64_t column, vf d[6])
{
    const vf zero = v_set1(0.0f);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        int64_t row = top + i;
        bool inside = row >= 0 && row < p->in_h && column >= 0 && column < p->in_w;
        d[i] = inside ? v_load(p->x + (row * p->in_w + column) * VLEN) : zero;
    }
}

NND_INLINE void load_column_inside(const float *x, int64_t pitch, vf d[6])
{
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++)
        d[i] = v_load(x + i * pitch);
}

void VEC_NAME(nnd_f32_winograd_input)(const nnd_winograd_args *p, int64_t top, int64_t left,
                                      float *to)
{
    vf d[6], line[6], columns[6][6];
    bool inside = top >= 0 && left >= 0 && top + 6 <= p->in_h && left + 6 <= p->in_w;
    int64_t pitch = p->in_w * VLEN;
    for (int j = 0; j < 6; j++) {
        if (inside)
            load_column_inside(p->x + top * pitch + (left + j) * VLEN, pitch, d);
        else
            load_column(p, top, left + j, d);
        input_line(d, line);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            columns[i][j] = line[i];
    }
    for (int i = 0; i < 6; i++) {
        input_line(columns[i], line);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++)
            v_store(to + (6 * i + j) * p->step, line[j]);
    }
}

void VEC_NAME(nnd_f32_winograd_output)(const nnd_winograd_args *p, const float *from, int64_t top,
                                       int64_t left)
{
    vf m[6], line[4], columns[4][6];
    const vf low = v_set1(p->low), high = v_set1(p->high), bias = v_load(p->bias);
    int rows = (int)NND_MIN(4, p->out_h - top), wide = (int)NND_MIN(4, p->out_w - left);
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            m[i] = v_load(from + (6 * i + j) * p->step);
        output_line(m, line);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            columns[i][j] = line[i];
    }
    for (int i = 0; i < rows; i++) {
        int64_t at = ((top + i) * p->out_w + left) * VLEN;
        output_line(columns[i], line);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (j >= wide) break;
            vf y = v_add(line[j], bias);
            if (p->residual) y = v_add(y, v_load(p->residual + at + j * VLEN));
            v_store(p->y + at + j * VLEN, v_min(high, v_max(low, y)));
        }
    }
}
