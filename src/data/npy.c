/*
 * NumPy's .npy: "\x93NUMPY", version, header length, a Python dictionary literal with exactly the
 * keys descr, fortran_order and shape, then the elements (numpy/lib/format.py, versions 1.0–3.0).
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "base/str.h"
#include "data/dtype.h"
#include "data/value.h"

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_HEADER = 1 << 16, DATA_ALIGN = 64 };

/* NumPy's kind letter and item size of each type that it knows. */
static const struct {
    nnd_dtype dtype;
    char kind;
    uint8_t size;
} kinds[] = {
    {NND_F64, 'f', 8}, {NND_F32, 'f', 4},   {NND_F16, 'f', 2}, {NND_I64, 'i', 8},
    {NND_I32, 'i', 4}, {NND_I16, 'i', 2},   {NND_I8, 'i', 1},  {NND_U64, 'u', 8},
    {NND_U32, 'u', 4}, {NND_U16, 'u', 2},   {NND_U8, 'u', 1},  {NND_BOOL, 'b', 1},
    {NND_C64, 'c', 8}, {NND_C128, 'c', 16},
};

typedef struct npy_header {
    nnd_dtype dtype;
    bool big_endian;
    bool fortran;
    int rank;
    int64_t dims[NND_MAX_RANK];
} npy_header;

/* ---- the dictionary ---- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static nnd_status malformed(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "npy header: %s", what);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool accept(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool accept_word(cursor *c, const char *word)
{
    size_t size = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0) return false;
    c->at += size;
    return true;
}

/* A Python string without escapes, which NumPy never writes here. */
static nnd_status read_string(cursor *c, char *text, size_t room)
{
    skip_space(c);
    char quote = c->at < c->end ? *c->at : '\0';
    if (quote != '\'' && quote != '"') return malformed("a string is expected");
    const char *start = ++c->at;
    while (c->at < c->end && *c->at != quote && *c->at != '\\')
        c->at++;
    size_t size = (size_t)(c->at - start);
    if (c->at == c->end || *c->at != quote || size >= room) return malformed("a string has no end");
    memcpy(text, start, size);
    text[size] = '\0';
    c->at++;
    return NND_OK;
}

static nnd_status read_descr(cursor *c, npy_header *h)
{
    char text[32];
    skip_space(c);
    if (c->at < c->end && *c->at == '[') {
        return nnd_error_set(NND_E_UNSUPPORTED, "npy: structured arrays are not tensors");
    }
    NND_TRY(read_string(c, text, sizeof(text)));
    char order = text[0];
    if (order == '\0' || strchr("<>|=", order) == NULL || text[1] == '\0') {
        return malformed("'descr' is no element type");
    }
    h->big_endian = order == '>';
    for (size_t i = 0; i < NND_COUNT(kinds); i++) {
        char expected[8];
        snprintf(expected, sizeof(expected), "%c%u", kinds[i].kind, kinds[i].size);
        if (strcmp(text + 1, expected) == 0) {
            h->dtype = kinds[i].dtype;
            return NND_OK;
        }
    }
    nnd_str quoted = {0};
    nnd_str_add_quoted(&quoted, text, strlen(text), 32);
    nnd_status status =
        nnd_error_set(NND_E_UNSUPPORTED, "npy: elements of type %s have no tensor type",
                      quoted.data ? quoted.data : "?");
    nnd_str_free(&quoted);
    return status;
}

static nnd_status read_dimension(cursor *c, int64_t *out)
{
    int64_t v = 0;
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
        return malformed("a dimension is expected");
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (!nnd_i64_mul(v, 10, &v) || !nnd_i64_add(v, *c->at - '0', &v)) {
            return nnd_error_set(NND_E_OVERFLOW, "npy header: a dimension overflows");
        }
    }
    if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 wrote long integers so */
    *out = v;
    return NND_OK;
}

static nnd_status read_shape(cursor *c, npy_header *h)
{
    if (!accept(c, '(')) return malformed("'shape' is no tuple");
    while (!accept(c, ')')) {
        if (h->rank == NND_MAX_RANK) {
            return nnd_error_set(NND_E_SHAPE, "npy: more than %d dimensions", NND_MAX_RANK);
        }
        NND_TRY(read_dimension(c, &h->dims[h->rank++]));
        if (accept(c, ',')) continue;
        if (!accept(c, ')')) return malformed("'shape' has no end");
        break;
    }
    return NND_OK;
}

static nnd_status read_dictionary(cursor *c, npy_header *h)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    if (!accept(c, '{')) return malformed("a dictionary is expected");
    while (!accept(c, '}')) {
        char key[32];
        int bit;
        NND_TRY(read_string(c, key, sizeof(key)));
        if (!accept(c, ':')) return malformed("':' is expected after a key");
        if (strcmp(key, "descr") == 0) {
            bit = DESCR;
            NND_TRY(read_descr(c, h));
        } else if (strcmp(key, "fortran_order") == 0) {
            bit = ORDER;
            h->fortran = accept_word(c, "True");
            if (!h->fortran && !accept_word(c, "False")) {
                return malformed("'fortran_order' is neither True nor False");
            }
        } else if (strcmp(key, "shape") == 0) {
            bit = SHAPE;
            if (seen & SHAPE) return malformed("a key is repeated");
            NND_TRY(read_shape(c, h));
        } else {
            return malformed("there is an unknown key");
        }
        if (seen & bit) return malformed("a key is repeated");
        seen |= bit;
        if (accept(c, ',')) continue;
        if (!accept(c, '}')) return malformed("the dictionary has no end");
        break;
    }
    skip_space(c);
    if (c->at != c->end) return malformed("there is something behind the dictionary");
    if (seen != (DESCR | ORDER | SHAPE))
        return malformed("descr, fortran_order or shape is missing");
    return NND_OK;
}

