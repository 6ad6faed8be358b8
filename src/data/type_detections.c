/*
 * The value types "detections", "keypoints" and "tracks". Each holds one block of items (with the
 * points behind them) and one block of labels.
 */
#include <string.h>

#include "base/size.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

/* These structs go over the wire as they lie in memory. */
_Static_assert(sizeof(nnd_detection) == 40, "nnd_detection has padding");
_Static_assert(sizeof(nnd_point) == 12, "nnd_point has padding");

enum { MAX_POINTS_PER_ITEM = 1 << 16 };

/* A zeroed block of `count` items followed by count × points points; *points is NULL when there
   are none. */
static nnd_status alloc_items(size_t count, size_t item_size, int points_per_item, void **items,
                              nnd_point **points)
{
    if (points_per_item < 0 || points_per_item > MAX_POINTS_PER_ITEM) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%d points per item are outside 0…%d",
                             points_per_item, MAX_POINTS_PER_ITEM);
    }
    size_t head, tail, total, point_count = 0;
    if (!nnd_size_mul(count, item_size, &head) ||
        !nnd_size_mul(count, (size_t)points_per_item, &point_count) ||
        !nnd_size_mul(point_count, sizeof(nnd_point), &tail) || !nnd_size_add(head, tail, &total)) {
        return nnd_error_set(NND_E_OVERFLOW, "%zu items do not fit the address space", count);
    }
    *items = NULL;
    *points = NULL;
    if (total == 0) return NND_OK;
    char *block = nnd_calloc(1, total);
    if (!block) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu items", count);
    *items = block;
    if (point_count) *points = (nnd_point *)(void *)(block + head);
    return NND_OK;
}

static void copy_bytes(void *to, const void *from, size_t size)
{
    if (size && to) memcpy(to, from, size);
}

static const char *label_of(const char *const *labels, size_t count, int32_t index)
{
    return index >= 0 && (size_t)index < count ? labels[index] : NULL;
}

static void put_points(nnd_json_writer *w, const nnd_point *points, int32_t count)
{
    nnd_json_begin_array(w);
    for (int32_t i = 0; i < count; i++) {
        nnd_json_begin_array(w);
        nnd_json_put_float(w, points[i].x);
        nnd_json_put_float(w, points[i].y);
        if (points[i].score >= 0.0f) nnd_json_put_float(w, points[i].score);
        nnd_json_end_array(w);
    }
    nnd_json_end_array(w);
}

/* The members of one box, inside an open object. */
static void put_box(nnd_json_writer *w, const nnd_detection *d, const char *label)
{
    nnd_json_key(w, "box");
    nnd_json_begin_array(w);
    nnd_json_put_float(w, d->x1);
    nnd_json_put_float(w, d->y1);
    nnd_json_put_float(w, d->x2);
    nnd_json_put_float(w, d->y2);
    nnd_json_end_array(w);
    nnd_json_key(w, "score");
    nnd_json_put_float(w, d->score);
    if (d->class_id >= 0) {
        nnd_json_key(w, "class");
        nnd_json_put_int(w, d->class_id);
    }
    if (label) {
        nnd_json_key(w, "label");
        nnd_json_put_string(w, label);
    }
    if (d->track_id >= 0) {
        nnd_json_key(w, "track");
        nnd_json_put_int(w, d->track_id);
    }
}

static void put_source(nnd_json_writer *w, int32_t width, int32_t height)
{
    nnd_json_key(w, "source_width");
    nnd_json_put_int(w, width);
    nnd_json_key(w, "source_height");
    nnd_json_put_int(w, height);
}

/* Items as they lie in memory; the count is known to be right because the bytes are there. */
static nnd_status unpack_array(nnd_unpacker *u, size_t item_size, const void **items, size_t *count)
{
    size_t size;
    NND_TRY(nnd_unpack_bytes(u, items, &size));
    if (size % item_size != 0) {
        return nnd_unpack_fail(u, "%zu bytes are not whole items of %zu", size, item_size);
    }
    *count = size / item_size;
    return NND_OK;
}

