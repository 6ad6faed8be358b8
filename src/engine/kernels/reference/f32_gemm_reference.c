#include "engine/kernels/reference/reference.h"

static float bias_of(const nnd_gemm_desc *desc, const float *bias, int64_t row, int64_t column)
{
    if (!bias) return 0.0f;
    switch (desc->bias) {
    case NND_GEMM_BIAS_ROW:
        return bias[row];
    case NND_GEMM_BIAS_COLUMN:
        return bias[column];
    case NND_GEMM_BIAS_SCALAR:
        return bias[0];
    case NND_GEMM_BIAS_NONE:
        break;
    }
    return 0.0f;
}

float nnd_round_to_bf16_reference(float x)
{
    uint16_t half;
    nnd_f32_to_bf16_reference(&x, &half, 1);
    nnd_bf16_to_f32_reference(&half, &x, 1);
    return x;
}

static float factor_of(const nnd_gemm_desc *desc, float a)
{
    if (desc->precision != NND_GEMM_BF16) return a;
    return nnd_round_to_bf16_reference(desc->alpha * a);
}

void nnd_f32_gemm_reference(const nnd_gemm_desc *desc, const nnd_gemm_args *args, int64_t m0,
                            int64_t m1, int64_t n0, int64_t n1)
{
    int64_t row_step = desc->trans_a ? 1 : desc->lda;
    int64_t k_step = desc->trans_a ? desc->lda : 1;
    for (int64_t i = m0; i < m1; i++) {
        for (int64_t j = n0; j < n1; j++) {
            const float *a = args->a + i * row_step;
            const float *b = args->packed_b + j;
            float sum = 0.0f;
            for (int64_t k = 0; k < desc->k; k++)
                sum += factor_of(desc, a[k * k_step]) * b[k * desc->n];
            float alpha = desc->precision == NND_GEMM_BF16 ? 1.0f : desc->alpha;
            float value = alpha * sum + bias_of(desc, args->bias, i, j);
            if (desc->beta != 0.0f) value += desc->beta * args->r[i * desc->ldr + j];
            nnd_f32_act_reference(&desc->act, &value, &args->c[i * desc->ldc + j], 1);
        }
    }
}
