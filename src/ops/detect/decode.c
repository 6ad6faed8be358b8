/*
 * Decoders of detection models: from raw tensors to boxes. Vectors find the few anchors that score
 * above the threshold; their boxes are made one by one. Mapping, clipping and sorting are in
 * candidates.c.
 */
#include <math.h>

#include "ops/detect/candidates.h"
#include "ops/kernels/kernels.h"

/* ---- SSD ---- */

/* The scores of all anchors stand one behind the other; of each, that of the background is above
   nothing. The bounds of whole anchors, and what first_above may read behind them (nnd_free). */
static nnd_status make_bounds(size_t classes, int background, float score, float **out,
                              size_t *period)
{
    const size_t anchors = (NND_BOUNDS_READ + classes - 1) / classes;
    *period = anchors * classes;
    float *bound = nnd_alloc((*period + NND_BOUNDS_READ) * sizeof(*bound));
    if (!bound)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare %zu classes", classes);
    for (size_t i = 0; i < *period + NND_BOUNDS_READ; i++)
        bound[i] = i % classes == (size_t)background ? INFINITY : score;
    *out = bound;
    return NND_OK;
}

/* The best class of an anchor that is not the background (−1: there is none). Not all are NaN. */
static size_t best_class(const float *scores, size_t classes, int background)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    if (background < 0) return kernels->best_f32(scores, classes);
    const size_t below = (size_t)background;
    const size_t low = kernels->best_f32(scores, below);
    const size_t high = below + 1 + kernels->best_f32(scores + below + 1, classes - below - 1);
    if (low == below) return high;
    return high == classes || !(scores[high] > scores[low]) ? low : high;
}

static nnd_status add_ssd_anchor(nnd_candidates *list, const float *scores, size_t classes,
                                 const float *box, int background)
{
    const size_t found = best_class(scores, classes, background);
    /* Class ids do not count the background. */
    const size_t id = background >= 0 && found > (size_t)background ? found - 1 : found;
    return nnd_candidates_add(list, box[0] * list->width, box[1] * list->height,
                              box[2] * list->width, box[3] * list->height, scores[found],
                              (int32_t)id, NULL);
}

static nnd_status add_ssd(nnd_candidates *list, const nnd_tensor *scores, const nnd_tensor *boxes,
                          int background)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const size_t classes = (size_t)scores->dims[2], count = (size_t)scores->dims[1] * classes;
    const float *score = scores->data, *box = boxes->data;
    float *bound = NULL;
    size_t period = 0, at = 0;
    if (count == 0) return NND_OK;
    NND_TRY(make_bounds(classes, background, list->options->score, &bound, &period));
    nnd_status status = NND_OK;
    while (status == NND_OK) {
        at = kernels->first_above(score, at, count, bound, period);
        if (at >= count) break;
        const size_t anchor = at / classes;
        status =
            add_ssd_anchor(list, score + anchor * classes, classes, box + 4 * anchor, background);
        at = (anchor + 1) * classes;
    }
    nnd_free(bound);
    return status;
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

static nnd_status add_yunet_cell(nnd_candidates *list, const yunet_level *level, int64_t cell)
{
    const float score = nnd_score_mean(level->cls[cell], level->obj[cell]);
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
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    for (size_t i = 0; i < count; i++) {
        yunet_level level;
        NND_TRY(open_yunet_level(list, cls[i], obj[i], bbox[i], kps[i], strides[i], &level));
        const size_t cells = (size_t)(level.grid.columns * level.grid.rows);
        const float bound = list->options->score;
        for (size_t cell = 0;; cell++) {
            cell = kernels->first_mean_above(level.cls, level.obj, cell, cells, bound);
            if (cell >= cells) break;
            NND_TRY(add_yunet_cell(list, &level, (int64_t)cell));
        }
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

/* A cell: cx cy w h objectness, then the classes; the kernel that searches them knows that too. */
static nnd_status add_yolox_cell(nnd_candidates *list, const float *cell, size_t classes,
                                 double column, double row, double stride)
{
    const float *scores = cell + NND_CELL_CLASSES;
    const size_t id = nnd_ops_kernels_get()->best_f32(scores, classes);
    if (id == classes) return NND_OK; /* all of them are NaN */
    const float score = cell[NND_CELL_OBJECT] * scores[id];
    const double cx = (cell[0] + column) * stride, cy = (cell[1] + row) * stride;
    const double half_w = exp(cell[2]) * stride / 2, half_h = exp(cell[3]) * stride / 2;
    return nnd_candidates_add(list, cx - half_w, cy - half_h, cx + half_w, cy + half_h, score,
                              (int32_t)id, NULL);
}

static nnd_status add_yolox_grid(nnd_candidates *list, const float *cells, size_t step,
                                 const grid *g, int stride)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const size_t columns = (size_t)g->columns, count = columns * (size_t)g->rows;
    for (size_t i = 0;; i++) {
        i = kernels->first_product_above(cells, step, i, count, list->options->score);
        if (i >= count) return NND_OK;
        NND_TRY(add_yolox_cell(list, cells + i * step, step - NND_CELL_CLASSES,
                               (double)(i % columns), (double)(i / columns), stride));
    }
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
    const int64_t step = output->dims[2], classes = step - NND_CELL_CLASSES;
    if (classes < 1 || classes > INT32_MAX)
        return nnd_error_set(NND_E_SHAPE, "output has %lld numbers per cell, expected 5 + classes",
                             (long long)step);
    const float *cell = output->data;
    for (size_t i = 0; i < stride_count; i++) {
        grid g;
        NND_TRY(make_grid(list, strides[i], &g));
        NND_TRY(add_yolox_grid(list, cell, (size_t)step, &g, strides[i]));
        cell += g.columns * g.rows * step;
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
