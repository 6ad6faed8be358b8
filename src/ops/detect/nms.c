/*
 * Overlap of boxes and greedy non-maximum suppression.
 */
#include <math.h>

#include "ops/detect/rank.h"
#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

static double area_of(const nnd_detection *d)
{
    const double width = (double)d->x2 - d->x1, height = (double)d->y2 - d->y1;
    return width > 0 && height > 0 ? width * height : 0;
}

static bool has_nan(const nnd_detection *d)
{
    return isnan(d->x1) || isnan(d->y1) || isnan(d->x2) || isnan(d->y2);
}

float nnd_box_iou(const nnd_detection *a, const nnd_detection *b)
{
    if (has_nan(a) || has_nan(b)) return 0;
    const double width = fmin(a->x2, b->x2) - (double)fmaxf(a->x1, b->x1);
    const double height = fmin(a->y2, b->y2) - (double)fmaxf(a->y1, b->y1);
    if (!(width > 0 && height > 0)) return 0;
    const double common = width * height, both = area_of(a) + area_of(b) - common;
    return both > 0 ? (float)(common / both) : 0;
}

/* ---- suppression ----------------------------------------------------------------------- */

/* The boxes that stay, by column; room for `most`, freed by nnd_free(x1). */
static nnd_status new_columns(nnd_box_columns *out, size_t most)
{
    float *block =
        most < SIZE_MAX / (5 * sizeof(float)) ? nnd_alloc((5 * most + 1) * sizeof(float)) : NULL;
    if (!block) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare %zu boxes", most);
    *out = (nnd_box_columns){block,
                             block + most,
                             block + 2 * most,
                             block + 3 * most,
                             (int32_t *)(void *)(block + 4 * most),
                             0};
    return NND_OK;
}

static void push_column(nnd_box_columns *kept, const nnd_detection *d, int32_t class_id)
{
    static const nnd_detection nothing = {.x1 = 0};
    const nnd_detection *box = has_nan(d) ? &nothing : d; /* neither overlaps any other */
    const size_t i = kept->count++;
    kept->x1[i] = box->x1;
    kept->y1[i] = box->y1;
    kept->x2[i] = box->x2;
    kept->y2[i] = box->y2;
    kept->class_id[i] = class_id;
}

/* Moves the indices of what stays to the front of `order`, best first; kept->count is their
   number. The vectors find the few boxes that can overlap at all. */
static void suppress(const nnd_detections *in, nnd_ranked *order, float iou, bool class_aware,
                     size_t most, nnd_box_columns *kept)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    for (size_t i = 0; i < in->count && kept->count < most; i++) {
        const nnd_detection *d = &in->items[order[i].index];
        const float box[4] = {d->x1, d->y1, d->x2, d->y2};
        const int32_t class_id = class_aware ? d->class_id : 0;
        size_t k = has_nan(d) ? kept->count : kernels->touching(kept, 0, box, class_id);
        while (k < kept->count && !(nnd_box_iou(&in->items[order[k].index], d) > iou))
            k = kernels->touching(kept, k + 1, box, class_id);
        if (k < kept->count) continue;
        order[kept->count] = order[i];
        push_column(kept, d, class_id);
    }
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
    nnd_box_columns kept;
    nnd_status status = new_columns(&kept, most);
    if (status == NND_OK) {
        suppress(in, order, iou, class_aware, most, &kept);
        status = make_value(in, order, kept.count, out);
        nnd_free(kept.x1);
    }
    nnd_free(order);
    return status;
}