static nnd_status unpack_source(nnd_unpacker *u, int32_t *width, int32_t *height)
{
    int64_t w, h;
    NND_TRY(nnd_unpack_u32_in(u, 0, INT32_MAX, "source width", &w));
    NND_TRY(nnd_unpack_u32_in(u, 0, INT32_MAX, "source height", &h));
    *width = (int32_t)w;
    *height = (int32_t)h;
    return NND_OK;
}

/* ---- detections ---- */

static void detections_destroy(void *payload)
{
    nnd_detections *d = payload;
    nnd_free(d->items);
    nnd_free(d->labels);
}

static nnd_status detections_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_detections *from = payload;
    nnd_detections *copy = to;
    void *items;
    NND_TRY(alloc_items(from->count, sizeof(nnd_detection), from->points_per_item, &items,
                        &copy->points));
    copy->items = items;
    copy->count = from->count;
    copy->points_per_item = from->points_per_item;
    copy->source_width = from->source_width;
    copy->source_height = from->source_height;
    copy_bytes(copy->items, from->items, from->count * sizeof(nnd_detection));
    if (copy->points) {
        copy_bytes(copy->points, from->points,
                   from->count * (size_t)from->points_per_item * sizeof(nnd_point));
    }
    NND_TRY(nnd_labels_copy(from->labels, from->label_count, &copy->labels));
    copy->label_count = from->label_count;
    return NND_OK;
}

static nnd_status detections_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_detections *d = payload;
    nnd_json_begin_object(w);
    put_source(w, d->source_width, d->source_height);
    nnd_json_key(w, "items");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < d->count; i++) {
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        put_box(w, &d->items[i], label_of(d->labels, d->label_count, d->items[i].label));
        if (d->points) {
            nnd_json_key(w, "points");
            put_points(w, d->points + i * (size_t)d->points_per_item, d->points_per_item);
        }
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u32 source size twice, u32 points per item, items and points as bytes, labels. */
static nnd_status detections_pack(const void *payload, nnd_packer *p)
{
    const nnd_detections *d = payload;
    size_t points = d->points ? d->count * (size_t)d->points_per_item : 0;
    nnd_pack_u32(p, (uint32_t)d->source_width);
    nnd_pack_u32(p, (uint32_t)d->source_height);
    nnd_pack_u32(p, (uint32_t)d->points_per_item);
    nnd_pack_bytes(p, d->items, d->count * sizeof(nnd_detection));
    nnd_pack_bytes(p, d->points, points * sizeof(nnd_point));
    return nnd_pack_labels(p, d->labels, d->label_count);
}

/* Consumers index labels with it, so it must be right. */
static bool label_index_fits(int32_t label, size_t count)
{
    return label == -1 || (label >= 0 && (size_t)label < count);
}

static nnd_status detections_unpack(void *payload, nnd_unpacker *u)
{
    nnd_detections *d = payload;
    const void *items, *points;
    void *block;
    size_t count = 0, point_count = 0;
    int64_t points_per_item = 0;
    NND_TRY(unpack_source(u, &d->source_width, &d->source_height));
    NND_TRY(nnd_unpack_u32_in(u, 0, MAX_POINTS_PER_ITEM, "points per item", &points_per_item));
    NND_TRY(unpack_array(u, sizeof(nnd_detection), &items, &count));
    NND_TRY(unpack_array(u, sizeof(nnd_point), &points, &point_count));
    if (point_count != count * (size_t)points_per_item) {
        return nnd_unpack_fail(u, "%zu detections cannot have %zu points", count, point_count);
    }
    NND_TRY(alloc_items(count, sizeof(nnd_detection), (int)points_per_item, &block, &d->points));
    d->items = block;
    d->count = count;
    d->points_per_item = (int32_t)points_per_item;
    copy_bytes(d->items, items, count * sizeof(nnd_detection));
    copy_bytes(d->points, points, point_count * sizeof(nnd_point));
    NND_TRY(nnd_unpack_labels(u, &d->labels, &d->label_count));
    for (size_t i = 0; i < count; i++) {
        if (!label_index_fits(d->items[i].label, d->label_count)) {
            return nnd_unpack_fail(u, "detection %zu has label %d of %zu", i, d->items[i].label,
                                   d->label_count);
        }
    }
    return NND_OK;
}

const nnd_value_type nnd_type_detections = {
    .struct_size = sizeof(nnd_value_type),
    .name = "detections",
    .payload_size = sizeof(nnd_detections),
    .destroy = detections_destroy,
    .clone = detections_clone,
    .to_json = detections_to_json,
    .preview = nnd_preview_detections,
    .pack = detections_pack,
    .unpack = detections_unpack,
};

nnd_status nnd_value_new_detections(size_t count, int points_per_item, const char *const *labels,
                                    size_t label_count, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_detections, &value));
    nnd_detections *d = (nnd_detections *)value->payload;
    void *items;
    nnd_status status =
        alloc_items(count, sizeof(nnd_detection), points_per_item, &items, &d->points);
    if (status == NND_OK) {
        d->items = items;
        status = nnd_labels_copy(labels, label_count, &d->labels);
    }
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    d->count = count;
    d->points_per_item = points_per_item;
    d->label_count = label_count;
    for (size_t i = 0; i < count; i++) {
        d->items[i].class_id = -1;
        d->items[i].track_id = -1;
        d->items[i].label = -1;
    }
    *out = value;
    return NND_OK;
}

