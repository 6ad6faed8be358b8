#include "engine/ir/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/str.h"

enum { PREFIX = 8, ALIGNMENT = 64 };

#define METADATA "__metadata__"
#define ID       "nndeploy_id"

static const struct {
    const char *name;
    nnd_dtype dtype;
} dtypes[] = {
    {"F64", NND_F64},   {"F32", NND_F32},          {"F16", NND_F16},       {"BF16", NND_BF16},
    {"I64", NND_I64},   {"I32", NND_I32},          {"I16", NND_I16},       {"I8", NND_I8},
    {"U64", NND_U64},   {"U32", NND_U32},          {"U16", NND_U16},       {"U8", NND_U8},
    {"BOOL", NND_BOOL}, {"F8_E4M3", NND_F8E4M3FN}, {"F8_E5M2", NND_F8E5M2}};

const char *nnd_safetensors_dtype(nnd_dtype dtype)
{
    for (size_t i = 0; i < NND_COUNT(dtypes); i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct range {
    uint64_t begin, end;
} range;

static nnd_status malformed(const nnd_json *at, const char *name, const char *what)
{
    nnd_status status =
        nnd_error_set(NND_E_FORMAT, "malformed safetensors: tensor '%s': %s", name, what);
    nnd_error_set_place(NULL, nnd_json_line(at), nnd_json_column(at));
    return status;
}

static bool offset_at(const nnd_json *list, size_t index, uint64_t *out)
{
    int64_t value;
    const nnd_json *json = nnd_json_at(list, index);
    if (nnd_json_get_type(json) != NND_JSON_NUMBER || !nnd_json_int(json, &value) || value < 0)
        return false;
    *out = (uint64_t)value;
    return true;
}

static nnd_status read_entry(const nnd_safetensors *st, const char *name, const nnd_json *json,
                             nnd_tensor *out, range *place)
{
    const nnd_json *shape = nnd_json_get(json, "shape");
    const nnd_json *offsets = nnd_json_get(json, "data_offsets");
    const char *type = nnd_json_string(nnd_json_get(json, "dtype"), "");
    nnd_dtype dtype = NND_DTYPE_INVALID;
    int64_t dims[NND_MAX_RANK];
    for (size_t i = 0; i < NND_COUNT(dtypes); i++)
        if (strcmp(dtypes[i].name, type) == 0) dtype = dtypes[i].dtype;
    if (nnd_json_count(json) != 3 || nnd_json_get_type(shape) != NND_JSON_ARRAY ||
        nnd_json_count(offsets) != 2)
        return malformed(json, name, "it needs 'dtype', 'shape' and two 'data_offsets', no more");
    if (dtype == NND_DTYPE_INVALID) return malformed(json, name, "its dtype is not known");
    if (nnd_json_count(shape) > NND_MAX_RANK)
        return nnd_error_set(NND_E_UNSUPPORTED, "tensor '%s' has %zu dimensions, at most %d fit",
                             name, nnd_json_count(shape), NND_MAX_RANK);
    for (size_t i = 0; i < nnd_json_count(shape); i++) {
        uint64_t dim;
        if (!offset_at(shape, i, &dim)) return malformed(json, name, "a dimension is no count");
        dims[i] = (int64_t)dim;
    }
    if (!offset_at(offsets, 0, &place->begin) || !offset_at(offsets, 1, &place->end) ||
        place->begin > place->end || place->end > st->size)
        return malformed(json, name, "it lies outside of the file");
    nnd_status status = nnd_tensor_init(out, dtype, (int)nnd_json_count(shape), dims, NULL);
    if (status != NND_OK) return malformed(json, name, "its shape is impossible");
    if (nnd_tensor_bytes(out) != place->end - place->begin)
        return malformed(json, name, "its size is not what its shape says");
    union {
        const uint8_t *in;
        void *out;
    } cast = {st->data + place->begin};
    out->data = cast.out;
    return NND_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const range *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Tensors follow each other from the first byte to the last. */
static nnd_status check_ranges(range *ranges, size_t count, size_t size)
{
    uint64_t end = 0;
    if (count) qsort(ranges, count, sizeof(*ranges), compare_ranges);
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].begin != end)
            return nnd_error_set(NND_E_FORMAT, "malformed safetensors: tensors %s at byte %llu",
                                 ranges[i].begin < end ? "overlap" : "leave a gap",
                                 (unsigned long long)ranges[i].begin);
        end = ranges[i].end;
    }
    if (end == size) return NND_OK;
    return nnd_error_set(NND_E_FORMAT,
                         "malformed safetensors: %zu bytes of elements, the tensors have %llu",
                         size, (unsigned long long)end);
}

