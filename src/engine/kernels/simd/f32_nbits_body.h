/* Products with weights of few bits. The vector file defines, with `raw` for VLEN numbers of bytes:
     raw bytes_at(q)                 the VLEN bytes from q on
     raw bytes_across(q, bytes)      4 or 8 bytes (fewer than VLEN), repeated
     raw shifted(v, shift)           all by the same number of bits
     raw shifted_across(v, bytes, bits)   the k-th repetition by k·bits
     vf codes_of(v, bits)            the lowest bits of each, as floats */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

/* How many phases of a block fill a vector, 0 = each has vectors of its own (or a tail only). */
NND_INLINE int phases_across(size_t bytes, int bits)
{
    bool fits = bytes < VLEN && (bytes == 4 || bytes == 8) && (int)bytes * (8 / bits) % VLEN == 0;
    return fits ? VLEN / (int)bytes : 0;
}

/* Several phases of a block at once, from that of `shift` on. */
NND_INLINE vf codes_across(const uint8_t *q, size_t bytes, int shift, int bits)
{
    raw v = bytes_across(q, (int)bytes);
    return codes_of(shifted_across(shifted(v, shift), (int)bytes, bits), bits);
}

/* One of a tail. */
NND_INLINE float code_at(const uint8_t *q, int shift, int bits)
{
    return (float)((int)*q >> shift & ((1 << bits) - 1));
}

/* What the zero points take off. */
NND_INLINE float offset_of(const nnd_nbits_column *c, const float *sums)
{
    vf total = v_set1(0.0f);
    size_t b = 0, left;
    for (; b + VLEN <= c->blocks; b += VLEN)
        total = v_fma(v_mul(v_load(c->scale + b), v_load(c->zero + b)), v_load(sums + b), total);
    left = c->blocks - b;
    if (left)
        total = v_fma(v_mul(v_load_n(c->scale + b, left), v_load_n(c->zero + b, left)),
                      v_load_n(sums + b, left), total);
    return v_sum(total);
}

/* What of a block fills no vector, for all rows; from: the first byte of that. */
NND_INLINE void add_tail(const nnd_nbits_column *c, const uint8_t *q, const float *a, size_t from,
                         float scale, int rows, int bits, float *y)
{
    for (size_t i = from; i < c->bytes; i++)
        for (int p = 0; p < 8 / bits; p++)
            for (int r = 0; r < rows; r++)
                y[r] += scale * (a[(size_t)r * c->a_row + (size_t)p * c->bytes + i] *
                                 code_at(q + i, p * bits, bits));
}

/* A block's sums stay apart until the end of the column: adding them up is the slow part. Codes are
   taken out of their bytes once for all rows. */
NND_INLINE void dot_rows(const nnd_nbits_column *c, size_t first, int rows, int bits, float *y)
{
    const uint8_t *q = c->q;
    const float *a = c->a + first * c->a_row;
    const int phases = 8 / bits, across = phases_across(c->bytes, bits);
    const size_t whole = across ? c->bytes : c->bytes / VLEN * VLEN;
    vf total[NND_NBITS_ROWS];
    float tail[NND_NBITS_ROWS] = {0};
    for (int r = 0; r < rows; r++)
        total[r] = v_set1(0.0f);
    for (size_t b = 0; b < c->blocks; b++, q += c->bytes, a += c->bytes * (size_t)phases) {
        vf sums[NND_NBITS_ROWS];
        for (int r = 0; r < rows; r++)
            sums[r] = v_set1(0.0f);
        for (int p = 0; across && p < phases; p += across) {
            vf codes = codes_across(q, c->bytes, p * bits, bits);
            for (int r = 0; r < rows; r++)
                sums[r] =
                    v_fma(v_load(a + (size_t)r * c->a_row + (size_t)p * c->bytes), codes, sums[r]);
        }
        for (size_t i = 0; !across && i < whole; i += VLEN) {
            raw v = bytes_at(q + i);
            for (int p = 0; p < phases; p++) {
                vf codes = codes_of(shifted(v, p * bits), bits);
                for (int r = 0; r < rows; r++)
                    sums[r] = v_fma(v_load(a + (size_t)r * c->a_row + (size_t)p * c->bytes + i),
                                    codes, sums[r]);
            }
        }
        for (int r = 0; r < rows; r++)
            total[r] = v_fma(v_set1(c->scale[b]), sums[r], total[r]);
        if (whole < c->bytes) add_tail(c, q, a, whole, c->scale[b], rows, bits, tail);
    }
    for (int r = 0; r < rows; r++) {
        const float *sums = c->sums + (first + (size_t)r) * c->blocks;
        y[first + (size_t)r] = v_sum(total[r]) + (tail[r] - offset_of(c, sums));
    }
}

NND_INLINE void dot_all(const nnd_nbits_column *c, int bits, float *y)
{
    for (size_t row = 0; row < c->rows; row += NND_NBITS_ROWS) {
        size_t left = c->rows - row;
        if (left >= 4)
            dot_rows(c, row, 4, bits, y);
        else if (left == 3)
            dot_rows(c, row, 3, bits, y);
        else if (left == 2)
            dot_rows(c, row, 2, bits, y);
        else
            dot_rows(c, row, 1, bits, y);
    }
}

void VEC_NAME(nnd_f32_nbits_dot)(const nnd_nbits_column *c, float *y)
{
    if (c->bits == 4)
        dot_all(c, 4, y);
    else if (c->bits == 8)
        dot_all(c, 8, y);
    else
        dot_all(c, 2, y);
}

NND_INLINE void spread_bits(const nnd_nbits_column *c, int bits, float *y)
{
    const uint8_t *q = c->q;
    const int phases = 8 / bits, across = phases_across(c->bytes, bits);
    for (size_t b = 0; b < c->blocks; b++, q += c->bytes, y += c->bytes * (size_t)phases) {
        const vf scale = v_set1(c->scale[b]), zero = v_set1(c->zero[b]);
        for (int p = 0; across && p < phases; p += across) {
            vf codes = codes_across(q, c->bytes, p * bits, bits);
            v_store(y + (size_t)p * c->bytes, v_mul(v_sub(codes, zero), scale));
        }
        size_t i = 0;
        for (; !across && i + VLEN <= c->bytes; i += VLEN) {
            raw v = bytes_at(q + i);
            for (int p = 0; p < phases; p++) {
                vf codes = codes_of(shifted(v, p * bits), bits);
                v_store(y + (size_t)p * c->bytes + i, v_mul(v_sub(codes, zero), scale));
            }
        }
        for (; !across && i < c->bytes; i++)
            for (int p = 0; p < phases; p++)
                y[(size_t)p * c->bytes + i] =
                    (code_at(q + i, p * bits, bits) - c->zero[b]) * c->scale[b];
    }
}

void VEC_NAME(nnd_f32_nbits_spread)(const nnd_nbits_column *c, float *y)
{
    if (c->bits == 4)
        spread_bits(c, 4, y);
    else if (c->bits == 8)
        spread_bits(c, 8, y);
    else
        spread_bits(c, 2, y);
}
