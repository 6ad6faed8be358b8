/*
 * Previews as text: detections, keypoints, tracks, classes, geometry, text, bytes, lists, records.
 */
#include <string.h>

#include "base/str.h"
#include "data/preview.h"
#include "data/value.h"

enum { MAX_LINES = 32, MAX_TEXT = 4096, MAX_HEX = 256 };

/* Hands the builder's text over as a value. */
static nnd_status finish(nnd_str *s, nnd_value **out)
{
    char *text;
    size_t size;
    nnd_status status = nnd_str_take(s, &text, &size);
    if (status != NND_OK) {
        nnd_str_free(s);
        return status;
    }
    status = nnd_value_new_text(text, size, out);
    nnd_free(text);
    return status;
}

static void add_more(nnd_str *s, size_t count)
{
    if (count > MAX_LINES) nnd_str_printf(s, "… and %zu more\n", count - MAX_LINES);
}

static void add_box(nnd_str *s, const nnd_detection *d, const char *const *labels, size_t count)
{
    if (d->label >= 0 && (size_t)d->label < count) {
        nnd_str_add(s, labels[d->label]);
    } else if (d->class_id >= 0) {
        nnd_str_printf(s, "class %d", d->class_id);
    } else {
        nnd_str_add(s, "object");
    }
    nnd_str_printf(s, " %.0f %%  (%.1f, %.1f) – (%.1f, %.1f)\n", (double)d->score * 100.0,
                   (double)d->x1, (double)d->y1, (double)d->x2, (double)d->y2);
}

nnd_status nnd_preview_detections(const void *payload, nnd_value **out)
{
    const nnd_detections *d = payload;
    nnd_str s = {0};
    nnd_str_printf(&s, "%zu detections in %dx%d\n", d->count, d->source_width, d->source_height);
    for (size_t i = 0; i < d->count && i < MAX_LINES; i++)
        add_box(&s, &d->items[i], d->labels, d->label_count);
    add_more(&s, d->count);
    return finish(&s, out);
}

nnd_status nnd_preview_keypoints(const void *payload, nnd_value **out)
{
    const nnd_keypoints *k = payload;
    nnd_str s = {0};
    nnd_str_printf(&s, "%zu sets of %d points in %dx%d\n", k->count, k->points_per_item,
                   k->source_width, k->source_height);
    size_t points = k->count * (size_t)k->points_per_item;
    for (size_t i = 0; i < points && i < MAX_LINES; i++)
        nnd_str_printf(&s, "(%.1f, %.1f)\n", (double)k->points[i].x, (double)k->points[i].y);
    add_more(&s, points);
    return finish(&s, out);
}

nnd_status nnd_preview_tracks(const void *payload, nnd_value **out)
{
    const nnd_tracks *t = payload;
    nnd_str s = {0};
    nnd_str_printf(&s, "%zu tracks in %dx%d\n", t->count, t->source_width, t->source_height);
    for (size_t i = 0; i < t->count && i < MAX_LINES; i++) {
        nnd_str_printf(&s, "#%lld ", (long long)t->items[i].id);
        add_box(&s, &t->items[i].box, t->labels, t->label_count);
    }
    add_more(&s, t->count);
    return finish(&s, out);
}

nnd_status nnd_preview_classes(const void *payload, nnd_value **out)
{
    const nnd_classes *classes = &((const nnd_classes_payload *)payload)->classes;
    nnd_str s = {0};
    for (size_t i = 0; i < classes->count && i < MAX_LINES; i++) {
        const nnd_class_score *item = &classes->items[i];
        nnd_str_printf(&s, "%5.1f %%  ", (double)item->score * 100.0);
        if (item->label) {
            nnd_str_printf(&s, "%s\n", item->label);
        } else {
            nnd_str_printf(&s, "class %d\n", item->class_id);
        }
    }
    add_more(&s, classes->count);
    if (classes->count == 0) nnd_str_add(&s, "no classes\n");
    return finish(&s, out);
}