static nnd_status check_metadata(const nnd_json *json)
{
    bool fine = nnd_json_get_type(json) == NND_JSON_OBJECT;
    for (size_t i = 0; i < nnd_json_count(json) && fine; i++)
        fine = nnd_json_get_type(nnd_json_at(json, i)) == NND_JSON_STRING;
    return fine ? NND_OK : malformed(json, METADATA, "it is no object of texts");
}

static nnd_status check_entries(const nnd_safetensors *st)
{
    const nnd_json *root = nnd_json_root(st->header);
    size_t members = nnd_json_count(root), count = 0;
    range *ranges = nnd_calloc(members + 1, sizeof(*ranges));
    if (!ranges) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of tensors");
    nnd_status status = NND_OK;
    for (size_t i = 0; i < members && status == NND_OK; i++) {
        const char *name = nnd_json_key_at(root, i);
        nnd_tensor ignored;
        if (strcmp(name, METADATA) == 0)
            status = check_metadata(nnd_json_at(root, i));
        else
            status = read_entry(st, name, nnd_json_at(root, i), &ignored, &ranges[count++]);
    }
    if (status == NND_OK) status = check_ranges(ranges, count, st->size);
    nnd_free(ranges);
    return status;
}

nnd_status nnd_safetensors_open(nnd_safetensors *st, const void *bytes, size_t size,
                                const char *name)
{
    const uint8_t *p = bytes;
    uint64_t length = 0;
    *st = (nnd_safetensors){0};
    for (size_t i = PREFIX; i-- > 0 && size >= PREFIX;)
        length = length << 8 | p[i];
    if (size < PREFIX || length > size - PREFIX || length > NND_SAFETENSORS_MAX_HEADER || !length ||
        p[PREFIX] != '{')
        return nnd_error_set(NND_E_FORMAT, "malformed safetensors: there is no header in '%s'",
                             name);
    NND_TRY(nnd_json_parse((const char *)p + PREFIX, (size_t)length, name, &st->header));
    st->data = p + PREFIX + length;
    st->size = size - PREFIX - (size_t)length;
    nnd_status status = check_entries(st);
    if (status == NND_OK) return NND_OK;
    nnd_error_set_place(name, 0, 0);
    nnd_safetensors_close(st);
    return status;
}

void nnd_safetensors_close(nnd_safetensors *st)
{
    nnd_json_destroy(st->header);
    *st = (nnd_safetensors){0};
}

nnd_status nnd_safetensors_find(const nnd_safetensors *st, const char *name, nnd_tensor *out)
{
    const nnd_json *json = st->header ? nnd_json_get(nnd_json_root(st->header), name) : NULL;
    range place;
    if (!json || strcmp(name, METADATA) == 0)
        return nnd_error_set(NND_E_NOT_FOUND, "there is no tensor '%s'", name);
    return read_entry(st, name, json, out, &place);
}

