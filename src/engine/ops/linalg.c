/* Square matrices by elimination with row pivots, in double: Det and com.microsoft's Inverse. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/element.h"

enum { DET, INVERSE };

/* Scratch of one lane: the matrix and, for the inverse, the identity beside it. */
static nnd_status scratch_bytes(const nnd_op_ctx *c, size_t *out)
{
    const nnd_tensor *x = c->in[0];
    size_t n = (size_t)x->dims[x->rank - 1], width = n * (c->op->variant == INVERSE ? 2 : 1);
    if (n <= SIZE_MAX / 4 && nnd_size_mul(n, width, out) && nnd_size_mul(*out, sizeof(double), out))
        return NND_OK;
    return nnd_op_fail(c, NND_E_OVERFLOW, "the matrices are too large");
}

static nnd_status square_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0];
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return nnd_op_fail(c, NND_E_SHAPE, "the last two dimensions are no square matrix");
    int rank = c->op->variant == DET ? x->rank - 2 : x->rank;
    return nnd_op_output(c, 0, x->dtype, rank, x->dims);
}

static nnd_status square_plan(nnd_op_ctx *c)
{
    return scratch_bytes(c, &c->lane_bytes);
}

static void swap_rows(double *a, double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

/* Brings the n columns of m, n rows of `width`, to triangular form; returns the determinant. */
static double eliminate(double *m, size_t n, size_t width)
{
    double det = 1;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t r = k + 1; r < n; r++)
            if (fabs(m[r * width + k]) > fabs(m[pivot * width + k])) pivot = r;
        double top = m[pivot * width + k];
        if (top == 0) return 0;
        if (pivot != k) {
            swap_rows(m + k * width, m + pivot * width, width);
            det = -det;
        }
        det *= top;
        for (size_t r = k + 1; r < n; r++) {
            double f = m[r * width + k] / top;
            for (size_t i = k; f != 0 && i < width; i++)
                m[r * width + i] -= f * m[k * width + i];
        }
    }
    return det;
}

/* From [triangle, transformed identity] to the inverse in the right half. */
static void substitute(double *m, size_t n)
{
    size_t width = 2 * n;
    for (size_t k = n; k-- > 0;) {
        double *row = m + k * width + n;
        for (size_t r = k + 1; r < n; r++) {
            double f = m[k * width + r];
            for (size_t i = 0; f != 0 && i < n; i++)
                row[i] -= f * m[r * width + n + i];
        }
        for (size_t i = 0; i < n; i++)
            row[i] /= m[k * width + k];
    }
}

static nnd_status square_tile(void *user, size_t index, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    size_t n = (size_t)x->dims[x->rank - 1], width = c->op->variant == DET ? n : 2 * n;
    double *m = nnd_op_lane(c, lane);
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; i < n; i++)
            m[r * width + i] = nnd_get(x, (index * n + r) * n + i);
        for (size_t i = n; i < width; i++)
            m[r * width + i] = i - n == r;
    }
    double det = eliminate(m, n, width);
    if (c->op->variant == DET) {
        nnd_set(y, index, det);
        return NND_OK;
    }
    /* A determinant may underflow; a pivot of zero says for certain that there is no inverse. */
    for (size_t k = 0; k < n && det == 0; k++)
        if (m[k * width + k] == 0)
            return nnd_op_fail(c, NND_E_FORMAT, "matrix %zu has no inverse", index);
    substitute(m, n);
    for (size_t i = 0; i < n * n; i++)
        nnd_set(y, index * n * n + i, m[i / n * width + n + i % n]);
    return NND_OK;
}

static nnd_status square_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    nnd_op_ctx own = *c;
    size_t bytes;
    void *memory;
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    NND_TRY(scratch_bytes(c, &bytes));
    NND_TRY(nnd_op_need_lane(&own, bytes, &memory));
    nnd_status status = nnd_op_for(&own, (size_t)nnd_op_span(x, 0, x->rank - 2), square_tile, &own);
    nnd_free_aligned(memory);
    return status;
}

static double square_flops(const nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    double n = (double)x->dims[x->rank - 1], batch = (double)nnd_op_span(x, 0, x->rank - 2);
    return batch * n * n * n * (c->op->variant == DET ? 2.0 / 3.0 : 2.0);
}

static const nnd_op ops[] = {
    {"", "Det", 11, 0, 1, 1, 1, 1, 0, square_infer, square_run, .plan = square_plan,
     .flops = square_flops, .variant = DET},
    {"com.microsoft", "Inverse", 1, 0, 1, 1, 1, 1, 0, square_infer, square_run, .plan = square_plan,
     .flops = square_flops, .variant = INVERSE},
};
const nnd_op_family nnd_ops_linalg = {ops, NND_COUNT(ops)};
