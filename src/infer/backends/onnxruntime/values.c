/* Values of ours as values of the library and back. */
#include "infer/backends/onnxruntime/ort.h"

#include <limits.h>
#include <string.h>

static const nnd_dtype dtypes[NND_ORT_ELEMENT_COUNT] = {
    [NND_ORT_F32] = NND_F32,
    [NND_ORT_U8] = NND_U8,
    [NND_ORT_I8] = NND_I8,
    [NND_ORT_U16] = NND_U16,
    [NND_ORT_I16] = NND_I16,
    [NND_ORT_I32] = NND_I32,
    [NND_ORT_I64] = NND_I64,
    [NND_ORT_STRING] = NND_STRING,
    [NND_ORT_BOOL] = NND_BOOL,
    [NND_ORT_F16] = NND_F16,
    [NND_ORT_F64] = NND_F64,
    [NND_ORT_U32] = NND_U32,
    [NND_ORT_U64] = NND_U64,
    [NND_ORT_C64] = NND_C64,
    [NND_ORT_C128] = NND_C128,
    [NND_ORT_BF16] = NND_BF16,
    [NND_ORT_F8E4M3FN] = NND_F8E4M3FN,
    [NND_ORT_F8E4M3FNUZ] = NND_F8E4M3FNUZ,
    [NND_ORT_F8E5M2] = NND_F8E5M2,
    [NND_ORT_F8E5M2FNUZ] = NND_F8E5M2FNUZ,
    [NND_ORT_U4] = NND_U4,
    [NND_ORT_I4] = NND_I4,
    [NND_ORT_F4E2M1] = NND_F4E2M1,
    [NND_ORT_U2] = NND_U2,
    [NND_ORT_I2] = NND_I2,
    [NND_ORT_F8E8M0] = NND_F8E8M0,
};

nnd_dtype nnd_ort_dtype_from(unsigned element)
{
    return element < NND_ORT_ELEMENT_COUNT ? dtypes[element] : NND_DTYPE_INVALID;
}

static unsigned element_from(nnd_dtype dtype)
{
    unsigned element = NND_ORT_ELEMENT_COUNT - 1;
    while (element > 0 && dtypes[element] != dtype)
        element--;
    return element;
}

/* ---- into the library ---------------------------------------------------------------------- */

static nnd_status set_string(const nnd_ort_library *lib, OrtValue *value, size_t index,
                             const nnd_string *s)
{
    char *room = NULL;
    const char *text = s->text ? s->text : "";
    if (lib->api_version < NND_ORT_API_STRING_BUFFER) {
        if (memchr(text, '\0', s->size))
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "onnxruntime %s takes no strings with a zero byte", lib->version);
        return nnd_ort_check(lib, lib->api->FillStringTensorElement(value, text, index),
                             "cannot take over a string");
    }
    NND_TRY(nnd_ort_check(
        lib, lib->api->GetResizedStringTensorElementBuffer(value, index, s->size, &room),
        "cannot take over a string"));
    if (s->size) memcpy(room, text, s->size);
    return NND_OK;
}

