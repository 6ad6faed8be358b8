/* One filled value of every built-in type, for tests that go through all of them. */
#ifndef NND_TEST_DATA_SAMPLES_H
#define NND_TEST_DATA_SAMPLES_H

#include "support/test.h"

#include "nndeploy/data.h"

#define SAMPLE_COUNT 24

static inline void sample_fill(void *data, size_t size)
{
    unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + 7);
}

static inline nnd_status sample_tensor(nnd_dtype dtype, nnd_value **out)
{
    const int64_t dims[] = {2, 3, 5};
    NND_TRY(nnd_value_new_tensor(dtype, 3, dims, out));
    const nnd_tensor *t = nnd_value_tensor(*out);
    for (size_t i = 0; i < 30; i++)
        nnd_dtype_set(dtype, t->data, i, (double)(i % 3));
    return NND_OK;
}

static inline nnd_status sample_strings(nnd_value **out)
{
    const int64_t dims[] = {3};
    NND_TRY(nnd_value_new_tensor(NND_STRING, 1, dims, out));
    nnd_status status = nnd_value_set_string(*out, 0, "first", SIZE_MAX);
    if (status == NND_OK) status = nnd_value_set_string(*out, 2, "with \xc3\xa9", SIZE_MAX);
    if (status != NND_OK) {
        nnd_value_unref(*out);
        *out = NULL;
    }
    return status;
}

static inline nnd_status sample_image(nnd_pixel_format format, nnd_dtype dtype, nnd_value **out)
{
    NND_TRY(nnd_value_new_image(format, dtype, 7, 5, out));
    nnd_buffer *buffer = nnd_value_buffer(*out);
    if (dtype == NND_F32) {
        for (size_t i = 0; i < nnd_buffer_size(buffer) / 4; i++)
            ((float *)nnd_buffer_data(buffer))[i] = (float)i / 256.0f;
    } else {
        sample_fill(nnd_buffer_data(buffer), nnd_buffer_size(buffer));
    }
    return NND_OK;
}

static inline nnd_status sample_detections(nnd_value **out)
{
    static const char *const labels[] = {"face", "hand"};
    NND_TRY(nnd_value_new_detections(3, 2, labels, 2, out));
    nnd_detections *d = nnd_value_edit(*out);
    d->source_width = 640;
    d->source_height = 480;
    for (size_t i = 0; i < 3; i++) {
        float at = (float)i * 10.0f;
        d->items[i].x1 = at;
        d->items[i].y1 = at + 1.0f;
        d->items[i].x2 = at + 20.5f;
        d->items[i].y2 = at + 21.5f;
        d->items[i].score = 0.9f - (float)i * 0.1f;
        d->items[i].class_id = (int32_t)i;
        d->items[i].label = i < 2 ? (int32_t)i : -1;
        for (size_t k = 0; k < 2; k++)
            d->points[i * 2 + k] = (nnd_point){at + (float)k, at, k ? 0.5f : -1.0f};
    }
    return NND_OK;
}

static inline nnd_status sample_tracks(nnd_value **out)
{
    static const char *const labels[] = {"car"};
    NND_TRY(nnd_value_new_tracks(2, out));
    nnd_status status = nnd_value_set_labels(*out, labels, 1);
    if (status != NND_OK) {
        nnd_value_unref(*out);
        *out = NULL;
        return status;
    }
    nnd_tracks *t = nnd_value_edit(*out);
    t->items[0].id = 17;
    t->items[0].box = (nnd_detection){1, 2, 3, 4, 0.5f, 2, 17, 0, 0};
    t->items[0].state = 1;
    t->items[0].age = 9;
    t->items[0].vx = 0.25f;
    t->items[1].state = 2;
    t->items[1].misses = 3;
    return NND_OK;
}

static inline nnd_status sample_mask(nnd_value **out)
{
    static const char *const labels[] = {"background", "cat"};
    NND_TRY(nnd_value_new_mask(NND_U8, false, 9, 4, out));
    sample_fill(nnd_buffer_data(nnd_value_buffer(*out)), 36);
    nnd_status status = nnd_value_set_labels(*out, labels, 2);
    if (status != NND_OK) {
        nnd_value_unref(*out);
        *out = NULL;
    }
    return status;
}

static inline nnd_status sample_classes(nnd_value **out)
{
    NND_TRY(nnd_value_new_classes(2, out));
    nnd_status status = nnd_value_set_class(*out, 0, 3, 0.75f, "tabby");
    if (status == NND_OK) status = nnd_value_set_class(*out, 1, 5, 0.25f, NULL);
    if (status != NND_OK) {
        nnd_value_unref(*out);
        *out = NULL;
    }
    return status;
}

