/*
 * Values as JSON and from JSON. What to_json writes in full, from_json reads back.
 */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "data/dtype.h"
#include "data/value.h"

nnd_status nnd_value_to_json(const nnd_value *value, nnd_json_writer *w)
{
    if (!value || (value->header.flags & NND_VALUE_GAP)) {
        nnd_json_put_null(w);
        return NND_OK;
    }
    if (value->type->to_json) return value->type->to_json(nnd_value_data(value), w);
    nnd_json_begin_object(w);
    nnd_json_key(w, "type");
    nnd_json_put_string(w, value->type->name);
    nnd_json_end_object(w);
    return NND_OK;
}

/* ---- reading ---- */

/* A failure that names the place in the document. */
static nnd_status bad(const nnd_json *json, nnd_status status, const char *format, ...)
    NND_PRINTF(3, 4);
static nnd_status bad(const nnd_json *json, nnd_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    nnd_error_setv(status, format, args);
    va_end(args);
    nnd_error_set_place(NULL, nnd_json_line(json), nnd_json_column(json));
    return status;
}

static const char *type_word(const nnd_json *json)
{
    static const char *const words[] = {"null",     "a bool",   "a number",
                                        "a string", "an array", "an object"};
    return words[nnd_json_get_type(json)];
}

static nnd_status expect(const nnd_json *json, nnd_json_type type, const char *what)
{
    if (json && nnd_json_get_type(json) == type) return NND_OK;
    return bad(json, NND_E_TYPE, "%s expected, found %s", what, type_word(json));
}

static nnd_status read_float(const nnd_json *json, const char *what, float *out)
{
    NND_TRY(expect(json, NND_JSON_NUMBER, what));
    *out = (float)nnd_json_number(json, 0.0);
    return NND_OK;
}

/* An integer member within [low, high]; `fallback` when it is absent. */
static nnd_status read_int(const nnd_json *object, const char *key, int64_t low, int64_t high,
                           int64_t fallback, int64_t *out)
{
    const nnd_json *json = nnd_json_get(object, key);
    *out = fallback;
    if (!json) return NND_OK;
    if (!nnd_json_int(json, out) || *out < low || *out > high) {
        return bad(json, NND_E_TYPE, "'%s' must be an integer in %lld…%lld", key, (long long)low,
                   (long long)high);
    }
    return NND_OK;
}

/* ---- tensors ---- */

/* Shape of nested arrays, taken along the first elements; filling checks the rest. */
static nnd_status nested_shape(const nnd_json *json, int *rank, int64_t *dims)
{
    *rank = 0;
    while (nnd_json_get_type(json) == NND_JSON_ARRAY) {
        if (*rank == NND_MAX_RANK) {
            return bad(json, NND_E_SHAPE, "a tensor has at most %d dimensions", NND_MAX_RANK);
        }
        dims[(*rank)++] = (int64_t)nnd_json_count(json);
        json = nnd_json_at(json, 0);
    }
    return NND_OK;
}

