/*
 * Decoders of detection models: from raw tensors to boxes. Each walks over the model's anchors and
 * adds what scores above the threshold; mapping, clipping and sorting are in candidates.c.
 */
#include <math.h>

#include "ops/detect/candidates.h"

/* ---- SSD ---- */

/* The best class of an anchor that is not the background; −1 without one (NaN everywhere). */
static int32_t best_class(const float *scores, int64_t classes, int background, float *best)
{
    int32_t found = -1;
    for (int64_t c = 0; c < classes; c++) {
        if (c == background || isnan(scores[c])) continue;
        if (found < 0 || scores[c] > *best) {
            found = (int32_t)c;
            *best = scores[c];
        }
    }
    return found;
}

static nnd_status add_ssd(nnd_candidates *list, const nnd_tensor *scores, const nnd_tensor *boxes,
                          int background)
{
    const int64_t count = scores->dims[1], classes = scores->dims[2];
    const float *score = scores->data, *box = boxes->data;
    for (int64_t i = 0; i < count; i++, score += classes, box += 4) {
        float best = 0;
        const int32_t found = best_class(score, classes, background, &best);
        if (found < 0 || !(best > list->options->score)) continue;
        /* Class ids do not count the background. */
        const int32_t id = background >= 0 && found > background ? found - 1 : found;
        NND_TRY(nnd_candidates_add(list, box[0] * list->width, box[1] * list->height,
                                   box[2] * list->width, box[3] * list->height, best, id, NULL));
    }
    return NND_OK;
}

nnd_status nnd_decode_ssd(const nnd_tensor *scores, const nnd_tensor *boxes, int background,
                          const nnd_decode_boxes_options *options, nnd_value **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nowhere to put the detections");
    NND_TRY(nnd_detect_check_tensor(scores, "scores", -1, -1));
    NND_TRY(nnd_detect_check_tensor(boxes, "boxes", scores->dims[1], 4));
    if (scores->dims[2] > INT32_MAX || background < -1 || background >= scores->dims[2])
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "background is %d, expected −1 or one of the %lld classes", background,
                             (long long)scores->dims[2]);
    nnd_candidates list;
    NND_TRY(nnd_candidates_open(&list, options, 0));
    return nnd_candidates_close(&list, add_ssd(&list, scores, boxes, background), out);
}

/* ---- grids ---- */

/* Cells of a stride's grid over the model's picture. */
typedef struct grid {
    int64_t columns, rows;
} grid;

static nnd_status make_grid(const nnd_candidates *list, int stride, grid *out)
{
    if (stride < 1)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "stride %d, expected 1 or more", stride);
    out->columns = (int64_t)ceil(list->width / stride);
    out->rows = (int64_t)ceil(list->height / stride);
    return NND_OK;
}

/* ---- YuNet ---- */

#define YUNET_POINTS 5

typedef struct yunet_level {
    const float *cls, *obj, *bbox, *kps;
    grid grid;
    int stride;
} yunet_level;

static nnd_status open_yunet_level(const nnd_candidates *list, const nnd_tensor *cls,
                                   const nnd_tensor *obj, const nnd_tensor *bbox,
                                   const nnd_tensor *kps, int stride, yunet_level *out)
{
    NND_TRY(make_grid(list, stride, &out->grid));
    const int64_t cells = out->grid.columns * out->grid.rows;
    NND_TRY(nnd_detect_check_tensor(cls, "cls", cells, 1));
    NND_TRY(nnd_detect_check_tensor(obj, "obj", cells, 1));
    NND_TRY(nnd_detect_check_tensor(bbox, "bbox", cells, 4));
    NND_TRY(nnd_detect_check_tensor(kps, "kps", cells, 2 * YUNET_POINTS));
    out->cls = cls->data;
    out->obj = obj->data;
    out->bbox = bbox->data;
    out->kps = kps->data;
    out->stride = stride;
    return NND_OK;
}

static float unit(float v)
{
    return v > 1 ? 1 : v > 0 ? v : 0;
}