/* ---- keypoints ---- */

static void keypoints_destroy(void *payload)
{
    nnd_free(((nnd_keypoints *)payload)->points);
}

static nnd_status make_keypoints(nnd_keypoints *k, size_t count, int points_per_item)
{
    void *block;
    nnd_point *points;
    NND_TRY(alloc_items(count, 0, points_per_item, &block, &points));
    k->count = count;
    k->points_per_item = points_per_item;
    k->points = points;
    return NND_OK;
}

static nnd_status keypoints_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_keypoints *from = payload;
    nnd_keypoints *copy = to;
    NND_TRY(make_keypoints(copy, from->count, from->points_per_item));
    copy->source_width = from->source_width;
    copy->source_height = from->source_height;
    copy_bytes(copy->points, from->points,
               from->count * (size_t)from->points_per_item * sizeof(nnd_point));
    return NND_OK;
}

static nnd_status keypoints_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_keypoints *k = payload;
    nnd_json_begin_object(w);
    put_source(w, k->source_width, k->source_height);
    nnd_json_key(w, "items");
    nnd_json_begin_array(w);
    nnd_json_set_inline(w, true);
    for (size_t i = 0; i < k->count; i++)
        put_points(w, k->points + i * (size_t)k->points_per_item, k->points_per_item);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u32 source size twice, u32 points per item, u64 count, points as bytes. */
static nnd_status keypoints_pack(const void *payload, nnd_packer *p)
{
    const nnd_keypoints *k = payload;
    nnd_pack_u32(p, (uint32_t)k->source_width);
    nnd_pack_u32(p, (uint32_t)k->source_height);
    nnd_pack_u32(p, (uint32_t)k->points_per_item);
    nnd_pack_u64(p, k->count);
    return nnd_pack_bytes(p, k->points, k->count * (size_t)k->points_per_item * sizeof(nnd_point));
}

static nnd_status keypoints_unpack(void *payload, nnd_unpacker *u)
{
    nnd_keypoints *k = payload;
    const void *points;
    size_t point_count = 0;
    uint64_t count;
    int64_t points_per_item;
    NND_TRY(unpack_source(u, &k->source_width, &k->source_height));
    NND_TRY(nnd_unpack_u32_in(u, 0, MAX_POINTS_PER_ITEM, "points per item", &points_per_item));
    NND_TRY(nnd_unpack_u64(u, &count));
    NND_TRY(unpack_array(u, sizeof(nnd_point), &points, &point_count));
    bool fits = points_per_item == 0 ? count == 0 && point_count == 0
                                     : point_count % (size_t)points_per_item == 0 &&
                                           point_count / (size_t)points_per_item == count;
    if (!fits) return nnd_unpack_fail(u, "keypoints do not have the points they claim");
    NND_TRY(make_keypoints(k, (size_t)count, (int)points_per_item));
    copy_bytes(k->points, points, point_count * sizeof(nnd_point));
    return NND_OK;
}