static inline nnd_status sample_text(nnd_value **out)
{
    static const int32_t tokens[] = {1, 2, 30000};
    NND_TRY(nnd_value_new_text("gr\xc3\xbc\xc3\x9f dich", SIZE_MAX, out));
    nnd_status status = nnd_value_set_tokens(*out, tokens, 3);
    if (status != NND_OK) {
        nnd_value_unref(*out);
        *out = NULL;
        return status;
    }
    nnd_text *text = nnd_value_edit(*out);
    text->request_id = 42;
    text->finish = NND_FINISH_STOP;
    text->is_delta = true;
    return NND_OK;
}

static inline nnd_status sample_container(bool record, nnd_value **out)
{
    nnd_value *items[2] = {NULL, NULL};
    nnd_status status = nnd_value_new_int(5, &items[0]);
    if (status == NND_OK) status = sample_tensor(NND_F32, &items[1]);
    if (status == NND_OK && !record) status = nnd_value_new_list(items, 2, out);
    if (status == NND_OK && record) {
        status = nnd_value_new_record(out);
        if (status == NND_OK) {
            status = nnd_value_record_set(*out, "number", items[0]);
            if (status == NND_OK) status = nnd_value_record_set(*out, "tensor", items[1]);
            if (status != NND_OK) nnd_value_unref(*out);
        }
    }
    nnd_value_unref(items[0]);
    nnd_value_unref(items[1]);
    return status;
}

static inline nnd_status sample_other(size_t index, nnd_value **out)
{
    nnd_geometry g;
    nnd_header header = {.pts = 5, .sequence = 8, .flags = NND_VALUE_GAP};
    switch (index) {
    case 15:
        nnd_geometry_identity(&g, 320, 240);
        return nnd_value_new_geometry(&g, out);
    case 16:
        return nnd_value_new_bool(true, out);
    case 17:
        return nnd_value_new_int(-9007199254740993, out);
    case 18:
        return nnd_value_new_float(0.1, out);
    case 19:
        return nnd_value_new_bytes("\0\1\2\377", 4, out);
    case 20:
        return sample_container(false, out);
    case 21:
        return sample_container(true, out);
    case 22:
        return nnd_value_new_gap(&header, out);
    default:
        return nnd_value_new_list(NULL, 0, out);
    }
}

/* Value number `index`; on failure (no memory) *out is not to be used. */
static inline nnd_status sample_make(size_t index, nnd_value **out)
{
    switch (index) {
    case 0:
        return sample_tensor(NND_F32, out);
    case 1:
        return sample_tensor(NND_U2, out);
    case 2:
        return sample_tensor(NND_C128, out);
    case 3:
        return sample_strings(out);
    case 4:
        return sample_image(NND_PIX_RGB, NND_U8, out);
    case 5:
        return sample_image(NND_PIX_NV12, NND_U8, out);
    case 6:
        return sample_image(NND_PIX_I420, NND_U8, out);
    case 7:
        return sample_image(NND_PIX_BGRA, NND_F32, out);
    case 8: {
        NND_TRY(nnd_value_new_audio(NND_I16, 16000, 2, 100, out));
        sample_fill(nnd_value_audio(*out)->data, 400);
        return NND_OK;
    }
    case 9:
        return sample_detections(out);
    case 10: {
        NND_TRY(nnd_value_new_keypoints(2, 3, out));
        nnd_keypoints *k = nnd_value_edit(*out);
        for (int i = 0; i < 6; i++)
            k->points[i] = (nnd_point){(float)i, 2.0f, 0.5f};
        return NND_OK;
    }
    case 11:
        return sample_tracks(out);
    case 12:
        return sample_mask(out);
    case 13:
        return sample_classes(out);
    case 14:
        return sample_text(out);
    default:
        return sample_other(index, out);
    }
}

/* Two values are equal when they pack to the same bytes. */
static inline void assert_same_value(const nnd_value *a, const nnd_value *b)
{
    void *pa, *pb;
    size_t na, nb;
    assert_ok(nnd_value_pack(a, &pa, &na));
    assert_ok(nnd_value_pack(b, &pb, &nb));
    assert_int_equal(na, nb);
    assert_memory_equal(pa, pb, na);
    nnd_free(pa);
    nnd_free(pb);
}

#endif
