#include "nodes/infer/priors.h"

#include <math.h>

enum { LARGEST_SIDE = 1 << 16 };

/* Cells of a level along a side, the last one may hang over. */
static int64_t cells(double step, int64_t side)
{
    return (int64_t)ceil((double)side / step);
}

static int64_t count_priors(const nnd_catalog_priors *priors, int64_t width, int64_t height)
{
    int64_t count = 0;
    for (size_t i = 0; i < priors->level_count; i++) {
        const nnd_catalog_level *l = &priors->levels[i];
        count += cells(l->step, width) * cells(l->step, height) * (int64_t)l->size_count;
    }
    return count;
}

static double unit(double x)
{
    return fmin(fmax(x, 0), 1);
}

/* Offsets move the centre by parts of the prior's sides, and scale these by a power of e. */
static void decode(const nnd_catalog_priors *p, double cx, double cy, double w, double h,
                   const float *in, float *out)
{
    double x = cx + in[0] * p->center_variance * w, y = cy + in[1] * p->center_variance * h;
    double half_w = exp(in[2] * p->size_variance) * w / 2;
    double half_h = exp(in[3] * p->size_variance) * h / 2;
    out[0] = (float)(x - half_w);
    out[1] = (float)(y - half_h);
    out[2] = (float)(x + half_w);
    out[3] = (float)(y + half_h);
}

static void decode_all(const nnd_catalog_priors *p, int64_t width, int64_t height, const float *in,
                       float *out)
{
    for (size_t i = 0; i < p->level_count; i++) {
        const nnd_catalog_level *l = &p->levels[i];
        int64_t columns = cells(l->step, width), rows = cells(l->step, height);
        for (int64_t y = 0; y < rows; y++)
            for (int64_t x = 0; x < columns; x++)
                for (size_t k = 0; k < l->size_count; k++, in += 4, out += 4)
                    decode(p, unit(((double)x + 0.5) * l->step / (double)width),
                           unit(((double)y + 0.5) * l->step / (double)height),
                           unit(l->sizes[k] / (double)width), unit(l->sizes[k] / (double)height),
                           in, out);
    }
}

nnd_status nnd_priors_apply(const nnd_catalog_priors *priors, int64_t width, int64_t height,
                            const nnd_tensor *offsets, nnd_value **out)
{
    if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        return nnd_error_set(NND_E_SHAPE, "priors are for pictures of 1 to %d pixels a side",
                             LARGEST_SIDE);
    int64_t count = count_priors(priors, width, height);
    if (!offsets || offsets->dtype != NND_F32 || nnd_tensor_count(offsets) != count * 4)
        return nnd_error_set(NND_E_SHAPE,
                             "a picture of %lld x %lld pixels has %lld priors, and the model gives "
                             "no 4 f32 numbers for each",
                             (long long)width, (long long)height, (long long)count);
    NND_TRY(nnd_value_new_tensor(NND_F32, offsets->rank, offsets->dims, out));
    decode_all(priors, width, height, offsets->data, nnd_value_tensor(*out)->data);
    return NND_OK;
}