const nnd_value_type nnd_type_keypoints = {
    .struct_size = sizeof(nnd_value_type),
    .name = "keypoints",
    .payload_size = sizeof(nnd_keypoints),
    .destroy = keypoints_destroy,
    .clone = keypoints_clone,
    .to_json = keypoints_to_json,
    .preview = nnd_preview_keypoints,
    .pack = keypoints_pack,
    .unpack = keypoints_unpack,
};

nnd_status nnd_value_new_keypoints(size_t count, int points_per_item, nnd_value **out)
{
    if (count > 0 && points_per_item == 0) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%zu sets of no keypoints", count);
    }
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_keypoints, &value));
    nnd_status status = make_keypoints((nnd_keypoints *)value->payload, count, points_per_item);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- tracks ---- */

static void tracks_destroy(void *payload)
{
    nnd_tracks *t = payload;
    nnd_free(t->items);
    nnd_free(t->labels);
}

static nnd_status make_tracks(nnd_tracks *t, size_t count)
{
    void *items;
    nnd_point *points;
    NND_TRY(alloc_items(count, sizeof(nnd_track), 0, &items, &points));
    t->items = items;
    t->count = count;
    return NND_OK;
}

static nnd_status tracks_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_tracks *from = payload;
    nnd_tracks *copy = to;
    NND_TRY(make_tracks(copy, from->count));
    copy->source_width = from->source_width;
    copy->source_height = from->source_height;
    copy_bytes(copy->items, from->items, from->count * sizeof(nnd_track));
    NND_TRY(nnd_labels_copy(from->labels, from->label_count, &copy->labels));
    copy->label_count = from->label_count;
    return NND_OK;
}