static nnd_status read_element(const nnd_json *json, nnd_value *value, const nnd_tensor *t,
                               size_t index)
{
    if (t->dtype == NND_STRING) {
        NND_TRY(expect(json, NND_JSON_STRING, "a string"));
        return nnd_value_set_string(value, index, nnd_json_string(json, ""),
                                    nnd_json_string_size(json));
    }
    if (nnd_dtype_is_complex(t->dtype)) {
        nnd_dtype part = t->dtype == NND_C64 ? NND_F32 : NND_F64;
        NND_TRY(expect(json, NND_JSON_ARRAY, "a pair [real, imaginary]"));
        for (size_t i = 0; i < 2; i++) {
            NND_TRY(expect(nnd_json_at(json, i), NND_JSON_NUMBER, "a number"));
            nnd_dtype_set(part, t->data, index * 2 + i, nnd_json_number(nnd_json_at(json, i), 0.0));
        }
        return NND_OK;
    }
    int64_t integer;
    if ((t->dtype == NND_I64 || t->dtype == NND_U64) && nnd_json_int(json, &integer)) {
        if (t->dtype == NND_U64 && integer < 0) integer = 0;
        memcpy((char *)t->data + index * sizeof(integer), &integer, sizeof(integer));
        return NND_OK;
    }
    double number = 0.0;
    switch (nnd_json_get_type(json)) {
    case NND_JSON_NUMBER:
        number = nnd_json_number(json, 0.0);
        break;
    case NND_JSON_BOOL:
        number = nnd_json_bool(json, false) ? 1.0 : 0.0;
        break;
    case NND_JSON_NULL: /* how NaN is written */
        if (json) {
            number = (double)NAN;
            break;
        }
        return bad(json, NND_E_SHAPE, "an element of the tensor is missing");
    default:
        return bad(json, NND_E_TYPE, "a number expected, found %s", type_word(json));
    }
    nnd_dtype_set(t->dtype, t->data, index, number);
    return NND_OK;
}

/* Without a value only the shape is checked, so that memory is asked for what is really there. */
static nnd_status fill_nested(const nnd_json *json, nnd_value *value, const nnd_tensor *t, int axis,
                              size_t *index)
{
    if (axis == t->rank) {
        return value ? read_element(json, value, t, (*index)++) : NND_OK;
    }
    if (nnd_json_get_type(json) != NND_JSON_ARRAY ||
        nnd_json_count(json) != (size_t)t->dims[axis]) {
        return bad(json, NND_E_SHAPE, "a row of %lld elements expected at depth %d",
                   (long long)t->dims[axis], axis);
    }
    for (size_t i = 0; i < (size_t)t->dims[axis]; i++)
        NND_TRY(fill_nested(nnd_json_at(json, i), value, t, axis + 1, index));
    return NND_OK;
}

static nnd_status tensor_from_object(const nnd_json *json, nnd_value **out)
{
    const nnd_json *name = nnd_json_get(json, "dtype"), *shape = nnd_json_get(json, "shape");
    const nnd_json *data = nnd_json_get(json, "data");
    nnd_dtype dtype = nnd_dtype_from_name(nnd_json_string(name, "f32"));
    if (dtype == NND_DTYPE_INVALID) {
        return bad(name, NND_E_TYPE, "'%s' is not an element type", nnd_json_string(name, ""));
    }
    int64_t dims[NND_MAX_RANK];
    NND_TRY(expect(shape ? shape : json, NND_JSON_ARRAY, "a tensor with 'shape'"));
    size_t rank = nnd_json_count(shape);
    if (rank > NND_MAX_RANK) {
        return bad(shape, NND_E_SHAPE, "a tensor has at most %d dimensions", NND_MAX_RANK);
    }
    for (size_t i = 0; i < rank; i++)
        if (!nnd_json_int(nnd_json_at(shape, i), &dims[i]) || dims[i] < 0)
            return bad(nnd_json_at(shape, i), NND_E_SHAPE, "a dimension must be an integer from 0");
    NND_TRY(expect(data ? data : json, NND_JSON_ARRAY, "a tensor with all its 'data'"));
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, dtype, (int)rank, dims, NULL));
    if ((uint64_t)nnd_tensor_count(&t) != nnd_json_count(data)) {
        return bad(data, NND_E_SHAPE, "the shape has %lld elements, the data %zu",
                   (long long)nnd_tensor_count(&t), nnd_json_count(data));
    }
    nnd_value *value;
    NND_TRY(nnd_value_new_tensor(dtype, (int)rank, dims, &value));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(data) && status == NND_OK; i++)
        status = read_element(nnd_json_at(data, i), value, nnd_value_tensor(value), i);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status tensor_from_json(const nnd_json *json, nnd_value **out)
{
    if (nnd_json_get_type(json) == NND_JSON_OBJECT) return tensor_from_object(json, out);
    int rank;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nested_shape(json, &rank, dims));
    nnd_tensor shape;
    nnd_value *value;
    size_t index = 0;
    NND_TRY(nnd_tensor_init(&shape, NND_F32, rank, dims, NULL));
    NND_TRY(fill_nested(json, NULL, &shape, 0, &index));
    NND_TRY(nnd_value_new_tensor(NND_F32, rank, dims, &value));
    nnd_status status = fill_nested(json, value, nnd_value_tensor(value), 0, &index);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- detections, keypoints, tracks, classes, geometry ---- */