static nnd_status read_header(nnd_bytes *b, npy_header *h)
{
    const uint8_t *start = nnd_bytes_take(b, sizeof(magic));
    if (!start || memcmp(start, magic, sizeof(magic)) != 0) {
        return nnd_error_set(NND_E_FORMAT, "these bytes are no npy file");
    }
    unsigned major = nnd_bytes_u8(b), minor = nnd_bytes_u8(b);
    if (nnd_bytes_ok(b) && (major < 1 || major > 3 || minor != 0)) {
        return nnd_error_set(NND_E_UNSUPPORTED, "npy format %u.%u is unknown (1.0 to 3.0 are read)",
                             major, minor);
    }
    size_t size = major == 1 ? nnd_bytes_u16le(b) : nnd_bytes_u32le(b);
    if (size > MAX_HEADER) {
        return nnd_error_set(NND_E_LIMIT, "npy header of %zu bytes is larger than %d", size,
                             MAX_HEADER);
    }
    const char *text = (const char *)nnd_bytes_take(b, size);
    if (!text) return malformed("the bytes end early");
    cursor c = {text, text + size};
    return read_dictionary(&c, h);
}

/* ---- elements ---- */

static void swap_bytes(uint8_t *data, size_t bytes, size_t item)
{
    for (size_t i = 0; i + item <= bytes; i += item) {
        for (size_t a = 0, b = item - 1; a < b; a++, b--) {
            uint8_t t = data[i + a];
            data[i + a] = data[i + b];
            data[i + b] = t;
        }
    }
}

nnd_status nnd_npy_parse(const void *bytes, size_t size, nnd_value **out_tensor)
{
    nnd_bytes b = nnd_bytes_of(bytes, size);
    npy_header h = {0};
    NND_TRY(read_header(&b, &h));
    nnd_tensor source;
    NND_TRY(nnd_tensor_init(&source, h.dtype, h.rank, h.dims, NULL));
    size_t wanted = nnd_tensor_bytes(&source);
    if (wanted > nnd_bytes_left(&b)) {
        char text[128];
        return nnd_error_set(NND_E_FORMAT, "npy: %s needs %zu bytes, the file has %zu",
                             nnd_tensor_describe(&source, text, sizeof(text)), wanted,
                             nnd_bytes_left(&b));
    }
    source.data = (void *)(uintptr_t)nnd_bytes_take(&b, wanted);
    if (h.fortran) {
        int64_t stride = 1;
        for (int i = 0; i < h.rank; i++) {
            source.strides[i] = stride;
            stride *= h.dims[i] > 0 ? h.dims[i] : 1;
        }
    }
    nnd_value *value;
    NND_TRY(nnd_value_new_tensor(h.dtype, h.rank, h.dims, &value));
    nnd_tensor made = *nnd_value_tensor(value);
    nnd_status status = nnd_tensor_copy(&made, &source);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    if (h.big_endian) {
        size_t item = nnd_dtype_bits(h.dtype) / 8;
        swap_bytes(made.data, wanted, nnd_dtype_is_complex(h.dtype) ? item / 2 : item);
    }
    *out_tensor = value;
    return NND_OK;
}

static void write_dictionary(nnd_str *s, const nnd_tensor *t, char kind, unsigned item)
{
    nnd_str_printf(s, "{'descr': '%c%c%u', 'fortran_order': False, 'shape': (",
                   item == 1 ? '|' : '<', kind, item);
    for (int i = 0; i < t->rank; i++) {
        nnd_str_printf(s, i ? ", %lld" : "%lld", (long long)t->dims[i]);
    }
    nnd_str_add(s, t->rank == 1 ? ",), }" : "), }");
}

nnd_status nnd_npy_write(const nnd_tensor *t, void **bytes, size_t *size)
{
    size_t k = 0;
    while (k < NND_COUNT(kinds) && kinds[k].dtype != t->dtype)
        k++;
    if (k == NND_COUNT(kinds)) {
        return nnd_error_set(NND_E_UNSUPPORTED, "npy has no element type for %s",
                             nnd_dtype_name(t->dtype));
    }
    nnd_tensor dense;
    NND_TRY(nnd_tensor_init(&dense, t->dtype, t->rank, t->dims, NULL));
    nnd_str text = {0};
    write_dictionary(&text, t, kinds[k].kind, kinds[k].size);
    enum { PREFIX = sizeof(magic) + 4 };
    while ((PREFIX + text.size + 1) % DATA_ALIGN != 0 && !text.failed)
        nnd_str_add_char(&text, ' ');
    nnd_str_add_char(&text, '\n');
    size_t data_size = nnd_tensor_bytes(t), total = 0;
    uint8_t *block = NULL;
    if (!text.failed && nnd_size_add(PREFIX + text.size, data_size, &total)) {
        block = nnd_alloc(total);
    }
    if (!block) {
        nnd_str_free(&text);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for an npy file of %zu bytes",
                             data_size);
    }
    memcpy(block, magic, sizeof(magic));
    block[6] = 1;
    block[7] = 0;
    block[8] = (uint8_t)text.size; /* at most 256: eight dimensions of 20 digits */
    block[9] = (uint8_t)(text.size >> 8);
    memcpy(block + PREFIX, text.data, text.size);
    dense.data = block + PREFIX + text.size;
    nnd_str_free(&text);
    nnd_status status = nnd_tensor_copy(&dense, t);
    if (status != NND_OK) {
        nnd_free(block);
        return status;
    }
    *bytes = block;
    *size = total;
    return NND_OK;
}
