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
    nnd_int8_quantise_to(x, scale, zero, is_signed ? -128 : 0, is_signed ? 127 : 255, y, n);
}

void nnd_int8_quantise_to(const float *x, float scale, int32_t zero, int32_t low, int32_t high,
                          void *y, size_t n)
{
    nnd_int8_set_current()->quantise(x, scale, zero, low, high, y, n);
}

void nnd_int8_dequantise(const void *x, float scale, int32_t zero, bool is_signed, float *y,
                         size_t n)
{
    nnd_int8_set_current()->dequantise(x, scale, zero, is_signed, y, n);
}

void nnd_int8_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    nnd_int8_set_current()->lookup(table, x, y, n);
}

uint32_t nnd_int8_sum(const void *x, bool is_signed, size_t n)
{
    return nnd_int8_set_current()->sum(x, is_signed, n);
}

void nnd_int8_range(const float *x, size_t n, float *low, float *high)
{
    nnd_int8_set_current()->range(x, n, low, high);
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

/* A quad of i8 as the broadcast operand wants it. */
static void put_quad(uint32_t quad, bool wide, char *to)
{
    if (!wide) {
        memcpy(to, &quad, sizeof quad);
        return;
    }
    /* 16 bits for each of k, k+2, k+1, k+3, all at once: with the sign bit flipped, the difference
       to 128 is the value, and a bit above keeps what is borrowed from the neighbour. */
    const uint64_t flipped = quad ^ 0x80808080u;
    const uint64_t even = flipped & 0x00ff00ff, odd = flipped >> 8 & 0x00ff00ff;
    const uint64_t top = UINT64_C(0x8000800080008000), half = UINT64_C(0x0080008000800080);
    const uint64_t pairs = ((even | odd << 32 | top) - half) ^ top;
    memcpy(to, &pairs, sizeof pairs);
}

static void pack_row(const uint8_t *row, size_t k, uint32_t flip, bool wide, size_t step, char *to)
{
    uint32_t quad;
    for (; k >= sizeof quad; k -= sizeof quad, row += sizeof quad, to += step) {
        memcpy(&quad, row, sizeof quad);
        put_quad(quad ^ flip, wide, to);
    }
    if (!k) return;
    uint8_t last[4] = {0};
    for (size_t i = 0; i < k; i++)
        last[i] = row[i] ^ (uint8_t)flip;
    memcpy(&quad, last, sizeof quad);
    put_quad(quad, wide, to);
}

void nnd_int8_pack_rows(const nnd_int8_set *set, const uint8_t *from, size_t stride, bool is_signed,
                        size_t rows, size_t k, void *to, int32_t *sums)
{
    const uint32_t flip = is_signed ? 0 : 0x80808080u;
    const size_t bytes = nnd_int8_quad_bytes(set);
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *row = from + i * stride;
        pack_row(row, k, flip, set->wide_rows, rows * bytes, (char *)to + i * bytes);
        if (sums)
            sums[i] = (int32_t)(set->sum(row, is_signed, k) - (is_signed ? 0 : 128u * (uint32_t)k));
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
