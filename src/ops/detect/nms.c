/*
 * Overlap of boxes and greedy non-maximum suppression.
 */
#include <math.h>

#include "ops/detect/rank.h"
#include "ops/ops_common.h"

static double area_of(const nnd_detection *d)
{
    const double width = (double)d->x2 - d->x1, height = (double)d->y2 - d->y1;
    return width > 0 && height > 0 ? width * height : 0;
}

float nnd_box_iou(const nnd_detection *a, const nnd_detection *b)
{
    const double width = fmin(a->x2, b->x2) - (double)fmaxf(a->x1, b->x1);
    const double height = fmin(a->y2, b->y2) - (double)fmaxf(a->y1, b->y1);
    if (!(width > 0 && height > 0)) return 0;
    const double common = width * height, both = area_of(a) + area_of(b) - common;
    return both > 0 ? (float)(common / both) : 0;
}

/* Moves the indices of what stays to the front of `order`, best first; returns their number. */
static size_t suppress(const nnd_detections *in, nnd_ranked *order, float iou, bool class_aware,
                       size_t most)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->count && kept < most; i++) {
        const nnd_detection *d = &in->items[order[i].index];
        bool stays = true;
        for (size_t k = 0; k < kept && stays; k++) {
            const nnd_detection *better = &in->items[order[k].index];
            if (class_aware && better->class_id != d->class_id) continue;
            stays = !(nnd_box_iou(better, d) > iou);
        }
        if (stays) order[kept++] = order[i];
    }
    return kept;
}

static nnd_status make_value(const nnd_detections *in, const nnd_ranked *order, size_t kept,
                             nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_new_detections(kept, in->points_per_item, (const char *const *)in->labels,
                                     in->label_count, &value));
    nnd_detections *d = nnd_value_edit(value);
    d->source_width = in->source_width;
    d->source_height = in->source_height;
    const size_t points = (size_t)in->points_per_item;
    for (size_t i = 0; i < kept; i++) {
        const size_t from = order[i].index;
        d->items[i] = in->items[from];
        for (size_t p = 0; p < points; p++)
            d->points[i * points + p] = in->points[from * points + p];
    }
    *out = value;
    return NND_OK;
}

nnd_status nnd_detections_nms(const nnd_detections *in, float iou, bool class_aware,
                              int64_t max_count, nnd_value **out)
{
    if (!in || !out || (in->count && !in->items))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "no detections or no result");
    if (!(iou >= 0 && iou <= 1) || max_count < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "iou is %g, expected 0…1; max_count is %lld, expected 0 or more",
                             (double)iou, (long long)max_count);
    nnd_ranked *order =
        in->count < SIZE_MAX / sizeof(*order) ? nnd_alloc((in->count + 1) * sizeof(*order)) : NULL;
    if (!order) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to sort %zu boxes", in->count);
    for (size_t i = 0; i < in->count; i++) /* NaN cannot be sorted: last */
        order[i] = (nnd_ranked){isnan(in->items[i].score) ? -INFINITY : in->items[i].score, i};
    nnd_ranked_sort(order, in->count);
    const size_t most =
        max_count > 0 && (uint64_t)max_count < in->count ? (size_t)max_count : in->count;
    const size_t kept = suppress(in, order, iou, class_aware, most);
    const nnd_status status = make_value(in, order, kept, out);
    nnd_free(order);
    return status;
}
