/* The choice of the byte kernels, and what both of their drivers need. */
#include <string.h>

#include "engine/kernels/int8_set.h"

/* Best first. Without VNNI, AVX-512 has nothing for bytes that AVX2 has not. */
static const nnd_int8_set *const sets[] = {
#if defined(__x86_64__)
    &nnd_int8_set_avx512vnni,
    &nnd_int8_set_avx2,
#elif defined(__aarch64__)
    &nnd_int8_set_neon_dotprod,
    &nnd_int8_set_neon,
#endif
    &nnd_int8_set_reference,
};

const nnd_int8_set *nnd_int8_set_current(void)
{
    nnd_isa current = nnd_isa_current();
    size_t i = 0;
    while (sets[i]->isa > current && i + 1 < NND_COUNT(sets))
        i++;
    return sets[i];
}

nnd_isa nnd_int8_isa(void)
{
    return nnd_int8_set_current()->isa;
}

void nnd_int8_quantise(const float *x, float scale, int32_t zero, bool is_signed, void *y, size_t n)
{
    nnd_int8_set_current()->quantise(x, scale, zero, is_signed ? -128 : 0, is_signed ? 127 : 255, y,
                                     n);
}

void nnd_int8_dequantise(const void *x, float scale, int32_t zero, bool is_signed, float *y,
                         size_t n)
{
    nnd_int8_set_current()->dequantise(x, scale, zero, is_signed, y, n);
}

/* Plain loops that compilers turn into vectors, for step 1 into the machine's own maximum. */
void nnd_int8_max(const void *x, int64_t step, bool is_signed, void *y, size_t n)
{
    const uint8_t *u = x;
    const int8_t *s = x;
    uint8_t *uy = y;
    int8_t *sy = y;
    if (step == 1 && is_signed)
        for (size_t i = 0; i < n; i++)
            sy[i] = NND_MAX(sy[i], s[i]);
    else if (step == 1)
        for (size_t i = 0; i < n; i++)
            uy[i] = NND_MAX(uy[i], u[i]);
    else if (is_signed)
        for (size_t i = 0; i < n; i++)
            sy[i] = NND_MAX(sy[i], s[(int64_t)i * step]);
    else
        for (size_t i = 0; i < n; i++)
            uy[i] = NND_MAX(uy[i], u[(int64_t)i * step]);
}

void nnd_int8_pair_run(const nnd_int8_pair *p, const void *a, size_t a_step, const void *b,
                       size_t b_step, void *y, size_t n)
{
    nnd_int8_set_current()->pair(p, a, a_step, b, b_step, y, n);
}

/* The bytes of row[k … k+3] as they are in memory, 0 beyond the end. */
static void quad_at(const uint8_t *row, size_t k, size_t end, uint8_t flip, int8_t quad[4])
{
    for (size_t j = 0; j < 4; j++)
        quad[j] = k + j < end ? (int8_t)(row[k + j] ^ flip) : 0;
}

void nnd_int8_pack_rows(const nnd_int8_set *set, const uint8_t *from, size_t stride, bool is_signed,
                        size_t rows, size_t k, void *to, int32_t *sums)
{
    const uint8_t flip = is_signed ? 0 : 0x80;
    size_t quads = (k + 3) / 4;
    for (size_t i = 0; sums && i < rows; i++) {
        uint32_t sum = 0;
        for (size_t x = 0; x < k; x++) {
            const int32_t v = (int32_t)(int8_t)(from[i * stride + x] ^ flip);
            sum += (uint32_t)v;
        }
        sums[i] = (int32_t)sum;
    }
    for (size_t q = 0; q < quads; q++) {
        for (size_t i = 0; i < rows; i++) {
            int8_t quad[4];
            quad_at(from + i * stride, 4 * q, k, flip, quad);
            if (set->wide_rows) {
                const int16_t pairs[4] = {quad[0], quad[2], quad[1], quad[3]};
                memcpy((char *)to + (q * rows + i) * sizeof pairs, pairs, sizeof pairs);
            } else {
                memcpy((char *)to + (q * rows + i) * sizeof quad, quad, sizeof quad);
            }
        }
    }
}

void nnd_int8_store(const nnd_int8_set *set, const nnd_int8_result *result, const nnd_int8_block *b,
                    void *y, size_t width)
{
    if (result->type == NND_I32) {
        for (size_t i = 0; i < b->rows; i++)
            memcpy((int32_t *)y + i * width, b->sums + i * b->stride, b->columns * sizeof *b->sums);
    } else if (result->type == NND_F32) {
        set->floats(b, y, width);
    } else {
        set->finish(b, result, y, width);
    }
}