nnd_status nnd_preview_geometry(const void *payload, nnd_value **out)
{
    const nnd_geometry *g = payload;
    nnd_str s = {0};
    nnd_str_printf(&s, "%dx%d from %dx%d\n[%g %g %g]\n[%g %g %g]\n", g->width, g->height,
                   g->source_width, g->source_height, g->m[0], g->m[1], g->m[2], g->m[3], g->m[4],
                   g->m[5]);
    return finish(&s, out);
}

nnd_status nnd_preview_text(const void *payload, nnd_value **out)
{
    const nnd_text *text = payload;
    if (text->size <= MAX_TEXT)
        return nnd_value_new_text(text->text ? text->text : "", text->size, out);
    nnd_str s = {0};
    nnd_str_add_n(&s, text->text, nnd_utf8_valid_prefix(text->text, MAX_TEXT));
    nnd_str_printf(&s, "… (%zu bytes)", text->size);
    return finish(&s, out);
}

nnd_status nnd_preview_bytes(const void *payload, nnd_value **out)
{
    const nnd_bytes_payload *bytes = payload;
    const uint8_t *data = bytes->data;
    nnd_str s = {0};
    nnd_str_printf(&s, "%zu bytes\n", bytes->size);
    for (size_t i = 0; i < bytes->size && i < MAX_HEX; i++)
        nnd_str_printf(&s, "%02x%c", data[i], i % 16 == 15 ? '\n' : ' ');
    if (bytes->size > MAX_HEX) nnd_str_add(&s, "…");
    return finish(&s, out);
}

/* One line about a value: its type and, where that is short, what is in it. */
static void add_summary(nnd_str *s, const nnd_value *value)
{
    char shape[128];
    const nnd_tensor *t = nnd_value_tensor(value);
    const nnd_image *image = nnd_value_image(value);
    const nnd_text *text = nnd_value_text(value);
    double number;
    if (t) {
        nnd_str_add(s, nnd_tensor_describe(t, shape, sizeof(shape)));
    } else if (image) {
        nnd_str_printf(s, "image %s %dx%d", nnd_pixel_format_name(image->format), image->width,
                       image->height);
    } else if (text) {
        nnd_str_add_quoted(s, text->text ? text->text : "", text->size, 64);
    } else if (nnd_value_as_float(value, &number)) {
        nnd_str_printf(s, "%.17g", number);
    } else {
        nnd_str_add(s, nnd_value_type_name(value));
    }
    nnd_str_add_char(s, '\n');
}

nnd_status nnd_preview_list(const void *payload, nnd_value **out)
{
    const nnd_list_payload *list = payload;
    nnd_str s = {0};
    nnd_str_printf(&s, "list of %zu\n", list->count);
    for (size_t i = 0; i < list->count && i < MAX_LINES; i++) {
        nnd_str_printf(&s, "%zu: ", i);
        add_summary(&s, list->items[i]);
    }
    add_more(&s, list->count);
    return finish(&s, out);
}

nnd_status nnd_preview_record(const void *payload, nnd_value **out)
{
    const nnd_map *map = &((const nnd_record_payload *)payload)->map;
    nnd_str s = {0};
    nnd_str_printf(&s, "record of %zu\n", map->count);
    for (size_t i = 0; i < map->count && i < MAX_LINES; i++) {
        nnd_str_add_quoted(&s, map->entries[i].key, strlen(map->entries[i].key), 64);
        nnd_str_add(&s, ": ");
        add_summary(&s, map->entries[i].value);
    }
    add_more(&s, map->count);
    return finish(&s, out);
}

/* Types without a picture or text of their own show their JSON. */
static nnd_status preview_json(const nnd_value *value, nnd_value **out)
{
    nnd_json_writer *w;
    NND_TRY(nnd_json_writer_create(0, &w));
    char *text = NULL;
    size_t size;
    nnd_status status = nnd_value_to_json(value, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    if (status == NND_OK) {
        nnd_text view = {.text = text, .size = size};
        status = nnd_preview_text(&view, out);
    }
    nnd_free(text);
    return status;
}

nnd_status nnd_value_preview(const nnd_value *value, nnd_value **out)
{
    if (!value) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no value to show");
    if ((value->header.flags & NND_VALUE_GAP) || !value->type->preview) {
        return preview_json(value, out);
    }
    return value->type->preview(nnd_value_data(value), out);
}
