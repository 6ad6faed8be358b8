#include "infer/backends/ncnn/param.h"

#include "base/options.h"
#include "base/str.h"

#include <string.h>

enum {
    MAGIC = 7767517,
    MAX_LAYERS = 100000,
    MAX_BLOBS = 1000000,
    MAX_NAME = 255,   /* bytes; the library's own limit */
    MAX_NUMBER = 15,  /* characters; likewise */
    MAX_STRING = 240, /* likewise */
    PARAM_IDS = 32,
    ARRAY_ID = 23300, /* an array's id is written as −23300 − id */
    NO_INPUT = -1
};

typedef struct blob {
    const char *name;
    int input; /* which input's memory it shows, NO_INPUT */
    bool is_read;
} blob;

typedef struct word {
    const char *text;
    size_t size;
} word;

typedef struct reader {
    nnd_ncnn_param *param;
    const char *at, *end;
    uint32_t line;
    NND_VEC(blob) blobs;
    nnd_map blob_index; /* name → 1 + position */
    int64_t blob_limit; /* as the file says */
} reader;

typedef struct layer {
    char type[MAX_NAME + 1];
    int64_t bottom_count, top_count;
    size_t first_bottom; /* into bottoms */
    int64_t values[PARAM_IDS];
    bool has_value[PARAM_IDS];
} layer;

static nnd_status malformed(const reader *r, const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "not an ncnn model: line %u: %s", r->line, what);
}

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to look into an ncnn model");
}

/* ---- words -------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(reader *r)
{
    for (; r->at < r->end && is_blank(*r->at); r->at++)
        r->line += *r->at == '\n';
}

/* The next word without taking it; empty at the end. */
static word peek_word(reader *r)
{
    skip_blanks(r);
    word w = {r->at, 0};
    while (w.text + w.size < r->end && !is_blank(w.text[w.size]))
        w.size++;
    return w;
}

static nnd_status take_word(reader *r, const char *what, word *out)
{
    *out = peek_word(r);
    if (!out->size) return malformed(r, what);
    if (out->size > MAX_NAME) return malformed(r, "a word of more than 255 bytes");
    if (!nnd_utf8_valid(out->text, out->size)) return malformed(r, "text that is not UTF-8");
    r->at += out->size;
    return NND_OK;
}

static bool parse_number(const char *text, size_t size, int64_t *out)
{
    char copy[MAX_NUMBER + 1];
    if (!size || size > MAX_NUMBER) return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return nnd_parse_int(copy, out) && *out >= INT32_MIN && *out <= INT32_MAX;
}

static nnd_status take_count(reader *r, const char *what, int64_t low, int64_t high, int64_t *out)
{
    word w;
    NND_TRY(take_word(r, what, &w));
    if (parse_number(w.text, w.size, out) && *out >= low && *out <= high) return NND_OK;
    return nnd_error_set(NND_E_FORMAT,
                         "not an ncnn model: line %u: %s should be %lld … %lld, is %.*s", r->line,
                         what, (long long)low, (long long)high, (int)w.size, w.text);
}

/* ---- parameters of a layer ---------------------------------------------------------------- */

/* "1,0.5,2": how many; 0 when an element is empty or too long. */
static int64_t count_elements(const char *text, size_t size)
{
    int64_t count = 0;
    for (const char *end = text + size;; text++) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t n = (size_t)((comma ? comma : end) - text);
        if (!n || n > MAX_NUMBER) return 0;
        count++;
        if (!comma) return count;
        text = comma;
    }
}

/* An array says its length first, and all of that many have to be there. */
static bool is_sound_array(const char *text, size_t size)
{
    int64_t length;
    const char *comma = memchr(text, ',', size);
    size_t n = comma ? (size_t)(comma - text) : size;
    if (!parse_number(text, n, &length) || length < 0) return false;
    if (!comma) return length == 0;
    return count_elements(comma + 1, size - n - 1) == length;
}