static nnd_status read_points(const nnd_json *json, nnd_point *points, int count)
{
    if (nnd_json_count(json) != (size_t)count) {
        return bad(json, NND_E_SHAPE, "%d points expected", count);
    }
    for (int i = 0; i < count; i++) {
        const nnd_json *point = nnd_json_at(json, (size_t)i);
        points[i].score = -1.0f;
        NND_TRY(read_float(nnd_json_at(point, 0), "x of a point", &points[i].x));
        NND_TRY(read_float(nnd_json_at(point, 1), "y of a point", &points[i].y));
        if (nnd_json_count(point) > 2) {
            NND_TRY(read_float(nnd_json_at(point, 2), "score of a point", &points[i].score));
        }
    }
    return NND_OK;
}

/* Distinct labels in the order in which they appear; borrowed from the document. */
typedef struct label_list {
    const char **items;
    size_t count;
} label_list;

static nnd_status collect_labels(const nnd_json *items, label_list *labels)
{
    size_t count = nnd_json_count(items);
    labels->count = 0;
    labels->items = nnd_calloc(count ? count : 1, sizeof(char *));
    if (!labels->items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    nnd_map seen = {0};
    nnd_status status = NND_OK;
    for (size_t i = 0; i < count && status == NND_OK; i++) {
        const char *label = nnd_json_string(nnd_json_get(nnd_json_at(items, i), "label"), NULL);
        if (!label || nnd_map_get(&seen, label)) continue;
        labels->items[labels->count++] = label;
        status = nnd_map_put(&seen, label, labels, NULL);
    }
    nnd_map_fini(&seen);
    return status;
}

static nnd_status read_box(const nnd_json *json, const label_list *labels, nnd_detection *d)
{
    NND_TRY(expect(json, NND_JSON_OBJECT, "an object with 'box'"));
    const nnd_json *box = nnd_json_get(json, "box");
    float *const corners[] = {&d->x1, &d->y1, &d->x2, &d->y2};
    int64_t id;
    for (size_t i = 0; i < NND_COUNT(corners); i++)
        NND_TRY(read_float(nnd_json_at(box, i), "'box' of four numbers", corners[i]));
    d->score = (float)nnd_json_number(nnd_json_get(json, "score"), 1.0);
    NND_TRY(read_int(json, "class", -1, INT32_MAX, -1, &id));
    d->class_id = (int32_t)id;
    NND_TRY(read_int(json, "track", -1, INT64_MAX, -1, &d->track_id));
    const char *label = nnd_json_string(nnd_json_get(json, "label"), NULL);
    for (size_t i = 0; label && i < labels->count; i++)
        if (strcmp(labels->items[i], label) == 0) d->label = (int32_t)i;
    return NND_OK;
}

static nnd_status read_source(const nnd_json *json, int32_t *width, int32_t *height)
{
    int64_t w, h;
    NND_TRY(read_int(json, "source_width", 0, INT32_MAX, 0, &w));
    NND_TRY(read_int(json, "source_height", 0, INT32_MAX, 0, &h));
    *width = (int32_t)w;
    *height = (int32_t)h;
    return NND_OK;
}

/* The items are in "items"; a bare array is taken as such. */
static nnd_status find_items(const nnd_json *json, const nnd_json **items)
{
    *items = nnd_json_get_type(json) == NND_JSON_OBJECT ? nnd_json_get(json, "items") : json;
    return expect(*items ? *items : json, NND_JSON_ARRAY, "an array of items");
}

static nnd_status fill_detections(const nnd_json *json, const nnd_json *items,
                                  const label_list *labels, nnd_detections *d)
{
    NND_TRY(read_source(json, &d->source_width, &d->source_height));
    for (size_t i = 0; i < d->count; i++) {
        const nnd_json *item = nnd_json_at(items, i);
        NND_TRY(read_box(item, labels, &d->items[i]));
        if (d->points) {
            NND_TRY(read_points(nnd_json_get(item, "points"),
                                d->points + i * (size_t)d->points_per_item, d->points_per_item));
        }
    }
    return NND_OK;
}

static nnd_status detections_from_json(const nnd_json *json, nnd_value **out)
{
    const nnd_json *items;
    label_list labels = {0};
    nnd_value *value = NULL;
    NND_TRY(find_items(json, &items));
    size_t points = nnd_json_count(nnd_json_get(nnd_json_at(items, 0), "points"));
    nnd_status status = collect_labels(items, &labels);
    if (status == NND_OK) {
        status = nnd_value_new_detections(nnd_json_count(items), (int)(points & INT32_MAX),
                                          labels.items, labels.count, &value);
    }
    if (status == NND_OK) status = fill_detections(json, items, &labels, nnd_value_edit(value));
    nnd_free(labels.items);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status keypoints_from_json(const nnd_json *json, nnd_value **out)
{
    const nnd_json *items;
    nnd_value *value;
    NND_TRY(find_items(json, &items));
    size_t points = nnd_json_count(nnd_json_at(items, 0));
    NND_TRY(nnd_value_new_keypoints(nnd_json_count(items), (int)(points & INT32_MAX), &value));
    nnd_keypoints *k = nnd_value_edit(value);
    nnd_status status = read_source(json, &k->source_width, &k->source_height);
    for (size_t i = 0; i < k->count && status == NND_OK; i++) {
        status = read_points(nnd_json_at(items, i), k->points + i * (size_t)k->points_per_item,
                             k->points_per_item);
    }
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status read_track(const nnd_json *json, const label_list *labels, nnd_track *track)
{
    int64_t v;
    NND_TRY(read_box(json, labels, &track->box));
    NND_TRY(read_int(json, "id", -1, INT64_MAX, -1, &track->id));
    const char *state = nnd_json_string(nnd_json_get(json, "state"), "confirmed");
    track->state = strcmp(state, "tentative") == 0 ? 0 : strcmp(state, "lost") == 0 ? 2 : 1;
    NND_TRY(read_int(json, "age", 0, INT32_MAX, 0, &v));
    track->age = (int32_t)v;
    NND_TRY(read_int(json, "misses", 0, INT32_MAX, 0, &v));
    track->misses = (int32_t)v;
    const nnd_json *velocity = nnd_json_get(json, "velocity");
    track->vx = (float)nnd_json_number(nnd_json_at(velocity, 0), 0.0);
    track->vy = (float)nnd_json_number(nnd_json_at(velocity, 1), 0.0);
    return NND_OK;
}

static nnd_status tracks_from_json(const nnd_json *json, nnd_value **out)
{
    const nnd_json *items;
    label_list labels = {0};
    nnd_value *value = NULL;
    NND_TRY(find_items(json, &items));
    nnd_status status = collect_labels(items, &labels);
    if (status == NND_OK) status = nnd_value_new_tracks(nnd_json_count(items), &value);
    if (status == NND_OK) status = nnd_value_set_labels(value, labels.items, labels.count);
    if (status == NND_OK) {
        nnd_tracks *t = nnd_value_edit(value);
        status = read_source(json, &t->source_width, &t->source_height);
        for (size_t i = 0; i < t->count && status == NND_OK; i++)
            status = read_track(nnd_json_at(items, i), &labels, &t->items[i]);
    }
    nnd_free(labels.items);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status classes_from_json(const nnd_json *json, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(expect(json, NND_JSON_ARRAY, "an array of classes"));
    NND_TRY(nnd_value_new_classes(nnd_json_count(json), &value));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(json) && status == NND_OK; i++) {
        const nnd_json *item = nnd_json_at(json, i);
        float score = 0.0f;
        int64_t id = -1;
        status = read_float(nnd_json_get(item, "score"), "'score' of a class", &score);
        if (status == NND_OK) status = read_int(item, "class", -1, INT32_MAX, -1, &id);
        if (status == NND_OK) {
            status = nnd_value_set_class(value, i, (int)id, score,
                                         nnd_json_string(nnd_json_get(item, "label"), NULL));
        }
    }
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status geometry_from_json(const nnd_json *json, nnd_value **out)
{
    nnd_geometry g = {0};
    int64_t v;
    NND_TRY(expect(json, NND_JSON_OBJECT, "an object with 'matrix'"));
    const nnd_json *matrix = nnd_json_get(json, "matrix");
    for (size_t i = 0; i < 6; i++) {
        const nnd_json *m = nnd_json_at(matrix, i);
        NND_TRY(expect(m ? m : json, NND_JSON_NUMBER, "'matrix' of six numbers"));
        g.m[i] = nnd_json_number(m, 0.0);
    }
    NND_TRY(read_source(json, &g.source_width, &g.source_height));
    NND_TRY(read_int(json, "width", 0, INT32_MAX, 0, &v));
    g.width = (int32_t)v;
    NND_TRY(read_int(json, "height", 0, INT32_MAX, 0, &v));
    g.height = (int32_t)v;
    return nnd_value_new_geometry(&g, out);
}

/* ---- scalars, text, bytes ---- */

static nnd_status bool_from_json(const nnd_json *json, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_BOOL, "a bool"));
    return nnd_value_new_bool(nnd_json_bool(json, false), out);
}

static nnd_status int_from_json(const nnd_json *json, nnd_value **out)
{
    int64_t v;
    if (!nnd_json_int(json, &v)) {
        return bad(json, NND_E_TYPE, "an integer expected, found %s", type_word(json));
    }
    return nnd_value_new_int(v, out);
}

static nnd_status float_from_json(const nnd_json *json, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_NUMBER, "a number"));
    return nnd_value_new_float(nnd_json_number(json, 0.0), out);
}

