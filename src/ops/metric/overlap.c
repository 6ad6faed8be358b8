/* How well masks of classes cover the truth. */
#include <math.h>
#include <string.h>

#include "ops/metric/metric.h"
#include "ops/ops_common.h"

enum { MAX_CLASS = 65535, NOTHING = -1 };

static nnd_status check(const nnd_image *truth, const nnd_mask *found)
{
    NND_TRY(nnd_ops_check_image(truth, "truth"));
    if (truth->format != NND_PIX_GRAY || (truth->dtype != NND_U8 && truth->dtype != NND_U16))
        return nnd_error_set(NND_E_TYPE, "a mask's truth is a gray picture of 8 or 16 bits");
    const bool classes = !found->is_alpha && (found->dtype == NND_U8 || found->dtype == NND_U16);
    const bool alpha = found->is_alpha && (found->dtype == NND_U8 || found->dtype == NND_F32);
    if (!classes && !alpha)
        return nnd_error_set(NND_E_TYPE, "a mask of %s is neither of classes nor alpha",
                             nnd_dtype_name(found->dtype));
    if (found->width < 1 || found->height < 1 || !found->data)
        return nnd_error_set(NND_E_SHAPE, "the mask is empty");
    if (found->width == truth->width && found->height == truth->height) return NND_OK;
    const nnd_geometry *g = &found->geometry;
    if (g->source_width != truth->width || g->source_height != truth->height)
        return nnd_error_set(NND_E_SHAPE,
                             "the mask is %d × %d of a picture of %d × %d, the truth %d × %d",
                             found->width, found->height, g->source_width, g->source_height,
                             truth->width, truth->height);
    return NND_OK;
}

static int truth_at(const nnd_image *truth, int x, int y)
{
    const uint8_t *row = nnd_ops_row(truth, 0, y);
    uint16_t wide;
    if (truth->dtype == NND_U8) return row[x];
    memcpy(&wide, row + (size_t)x * sizeof wide, sizeof wide);
    return wide;
}

static int found_at(const nnd_mask *found, int x, int y)
{
    const uint8_t *row = (const uint8_t *)found->data + found->stride * y;
    uint16_t wide;
    float share;
    if (found->dtype == NND_U8) return found->is_alpha ? row[x] >= 128 : row[x];
    if (found->dtype == NND_U16) {
        memcpy(&wide, row + (size_t)x * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&share, row + (size_t)x * sizeof share, sizeof share);
    return share >= 0.5f;
}

/* The class at the middle of a pixel of the source. */
static nnd_status look_up(const nnd_mask *found, int x, int y, int *out)
{
    double u, v;
    NND_TRY(nnd_geometry_from_source(&found->geometry, x + 0.5, y + 0.5, &u, &v));
    const bool inside = u >= 0 && v >= 0 && u < found->width && v < found->height;
    *out = inside ? found_at(found, (int)u, (int)v) : NOTHING;
    return NND_OK;
}

static nnd_status reach(nnd_overlap *o, int class_id)
{
    if (class_id < (int)o->count) return NND_OK;
    /* Twice as many, so that rising classes do not copy the table each time. */
    size_t count = 2 * (size_t)(class_id + 1);
    if (count > MAX_CLASS + 1) count = MAX_CLASS + 1;
    nnd_overlap_class *classes = nnd_realloc(o->classes, count * sizeof *classes);
    if (!classes) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu classes", count);
    memset(classes + o->count, 0, (count - o->count) * sizeof *classes);
    o->classes = classes;
    o->count = count;
    return NND_OK;
}

static nnd_status count_pixel(nnd_overlap *o, int truth, int found)
{
    NND_TRY(reach(o, truth > found ? truth : found));
    o->pixels++;
    o->right += truth == found;
    o->classes[truth].truth++;
    if (found != NOTHING) o->classes[found].found++;
    if (truth == found) o->classes[truth].both++;
    return NND_OK;
}

nnd_status nnd_overlap_add(nnd_overlap *o, const nnd_image *truth, int ignore,
                           const nnd_mask *found)
{
    if (!o || !truth || !found)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a truth, a mask and a sum are needed");
    NND_TRY(check(truth, found));
    const bool same = found->width == truth->width && found->height == truth->height;
    for (int y = 0; y < truth->height; y++) {
        for (int x = 0; x < truth->width; x++) {
            const int right = truth_at(truth, x, y);
            int given = 0;
            if (right == ignore) continue;
            if (same)
                given = found_at(found, x, y);
            else
                NND_TRY(look_up(found, x, y, &given));
            NND_TRY(count_pixel(o, right, given));
        }
    }
    return NND_OK;
}

void nnd_overlap_fini(nnd_overlap *o)
{
    nnd_free(o->classes);
    *o = (nnd_overlap){0};
}

double nnd_overlap_iou(const nnd_overlap_class *c)
{
    const uint64_t either = c->truth + c->found - c->both;
    return either ? (double)c->both / (double)either : NAN;
}

double nnd_overlap_mean(const nnd_overlap *o)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < o->count; i++) {
        const double iou = nnd_overlap_iou(&o->classes[i]);
        if (isnan(iou)) continue;
        sum += iou;
        count++;
    }
    return count ? sum / (double)count : NAN;
}