static nnd_status tracks_to_json(const void *payload, nnd_json_writer *w)
{
    static const char *const states[] = {"tentative", "confirmed", "lost"};
    const nnd_tracks *t = payload;
    nnd_json_begin_object(w);
    put_source(w, t->source_width, t->source_height);
    nnd_json_key(w, "items");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < t->count; i++) {
        const nnd_track *track = &t->items[i];
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        nnd_json_key(w, "id");
        nnd_json_put_int(w, track->id);
        nnd_json_key(w, "state");
        nnd_json_put_string(w, (uint32_t)track->state < NND_COUNT(states) ? states[track->state]
                                                                          : "unknown");
        put_box(w, &track->box, label_of(t->labels, t->label_count, track->box.label));
        nnd_json_key(w, "age");
        nnd_json_put_int(w, track->age);
        nnd_json_key(w, "misses");
        nnd_json_put_int(w, track->misses);
        nnd_json_key(w, "velocity");
        nnd_json_begin_array(w);
        nnd_json_put_float(w, track->vx);
        nnd_json_put_float(w, track->vy);
        nnd_json_end_array(w);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u32 source size twice, u64 count, per track i64 id, box as bytes, i64 state, age,
   misses, f64 velocity twice; labels. */
static nnd_status tracks_pack(const void *payload, nnd_packer *p)
{
    const nnd_tracks *t = payload;
    nnd_pack_u32(p, (uint32_t)t->source_width);
    nnd_pack_u32(p, (uint32_t)t->source_height);
    nnd_pack_u64(p, t->count);
    for (size_t i = 0; i < t->count; i++) {
        const nnd_track *track = &t->items[i];
        nnd_pack_i64(p, track->id);
        nnd_pack_bytes(p, &track->box, sizeof(track->box));
        nnd_pack_i64(p, track->state);
        nnd_pack_i64(p, track->age);
        nnd_pack_i64(p, track->misses);
        nnd_pack_f64(p, (double)track->vx);
        nnd_pack_f64(p, (double)track->vy);
    }
    return nnd_pack_labels(p, t->labels, t->label_count);
}

static nnd_status unpack_i32(nnd_unpacker *u, int32_t *out)
{
    int64_t v;
    NND_TRY(nnd_unpack_i64(u, &v));
    if (v < INT32_MIN || v > INT32_MAX) return nnd_unpack_fail(u, "%lld is no int32", (long long)v);
    *out = (int32_t)v;
    return NND_OK;
}

static nnd_status unpack_track(nnd_unpacker *u, nnd_track *track)
{
    const void *box;
    size_t size;
    double vx, vy;
    NND_TRY(nnd_unpack_i64(u, &track->id));
    NND_TRY(nnd_unpack_bytes(u, &box, &size));
    if (size != sizeof(track->box)) return nnd_unpack_fail(u, "a track's box has %zu bytes", size);
    memcpy(&track->box, box, size); /* NOLINT: there is an item for each track */
    NND_TRY(unpack_i32(u, &track->state));
    NND_TRY(unpack_i32(u, &track->age));
    NND_TRY(unpack_i32(u, &track->misses));
    NND_TRY(nnd_unpack_f64(u, &vx));
    NND_TRY(nnd_unpack_f64(u, &vy));
    track->vx = (float)vx;
    track->vy = (float)vy;
    return NND_OK;
}

static nnd_status tracks_unpack(void *payload, nnd_unpacker *u)
{
    nnd_tracks *t = payload;
    uint64_t count;
    NND_TRY(unpack_source(u, &t->source_width, &t->source_height));
    NND_TRY(nnd_unpack_u64(u, &count));
    if (count > nnd_unpacker_left(u) / sizeof(nnd_track)) {
        return nnd_unpack_fail(u, "%llu tracks do not fit into %zu bytes",
                               (unsigned long long)count, nnd_unpacker_left(u));
    }
    NND_TRY(make_tracks(t, (size_t)count));
    for (size_t i = 0; i < t->count; i++)
        NND_TRY(unpack_track(u, &t->items[i]));
    NND_TRY(nnd_unpack_labels(u, &t->labels, &t->label_count));
    for (size_t i = 0; i < t->count; i++) {
        if (!label_index_fits(t->items[i].box.label, t->label_count)) {
            return nnd_unpack_fail(u, "track %zu has label %d of %zu", i, t->items[i].box.label,
                                   t->label_count);
        }
    }
    return NND_OK;
}

const nnd_value_type nnd_type_tracks = {
    .struct_size = sizeof(nnd_value_type),
    .name = "tracks",
    .payload_size = sizeof(nnd_tracks),
    .destroy = tracks_destroy,
    .clone = tracks_clone,
    .to_json = tracks_to_json,
    .preview = nnd_preview_tracks,
    .pack = tracks_pack,
    .unpack = tracks_unpack,
};

nnd_status nnd_value_new_tracks(size_t count, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_tracks, &value));
    nnd_tracks *t = (nnd_tracks *)value->payload;
    nnd_status status = make_tracks(t, count);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        t->items[i].id = -1; /* NOLINT: count items were allocated */
        t->items[i].box.class_id = -1;
        t->items[i].box.track_id = -1;
        t->items[i].box.label = -1;
    }
    *out = value;
    return NND_OK;
}

/* ---- labels ---- */

nnd_status nnd_value_set_labels(nnd_value *value, const char *const *labels, size_t label_count)
{
    const char ***slot;
    size_t *count;
    void *payload;
    if (nnd_value_detections(value)) {
        NND_TRY(nnd_value_edit_as(value, &nnd_type_detections, &payload));
        slot = &((nnd_detections *)payload)->labels;
        count = &((nnd_detections *)payload)->label_count;
    } else if (nnd_value_tracks(value)) {
        NND_TRY(nnd_value_edit_as(value, &nnd_type_tracks, &payload));
        slot = &((nnd_tracks *)payload)->labels;
        count = &((nnd_tracks *)payload)->label_count;
    } else {
        NND_TRY(nnd_value_edit_as(value, &nnd_type_mask, &payload));
        slot = &((nnd_mask *)payload)->labels;
        count = &((nnd_mask *)payload)->label_count;
    }
    const char **copy;
    NND_TRY(nnd_labels_copy(labels, label_count, &copy));
    nnd_free(*slot);
    *slot = copy;
    *count = label_count;
    return NND_OK;
}