const char *nnd_safetensors_id(const nnd_safetensors *st)
{
    const nnd_json *root = st->header ? nnd_json_root(st->header) : NULL;
    return nnd_json_string(nnd_json_get(nnd_json_get(root, METADATA), ID), NULL);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
    const nnd_safetensors_item *x = a, *y = b;
    unsigned x_bits = nnd_dtype_bits(x->tensor.dtype), y_bits = nnd_dtype_bits(y->tensor.dtype);
    if (x_bits != y_bits) return x_bits > y_bits ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void put_entry(nnd_json_writer *w, const nnd_safetensors_item *item, uint64_t begin,
                      uint64_t end)
{
    nnd_json_key(w, item->name);
    nnd_json_begin_object(w);
    nnd_json_key(w, "dtype");
    nnd_json_put_string(w, nnd_safetensors_dtype(item->tensor.dtype));
    nnd_json_key(w, "shape");
    nnd_json_begin_array(w);
    for (int i = 0; i < item->tensor.rank; i++)
        nnd_json_put_int(w, item->tensor.dims[i]);
    nnd_json_end_array(w);
    nnd_json_key(w, "data_offsets");
    nnd_json_begin_array(w);
    nnd_json_put_int(w, (int64_t)begin);
    nnd_json_put_int(w, (int64_t)end);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

void nnd_safetensors_sort(nnd_safetensors_item *items, size_t count, char id[NND_KEY128_TEXT])
{
    nnd_hash128 h;
    if (count) qsort(items, count, sizeof(*items), compare_items);
    nnd_hash128_init(&h, 0);
    for (size_t i = 0; i < count; i++) {
        const nnd_tensor *t = &items[i].tensor;
        nnd_hash128_add_str(&h, items[i].name);
        nnd_hash128_add_u64(&h, (uint64_t)t->dtype);
        nnd_hash128_add_u64(&h, (uint64_t)t->rank);
        for (int d = 0; d < t->rank; d++)
            nnd_hash128_add_u64(&h, (uint64_t)t->dims[d]);
        if (nnd_tensor_bytes(t)) nnd_hash128_add(&h, t->data, nnd_tensor_bytes(t));
    }
    nnd_key128_text(nnd_hash128_end(&h), id);
}

static void put_metadata(nnd_json_writer *w, const char *id)
{
    nnd_json_key(w, METADATA);
    nnd_json_begin_object(w);
    nnd_json_key(w, ID);
    nnd_json_put_string(w, id);
    nnd_json_end_object(w);
}

static nnd_status make_header(const nnd_safetensors_item *items, size_t count, const char *id,
                              nnd_str *out)
{
    nnd_json_writer *w;
    char *text;
    size_t size, padded;
    uint64_t at = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_json_begin_object(w);
    put_metadata(w, id);
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = nnd_tensor_bytes(&items[i].tensor);
        put_entry(w, &items[i], at, at + bytes);
        at += bytes;
    }
    nnd_json_end_object(w);
    nnd_status status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    NND_TRY(status);
    if (!nnd_size_align(size + PREFIX, ALIGNMENT, &padded) ||
        padded > (size_t)NND_SAFETENSORS_MAX_HEADER) {
        nnd_free(text);
        return nnd_error_set(NND_E_LIMIT, "too many constants for one safetensors file");
    }
    padded -= PREFIX;
    for (size_t i = 0; i < PREFIX; i++)
        nnd_str_add_char(out, (char)(uint8_t)(padded >> 8 * i));
    nnd_str_add_n(out, text, size);
    for (; size < padded; size++)
        nnd_str_add_char(out, ' ');
    nnd_free(text);
    return out->failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a header") : NND_OK;
}

nnd_status nnd_safetensors_write(const nnd_safetensors_item *items, size_t count, const char *id,
                                 FILE *file)
{
    nnd_str header = {0};
    nnd_status status = make_header(items, count, id, &header);
    bool fine = status == NND_OK && fwrite(header.data, 1, header.size, file) == header.size;
    for (size_t i = 0; i < count && fine; i++) {
        size_t bytes = nnd_tensor_bytes(&items[i].tensor);
        fine = !bytes || fwrite(items[i].tensor.data, 1, bytes, file) == bytes;
    }
    nnd_str_free(&header);
    if (status == NND_OK && !fine) return nnd_error_set(NND_E_IO, "writing the constants failed");
    return status;
}
