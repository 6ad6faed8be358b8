/*
 * Connected components in two passes: provisional labels with a union-find forest whose roots are
 * the smallest labels (Rosenfeld & Pfaltz 1966), then final numbers and statistics.
 */
#include <string.h>

#include "ops/ops_common.h"

/* Unions keep the smaller label as root, so that a root is where a scan first met the group. */
typedef struct forest {
    int32_t *parent;
    int32_t count, capacity; /* label 0 is the background */
} forest;

static bool forest_add(forest *f, int32_t *label)
{
    if (f->count == f->capacity) {
        const int32_t capacity = f->capacity < 512 ? 1024 : f->capacity * 2;
        int32_t *grown = nnd_realloc(f->parent, (size_t)capacity * sizeof(int32_t));
        if (!grown) return false;
        f->parent = grown;
        f->capacity = capacity;
    }
    f->parent[f->count] = f->count;
    *label = f->count++;
    return true;
}

static int32_t forest_find(forest *f, int32_t label)
{
    while (f->parent[label] != label) {
        f->parent[label] = f->parent[f->parent[label]]; /* halves the path */
        label = f->parent[label];
    }
    return label;
}

static int32_t forest_join(forest *f, int32_t a, int32_t b)
{
    a = forest_find(f, a);
    b = forest_find(f, b);
    if (a < b)
        f->parent[b] = a;
    else
        f->parent[a] = b;
    return a < b ? a : b;
}

/* The label of pixel x from its neighbours that were seen before; 0 = none of them is set. */
static int32_t neighbour_label(forest *f, const int32_t *row, const int32_t *above, int x,
                               int width, bool diagonal)
{
    int32_t label = x > 0 ? row[x - 1] : 0;
    if (!above) return label;
    const int first = diagonal && x > 0 ? x - 1 : x, last = diagonal && x + 1 < width ? x + 1 : x;
    for (int k = first; k <= last; k++) {
        if (!above[k]) continue;
        label = label ? forest_join(f, label, above[k]) : above[k];
    }
    return label;
}

static nnd_status label_rows(forest *f, const nnd_image *src, int32_t *labels, bool diagonal)
{
    const size_t width = (size_t)src->width;
    for (int y = 0; y < src->height; y++) {
        const uint8_t *in = nnd_ops_row(src, 0, y);
        int32_t *row = labels + (size_t)y * width;
        const int32_t *above = y > 0 ? row - width : NULL;
        for (int x = 0; x < src->width; x++) {
            row[x] = 0;
            if (!in[x]) continue;
            row[x] = neighbour_label(f, row, above, x, src->width, diagonal);
            if (row[x] == 0 && !forest_add(f, &row[x]))
                return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
        }
    }
    return NND_OK;
}

/* Replaces parents by final numbers 1 … count; a parent is never greater than its child. */
static int32_t number_roots(forest *f)
{
    int32_t count = 0;
    for (int32_t i = 1; i < f->count; i++)
        f->parent[i] = f->parent[i] == i ? ++count : f->parent[f->parent[i]];
    return count;
}

static void add_pixel(nnd_component *c, int x, int y)
{
    if (c->area == 0) {
        c->box = (nnd_rect){x, y, 1, 1};
    } else {
        const int right = c->box.x + c->box.width;
        if (x < c->box.x) {
            c->box.width = right - x;
            c->box.x = x;
        } else if (x >= right) {
            c->box.width = x + 1 - c->box.x;
        }
        c->box.height = y + 1 - c->box.y;
    }
    c->area++;
    c->cx += x + 0.5;
    c->cy += y + 0.5;
}

static void collect(const forest *f, const nnd_image *src, int32_t *labels, nnd_component *list,
                    int32_t count)
{
    int32_t *label = labels;
    for (int y = 0; y < src->height; y++) {
        for (int x = 0; x < src->width; x++, label++) {
            if (!*label) continue;
            *label = f->parent[*label];
            add_pixel(&list[*label - 1], x, y);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        list[i].cx /= list[i].area;
        list[i].cy /= list[i].area;
    }
}

static nnd_status find_components(const nnd_image *src, const nnd_components_options *options,
                                  int32_t *labels, nnd_component **list, size_t *count)
{
    forest f = {NULL, 0, 0};
    int32_t background, found;
    nnd_status status = NND_OK;
    if (!forest_add(&f, &background))
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    if (status == NND_OK) status = label_rows(&f, src, labels, options->connectivity == 8);
    if (status == NND_OK) {
        found = number_roots(&f);
        *list = NULL;
        if (found > options->max_components)
            status = nnd_error_set(NND_E_LIMIT, "%d connected components, at most %d are allowed",
                                   (int)found, options->max_components);
        else if (!(*list = nnd_calloc((size_t)found + 1, sizeof(nnd_component))))
            status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %d components", (int)found);
        else {
            collect(&f, src, labels, *list, found);
            *count = (size_t)found;
        }
    }
    nnd_free(f.parent);
    return status;
}

static nnd_status check_labels(const nnd_tensor *labels, const nnd_image *src)
{
    char text[128];
    if (labels->dtype != NND_I32)
        return nnd_error_set(NND_E_TYPE, "labels are i32, not %s", nnd_dtype_name(labels->dtype));
    if (labels->rank != 2 || labels->dims[0] != src->height || labels->dims[1] != src->width ||
        !nnd_tensor_is_dense(labels))
        return nnd_error_set(NND_E_SHAPE,
                             "labels of a %d x %d picture need a dense i32[%d,%d], not %s",
                             (int)src->width, (int)src->height, (int)src->height, (int)src->width,
                             nnd_tensor_describe(labels, text, sizeof(text)));
    if (!labels->data)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "labels are not in host memory");
    return NND_OK;
}

nnd_status nnd_image_components(const nnd_image *src, const nnd_components_options *options,
                                nnd_tensor *labels, nnd_component **list, size_t *count)
{
    const nnd_components_options defaults = NND_COMPONENTS_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_components_options);
    NND_TRY(nnd_ops_check_image(src, "components"));
    if (!list || !count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "components: no place for the list");
    if (src->format != NND_PIX_GRAY || src->dtype != NND_U8)
        return nnd_error_set(NND_E_TYPE, "components of gray u8 images only, not %s %s",
                             nnd_pixel_format_name(src->format), nnd_dtype_name(src->dtype));
    if (options->connectivity != 4 && options->connectivity != 8)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "connectivity is %d, expected 4 or 8",
                             options->connectivity);
    if ((int64_t)src->width * src->height > INT32_MAX / 2)
        return nnd_error_set(NND_E_LIMIT, "components: %d x %d pixels are too many",
                             (int)src->width, (int)src->height);
    if (labels) {
        NND_TRY(check_labels(labels, src));
        return find_components(src, options, labels->data, list, count);
    }
    int32_t *own = nnd_calloc((size_t)src->width * (size_t)src->height, sizeof(int32_t));
    if (!own) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a label per pixel");
    const nnd_status status = find_components(src, options, own, list, count);
    nnd_free(own);
    return status;
}