static nnd_status text_from_json(const nnd_json *json, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_STRING, "a string"));
    return nnd_value_new_text(nnd_json_string(json, ""), nnd_json_string_size(json), out);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static nnd_status bytes_from_json(const nnd_json *json, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_STRING, "a base64 string"));
    const char *text = nnd_json_string(json, "");
    size_t size = nnd_json_string_size(json), digits = size;
    while (digits > 0 && size - digits < 2 && text[digits - 1] == '=')
        digits--;
    uint8_t *bytes = nnd_alloc(size / 4 * 3 + 3);
    if (!bytes) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu bytes", size);
    size_t used = 0;
    uint32_t group = 0;
    bool valid = size % 4 == 0;
    for (size_t i = 0; i < digits && valid; i++) {
        int digit = base64_digit(text[i]);
        valid = digit >= 0;
        group = group << 6 | (uint32_t)(digit & 63);
        if (i % 4 != 0) bytes[used++] = (uint8_t)(group >> (6 - 2 * (i % 4)));
    }
    nnd_status status = valid ? nnd_value_new_bytes(bytes, used, out)
                              : bad(json, NND_E_FORMAT, "the string is not base64");
    nnd_free(bytes);
    return status;
}

/* ---- lists, records, any ---- */

static nnd_status any_from_json(const nnd_json *json, nnd_value **out);

