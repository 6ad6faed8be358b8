/*
 * com.microsoft's MaxpoolWithMask: the largest element of a window, whose rows end at the first
 * element that the mask has a 0 for. (The first element of a plane cannot be masked.) A mask of
 * fewer planes is repeated. A window with nothing in it is the lowest number.
 */
#include <float.h>

#include "engine/ops/window.h"

typedef struct job {
    const nnd_op_ctx *c;
    nnd_window w;
    size_t area, masks; /* elements of a plane; planes of the mask */
} job;

static nnd_status read_job(const nnd_op_ctx *c, job *j)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32));
    const nnd_tensor *x = c->in[0], *mask = c->in[1];
    *j = (job){.c = c};
    NND_TRY(nnd_window_read(c, NULL, &j->w));
    bool fits = mask->rank == x->rank;
    for (int i = 2; fits && i < x->rank; i++)
        fits = mask->dims[i] == x->dims[i];
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "the mask has not the planes of the input");
    j->area = (size_t)nnd_op_span(x, 2, x->rank);
    j->masks = (size_t)nnd_op_span(mask, 0, 2);
    if (j->masks || nnd_tensor_count(x) == 0) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the mask is empty");
}

static nnd_status infer(nnd_op_ctx *c)
{
    job j;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_job(c, &j));
    const nnd_tensor *x = c->in[0];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 ? x->dims[i] : j.w.out[i - 2];
    return nnd_op_output(c, 0, NND_F32, x->rank, dims);
}

/* One row of the window at o, whose other cells are k; `at` is that row's beginning. */
static float row_of(const job *j, const float *x, const int32_t *mask, int64_t at, int64_t o,
                    float top)
{
    const int last = j->w.spatial - 1;
    int64_t start = o * j->w.stride[last] - j->w.begin[last], k = 0;
    for (; k < j->w.kernel[last]; k++, start += j->w.dilation[last]) {
        if (start < 0) continue;
        if (start >= j->w.in[last]) break;
        if (at + start > 0 && mask[at + start] == 0) break;
        if (x[at + start] > top) top = x[at + start];
    }
    return top;
}

/* Where the row of cell k begins, −1 = outside. */
static int64_t row_at(const nnd_window *w, const int64_t *o, const int64_t *k)
{
    int64_t at = 0;
    for (int i = 0; i < w->spatial - 1; i++) {
        const int64_t x = o[i] * w->stride[i] - w->begin[i] + k[i] * w->dilation[i];
        if (x < 0 || x >= w->in[i]) return -1;
        at = at * w->in[i] + x;
    }
    return at * w->in[w->spatial - 1];
}

/* The next of the dimensions [0, count): false behind the last one. */
static bool next(int count, const int64_t *extent, int64_t *k)
{
    for (int i = count - 1; i >= 0; i--) {
        if (++k[i] < extent[i]) return true;
        k[i] = 0;
    }
    return false;
}

static nnd_status plane(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_window *w = &j->w;
    const float *x = (const float *)j->c->in[0]->data + index * j->area;
    const int32_t *mask = (const int32_t *)j->c->in[1]->data + index % j->masks * j->area;
    const size_t area = (size_t)nnd_op_span(&j->c->out[0], 2, j->c->out[0].rank);
    float *y = (float *)j->c->out[0].data + index * area;
    int64_t o[NND_MAX_SPATIAL] = {0};
    (void)lane;
    do {
        int64_t k[NND_MAX_SPATIAL] = {0};
        float top = -FLT_MAX;
        do {
            const int64_t at = row_at(w, o, k);
            if (at >= 0) top = row_of(j, x, mask, at, o[w->spatial - 1], top);
        } while (next(w->spatial - 1, w->kernel, k));
        *y++ = top;
    } while (next(w->spatial, w->out, o));
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)nnd_op_span(c->in[0], 0, 2), plane, &j);
}

static const nnd_op ops[] = {
    {"com.microsoft", "MaxpoolWithMask", 1, 0, 2, 2, 1, 1, 0, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_pool_mask = {ops, NND_COUNT(ops)};