static bool is_text(const char *text, size_t size)
{
    char c = size ? text[0] : '\0';
    return c == '"' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static nnd_status take_text(reader *r, const char *text)
{
    /* Quoted texts may hold blanks. */
    const char *end = text;
    if (*text == '"') {
        for (end++; end < r->end && *end != '"' && *end != '\n'; end++) {}
        if (end == r->end || *end != '"') return malformed(r, "a text without its end");
        end++;
    } else {
        while (end < r->end && !is_blank(*end))
            end++;
    }
    if (end - text > MAX_STRING) return malformed(r, "a text of more than 240 bytes");
    r->at = end;
    return NND_OK;
}

static nnd_status take_value(reader *r, layer *l, word w)
{
    int64_t id;
    const char *equals = memchr(w.text, '=', w.size);
    size_t n = (size_t)(equals - w.text);
    const char *value = equals + 1;
    size_t size = w.size - n - 1;
    if (!parse_number(w.text, n, &id)) return malformed(r, "a parameter without number");
    bool is_array = id <= -ARRAY_ID;
    if (is_array) id = -id - ARRAY_ID;
    if (id < 0 || id >= PARAM_IDS) return malformed(r, "a parameter beyond 0 … 31");
    if (!is_array && is_text(value, size)) return take_text(r, value);
    r->at += w.size;
    if (is_array)
        return is_sound_array(value, size) ? NND_OK : malformed(r, "an array of another length");
    if (!count_elements(value, size)) return malformed(r, "a parameter without value");
    l->has_value[id] = parse_number(value, size, &l->values[id]);
    return NND_OK;
}

/* Words with '=' up to the first one without: the next layer's type. */
static nnd_status take_values(reader *r, layer *l)
{
    for (word w = peek_word(r); w.size && memchr(w.text, '=', w.size); w = peek_word(r))
        NND_TRY(take_value(r, l, w));
    return NND_OK;
}

static int64_t value_or(const layer *l, int id, int64_t otherwise)
{
    return l->has_value[id] ? l->values[id] : otherwise;
}

/* ---- what layers ask of inputs ------------------------------------------------------------ */

static bool is_type(const layer *l, const char *a, const char *b)
{
    return strcmp(l->type, a) == 0 || strcmp(l->type, b) == 0;
}

/* Channels that a convolution's weights are made for, 0 = cannot be told. */
static int64_t channels_of_weights(const layer *l)
{
    int64_t outputs = value_or(l, 0, 0), width = value_or(l, 1, 0);
    int64_t height = value_or(l, 11, width), weights = value_or(l, 6, 0), groups = 1;
    if (is_type(l, "ConvolutionDepthWise", "DeconvolutionDepthWise")) groups = value_or(l, 7, 1);
    if (outputs <= 0 || width <= 0 || height <= 0 || weights <= 0 || groups <= 0) return 0;
    if (width > INT32_MAX / height || outputs > INT32_MAX / (width * height)) return 0;
    int64_t each = outputs * width * height;
    if (weights % each || weights / each > INT32_MAX / groups) return 0;
    return weights / each * groups;
}

/* A layer reads the memory of an input. */
static void note_reader(const layer *l, nnd_ncnn_input *input)
{
    bool convolves = is_type(l, "Convolution", "ConvolutionDepthWise") ||
                     is_type(l, "Deconvolution", "DeconvolutionDepthWise");
    if (is_type(l, "Split", "Noop")) return;
    if (convolves && !input->channels) input->channels = (int)channels_of_weights(l);
    if (is_type(l, "InnerProduct", "InnerProduct") && value_or(l, 0, 0) > 0 && !input->elements)
        input->elements = value_or(l, 2, 0) / value_or(l, 0, 1);
    if (is_type(l, "Embed", "Embed")) input->is_index = true;
    input->is_borrowed = input->is_borrowed && convolves;
}

/* ---- layers ------------------------------------------------------------------------------- */

static nnd_status take_bottom(reader *r, const layer *l, int *input)
{
    word w;
    NND_TRY(take_word(r, "a layer that ends early", &w));
    size_t index = (size_t)(uintptr_t)nnd_map_get_n(&r->blob_index, w.text, w.size);
    if (!index)
        return nnd_error_set(NND_E_FORMAT,
                             "not an ncnn model: line %u: no layer before this one makes '%.*s'",
                             r->line, (int)w.size, w.text);
    blob *b = &r->blobs.items[index - 1];
    b->is_read = true;
    if (is_type(l, "Split", "Noop")) *input = b->input;
    return NND_OK;
}

static nnd_status take_top(reader *r, const layer *l, int input)
{
    word w;
    NND_TRY(take_word(r, "a layer that ends early", &w));
    if ((int64_t)r->blobs.count >= r->blob_limit)
        return malformed(r, "more blobs than the file says");
    if (nnd_map_get_n(&r->blob_index, w.text, w.size))
        return malformed(r, "two blobs have the same name");
    blob b = {nnd_arena_strdup_n(&r->param->arena, w.text, w.size), input, false};
    if (!b.name) return no_memory();
    if (is_type(l, "Input", "Input")) {
        nnd_ncnn_input port = {.name = b.name, .is_borrowed = true};
        b.input = (int)r->param->inputs.count;
        if (!nnd_vec_push(&r->param->inputs, port)) return no_memory();
    }
    if (!nnd_vec_push(&r->blobs, b)) return no_memory();
    return nnd_map_put(&r->blob_index, b.name, (void *)(uintptr_t)r->blobs.count, NULL);
}

/* The bottoms are noted twice: for the names, and once the parameters are known, for the inputs. */
static void note_bottoms(reader *r, const layer *l, const char *at)
{
    reader again = *r;
    again.at = at;
    for (int64_t i = 0; i < l->bottom_count; i++) {
        word w = peek_word(&again);
        again.at += w.size;
        size_t index = (size_t)(uintptr_t)nnd_map_get_n(&r->blob_index, w.text, w.size);
        int input = r->blobs.items[index - 1].input;
        if (input != NO_INPUT) note_reader(l, &r->param->inputs.items[input]);
    }
}

static nnd_status take_layer(reader *r)
{
    layer l = {0};
    word w;
    int input = NO_INPUT;
    NND_TRY(take_word(r, "fewer layers than the file says", &w));
    memcpy(l.type, w.text, w.size);
    NND_TRY(nnd_map_put(&r->param->types, l.type, r->param, NULL));
    NND_TRY(take_word(r, "a layer without name", &w));
    NND_TRY(take_count(r, "the number of a layer's inputs", 0, MAX_BLOBS, &l.bottom_count));
    NND_TRY(take_count(r, "the number of a layer's outputs", 0, MAX_BLOBS, &l.top_count));
    const char *bottoms = r->at;
    for (int64_t i = 0; i < l.bottom_count; i++)
        NND_TRY(take_bottom(r, &l, &input));
    for (int64_t i = 0; i < l.top_count; i++)
        NND_TRY(take_top(r, &l, input));
    NND_TRY(take_values(r, &l));
    note_bottoms(r, &l, bottoms);
    return NND_OK;
}

/* ---- files -------------------------------------------------------------------------------- */

static nnd_status take_outputs(reader *r)
{
    for (size_t i = 0; i < r->blobs.count; i++) {
        const blob *b = &r->blobs.items[i];
        if (b->is_read) continue;
        /* A result that is an input's own memory has to outlive it. */
        if (b->input != NO_INPUT) r->param->inputs.items[b->input].is_borrowed = false;
        if (!nnd_vec_push(&r->param->outputs, b->name)) return no_memory();
    }
    if (!r->param->inputs.count) return malformed(r, "the model has no input");
    if (!r->param->outputs.count) return malformed(r, "the model has no output");
    return NND_OK;
}

static nnd_status read_file(reader *r)
{
    int64_t magic, layers;
    word w = peek_word(r);
    if (!parse_number(w.text, w.size, &magic) || magic != MAGIC)
        return nnd_error_set(NND_E_FORMAT, "not an ncnn model: a .param file in text form begins "
                                           "with 7767517 (binary ones are not read)");
    r->at += w.size;
    NND_TRY(take_count(r, "the number of layers", 1, MAX_LAYERS, &layers));
    NND_TRY(take_count(r, "the number of blobs", 1, MAX_BLOBS, &r->blob_limit));
    for (int64_t i = 0; i < layers; i++)
        NND_TRY(take_layer(r));
    if (peek_word(r).size) return malformed(r, "more layers than the file says");
    return take_outputs(r);
}

nnd_status nnd_ncnn_param_read(nnd_ncnn_param *param, const char *text, size_t size)
{
    reader r = {.param = param, .at = text, .end = text + size, .line = 1};
    if (memchr(text, 0, size)) return malformed(&r, "a byte 0 in a text");
    nnd_status status = read_file(&r);
    nnd_vec_free(&r.blobs);
    nnd_map_fini(&r.blob_index);
    return status;
}

void nnd_ncnn_param_fini(nnd_ncnn_param *param)
{
    nnd_arena_fini(&param->arena);
    nnd_vec_free(&param->inputs);
    nnd_vec_free(&param->outputs);
    nnd_map_fini(&param->types);
}