static nnd_status strings_from(const nnd_ort_library *lib, const nnd_tensor *t, size_t rank,
                               OrtValue **out)
{
    OrtValue *value = NULL;
    const nnd_string *strings = t->data;
    size_t count = (size_t)nnd_tensor_count(t);
    nnd_status status = nnd_ort_check(
        lib,
        lib->api->CreateTensorAsOrtValue(lib->allocator, t->dims, rank, NND_ORT_STRING, &value),
        "cannot make a tensor of strings");
    for (size_t i = 0; status == NND_OK && i < count; i++)
        status = set_string(lib, value, i, &strings[i]);
    if (status != NND_OK) {
        if (value) lib->api->ReleaseValue(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status tensor_from(const nnd_ort_library *lib, const nnd_tensor *t, bool rank_zero,
                              OrtValue **out)
{
    static char nothing[64]; /* an address for tensors without elements */
    unsigned element = element_from(t->dtype);
    size_t rank = rank_zero ? 0 : (size_t)t->rank;
    if (element == 0)
        return nnd_error_set(NND_E_UNSUPPORTED, "onnxruntime knows no tensors of %s",
                             nnd_dtype_name(t->dtype));
    if (t->dtype == NND_STRING) return strings_from(lib, t, rank, out);
    void *data = t->data ? t->data : nothing;
    return nnd_ort_check(lib,
                         lib->api->CreateTensorWithDataAsOrtValue(
                             lib->cpu, data, nnd_tensor_bytes(t), t->dims, rank, element, out),
                         "cannot take over a tensor");
}

/* Items are tensors; the library copies them into the sequence. */
static nnd_status sequence_from(const nnd_ort_library *lib, const nnd_value *list, OrtValue **out)
{
    size_t count = nnd_value_list_count(list), made = 0;
    nnd_status status = NND_OK;
    if (count == 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "onnxruntime's C interface makes no empty sequences");
    OrtValue **items = nnd_calloc(count, sizeof *items);
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sequence");
    for (; status == NND_OK && made < count; made += status == NND_OK) {
        const nnd_tensor *t = nnd_value_tensor(nnd_value_list_at(list, made));
        if (!t || !nnd_tensor_is_dense(t))
            status =
                nnd_error_set(NND_E_TYPE, "item %zu of a sequence is not a dense tensor", made);
        else
            status = tensor_from(lib, t, false, &items[made]);
    }
    if (status == NND_OK)
        status = nnd_ort_check(lib,
                               lib->api->CreateValue((const OrtValue *const *)items, count,
                                                     NND_ORT_KIND_SEQUENCE, out),
                               "cannot make a sequence");
    while (made > 0)
        lib->api->ReleaseValue(items[--made]);
    nnd_free(items);
    return status;
}

nnd_status nnd_ort_value_from(const nnd_ort_library *lib, const nnd_value *value, bool rank_zero,
                              OrtValue **out)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    if (t) return tensor_from(lib, t, rank_zero, out);
    if (nnd_value_is(value, "list")) return sequence_from(lib, value, out);
    return nnd_error_set(NND_E_TYPE, "onnxruntime takes tensors and lists of tensors, not '%s'",
                         nnd_value_type_name(value));
}

/* ---- out of the library -------------------------------------------------------------------- */

/* A result's memory: the library's value and the model whose allocator it came from. */
typedef struct result_memory {
    nnd_ort_model *model;
    OrtValue *value;
} result_memory;

static void result_release(void *user, void *data)
{
    (void)data;
    result_memory *memory = user;
    memory->model->library->api->ReleaseValue(memory->value);
    nnd_ort_model_unref(memory->model);
    nnd_free(memory);
}

static nnd_status read_shape(const nnd_ort_library *lib, const OrtValue *from, nnd_tensor *t)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    unsigned element = 0;
    size_t rank = 0;
    int64_t dims[NND_MAX_RANK] = {0};
    NND_TRY(nnd_ort_check(lib, lib->api->GetTensorTypeAndShape(from, &info),
                          "cannot read a result's shape"));
    nnd_status status =
        nnd_ort_check(lib, lib->api->GetTensorElementType(info, &element), "no element type");
    if (status == NND_OK)
        status = nnd_ort_check(lib, lib->api->GetDimensionsCount(info, &rank), "no rank");
    if (status == NND_OK && rank > NND_MAX_RANK)
        status = nnd_error_set(NND_E_UNSUPPORTED,
                               "a result has %zu dimensions; at most %d are "
                               "handled",
                               rank, NND_MAX_RANK);
    if (status == NND_OK)
        status = nnd_ort_check(lib, lib->api->GetDimensions(info, dims, rank), "no dimensions");
    lib->api->ReleaseTensorTypeAndShapeInfo(info);
    if (status == NND_OK && nnd_ort_dtype_from(element) == NND_DTYPE_INVALID)
        status = nnd_error_set(NND_E_UNSUPPORTED,
                               "a result has element type %u of onnxruntime, which is unknown here",
                               element);
    if (status != NND_OK) return status;
    return nnd_tensor_init(t, nnd_ort_dtype_from(element), (int)rank, dims, NULL);
}

static nnd_status strings_take(const nnd_ort_library *lib, const OrtValue *from, nnd_value *to)
{
    size_t count = (size_t)nnd_tensor_count(nnd_value_tensor(to)), size = 0;
    NND_TRY(nnd_ort_check(lib, lib->api->GetStringTensorDataLength(from, &size), "no strings"));
    char *text = nnd_alloc(size + 1);
    size_t *offsets = nnd_calloc(count + 1, sizeof *offsets);
    nnd_status status =
        text && offsets
            ? nnd_ort_check(lib, lib->api->GetStringTensorContent(from, text, size, offsets, count),
                            "cannot read strings")
            : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for strings");
    if (status == NND_OK) offsets[count] = size;
    for (size_t i = 0; status == NND_OK && i < count; i++)
        status = nnd_value_set_string(to, i, text + offsets[i], offsets[i + 1] - offsets[i]);
    nnd_free(text);
    nnd_free(offsets);
    return status;
}

/* Strings, and tensors without elements, which have no memory to take over. */
static nnd_status copy_take(const nnd_ort_library *lib, OrtValue *from, const nnd_tensor *t,
                            nnd_value **out)
{
    nnd_value *value = NULL;
    nnd_status status = nnd_value_new_tensor(t->dtype, t->rank, t->dims, &value);
    if (status == NND_OK && nnd_tensor_count(t) > 0) status = strings_take(lib, from, value);
    lib->api->ReleaseValue(from);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

static nnd_status tensor_take(nnd_ort_model *model, OrtValue *from, nnd_value **out)
{
    const nnd_ort_library *lib = model->library;
    nnd_tensor t;
    nnd_status status = read_shape(lib, from, &t);
    if (status == NND_OK && (t.dtype == NND_STRING || nnd_tensor_count(&t) == 0))
        return copy_take(lib, from, &t, out);
    if (status == NND_OK)
        status = nnd_ort_check(lib, lib->api->GetTensorMutableData(from, &t.data), "no memory");
    result_memory *memory = NULL;
    if (status == NND_OK) {
        memory = nnd_alloc(sizeof *memory);
        if (!memory) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a result");
    }
    if (status != NND_OK) {
        lib->api->ReleaseValue(from);
        return status;
    }
    *memory = (result_memory){model, from};
    atomic_fetch_add_explicit(&model->holders, 1, memory_order_relaxed);
    status = nnd_buffer_wrap(t.data, nnd_tensor_bytes(&t), result_release, memory, &t.buffer);
    if (status != NND_OK) {
        result_release(memory, NULL);
        return status;
    }
    status = nnd_value_from_tensor(&t, out);
    nnd_buffer_unref(t.buffer);
    return status;
}

static nnd_status sequence_items(nnd_ort_model *model, const OrtValue *from, nnd_value **items,
                                 size_t count)
{
    const nnd_ort_library *lib = model->library;
    for (size_t i = 0; i < count; i++) {
        OrtValue *item = NULL;
        NND_TRY(nnd_ort_check(lib, lib->api->GetValue(from, (int)i, lib->allocator, &item),
                              "cannot read a sequence"));
        NND_TRY(nnd_ort_value_take(model, item, &items[i]));
    }
    return NND_OK;
}

static nnd_status sequence_take(nnd_ort_model *model, OrtValue *from, nnd_value **out)
{
    const nnd_ort_library *lib = model->library;
    size_t count = 0;
    nnd_value **items = NULL;
    nnd_status status =
        nnd_ort_check(lib, lib->api->GetValueCount(from, &count), "cannot read a sequence");
    if (status == NND_OK && count > INT_MAX)
        status = nnd_error_set(NND_E_LIMIT, "a sequence of %zu items is too long", count);
    if (status == NND_OK) {
        items = nnd_calloc(count + 1, sizeof *items);
        if (!items) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sequence");
    }
    if (status == NND_OK) status = sequence_items(model, from, items, count);
    if (status == NND_OK) status = nnd_value_new_list(items, count, out);
    for (size_t i = 0; items && i < count; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    lib->api->ReleaseValue(from);
    return status;
}

nnd_status nnd_ort_value_take(nnd_ort_model *model, OrtValue *from, nnd_value **out)
{
    unsigned kind = 0;
    nnd_status status =
        nnd_ort_check(model->library, model->library->api->GetValueType(from, &kind), "no type");
    if (status == NND_OK && kind == NND_ORT_KIND_TENSOR) return tensor_take(model, from, out);
    if (status == NND_OK && kind == NND_ORT_KIND_SEQUENCE) return sequence_take(model, from, out);
    model->library->api->ReleaseValue(from);
    if (status != NND_OK) return status;
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "a result is neither a tensor nor a sequence of tensors (ONNX type %u)",
                         kind);
}
