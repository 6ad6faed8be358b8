#include "ops/detect/candidates.h"

#include <math.h>
#include <stdio.h>

#include "ops/detect/rank.h"

nnd_status nnd_detect_check_tensor(const nnd_tensor *t, const char *name, int64_t rows,
                                   int64_t columns)
{
    char have[96];
    if (!t) return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: no tensor", name);
    if (t->dtype != NND_F32)
        return nnd_error_set(NND_E_TYPE, "%s is %s, expected f32", name,
                             nnd_tensor_describe(t, have, sizeof(have)));
    if (t->rank != 3 || t->dims[0] != 1 || (rows >= 0 && t->dims[1] != rows) ||
        (columns >= 0 && t->dims[2] != columns)) {
        char want_rows[24] = "N", want_columns[24] = "C";
        if (rows >= 0) snprintf(want_rows, sizeof(want_rows), "%lld", (long long)rows);
        if (columns >= 0) snprintf(want_columns, sizeof(want_columns), "%lld", (long long)columns);
        return nnd_error_set(NND_E_SHAPE, "%s is %s, expected f32[1,%s,%s]", name,
                             nnd_tensor_describe(t, have, sizeof(have)), want_rows, want_columns);
    }
    if (!nnd_tensor_is_dense(t))
        return nnd_error_set(NND_E_SHAPE, "%s is strided, copy it to a dense tensor first", name);
    if (!t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s is not in host memory", name);
    return NND_OK;
}

nnd_status nnd_candidates_open(nnd_candidates *list, const nnd_decode_boxes_options *options,
                               int points_per_item)
{
    static const nnd_decode_boxes_options defaults = NND_DECODE_BOXES_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_decode_boxes_options);
    if (options->max_candidates < 0 || isnan(options->score))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "score must be a number and max_candidates not negative");
    if (options->label_count && !options->labels)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "label_count without labels");
    const nnd_geometry *g = options->geometry;
    const int32_t width = options->width > 0 ? options->width : g ? g->width : 0;
    const int32_t height = options->height > 0 ? options->height : g ? g->height : 0;
    if (width < 1 || height < 1)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the size of the model's picture is missing: set width and height or "
                             "pass the geometry of the preprocessing");
    *list = (nnd_candidates){
        .options = options, .width = width, .height = height, .points_per_item = points_per_item};
    if (g)
        list->geometry = *g;
    else
        nnd_geometry_identity(&list->geometry, width, height);
    return NND_OK;
}

static double clip(double v, double high)
{
    return v < 0 ? 0 : v > high ? high : v;
}

/* The upright box around the mapped corners, clipped to the source. false: nothing is left. */
static bool map_box(const nnd_candidates *list, const double box[4], nnd_candidate *to)
{
    double low_x = INFINITY, low_y = INFINITY, high_x = -INFINITY, high_y = -INFINITY;
    for (int corner = 0; corner < 4; corner++) {
        double x, y;
        nnd_geometry_to_source(&list->geometry, box[corner & 1 ? 2 : 0], box[corner & 2 ? 3 : 1],
                               &x, &y);
        if (!isfinite(x) || !isfinite(y)) return false;
        low_x = fmin(low_x, x);
        high_x = fmax(high_x, x);
        low_y = fmin(low_y, y);
        high_y = fmax(high_y, y);
    }
    to->x1 = (float)clip(low_x, list->geometry.source_width);
    to->x2 = (float)clip(high_x, list->geometry.source_width);
    to->y1 = (float)clip(low_y, list->geometry.source_height);
    to->y2 = (float)clip(high_y, list->geometry.source_height);
    return to->x1 < to->x2 && to->y1 < to->y2;
}

static nnd_status grow(nnd_candidates *list)
{
    if (list->count < list->capacity) return NND_OK;
    const size_t capacity = list->capacity ? list->capacity * 2 : 64;
    nnd_candidate *items = capacity > SIZE_MAX / sizeof(*items)
                               ? NULL
                               : nnd_realloc(list->items, capacity * sizeof(*items));
    if (!items)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu candidate boxes", capacity);
    list->items = items;
    list->capacity = capacity;
    return NND_OK;
}

nnd_status nnd_candidates_add(nnd_candidates *list, double x1, double y1, double x2, double y2,
                              float score, int32_t class_id, const nnd_point *points)
{
    nnd_candidate item = {.score = score, .class_id = class_id};
    if (!map_box(list, (const double[4]){x1, y1, x2, y2}, &item)) return NND_OK;
    for (int i = 0; i < list->points_per_item; i++) {
        double x, y;
        nnd_geometry_to_source(&list->geometry, points[i].x, points[i].y, &x, &y);
        item.points[i] = (nnd_point){(float)x, (float)y, points[i].score};
    }
    NND_TRY(grow(list));
    list->items[list->count++] = item;
    return NND_OK;
}

static void fill_item(nnd_detections *to, size_t at, const nnd_candidate *from)
{
    nnd_detection *d = &to->items[at];
    d->x1 = from->x1;
    d->y1 = from->y1;
    d->x2 = from->x2;
    d->y2 = from->y2;
    d->score = from->score;
    d->class_id = from->class_id;
    d->label =
        from->class_id >= 0 && (size_t)from->class_id < to->label_count ? from->class_id : -1;
    for (int i = 0; i < to->points_per_item; i++)
        to->points[at * (size_t)to->points_per_item + (size_t)i] = from->points[i];
}

static nnd_status make_value(const nnd_candidates *list, nnd_value **out)
{
    const nnd_decode_boxes_options *o = list->options;
    nnd_ranked *order = nnd_alloc((list->count + 1) * sizeof(*order));
    if (!order) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to sort boxes");
    for (size_t i = 0; i < list->count; i++)
        order[i] = (nnd_ranked){list->items[i].score, i};
    nnd_ranked_sort(order, list->count);
    size_t kept = list->count;
    if (o->max_candidates > 0 && kept > (uint64_t)o->max_candidates)
        kept = (size_t)o->max_candidates;
    nnd_value *value;
    const nnd_status status =
        nnd_value_new_detections(kept, list->points_per_item, o->labels, o->label_count, &value);
    if (status == NND_OK) {
        nnd_detections *d = nnd_value_edit(value);
        d->source_width = list->geometry.source_width;
        d->source_height = list->geometry.source_height;
        for (size_t i = 0; i < kept; i++)
            fill_item(d, i, &list->items[order[i].index]);
        *out = value;
    }
    nnd_free(order);
    return status;
}

nnd_status nnd_candidates_close(nnd_candidates *list, nnd_status status, nnd_value **out)
{
    if (status == NND_OK) status = make_value(list, out);
    nnd_free(list->items);
    list->items = NULL;
    return status;
}