static nnd_status list_from_json(const nnd_json *json, const char *item_type, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_ARRAY, "an array"));
    size_t count = nnd_json_count(json), made = 0;
    nnd_value **items = nnd_calloc(count ? count : 1, sizeof(items[0]));
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of %zu", count);
    nnd_status status = NND_OK;
    for (; made < count; made++) {
        status = nnd_value_from_json(nnd_json_at(json, made), item_type, &items[made]);
        if (status != NND_OK) break;
    }
    if (status == NND_OK) status = nnd_value_new_list(items, count, out);
    while (made > 0)
        nnd_value_unref(items[--made]);
    nnd_free(items);
    return status;
}

static nnd_status record_from_json(const nnd_json *json, nnd_value **out)
{
    NND_TRY(expect(json, NND_JSON_OBJECT, "an object"));
    nnd_value *record;
    NND_TRY(nnd_value_new_record(&record));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(json) && status == NND_OK; i++) {
        nnd_value *member = NULL;
        status = any_from_json(nnd_json_at(json, i), &member);
        if (status == NND_OK) {
            status = nnd_value_record_set(record, nnd_json_key_at(json, i), member);
        }
        nnd_value_unref(member);
    }
    if (status != NND_OK) {
        nnd_value_unref(record);
        return status;
    }
    *out = record;
    return NND_OK;
}