static nnd_status add_yunet_cell(nnd_candidates *list, const yunet_level *level, int64_t cell)
{
    const float score = sqrtf(unit(level->cls[cell]) * unit(level->obj[cell]));
    if (!(score > list->options->score)) return NND_OK;
    const double s = level->stride;
    const double column = (double)(cell % level->grid.columns);
    const double row = (double)(cell / level->grid.columns);
    const float *box = level->bbox + 4 * cell, *kps = level->kps + 2 * YUNET_POINTS * cell;
    const double cx = (column + box[0]) * s, cy = (row + box[1]) * s;
    const double half_w = exp(box[2]) * s / 2, half_h = exp(box[3]) * s / 2;
    nnd_point points[YUNET_POINTS];
    for (int i = 0; i < YUNET_POINTS; i++)
        points[i] = (nnd_point){(float)((kps[2 * i] + column) * s),
                                (float)((kps[2 * i + 1] + row) * s), -1};
    return nnd_candidates_add(list, cx - half_w, cy - half_h, cx + half_w, cy + half_h, score, 0,
                              points);
}

static nnd_status add_yunet(nnd_candidates *list, const nnd_tensor *const *cls,
                            const nnd_tensor *const *obj, const nnd_tensor *const *bbox,
                            const nnd_tensor *const *kps, const int *strides, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        yunet_level level;
        NND_TRY(open_yunet_level(list, cls[i], obj[i], bbox[i], kps[i], strides[i], &level));
        const int64_t cells = level.grid.columns * level.grid.rows;
        for (int64_t cell = 0; cell < cells; cell++)
            NND_TRY(add_yunet_cell(list, &level, cell));
    }
    return NND_OK;
}

nnd_status nnd_decode_yunet(const nnd_tensor *const *cls, const nnd_tensor *const *obj,
                            const nnd_tensor *const *bbox, const nnd_tensor *const *kps,
                            const int *strides, size_t count,
                            const nnd_decode_boxes_options *options, nnd_value **out)
{
    if (!cls || !obj || !bbox || !kps || !strides || count == 0 || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "YuNet needs cls, obj, bbox and kps for at least one stride");
    nnd_candidates list;
    NND_TRY(nnd_candidates_open(&list, options, YUNET_POINTS));
    return nnd_candidates_close(&list, add_yunet(&list, cls, obj, bbox, kps, strides, count), out);
}

/* ---- YOLOX ---- */

#define YOLOX_BOX 5 /* cx cy w h objectness, then the classes */

static nnd_status add_yolox_cell(nnd_candidates *list, const float *cell, int64_t classes,
                                 double column, double row, double stride)
{
    float best = 0;
    const int32_t id = best_class(cell + YOLOX_BOX, classes, -1, &best);
    const float score = cell[4] * best;
    if (id < 0 || !(score > list->options->score)) return NND_OK;
    const double cx = (cell[0] + column) * stride, cy = (cell[1] + row) * stride;
    const double half_w = exp(cell[2]) * stride / 2, half_h = exp(cell[3]) * stride / 2;
    return nnd_candidates_add(list, cx - half_w, cy - half_h, cx + half_w, cy + half_h, score, id,
                              NULL);
}

static nnd_status add_yolox(nnd_candidates *list, const nnd_tensor *output, const int *strides,
                            size_t stride_count)
{
    int64_t cells = 0;
    for (size_t i = 0; i < stride_count; i++) {
        grid g;
        NND_TRY(make_grid(list, strides[i], &g));
        cells += g.columns * g.rows;
    }
    NND_TRY(nnd_detect_check_tensor(output, "output", cells, -1));
    const int64_t step = output->dims[2], classes = step - YOLOX_BOX;
    if (classes < 1 || classes > INT32_MAX)
        return nnd_error_set(NND_E_SHAPE, "output has %lld numbers per cell, expected 5 + classes",
                             (long long)step);
    const float *cell = output->data;
    for (size_t i = 0; i < stride_count; i++) {
        grid g;
        NND_TRY(make_grid(list, strides[i], &g));
        for (int64_t n = 0; n < g.columns * g.rows; n++, cell += step)
            NND_TRY(add_yolox_cell(list, cell, classes, (double)(n % g.columns),
                                   (double)(n / g.columns), strides[i]));
    }
    return NND_OK;
}

nnd_status nnd_decode_yolox(const nnd_tensor *output, const int *strides, size_t stride_count,
                            const nnd_decode_boxes_options *options, nnd_value **out)
{
    if (!strides || stride_count == 0 || stride_count > 64 || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "YOLOX needs 1…64 strides and a result");
    nnd_candidates list;
    NND_TRY(nnd_candidates_open(&list, options, 0));
    return nnd_candidates_close(&list, add_yolox(&list, output, strides, stride_count), out);
}
