/*
 * The value type "classes": the result of a classifier.
 */
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

static void classes_destroy(void *payload)
{
    nnd_classes_payload *p = payload;
    for (size_t i = 0; i < p->capacity; i++)
        nnd_free((char *)p->classes.items[i].label);
    nnd_free(p->classes.items);
}

static nnd_status make_classes(nnd_classes_payload *p, size_t count)
{
    p->classes.items = count ? nnd_calloc(count, sizeof(p->classes.items[0])) : NULL;
    if (count && !p->classes.items) {
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu classes", count);
    }
    p->classes.count = p->capacity = count;
    for (size_t i = 0; i < count; i++)
        p->classes.items[i].class_id = -1;
    return NND_OK;
}

static nnd_status set_class(nnd_class_score *item, int class_id, float score, const char *label)
{
    char *copy = nnd_strdup(label);
    if (label && !copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a label");
    nnd_free((char *)item->label);
    *item = (nnd_class_score){class_id, score, copy};
    return NND_OK;
}

static nnd_status classes_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_classes *from = &((const nnd_classes_payload *)payload)->classes;
    nnd_classes_payload *copy = to;
    NND_TRY(make_classes(copy, from->count));
    for (size_t i = 0; i < from->count; i++) {
        const nnd_class_score *item = &from->items[i];
        NND_TRY(set_class(&copy->classes.items[i], item->class_id, item->score, item->label));
    }
    return NND_OK;
}

static nnd_status classes_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_classes *classes = &((const nnd_classes_payload *)payload)->classes;
    nnd_json_begin_array(w);
    for (size_t i = 0; i < classes->count; i++) {
        const nnd_class_score *item = &classes->items[i];
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        nnd_json_key(w, "class");
        nnd_json_put_int(w, item->class_id);
        nnd_json_key(w, "score");
        nnd_json_put_float(w, item->score);
        if (item->label) {
            nnd_json_key(w, "label");
            nnd_json_put_string(w, item->label);
        }
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return NND_OK;
}

/* Payload: u64 count, per class i64 id, f64 score, string label. */
static nnd_status classes_pack(const void *payload, nnd_packer *p)
{
    const nnd_classes *classes = &((const nnd_classes_payload *)payload)->classes;
    nnd_pack_u64(p, classes->count);
    for (size_t i = 0; i < classes->count; i++) {
        nnd_pack_i64(p, classes->items[i].class_id);
        nnd_pack_f64(p, (double)classes->items[i].score);
        nnd_pack_string(p, classes->items[i].label);
    }
    return p->status;
}

static nnd_status classes_unpack(void *payload, nnd_unpacker *u)
{
    nnd_classes_payload *p = payload;
    uint64_t count;
    NND_TRY(nnd_unpack_u64(u, &count));
    if (count > nnd_unpacker_left(u) / sizeof(nnd_class_score)) {
        return nnd_unpack_fail(u, "%llu classes do not fit into %zu bytes",
                               (unsigned long long)count, nnd_unpacker_left(u));
    }
    NND_TRY(make_classes(p, (size_t)count));
    for (size_t i = 0; i < p->capacity; i++) {
        nnd_class_score *item = &p->classes.items[i];
        int64_t class_id;
        double score;
        char *label;
        NND_TRY(nnd_unpack_i64(u, &class_id));
        if (class_id < INT32_MIN || class_id > INT32_MAX) {
            return nnd_unpack_fail(u, "class id %lld is no int32", (long long)class_id);
        }
        NND_TRY(nnd_unpack_f64(u, &score));
        NND_TRY(nnd_unpack_string(u, &label));
        *item = (nnd_class_score){(int32_t)class_id, (float)score, label};
    }
    return NND_OK;
}

const nnd_value_type nnd_type_classes = {
    .struct_size = sizeof(nnd_value_type),
    .name = "classes",
    .payload_size = sizeof(nnd_classes_payload),
    .destroy = classes_destroy,
    .clone = classes_clone,
    .to_json = classes_to_json,
    .preview = nnd_preview_classes,
    .pack = classes_pack,
    .unpack = classes_unpack,
};

nnd_status nnd_value_new_classes(size_t count, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_classes, &value));
    nnd_status status = make_classes((nnd_classes_payload *)value->payload, count);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

nnd_status nnd_value_set_class(nnd_value *classes, size_t index, int class_id, float score,
                               const char *label)
{
    void *payload;
    NND_TRY(nnd_value_edit_as(classes, &nnd_type_classes, &payload));
    nnd_classes_payload *p = payload;
    if (index >= p->capacity) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "class %zu of %zu", index, p->capacity);
    }
    return set_class(&p->classes.items[index], class_id, score, label);
}