static nnd_status any_from_json(const nnd_json *json, nnd_value **out)
{
    int64_t integer;
    switch (nnd_json_get_type(json)) {
    case NND_JSON_BOOL:
        return bool_from_json(json, out);
    case NND_JSON_NUMBER:
        return nnd_json_int(json, &integer) ? nnd_value_new_int(integer, out)
                                            : float_from_json(json, out);
    case NND_JSON_STRING:
        return text_from_json(json, out);
    case NND_JSON_ARRAY:
        return list_from_json(json, "any", out);
    case NND_JSON_OBJECT:
        return record_from_json(json, out);
    default:
        return bad(json, NND_E_TYPE, "null is no value");
    }
}

static const struct {
    const char *name;
    nnd_status (*read)(const nnd_json *json, nnd_value **out);
} readers[] = {
    {"any", any_from_json},
    {"bool", bool_from_json},
    {"int", int_from_json},
    {"float", float_from_json},
    {"text", text_from_json},
    {"bytes", bytes_from_json},
    {"tensor", tensor_from_json},
    {"detections", detections_from_json},
    {"keypoints", keypoints_from_json},
    {"tracks", tracks_from_json},
    {"classes", classes_from_json},
    {"geometry", geometry_from_json},
    {"record", record_from_json},
};

/* Position of the first `|` outside of <>, or the length. */
static size_t alternative_size(const char *type)
{
    size_t i = 0;
    for (int depth = 0; type[i] && !(type[i] == '|' && depth == 0); i++)
        depth += (type[i] == '<') - (type[i] == '>');
    return i;
}

static nnd_status one_from_json(const nnd_json *json, const char *type, nnd_value **out)
{
    size_t size = strlen(type);
    if (nnd_str_starts_with(type, "list<") && type[size - 1] == '>') {
        char *item = nnd_strdup_n(type + 5, size - 6);
        if (!item) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a type name");
        nnd_status status = list_from_json(json, item, out);
        nnd_free(item);
        return status;
    }
    if (strcmp(type, "list") == 0) return list_from_json(json, "any", out);
    for (size_t i = 0; i < NND_COUNT(readers); i++)
        if (strcmp(readers[i].name, type) == 0) return readers[i].read(json, out);
    return bad(json, NND_E_UNSUPPORTED, "a value of type '%s' cannot be read from JSON", type);
}

nnd_status nnd_value_from_json(const nnd_json *json, const char *type, nnd_value **out)
{
    if (!json || !type) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no JSON or no type");
    for (;;) {
        size_t size = alternative_size(type);
        char *one = nnd_strdup_n(type, size);
        if (!one) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a type name");
        nnd_status status = one_from_json(json, one, out);
        nnd_free(one);
        if (status == NND_OK || type[size] == '\0') return status;
        type += size + 1;
    }
}
